"""`python -m examples.chat`: arguments, signals, and the end.

Rules of this file:
- /quit, the end of the input, Ctrl+C, SIGTERM and a closed terminal end it in order, with exit
  code 0; what is not sent yet is in the store and will be.
- What the user did wrong is one line and an exit code, see `groupcrypt --help`; never a traceback.
"""

import argparse
import json
import signal
import sys
from typing import Any

import trio

from examples.chat.client import Chat
from examples.chat.screen import STDIN, STDOUT, Screen, screen
from groupcrypt import open_node
from groupcrypt.cli import node as arguments
from groupcrypt.cli import outcome
from groupcrypt.cli.drive import drive
from groupcrypt.cli.pipes import Lines, Writer
from groupcrypt.node import open_linking
from groupcrypt.protocol.identity import clean_text


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m examples.chat", allow_abbrev=False)
    arguments.arguments(made)
    made.add_argument(
        "--link", action="store_true", help="become a device of an account you have elsewhere"
    )
    made.add_argument("--json", action="store_true", help="JSON lines for programs, see README.md")
    return made


async def main(chosen: argparse.Namespace, passphrase: str | None) -> None:
    """Chat until something ends it."""
    shown = Screen() if chosen.json else screen()
    writer = Writer(STDOUT)
    ending = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    with trio.open_signal_receiver(*ending, signal.SIGCONT, signal.SIGWINCH) as signals:
        async with trio.open_nursery() as nursery:

            async def obey() -> None:
                async for number in signals:
                    if number in ending:
                        nursery.cancel_scope.cancel()
                    else:
                        await shown.resume()

            async def emit(line: dict[str, Any]) -> None:
                await writer.write(json.dumps(line) + "\n")

            nursery.start_soon(obey)
            if chosen.link:
                await become_linked(chosen, passphrase, writer)
            async with open_node(
                chosen.home,
                chosen.server,
                name=chosen.name,
                server_key=chosen.server_key,
                passphrase=passphrase,
            ) as node:
                if chosen.json:
                    await drive(node, Lines(STDIN), emit)
                else:
                    with shown.held():
                        await Chat(node, shown).run()
            nursery.cancel_scope.cancel()


async def become_linked(chosen: argparse.Namespace, passphrase: str | None, writer: Writer) -> None:
    """Show this device's text, and wait until the account's other device has linked it."""
    async with open_linking(
        chosen.home, chosen.server, server_key=chosen.server_key, passphrase=passphrase
    ) as new:
        await writer.write(f"type there: /link {new.text}\nand compare: {new.code}\n")
        name = await new.linked()
        await writer.write(
            f"this is a device of {clean_text(name)} now; if that is not you: stop\n"
        )


def run() -> int:
    """Chat, and say how it ended."""
    chosen = parser().parse_args()
    secret = arguments.passphrase(chosen.passphrase_file)
    trio.run(main, chosen, secret, strict_exception_groups=True)
    return outcome.OK


if __name__ == "__main__":
    sys.exit(outcome.guard(run, json_lines="--json" in sys.argv))
