"""What is asked in a command: one JSON object of a line, and its fields (spec 12.4).

Rules of this file:
- What is missing or of another kind is a `UsageError` that names the field; nothing is guessed.
"""

import json
from typing import cast

from groupcrypt.cli.outcome import UsageError
from groupcrypt.cli.telling import Fields


def parsed(line: str) -> Fields:
    """The command in a line."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        raise UsageError("a line that is no JSON") from None
    if not isinstance(found, dict) or not isinstance(cast("Fields", found).get("do"), str):
        raise UsageError('a command is an object with "do"')
    return cast("Fields", found)


def texts_in(command: Fields, field: str = "contacts", alone: str = "contact") -> list[str]:
    """A list of texts, or the one that stands alone."""
    if alone in command:
        return [text_in(command, alone)]
    found = command.get(field)
    if not isinstance(found, list) or not found:
        raise UsageError(f'"{field}" is a list of texts')
    return [text_in({field: one}, field) for one in cast("list[object]", found)]


def text_in(command: Fields, field: str) -> str:
    """A text that is not empty."""
    found = command.get(field)
    if not isinstance(found, str) or not found:
        raise UsageError(f'"{field}" is a text')
    try:
        found.encode()
    except UnicodeEncodeError:
        raise UsageError(f'"{field}" has a character that is none') from None
    return found


def number_in(command: Fields, field: str) -> int:
    """A whole number, 0 or more."""
    found = command.get(field)
    if not isinstance(found, int) or isinstance(found, bool) or found < 0:
        raise UsageError(f'"{field}" is a whole number')
    return found


def bytes_in(command: Fields, field: str, size: int) -> bytes:
    """An id in hex."""
    try:
        found = bytes.fromhex(text_in(command, field))
    except ValueError:
        found = b""
    if len(found) != size:
        raise UsageError(f'"{field}" is {2 * size} hex digits')
    return found
