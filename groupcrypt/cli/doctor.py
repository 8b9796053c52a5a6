"""`groupcrypt doctor`: is everything here that groupcrypt needs, and if not, what to do.

Rules of this file:
- One line a finding: ok, warn or fail, and a remedy unless it is ok. Nothing it prints is secret.
- The exit code says what failed: 5 the store, 4 the server, 1 anything else. A warning is no
  failure.

What is looked at is in `cli.checks` and `cli.checks_given`.
"""

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import Final

from groupcrypt.cli import checks, checks_given, command, outcome
from groupcrypt.cli.checks import Finding, Level

_COLOURS: Final = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "red"}


def register(subparsers: command.Subparsers) -> None:
    """Declare the command."""
    made = command.add(
        subparsers, "doctor", run, summary="check that this machine has what groupcrypt needs"
    )
    made.add_argument("--server", metavar="HOST:PORT", help="also greet this server")
    made.add_argument("--pin", metavar="HEX", type=_pin, help="the server's key, 64 hex digits")
    made.add_argument("--home", metavar="DIR", type=Path, help="also look at this node's folder")


def _pin(text: str) -> bytes:
    if len(pin := bytes.fromhex(text)) != 32:
        raise ValueError
    return pin


def run(arguments: argparse.Namespace) -> int:
    """Examine, print, and return the exit code."""
    todo = dict(checks.ALWAYS)
    if arguments.server is not None:
        todo["server"] = partial(checks_given.server, arguments.server, arguments.pin)
    if arguments.home is not None:
        todo["store"] = partial(checks_given.store, arguments.home)
    found: list[Finding] = []
    for name, check in todo.items():
        for finding in checks.examined(name, check):
            found.append(finding)
            _show(finding, json_lines=arguments.json)
    return verdict(found)


def verdict(found: list[Finding]) -> int:
    """The exit code: the gravest failure decides."""
    failed = {finding.check for finding in found if finding.level is Level.FAIL}
    if not failed:
        return outcome.OK
    if failed <= {"server"}:
        return outcome.OFFLINE
    if failed <= {"server", "store"}:
        return outcome.STORE
    return outcome.FAILED


def _show(finding: Finding, *, json_lines: bool) -> None:
    if json_lines:
        command.emit(
            type="finding",
            check=finding.check,
            level=finding.level,
            text=finding.text,
            remedy=finding.remedy,
        )
        return
    level = command.painted(f"{finding.level:4}", _COLOURS[finding.level], sys.stdout)
    print(f"{level}  {finding.check}: {finding.text}", flush=True)
    if finding.remedy:
        print(f"      -> {finding.remedy}", flush=True)
