"""A failing script made small: delta debugging over its actions (Zeller and Hildebrandt, 2002).

Rules of this file:
- What is kept fails as the whole did; nothing else is known of it. Not the least there is: the
  smallest found in the time.
- A network without faults and fewer people are tried as well: a reader wants to see one cause.
"""

import time
from collections.abc import Callable
from dataclasses import replace

from groupcrypt.testing.world.actions import Action
from groupcrypt.testing.world.case import Case
from groupcrypt.testing.world.network import CALM

Script = tuple[Action, ...]


def minimised(
    case: Case,
    still: Callable[[Case], bool],
    *,
    seconds: float,
    on_progress: Callable[[int], None],
) -> Case:
    """The smallest case found in the time that `still` says yes to; `case` itself if none is."""
    end = time.monotonic() + seconds

    def fails(tried: Case) -> bool:
        return time.monotonic() < end and still(tried)

    for calm in (replace(case, faults=CALM), replace(case, faults=replace(CALM, delay=0.0))):
        if case.faults != calm.faults and fails(calm):
            case = calm
            break
    script = shrunk(
        case.script, lambda kept: fails(replace(case, script=kept)), on_progress=on_progress
    )
    case = replace(case, script=script)
    for name in case.names.split():
        fewer = replace(case, names=" ".join(n for n in case.names.split() if n != name))
        if not _mentions(script, name) and fails(fewer):
            case = fewer
    return case


def shrunk(
    script: Script, fails: Callable[[Script], bool], *, on_progress: Callable[[int], None]
) -> Script:
    """The smallest part found that fails: chunks are taken out, halved when none can be."""
    size = max(1, len(script) // 2)
    while True:
        removed = False
        at = 0
        while at < len(script):
            kept = script[:at] + script[at + size :]
            if kept and fails(kept):
                script, removed = kept, True
                on_progress(len(script))
            else:
                at += size
        if size == 1 and not removed:
            return script
        if not removed or size > len(script) // 2:
            size = max(1, size // 2)


def _mentions(script: Script, name: str) -> bool:
    return any(f"'{name}'" in repr(action) or f"'{name} " in repr(action) for action in script)


__all__ = ["minimised", "shrunk"]
