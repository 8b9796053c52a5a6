"""Small scenes that the documents show: played by whole devices, drawn from what happened.

Rules of this file:
- A scene is a function that drives a world; what it draws is the trace, so a change of the protocol
  changes the picture, and a test says that the stored one is old.
- Each has one point and shows it in about thirty rows.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from groupcrypt.protocol.broadcast import Code, Refused, Reply, Request, SlotGet
from groupcrypt.testing import picture
from groupcrypt.testing.trace import Trace
from groupcrypt.testing.world import Faults, World
from groupcrypt.testing.world.actions import (
    Add,
    Found,
    Kill,
    Offline,
    Point,
    Policy,
    Remove,
    Role,
    Send,
    Update,
    Wait,
    Withhold,
)

G: Final = "g1"
SEED: Final = 7


@dataclass(frozen=True, slots=True)
class Scene:
    """One picture of the documents."""

    name: str
    title: str
    caption: tuple[str, ...]
    people: str
    plays: Callable[[World], None]
    delay: float = 0.0  # seconds on the way, at most

    def trace(self) -> tuple[Trace, int]:
        """What happens, and from when on it is drawn (milliseconds)."""
        world = World(SEED, self.people, faults=Faults(delay=self.delay), pace=0.0)
        self.plays(world)
        begun = next((line.at for line in world.trace if line.who == "world"), 0)
        return world.trace, begun

    def drawn(self) -> str:
        """The picture; a scene has one page."""
        trace, since = self.trace()
        (page,) = picture.svg(trace, title=self.title, caption=self.caption, since=since)
        return page


def together(world: World, *rest: str) -> None:
    """The first of the world founds a group with the rest, who all have arrived."""
    first = world.names.split()[0]
    world.play(Found(first, G), *(Add(first, G, name) for name in rest), Wait(60.0))


def talking(world: World, *names: str) -> None:
    """All of these have said something: their sessions and chains are there."""
    for name in names:
        world.play(Send(name, G, f"{name} is here"), Wait(5.0))


def chapter(world: World, said: str) -> None:
    """A remark above what follows."""
    world.play(Wait(1.0))
    world.note(said)


# --- the scenes -------------------------------------------------------------------------------


def overview(world: World) -> None:
    together(world, "bob", "carol", "dave")
    talking(world, "bob", "carol", "dave")
    chapter(world, "alice sends: her sender key to each device alone, the message once for all")
    world.play(Send("alice", G, "hello"), Wait(2.0))
    chapter(world, "alice removes dave: a fresh secret for all but him, and nobody can forget it")
    world.play(Remove("alice", G, "dave"), Wait(4.0))
    chapter(world, "bob sends: one upload, under keys that dave never had")
    world.play(Send("bob", G, "hello again"), Wait(2.0))


def message(world: World) -> None:
    together(world, "bob", "carol")
    chapter(world, "a first message: its sender's chain key goes before it, over pairwise sessions")
    world.play(Send("alice", G, "one"), Wait(2.0))
    chapter(world, "the next ones: one upload each, whatever the size of the group")
    world.play(Send("alice", G, "two"), Send("alice", G, "three"), Wait(2.0))


def add(world: World) -> None:
    together(world, "bob")
    talking(world, "bob", "alice")
    chapter(world, "the entry: everybody derives the next epoch, it is live at once")
    world.play(Add("alice", G, "carol"), Wait(2.0))
    chapter(world, "whoever sends next gives the joiner the chain as it is now, not as it was")
    world.play(Send("bob", G, "after"), Wait(2.0))


def removal(world: World) -> None:
    together(world, "bob", "carol", "dave")
    talking(world, "alice", "bob", "dave")
    chapter(world, "the secret for each device that stays; the entry for all; then a confirm")
    world.play(Remove("alice", G, "dave"), Wait(4.0))
    chapter(world, "a message is sealed under what dave cannot derive")
    world.play(Send("bob", G, "after"), Wait(2.0))


def race(world: World) -> None:
    together(world, "bob", "carol", "dave")
    talking(world, "alice", "bob", "carol")
    world.play(Role("alice", G, "bob"), Wait(5.0))
    chapter(world, "two entries on one predecessor: the topic decides, and who lost tries again")
    world.play(Remove("alice", G, "dave"), Policy("bob", G, "climbers"), Wait(5.0))


def author_gone(world: World) -> None:
    together(world, "bob", "carol", "dave")
    world.play(Role("alice", G, "dave"), Wait(5.0))
    answer = world.server.answer

    def no_bundles(who: str, request: Request, *, now: float) -> Reply:
        missing = who == "dave" and isinstance(request, SlotGet)
        return Refused(Code.GONE, 0) if missing else answer(who, request, now=now)

    world.server.answer = no_bundles  # type: ignore[method-assign]  # of this one server
    chapter(world, "dave can reach nobody with the secret, and after 30 s his entry leaves anyway")
    world.play(Remove("dave", G, "alice"), Wait(31.0), Offline("dave", 3 * 86_400.0))
    chapter(world, "nobody has the secret: members ask, and then one supersedes the epoch")
    world.play(Wait(120.0))
    world.server.answer = answer  # type: ignore[method-assign]  # as it was


def laggard(world: World) -> None:
    together(world, "bob", "carol")
    talking(world, "alice", "carol")
    chapter(world, "the server shows carol nothing of the group any more")
    world.play(Withhold("carol", 7_200.0), Send("alice", G, "unseen"), Wait(2.0))
    world.play(Update("alice", G), Wait(5.0))
    chapter(world, "letters tell her that the others are ahead: she asks, and is taken forward")
    world.play(Send("bob", G, "where is carol"), Wait(300.0))
    world.play(Send("carol", G, "here"), Wait(5.0))


def story(world: World) -> None:
    together(world)
    chapter(world, "alice makes a group of bob, carol and erin")
    world.play(*(Add("alice", G, name) for name in ("bob", "carol", "erin")), Wait(5.0))
    world.play(Send("alice", G, "we meet at six"), Wait(2.0), Send("bob", G, "rope"), Wait(2.0))
    chapter(world, "dave is added: he reads what is sent from now on")
    world.play(Add("alice", G, "dave"), Wait(2.0), Send("carol", G, "welcome"), Wait(2.0))
    chapter(world, "bob's process is killed, and misses nothing")
    world.play(Kill("bob", Point.COMMITTED), Send("erin", G, "forecast"), Wait(5.0))
    chapter(world, "bob is removed: nobody calls 'rotate', the keys have changed all the same")
    world.play(Remove("alice", G, "bob"), Wait(5.0), Send("carol", G, "the old hut"), Wait(2.0))


SCENES: Final = (
    Scene(
        "overview",
        "One message, one removal",
        ("The server passes on sealed bytes of padded sizes. It has no key, and sees no names.",),
        "alice bob carol dave",
        overview,
    ),
    Scene("message", "A message", (), "alice bob carol", message),
    Scene("add", "A member is added", (), "alice bob carol", add),
    Scene("removal", "A member is removed", (), "alice bob carol dave", removal),
    Scene("race", "Two entries at once", (), "alice bob carol dave", race),
    Scene("author-gone", "An author that never returns", (), "alice bob carol dave", author_gone),
    Scene("laggard", "A member is taken forward", (), "alice bob carol", laggard),
    Scene("story", "The demonstration's story", (), "alice bob carol dave erin", story),
)


@cache
def drawn() -> Mapping[str, str]:
    """Every picture of the documents, by the name of its file."""
    return {f"{scene.name}.svg": scene.drawn() for scene in SCENES}


def differing(folder: Path) -> tuple[str, ...]:
    """The files of a folder that are not what the code draws: missing, old, or of no scene."""
    made = drawn()
    stored = {path.name: path.read_text("utf-8") for path in folder.glob("*.svg")}
    return tuple(sorted(name for name in {*made, *stored} if made.get(name) != stored.get(name)))


def write(folder: Path) -> tuple[str, ...]:
    """Draw them all; returns the files that changed."""
    changed = differing(folder)
    made = drawn()
    for name in changed:
        if name in made:
            (folder / name).write_text(made[name], "utf-8")
        else:
            (folder / name).unlink()
    return changed


__all__ = ["SCENES", "Scene", "differing", "drawn", "write"]
