"""How a command ends: exit codes, and an error as one line that says what to do.

Rules of this file:
- Exit codes are stable: scripts rely on them. A new kind of failure gets an old code or a new one.
- The line names the error's code, what happened and what to do; nothing of it is secret.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final, TypeVar, cast

from groupcrypt import errors
from groupcrypt.cli import command
from groupcrypt.errors import GroupcryptError

T = TypeVar("T")

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
NOT_VERIFIED: Final = 3
OFFLINE: Final = 4
STORE: Final = 5
INTERRUPTED: Final = 130  # as a shell reports SIGINT

EXIT_CODES: Final = """\
exit codes:
  0  done                        3  a key or identity is not the one expected
  1  refused, or it failed       4  the server cannot be reached
  2  wrong usage                 5  the store cannot be used
  130  interrupted
"""


class UsageError(Exception):
    """The arguments make no sense together; the text says what to give instead. Exit code 2."""


# The most particular entry for an error decides; the root is last.
_CODES: Final[dict[type[BaseException], int]] = {
    errors.CertificateMismatch: NOT_VERIFIED,
    errors.IdentityChanged: NOT_VERIFIED,
    errors.UnknownSigner: NOT_VERIFIED,
    errors.ServerRefused: FAILED,
    errors.TransportError: OFFLINE,
    errors.StoreError: STORE,
    UsageError: USAGE,
}

_REMEDIES: Final[dict[type[BaseException], str]] = {
    errors.CertificateMismatch: "compare the server's key with whoever runs it before going on",
    errors.ServerUnreachable: "check the address, and that the server runs; nothing is lost",
    errors.ServerRefused: "see what the server's log says of it",
    errors.TransportError: "try again; what was not sent is kept",
    errors.StoreLocked: "stop the other process, or use another --home",
    errors.WrongPassphrase: "give the passphrase or key file this store was made with",
    errors.StoreCorrupt: "keep the file and restore a copy, or start with a new --home",
    errors.StoreVersion: "use the newer groupcrypt that wrote it",
    errors.StoreForeign: "use the --home that belongs to this name, or a new one",
    errors.StoreFull: "make room, and check that the folder is writable; nothing was adopted",
    errors.StoreRolledBack: "let it go online once: it replaces its keys and continues",
    errors.StoreError: "run `groupcrypt doctor --home ...`",
    errors.IdentityChanged: "compare safety numbers with them, then accept the change",
    errors.UnknownSigner: "ask who was a member then to check it on their device",
    errors.NotReportable: "report others' messages of a group, while they are shown",
    errors.InvalidCard: "paste the whole line that begins with groupcrypt:",
    errors.UnknownDevice: "import the contact's card first",
    errors.UnknownGroup: "look at the list of groups",
    errors.NotAMember: "ask a member to add you",
    errors.NotPermitted: "ask an admin of the group",
    errors.ContentTooLarge: "make it shorter, or send it in parts",
}


def guard(run: Callable[[], int], *, json_lines: bool = False) -> int:
    """Call `run`; whatever ends it early becomes a line on stderr and an exit code.

    Only errors of this library, of the system (files, ports) and usage errors are caught, also
    inside the groups that Trio raises; anything else is a bug and passes with its traceback.
    """
    try:
        return run()
    except BaseException as raised:
        parts = [*leaves(raised)]
        if any(isinstance(part, KeyboardInterrupt) for part in parts):
            return INTERRUPTED
        if any(isinstance(part, BrokenPipeError) for part in parts):
            # Whoever read our output has gone: no more of it, also not when Python exits.
            with suppress(OSError, ValueError):  # stdout may be no file
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILED
        known = (GroupcryptError, UsageError, OSError)
        if not all(isinstance(part, known) for part in parts):
            raise
        return report(parts[0], json_lines=json_lines)


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors inside an exception group, or the error itself."""
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        for inner in group.exceptions:
            yield from leaves(inner)
    else:
        yield error


def report(error: BaseException, *, json_lines: bool) -> int:
    """Say on stderr what happened and what to do; returns the exit code."""
    code, text, remedy = described(error)
    line = f"groupcrypt: {code}: {text}"
    print(f"{line}; {remedy}" if remedy else line, file=sys.stderr)
    if json_lines:
        command.emit(type="error", code=code, text=text, remedy=remedy)
    return exit_code(error)


def described(error: BaseException) -> tuple[str, str, str]:
    """(code, what happened, what to do) of an error; each is one line."""
    text = " ".join(str(error).split())
    if isinstance(error, GroupcryptError):
        return error.code, text or "refused", _first(_REMEDIES, error, "")
    if isinstance(error, UsageError):
        return "usage", text, "see --help"
    where = getattr(error, "filename", None)
    reason = getattr(error, "strerror", None) or text
    return "system", f"{where}: {reason}" if where else reason, ""


def exit_code(error: BaseException) -> int:
    """The exit code for an error."""
    return _first(_CODES, error, FAILED)


def _first(table: dict[type[BaseException], T], error: BaseException, default: T) -> T:
    return next((table[kind] for kind in type(error).__mro__ if kind in table), default)
