"""Worlds of devices and one server, driven by scripts of actions (spec 16.1).

    World(7, "alice bob").play(
        Found("alice", "g1"), Add("alice", "g1", "bob"), Send("alice", "g1", "hello")
    ).settle()

Rules of this package:
- A script is a value: the same seed and script give the same trace, byte for byte, everywhere.
- `explore` draws scripts from seeds, plays them, asks the checkers, and makes what failed small.
"""

from groupcrypt.testing.world.case import Case
from groupcrypt.testing.world.driver import Driver
from groupcrypt.testing.world.exploration import (
    Failure,
    Played,
    Progress,
    explore,
    made_small,
    play,
    played,
    replayed,
)
from groupcrypt.testing.world.host import Broken
from groupcrypt.testing.world.judge import judge
from groupcrypt.testing.world.network import Faults
from groupcrypt.testing.world.reading import read_case
from groupcrypt.testing.world.world import World

__all__ = [
    "Broken",
    "Case",
    "Driver",
    "Failure",
    "Faults",
    "Played",
    "Progress",
    "World",
    "explore",
    "judge",
    "made_small",
    "play",
    "played",
    "read_case",
    "replayed",
]
