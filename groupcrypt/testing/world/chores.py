"""What an application does by itself: it forgets in time, and brings files to the server.

Rules of this file:
- Nothing is polled: it looks after each step of a device, as the carrier does, and asks for the
  moment at which there will be something to do.
- What dies with the process is begun again by the next one; a file goes on where the server is.
- A file's bytes follow from its name: a disk is not part of a world (spec 14.5).
"""

from collections import Counter
from functools import partial
from typing import Final

from groupcrypt.errors import LocalError
from groupcrypt.protocol import device, wire
from groupcrypt.protocol.attachment import FileKey, seal_chunk
from groupcrypt.protocol.broadcast import (
    BlobHeld,
    BlobNew,
    BlobPut,
    BlobSeal,
    Reply,
    Request,
    token_hash,
)
from groupcrypt.protocol.content import read_content
from groupcrypt.protocol.conversation import Spoken
from groupcrypt.protocol.device.state import DeviceState, Item, OutgoingFile
from groupcrypt.protocol.group.letters import Direct, LetterKind, Sent
from groupcrypt.protocol.identifiers import AccountId, MessageId
from groupcrypt.testing.entropy import SeededEntropy
from groupcrypt.testing.world.book import Place
from groupcrypt.testing.world.carrier import LEAST, RETRY, Bring, Carrier
from groupcrypt.testing.world.host import Host
from groupcrypt.testing.world.network import Chance
from groupcrypt.testing.world.server import Server

PART: Final = 4_096  # bytes of a file that travel at once
LIFE: Final = 14 * 24 * 3600  # seconds that the server keeps a file


def file_bytes(name: str, size: int) -> bytes:
    """What is in a file of this name."""
    return SeededEntropy(b"file " + name.encode())(size)


class Chores:
    """For all devices of a world."""

    def __init__(self, carrier: Carrier, server: Server, chance: Chance, bring: Bring) -> None:
        self._carrier, self._server, self._chance = carrier, server, chance
        self._bring = bring
        self.forgotten: set[tuple[str, MessageId]] = set()  # who has which no more
        self.files: Counter[MessageId] = Counter()  # how often its message was said

    def look(self, host: Host) -> None:
        """See what there is to do for the application of a device."""
        running, now, due = host.running, self._carrier.now, host.book.next_due
        if due is not None:
            at = max(now + LEAST, now + (due - host.clock) / 1_000)
            if running.sweep_at is None or at < running.sweep_at:
                running.sweep_at = at
                self._carrier.at(at, host, partial(self._sweep, at))
        if host.state.files and not running.uploading:
            running.uploading = True
            self._soon(host)

    @property
    def said_again(self) -> set[MessageId]:
        """Messages of files that were said more than once: by who was put back (spec 14.5)."""
        return {message for message, times in self.files.items() if times > 1}

    # --- forgetting -----------------------------------------------------------------------------

    def forgot(self, host: Host, before: DeviceState) -> None:
        """Note the copies for lost keys that went in a step, as what they say is over."""
        self._letters(host, before)
        for name, held in before.groups.items():
            after = host.state.groups.get(name)
            if after is None or (after.sent is held.sent and after.unsettled is held.unsettled):
                continue
            contents = {item.message: item.content for item in held.unsettled.values()}
            contents |= {item.message: item.content for item in held.sent.values()}
            for raw in contents.keys() - after.sent.keys() - after.unsettled.keys():
                message = MessageId(raw)
                spoken = Spoken(host.account, message, read_content(contents[raw]))
                if host.book.without(Place(name), spoken, host.clock):
                    self.forgotten.add((host.name, message))

    def _sweep(self, at: float, host: Host) -> None:
        """Forget what is over (spec 12.11)."""
        if host.running.sweep_at != at:
            return
        host.running.sweep_at = None
        host.look_at_clock(self._carrier.now)
        over, life = host.book.over(host.clock), host.life
        if over:
            gone = [name.gone for name in over]
            self._bring(
                host,
                lambda h, now, entropy: device.forget(h.state, gone, now=now, entropy=entropy),
            )
            if host.life != life:
                return  # it may not have come so far: who comes back forgets again
            host.book = host.book.buried(over)
        self.look(host)

    def _letters(self, host: Host, before: DeviceState) -> None:
        """Direct messages in no letter any more, sealed or waiting, as they are over (12.11)."""
        for device_id, peer in before.peers.items():
            after = host.state.peers.get(device_id)
            if after is None or (after.unacked is peer.unacked and after.waiting is peer.waiting):
                continue
            # A payload that is still there lost it to nothing else; what waited may be in one now.
            went = [
                item
                for number, sent in peer.unacked.items()
                if number in after.unacked and after.unacked[number].items is not sent.items
                for item in sent.items
            ]
            left = {id(item) for sent in after.unacked.values() for item in sent.items}
            left |= {id(item) for item in after.waiting}
            for item in (*went, *peer.waiting):
                if item.kind in (LetterKind.DIRECT, LetterKind.SENT) and id(item) not in left:
                    self._letter(host, AccountId(peer.core.account), item)

    def _letter(self, host: Host, to: AccountId, item: Item) -> None:
        letter: Direct | Sent
        if item.kind == LetterKind.SENT:
            letter = wire.decode(Sent, item.body)
            to = AccountId(letter.to)
        else:
            letter = wire.decode(Direct, item.body)
        message = MessageId(letter.message)
        spoken = Spoken(host.account, message, read_content(letter.content))
        if host.book.without(Place(None, to), spoken, host.clock):
            self.forgotten.add((host.name, message))

    # --- files ----------------------------------------------------------------------------------

    def _soon(self, host: Host, after: float = 0.0) -> None:
        delay = LEAST + self._chance.number(host.name, "file") * self._carrier.faults.delay
        at = max(self._carrier.now, host.line.cut_out, host.line.cut_in) + after + delay
        self._carrier.at(at, host, self._upload)

    def _upload(self, host: Host) -> None:
        """One request about the first file that is on its way."""
        message, row = next(iter(host.state.files.items()), (None, None))
        if message is None or row is None:
            host.running.uploading = False
            return
        life = host.life
        if self._chance.happens(host.name, "lost file", self._carrier.faults.loss):
            self._soon(host, RETRY)
            return
        if self._moved(host, row):
            self._send(host, message, row)
        if host.life == life:
            self._soon(host, 0.0 if host.running.blob is not None else RETRY)

    def _moved(self, host: Host, row: OutgoingFile) -> bool:
        """Whether the server has all of it; if not, it was asked, or given the next part."""
        sealed, held = sealed_file(row), host.running.blob
        tokens = row.write_token, token_hash(FileKey(row.key, row.size).read_token)
        request: Request
        if held is None:
            request = BlobNew(*tokens, len(sealed), LIFE)
        elif held.held < len(sealed):
            request = BlobPut(*tokens, held.held, sealed[held.held :][:PART])
        else:
            request = BlobSeal(*tokens)
        reply: Reply = self._server.answer(host.name, request, now=self._carrier.now)
        host.running.blob = reply if isinstance(reply, BlobHeld) else None
        return isinstance(reply, BlobHeld) and reply.sealed

    def _send(self, host: Host, message: MessageId, row: OutgoingFile) -> None:
        """The message that names it; where that cannot be said any more, none."""
        host.running.blob = None
        self.files[message] += 1
        tag = (sealed_file(row)[:32],)
        try:
            self._bring(
                host,
                lambda h, now, entropy: device.file_uploaded(
                    h.state, message, tag, now=now, entropy=entropy
                ),
            )
        except LocalError as error:
            code = error.code
            self._bring(
                host,
                lambda h, now, entropy: device.give_up_file(
                    h.state, message, code, now=now, entropy=entropy
                ),
            )


def sealed_file(row: OutgoingFile) -> bytes:
    """A file as the server has it; files of worlds have one chunk."""
    return seal_chunk(FileKey(row.key, row.size), 0, file_bytes(row.name, row.size))


__all__ = ["Chores", "file_bytes", "sealed_file"]
