"""What passive members live through in the good vectors of chapter 10 (spec 10.5 to 10.8).

Rules of this file:
- Each scene is played in a room by others; carol only reads, and her inputs become the vector.
"""

from collections.abc import Callable
from dataclasses import replace

from groupcrypt.protocol.group import LetterKind
from groupcrypt.protocol.membership import Op, PolicyData, RoleData, Settings, UpdateData
from groupcrypt.testing.vectors.groups_scene import READER, Given, RecordedRoom


def scenes() -> list[tuple[str, Given]]:
    """(name, given) of each scene."""
    return [(name, _played(name, play)) for name, play in _SCENES.items()]


def _played(name: str, play: Callable[[RecordedRoom], None]) -> Given:
    room = RecordedRoom(name.encode(), "alice bob carol dave", members="bob carol")
    room.inputs.clear()  # what came with the Welcome says nothing more
    play(room)
    return room.given()


def _messages(room: RecordedRoom) -> None:
    room.send("alice", "one")
    room.settle()
    for text in ("two", "three", "four"):
        room.send("bob", text)
    room.settle()


def _changes(room: RecordedRoom) -> None:
    room.send("alice", "before")
    room.propose("alice", Op.POLICY, PolicyData(Settings("renamed", 3600)))
    room.settle()
    room.add("alice", "dave")
    room.settle()
    room.send("dave", "after")
    room.settle()


def _removal(room: RecordedRoom) -> None:
    room.add("alice", "dave")
    room.settle()
    for name in ("alice", "bob", "dave"):
        room.send(name, f"{name} before")
        room.settle()
    room.remove("alice", "dave")
    room.send("bob", "crosses the removal")
    room.settle()
    room.send("alice", "under a vouched signing key")
    room.settle()


def _late_secret(room: RecordedRoom) -> None:
    """The secret comes after the confirm, which is then read again."""
    room.add("alice", "dave")
    room.settle()
    room.send("bob", "before")
    room.settle()
    room.remove("alice", "dave")
    room.post()
    room.hand_over("bob")
    for name in ("alice", "bob", READER):
        room.read(name)
    room.now += 20_000
    room.tick("bob")
    room.post()
    room.read(READER, 1)
    assert room.seats[READER].group.core.stalled
    room.settle()
    room.send("bob", "after")
    room.settle()


def _superseded(room: RecordedRoom) -> None:
    """Nobody got the removal's secret in time: an update supersedes, its secret decides."""
    room.add("alice", "dave")
    room.settle()
    for name in ("alice", "bob"):
        room.send(name, f"{name} before")
        room.settle()
    room.remove("alice", "dave")
    room.post()
    for name in ("alice", "bob", READER):
        room.read(name)
    room.letters.clear()
    room.now += 60_000
    room.tick("bob")
    room.settle(READER)
    room.settle()
    room.send("alice", "after")
    room.settle()


def _update(room: RecordedRoom) -> None:
    room.send("bob", "before")
    room.settle()
    room.propose("bob", Op.UPDATE, UpdateData())
    room.settle()
    room.send("bob", "healed")
    room.settle()


def _held(room: RecordedRoom) -> None:
    """Messages before their chain, whose distribution is late."""
    room.act("bob", lambda turn: turn.set_epoch(replace(turn.group.head, own=None)))
    for text in ("one", "two"):
        room.send("bob", text)
        room.post()
    room.read(READER)
    room.hand_over(READER)


def _lost_race(room: RecordedRoom) -> None:
    room.propose("alice", Op.ROLE, RoleData(room.seats["bob"].person.account, admin=True))
    room.propose("bob", Op.UPDATE, UpdateData())
    room.settle()


def _departure(room: RecordedRoom) -> None:
    room.send("bob", "the last one")
    room.remove("alice", READER)
    room.settle()


def _resend(room: RecordedRoom) -> None:
    """A chain that came behind its first frame; its owner sends that one again."""
    room.act("bob", lambda turn: turn.set_epoch(replace(turn.group.head, own=None)))
    room.send("bob", "one")
    room.letters = [one for one in room.letters if one.letter.kind != LetterKind.DISTRIBUTION]
    room.settle(READER)
    room.read(READER)
    room.settle()


_SCENES: dict[str, Callable[[RecordedRoom], None]] = {
    "messages, alone and bundled": _messages,
    "epochs with derived secrets, and a joiner who speaks": _changes,
    "a removal: its secret, a confirm, a frame after the close, a renewed signing key": _removal,
    "the secret after the confirm": _late_secret,
    "an update supersedes a removal whose secret was lost": _superseded,
    "an update: a chain that is not carried": _update,
    "frames held until their chain comes": _held,
    "of two entries on one head the first counts": _lost_race,
    "departure": _departure,
    "a resend of what a late chain cannot open": _resend,
}
