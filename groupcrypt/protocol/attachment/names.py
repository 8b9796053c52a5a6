"""What a name from elsewhere becomes on a disk of ours (spec 14.7).

Rules of this file:
- The result is one component of a path on any system: no folder, no device, nothing hidden.
- It is cleaned as everything that is shown; the name in the message stays as it came.
"""

from typing import Final

from groupcrypt.protocol.identity import clean_text

MOST_BYTES: Final = 200  # leaves room for a number and a temporary ending in the usual 255
NO_NAME: Final = "file"
_FORBIDDEN: Final = str.maketrans(dict.fromkeys('<>:"|?*', "_"))
# Devices on Windows, whatever follows the first dot; with superscript digits as well.
_DEVICES: Final = frozenset(
    {
        *("CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"),
        *(f"{port}{digit}" for port in ("COM", "LPT") for digit in "0123456789¹²³"),
    }
)


def safe_name(name: str) -> str:
    """A name that may be given to a new file in any folder (spec 14.7)."""
    last = clean_text(name).replace("\\", "/").rstrip("/ ").rpartition("/")[2]
    plain = last.translate(_FORBIDDEN).strip().rstrip(". ")
    if plain.startswith("."):  # it would be hidden, or configure something
        plain = "_" + plain[1:]
    if plain.partition(".")[0].rstrip().upper() in _DEVICES:
        plain = "_" + plain
    return _shortened(plain) or NO_NAME


def numbered_name(name: str, number: int) -> str:
    """`name` if `number` is 1, else with the number before its ending: `a (2).txt`."""
    if number == 1:
        return name
    stem, ending = _split(name)
    return f"{stem} ({number}){ending}"


def _split(name: str) -> tuple[str, str]:
    stem, dot, ending = name.rpartition(".")
    return (stem, dot + ending) if stem else (name, "")


def _shortened(name: str) -> str:
    """At most `MOST_BYTES` in UTF-8; the ending is kept where it is short."""
    if len(name.encode()) <= MOST_BYTES:
        return name
    stem, ending = _split(name)
    if len(ending.encode()) > MOST_BYTES // 4:
        stem, ending = name, ""
    room = MOST_BYTES - len(ending.encode())
    return stem.encode()[:room].decode("utf-8", "ignore").rstrip(". ") + ending
