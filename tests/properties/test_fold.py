"""Whatever happens in a world: rows are the state, ticks move on, nothing from outside raises."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groupcrypt.errors import LocalError, MalformedFrame
from groupcrypt.protocol import device, wire
from groupcrypt.protocol import group as groups
from groupcrypt.protocol.device.post import Payload
from groupcrypt.protocol.device.state import Address, Step, TopicRecord
from groupcrypt.protocol.events import Event, Rejected
from groupcrypt.protocol.group import LetterKind, letters
from groupcrypt.protocol.group.authoring import SealedEntry
from groupcrypt.protocol.group.rows import GroupCore
from groupcrypt.protocol.identifiers import GroupId
from groupcrypt.testing import simulation
from groupcrypt.testing.entropy import SeededEntropy
from groupcrypt.testing.room import Room, but_position
from groupcrypt.testing.simulation import Faults, Simulation

NAMES = ("alice", "bob", "carol")
SHAPES = (
    letters.EpochSecret,
    letters.Welcome,
    letters.LogPart,
    letters.KeyRequest,
    letters.SecretRequest,
    letters.Resend,
    letters.WelcomeRequest,
    letters.Addresses,
    letters.Direct,
    SealedEntry,
    GroupCore,
    Payload,
    Address,
)


@contextmanager
def folding() -> Iterator[list[int]]:
    """Every step that a device adopts is checked; yields a counter."""
    counted = [0]
    adopt = simulation.Device.adopt

    def checked(self: simulation.Device, step: Step) -> tuple[Event, ...]:
        events = adopt(self, step)
        assert device.load(self.rows) == self.state
        counted[0] += 1
        return events

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulation.Device, "adopt", checked)
        yield counted


@pytest.mark.spec("12.6-1")
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.integers(0, 2**32),
    st.lists(
        st.tuples(
            st.sampled_from(NAMES),
            st.sampled_from(["send", "direct", "add", "remove", "leave", "update", "run"]),
        ),
        min_size=1,
        max_size=12,
    ),
)
def test_the_fold_of_all_changes_is_the_state(seed: int, script: list[tuple[str, str]]) -> None:
    world = Simulation(seed, " ".join(NAMES), Faults(loss=0.1, duplicate=0.1, reorder=0.3))
    for other in NAMES[1:]:
        world.introduce("alice", other)
        world.introduce(other, "alice")
    group = world.group_with("alice", "bob")
    with folding() as counted:
        world.send("alice", group, "first")
        for actor, action in script:
            with suppress(LocalError):
                _act(world, group, actor, action)
            world.run(6)
        assert counted[0] > 0


def _act(world: Simulation, group: GroupId, actor: str, action: str) -> None:
    other = NAMES[(NAMES.index(actor) + 1) % 3]
    match action:
        case "send":
            world.send(actor, group, "text")
        case "direct":
            world.send_direct(actor, other, "text")
        case "add":
            world.add(actor, group, other)
        case "remove":
            world.remove(actor, group, other)
        case "leave":
            world.leave(actor, group)
        case "update":
            world.update(actor, group)
        case _:
            world.run(15)


@cache
def quiet() -> tuple[Simulation, GroupId]:
    world = Simulation(3, " ".join(NAMES))
    group = world.group_with(*NAMES)
    for name in NAMES:
        world.send(name, group, "hello")
        world.settle()
    return world, group


@pytest.mark.spec("12.1-3")
@settings(deadline=None)
@given(st.integers(0, 2), st.binary(max_size=600))
def test_random_records_never_raise(index: int, body: bytes) -> None:
    world, _ = quiet()
    state = world.devices["bob"].state
    wanted = device.subscriptions(state)[index]
    record = TopicRecord(wanted.topic, wanted.after + 1, wanted.after, bytes(16), body)
    step = device.receive(state, record, now=world.now, entropy=SeededEntropy(1))
    (event,) = step.events
    assert isinstance(event, Rejected)
    assert step.state.peers == state.peers
    assert step.state.people == state.people


@cache
def room() -> Room:
    made = Room(50, "alice bob carol dave", members="bob carol dave")
    for name in ("alice", "bob"):
        made.send(name, "hello")
        made.settle()
    return made


@pytest.mark.spec("10.1-1")
@settings(deadline=None, max_examples=300)
@given(st.sampled_from(sorted(LetterKind)), st.sampled_from(NAMES), st.binary(max_size=300))
def test_random_letters_never_raise(kind: LetterKind, sender: str, body: bytes) -> None:
    before, turn = room().seats["dave"].group, room().turn("dave")
    groups.receive_letter(turn, room().seats[sender].device, kind, body)
    assert [type(event) for event in turn.events] == [Rejected]
    assert turn.group == before
    assert not turn.letters


@pytest.mark.spec("10.1-1")
@settings(deadline=None, max_examples=200)
@given(st.integers(0, 2**32), st.integers(0, 7))
def test_a_mutated_record_changes_nothing_but_the_cursor(at: int, bit: int) -> None:
    made = room()
    topic = made.topics[groups.topic(made.seats["dave"].group)[0]]  # type: ignore[index]  # he reads
    body = bytearray(topic[-1])
    body[at % len(body)] ^= 1 << bit
    before, turn = made.seats["dave"].group, made.turn("dave")
    groups.receive(turn, before.core.cursor + 1, bytes(body))
    assert [type(event) for event in turn.events] == [Rejected]
    assert but_position(turn.group) == but_position(before)


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(SHAPES), st.binary(max_size=200))
def test_decoders_are_total(shape: type[object], raw: bytes) -> None:
    try:
        found = wire.decode(shape, raw)
    except MalformedFrame:  # also `non-canonical`
        return
    assert wire.encode(found) == raw
