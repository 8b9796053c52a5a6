"""What a scribe writes down of whole devices: all that happened, and nothing secret."""

from functools import partial

from groupcrypt.protocol import device
from groupcrypt.protocol.broadcast import Page, Read, Reply, Request
from groupcrypt.protocol.device.state import Step
from groupcrypt.protocol.events import Event, Withheld
from groupcrypt.protocol.group import LetterKind
from groupcrypt.protocol.identifiers import GroupId
from groupcrypt.testing import scribe
from groupcrypt.testing.device import START, Device
from groupcrypt.testing.picture.rows import rows_of, sentence
from groupcrypt.testing.scribe import Scribe
from groupcrypt.testing.simulation import Simulation
from groupcrypt.testing.trace import Kind, Line
from groupcrypt.testing.world import World
from groupcrypt.testing.world.actions import Add, Cut, Found, Link, Revoke, Rewind, Send, Wait
from tests.simulation.wandering import wander


class Watched(Simulation):
    """A simulation in which everything is written down."""

    def __init__(self, seed: int, names: str) -> None:
        self.scribe, self.shown = Scribe(START), b""
        super().__init__(seed, names)
        self.answered = self.server.answer
        self.server.answer = self._answer  # type: ignore[method-assign]  # to hear what is read

    def add_device(self, name: str) -> Device:
        made = super().add_device(name)
        self.scribe.met(name, made.state)
        made.adopt = partial(self._adopted, made, made.adopt)  # type: ignore[method-assign]  # of this one
        return made

    def _adopted(self, made: Device, adopt: object, step: Step) -> tuple[Event, ...]:
        shown, self.shown, self.scribe.now = self.shown, b"", self.now
        assert callable(adopt)
        adopt(step)
        self.scribe.stepped(made.name, step, mid=shown)
        return step.events

    def _answer(self, request: Request, *, now: int) -> Reply:
        reply = self.answered(request, now=now)
        page = isinstance(request, Read) and isinstance(reply, Page) and reply.entries
        self.shown = bytes(page[0].mid) if page else b""
        return reply

    def _upload(self, actor: Device) -> bool:
        for row in device.pending(actor.state)[:1]:
            self.scribe.uploaded(actor.name, row.mid)
        return super()._upload(actor)


def lived(seed: int) -> Watched:
    """A group, a message, a removal, a message of another, a direct one."""
    world = Watched(seed, "alice bob carol")
    group = world.group_with("alice", "bob", "carol")
    world.send("alice", group, "one")
    world.settle()
    world.remove("alice", group, "carol")
    world.settle()
    world.send("bob", group, "two")
    world.send_direct("alice", "bob", "three")
    world.settle()
    return world


def of(world: Watched, *kinds: Kind) -> list[Line]:
    return [line for line in world.scribe.trace if line.kind in kinds]


def test_all_that_happened_to_a_group_is_there() -> None:
    world = lived(5)
    assert {(line.who, line.peer, line.text) for line in of(world, Kind.SHOWN)} == {
        *(("bob", "alice", "m1"), ("carol", "alice", "m1"), ("alice", "bob", "m2")),
        ("bob", "alice", "m3"),
    }
    assert [(line.who, line.epoch, line.text) for line in of(world, Kind.UPLOAD)] == [
        ("alice", 1, "m1"),
        ("bob", 2, "m2"),
    ]
    assert [(line.who, line.epoch, line.text) for line in of(world, Kind.SUBMIT)] == [
        ("alice", 1, "add"),
        ("alice", 2, "remove"),
    ]
    rotated = of(world, Kind.ROTATE)
    assert {line.who for line in rotated} == {"alice", "bob", "carol"}
    assert {(line.epoch, line.peer, line.text) for line in rotated} == {
        (2, "alice", "remove carol")
    }
    assert [line.who for line in of(world, Kind.DEPART)] == ["carol"]
    assert [(line.who, line.epoch) for line in of(world, Kind.CONFIRM)] == [("bob", 2)]
    assert {line.text for line in of(world, Kind.ENTRY)} == {"add bob carol"}


def test_a_fresh_secret_goes_to_who_is_left_and_to_nobody_else() -> None:
    world = lived(6)
    secrets = [line for line in of(world, Kind.LETTER) if "epoch secret" in line.text]
    assert [(line.who, line.peer) for line in secrets] == [("alice", "bob")]
    opened = [line for line in of(world, Kind.OPENED) if "epoch secret" in line.text]
    assert [(line.who, line.peer) for line in opened] == [("bob", "alice")]


def test_the_same_seed_gives_the_same_trace_and_another_gives_another() -> None:
    digests: list[str] = []
    for seed in (7, 7, 8):
        world = Watched(seed, "alice bob carol")
        wander(world, world.group_with("alice", "bob", "carol"), 12)
        digests.append(world.scribe.trace.digest())
    assert digests[0] == digests[1] != digests[2]


def test_a_letter_of_every_kind_and_of_all_kinds_at_once_has_a_text() -> None:
    for kinds in ({kind} for kind in (*LetterKind, 255)):
        assert Line(0, "alice", Kind.LETTER, text=scribe._carried(kinds)).text
    assert len(scribe._carried({*LetterKind, 255})) <= 80
    assert scribe._carried(set()) == "acknowledges"


def test_no_id_of_a_device_a_person_or_a_group_is_in_a_trace() -> None:
    world = lived(9)
    text = world.scribe.trace.text()
    for each in world.devices.values():
        state = each.state
        for secret in (state.account, state.device, *state.groups, *state.peers):
            assert secret.hex()[:12] not in text
    assert "one" not in text.split() and "three" not in text.split(), "nor what people wrote"


def test_what_a_server_lost_who_is_silent_and_own_devices_are_remarks() -> None:
    world = World(5, "alice bob carol").play(
        Found("alice", "g1"),
        Add("alice", "g1", "bob"),
        Add("alice", "g1", "carol"),
        Wait(20.0),
        *(Send(name, "g1", f"by {name}") for name in ("alice", "bob", "carol")),
        Wait(20.0),
        Rewind("alice", "g1", 3),
        Send("bob", "g1", "again"),
        Wait(20.0),
        Link("bob", "bob2"),
        Wait(60.0),
        Revoke("bob", "bob2"),
        Cut("carol", 4 * 86_400.0),
        Wait(86_400.0),
        *(Send("alice", "g1", "one"), Wait(100_000.0)),
        *(Send("alice", "g1", "two"), Wait(100_000.0)),
        *(Send("alice", "g1", "three"), Wait(60.0)),
    )
    notes = {(line.who, line.peer, line.text) for line in world.trace if line.kind == Kind.NOTE}
    assert notes >= {
        ("bob", "server", "lost records that it had shown"),
        ("alice", "carol", "not heard of for two days"),
        ("bob", "bob2", "linked"),
        ("bob2", "bob2", "revoked"),
    }
    said = [sentence(row) for row in rows_of(world.trace)]
    assert "alice: carol, not heard of for two days" in said


def test_a_withheld_record_is_one_that_is_missed_of_the_server() -> None:
    made = scribe.Scribe(0.0)
    told = made._told(Withheld(GroupId(bytes(32)), 3, 2))
    assert told is not None
    line = Line(0, "bob", **told)
    assert str(line) == "0.000 bob missing server g1 3 - 2 records"
    (row,) = rows_of([line])
    assert (sentence(row), row.bad) == ("bob misses 2 records of server", True)
