"""What the demonstration prints: scenes, remarks, claims, files on their way.

Rules of this file:
- A claim is printed when it was seen to hold or not to; the end counts them.
- Nothing but objects on stdout with `--json`; bars move only on a terminal.
"""

import sys
import time
from dataclasses import dataclass, field
from typing import Final

from groupcrypt.cli import command, outcome

BAR: Final = 24  # signs
MIB: Final = 1 << 20


def bar(done: int, size: int) -> str:
    """How far a file is, as a bar, a share and its size."""
    share = done / size if size else 1.0
    full = int(share * BAR)
    drawn = "#" * full + "." * (BAR - full)
    return f"[{drawn}] {share:4.0%}  {done / MIB:.1f} of {size / MIB:.1f} MiB"


@dataclass(slots=True)
class Show:
    """Prints what happens, and remembers whether all of it did."""

    json_lines: bool
    failures: int = 0
    claims: int = 0
    began: float = field(default_factory=time.monotonic)

    def scene(self, text: str) -> None:
        if self.json_lines:
            command.emit(type="scene", text=text, seconds=self._seconds())
        else:
            print(f"\n{command.painted(text, 'bold', sys.stdout)}", flush=True)

    def note(self, text: str) -> None:
        if not self.json_lines:
            print(f"   {command.painted(text, 'dim', sys.stdout)}", flush=True)

    def progress(self, what: str, done: int, size: int) -> None:
        """A file is so far; a terminal shows it moving, anything else the whole way."""
        if self.json_lines or (done < size and not sys.stdout.isatty()):
            return
        begin = "\r" if sys.stdout.isatty() else ""
        end = "\n" if done == size else ""
        print(f"{begin}   {what:8} {bar(done, size)}", end=end, flush=True)

    def claim(self, text: str, *, holds: bool = True) -> None:
        self.claims += 1
        self.failures += not holds
        if self.json_lines:
            command.emit(type="claim", text=text, holds=holds, seconds=self._seconds())
            return
        mark = command.painted("ok  ", "green", sys.stdout) if holds else "FAIL"
        print(
            f"   {mark if holds else command.painted(mark, 'red', sys.stdout)} {text}", flush=True
        )

    def end(self) -> int:
        holds = not self.failures
        if self.json_lines:
            command.emit(
                type="end",
                holds=holds,
                claims=self.claims,
                failures=self.failures,
                seconds=self._seconds(),
            )
        else:
            text = f"{self.claims - self.failures} of {self.claims} claims held"
            colour = "green" if holds else "red"
            print(f"\n{command.painted(text, colour, sys.stdout)}, {self._seconds()} seconds")
        return outcome.OK if holds else outcome.FAILED

    def _seconds(self) -> float:
        return round(time.monotonic() - self.began, 1)
