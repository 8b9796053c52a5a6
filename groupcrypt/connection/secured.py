"""TLS over any stream, many records at a time (spec 13.2).

Rules of this file:
- A read gives all records that are there up to its bound, a write seals all it was given before
  any of it leaves: tasks change once for hundreds of KiB, and not once for each record of 16.
- What is sealed leaves in its order: whoever seals holds the lock until it has left.
- What TLS has to say by itself (an answer to new keys) leaves with the next write.
- An end without a farewell of TLS is an end: frames say themselves whether they are whole.

Which keys and names are right is decided by `tls` and by the server.
"""

import ssl
from typing import Final

import trio

RECORD_BYTES: Final = 16 * 1024  # the most that is in one record of TLS
RECEIVE_BYTES: Final = 256 * 1024  # sealed bytes of one read


class TlsStream(trio.abc.Stream):
    """One end of TLS over an open stream; `do_handshake` comes first."""

    def __init__(
        self, stream: trio.abc.Stream, context: ssl.SSLContext, *, server_hostname: str | None
    ) -> None:
        """`server_hostname`: whom this client wants to speak to; None: this is the server."""
        self._stream = stream
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming,
            self._outgoing,
            server_side=server_hostname is None,
            server_hostname=server_hostname,
        )
        self._sealing = trio.StrictFIFOLock()
        self._torn = False  # something that was sealed has not left whole
        self._over = False  # nothing more can be read
        self._broken: ssl.SSLError | None = None  # why, if it was no end

    async def do_handshake(self) -> None:
        """Shake hands; raises `trio.BrokenResourceError`, whose cause says what TLS said."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._send()
                await self._receive()
            except ssl.SSLError as error:
                raise trio.BrokenResourceError from error
            else:
                await self._send()
                return

    @property
    def protocol(self) -> str | None:
        """What both sides chose to speak above TLS."""
        return self._tls.selected_alpn_protocol()

    @property
    def certificate(self) -> bytes | None:
        """The other side's certificate, DER."""
        return self._tls.getpeercert(binary_form=True)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """All that is there, up to `max_bytes`; empty at the end."""
        if max_bytes is not None and max_bytes < 1:
            raise ValueError("max_bytes is at least 1")
        waited = False
        while not (opened := self._opened(max_bytes or RECEIVE_BYTES)) and not self._over:
            await self._receive()
            waited = True
        if not waited:
            await trio.lowlevel.cancel_shielded_checkpoint()  # what was opened must not be lost
        if not opened and self._broken is not None:
            raise trio.BrokenResourceError from self._broken
        return opened

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Seal `data` and send it; after a failure or a cancellation nothing more can be sent."""
        await self._send(data)

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until the stream below might take something."""
        async with self._sealing:
            await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """Close the stream below."""
        await self._stream.aclose()

    def _opened(self, most: int) -> bytes:
        """What is in the records that came whole, up to `most` bytes."""
        records: list[bytes] = []
        try:
            while most > 0 and not self._over:
                record = self._tls.read(min(most, RECORD_BYTES))
                records.append(record)
                most -= len(record)
                self._over = not record
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLEOFError:
            self._over = True
        except ssl.SSLError as error:  # what came whole before it is still good
            self._over, self._broken = True, error
        return records[0] if len(records) == 1 else b"".join(records)

    async def _receive(self) -> None:
        data = await self._stream.receive_some(RECEIVE_BYTES)
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    async def _send(self, data: bytes | bytearray | memoryview = b"") -> None:
        """Seal `data`; send that and what TLS itself has to say."""
        async with self._sealing:
            if self._torn:
                raise trio.BrokenResourceError
            self._torn = True
            try:
                if data:
                    self._tls.write(data)
            except ssl.SSLError as error:
                raise trio.BrokenResourceError from error
            await self._stream.send_all(self._outgoing.read())
            self._torn = False
