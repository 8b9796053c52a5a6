"""`groupcrypt report verify`: check a report of messages, without a network (spec 08.11).

Rules of this file:
- Without `--home` it checks all but whose the signing keys are, and says so each time.
- It shows the reported messages and nothing else, also of the store of who checks.
"""

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from groupcrypt.cli import command, outcome
from groupcrypt.cli.node import passphrase
from groupcrypt.node import KEY_FILE, STORE_FILE, reporting
from groupcrypt.protocol import limits, reports
from groupcrypt.protocol.conversation import text_of
from groupcrypt.protocol.identifiers import short
from groupcrypt.protocol.identity import clean_text
from groupcrypt.protocol.reports import CheckedReport, ReportedMessage
from groupcrypt.store import SqliteStore

KNOWN: Final = "the signing keys are those this device saw these members use"
CLAIMED: Final = (
    "whose signing keys these are is the reporter's word: anybody can make some up;"
    " with --home a member's device knows"
)


def register(subparsers: command.Subparsers) -> None:
    """Declare the command."""
    made = command.add(subparsers, "report", run, summary="check a report of messages of a group")
    made.add_argument("action", choices=("verify",))
    made.add_argument("file", type=Path, help="the report")
    made.add_argument(
        "--home",
        metavar="DIR",
        type=Path,
        help="of a node that was a member: it knows whose keys they are; it must not be running",
    )
    made.add_argument(
        "--passphrase-file",
        metavar="FILE",
        type=Path,
        help="its first line opens the store; default: a key file in the folder",
    )


def run(chosen: argparse.Namespace) -> int:
    """Check and show a report; what does not hold is an error."""
    with chosen.file.open("rb") as file:
        raw = file.read(limits.MAX_REPORT_BYTES + 1)
    known = chosen.home is not None
    checked = _by_member(raw, chosen) if known else reports.check(raw)
    for message in checked.messages:
        _show(message, checked, json_lines=chosen.json)
    if chosen.json:
        keys = "known" if known else "claimed"
        command.emit(
            type="report", group=checked.group.hex(), messages=len(checked.messages), keys=keys
        )
    else:
        print(f"{len(checked.messages)} messages of group {short(checked.group)}, unaltered;")
        print(KNOWN if known else CLAIMED)
    return outcome.OK


def _by_member(raw: bytes, chosen: argparse.Namespace) -> CheckedReport:
    secret = passphrase(chosen.passphrase_file)
    key = None if secret is not None else chosen.home / KEY_FILE
    store = SqliteStore.open(chosen.home / STORE_FILE, passphrase=secret, key_file=key)
    try:
        return store.read(lambda history: reporting.check(history, raw))
    finally:
        store.close()


def _show(message: ReportedMessage, checked: CheckedReport, *, json_lines: bool) -> None:
    said = message.said
    if json_lines:
        command.emit(
            type="message",
            group=checked.group.hex(),
            account=message.sender.hex(),
            device=message.device.hex(),
            message=message.message.hex(),
            epoch=message.epoch,
            time=said.time,
            text=text_of(said.content),
        )
        return
    print(f"epoch {message.epoch}  {short(message.sender)}  {_moment(said.time)}", flush=True)
    for line in text_of(said.content).splitlines() or [""]:
        print(f"    {clean_text(line)}")


def _moment(time: int) -> str:
    """When its sender's clock says it was; a clock may say anything."""
    try:
        return datetime.fromtimestamp(time // 1_000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):
        return "at no time there is"
