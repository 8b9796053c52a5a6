"""The processes of `groupcrypt bench files`: `python -m groupcrypt.cli.bench.transfer ROLE ...`.

Rules of this file:
- A role prints what it measured as one JSON line; seconds are between the first and the last byte.
- `copy-from` and `copy-to` are the plain TLS copy that files are compared with: the same library's
  TLS, the same bytes, nothing of ours.
"""

import json
import resource
import ssl
import sys
import time
from pathlib import Path
from typing import Final

import trio

from groupcrypt.entropy import SystemEntropy
from groupcrypt.node import open_node
from groupcrypt.server.certificate import kept_credentials

WRITE_BYTES: Final = 64 * 1024  # as the framing writes
SECONDS: Final = 1_800.0  # a transfer that takes longer is no measurement


def say(**fields: object) -> None:
    """One line for the parent."""
    print(json.dumps(fields), flush=True)


def memory() -> int:
    """The most this process had resident, in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


async def copy_to(size: int) -> None:
    """Take `size` bytes over TLS and throw them away."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    say(port=listener.socket.getsockname()[1])
    stream = trio.SSLStream(
        await listener.accept(), kept_credentials(None).context, server_side=True
    )
    while size:
        size -= len(await stream.receive_some(WRITE_BYTES))
    await stream.send_all(b"!")


async def copy_from(size: int, port: int) -> None:
    """Send `size` random bytes over TLS; the seconds until the other side has them."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # a copy, no secret
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    stream = trio.SSLStream(await trio.open_tcp_stream("127.0.0.1", port), context)
    await stream.do_handshake()
    piece = SystemEntropy()(WRITE_BYTES)
    began, cpu = time.perf_counter(), time.process_time()
    for _ in range(size // WRITE_BYTES):
        await stream.send_all(piece)
    await stream.receive_some(1)
    say(seconds=time.perf_counter() - began, cpu=time.process_time() - cpu)


async def send(home: str, address: str, key: str, card: str, file: str) -> None:
    """Send a file to the owner of a card; stays until it is ended, so that the message goes too."""
    async with open_node(home, address, server_key=key) as node:
        contact = await node.import_card(card)
        await node.wait_sent()
        began, cpu = time.perf_counter(), time.process_time()
        await contact.send_file(file)
        say(
            seconds=time.perf_counter() - began,
            cpu=time.process_time() - cpu,
            memory=memory(),
        )
        await trio.sleep_forever()


async def receive(home: str, address: str, key: str, folder: str) -> None:
    """Show a card, wait for a file, save it."""
    async with open_node(home, address, server_key=key) as node:
        await node.wait_sent()
        say(card=node.card)
        async for message in node.messages():
            if message.attachment is not None:
                began, cpu = time.perf_counter(), time.process_time()
                await message.attachment.save(folder)
                say(
                    seconds=time.perf_counter() - began,
                    cpu=time.process_time() - cpu,
                    memory=memory(),
                )
                return


async def _within(role: str, arguments: list[str]) -> None:
    with trio.fail_after(SECONDS):
        match role, arguments:
            case "copy-to", [size]:
                await copy_to(int(size))
            case "copy-from", [size, port]:
                await copy_from(int(size), int(port))
            case "send", [home, address, key, card, file]:
                await send(home, address, key, card, file)
            case "receive", [home, address, key, folder]:
                await receive(home, address, key, folder)
            case _:
                sys.exit(f"{Path(__file__).name}: no such role: {role}")


if __name__ == "__main__":
    trio.run(_within, sys.argv[1], sys.argv[2:])
