"""Seeded worlds under faults: safety while they last, liveness when they end (spec 16.1)."""

from dataclasses import replace

import pytest

from groupcrypt.protocol.broadcast import Append, Code, Refused, Reply, Request, TopicKind
from groupcrypt.protocol.events import (
    ChangeFailed,
    Departed,
    EpochLive,
    Gap,
    Held,
    MembershipChanged,
    MessageFailed,
    MessageReceived,
    MessageSettled,
)
from groupcrypt.protocol.identifiers import GroupId, LogHash, MessageId
from groupcrypt.testing import checkers
from groupcrypt.testing.simulation import Faults, Simulation
from tests.simulation.wandering import wander

HARSH = Faults(loss=0.1, duplicate=0.1, crash=0.02, reorder=0.3)


def world(seed: int, faults: Faults = HARSH) -> tuple[Simulation, GroupId]:
    made = Simulation(seed, "alice bob carol dave eve", faults)
    for name in ("bob", "carol", "dave", "eve"):
        made.introduce("alice", name)
    return made, made.group_with("alice", "bob", "carol")


@pytest.mark.parametrize("seed", range(40))
def test_a_harsh_world_keeps_every_promise(seed: int) -> None:
    made, group = world(seed)
    wander(made, group, 40)
    made.settle()
    assert checkers.everything(made, group) == []


@pytest.mark.parametrize("seed", range(100, 106))
def test_a_long_life_keeps_every_promise(seed: int) -> None:
    made, group = world(seed, replace(HARSH, crash=0.005))
    for _ in range(6):
        wander(made, group, 25)
        made.settle()
        assert checkers.everything(made, group) == []


def test_the_same_seed_gives_the_same_bytes() -> None:
    traces: list[dict[str, list[bytes]]] = []
    for _ in range(2):
        made, group = world(7)
        wander(made, group, 20)
        made.settle()
        traces.append({name: device.wire for name, device in made.devices.items()})
    assert traces[0] == traces[1]
    assert sum(map(len, traces[0].values())) > 50


# --- the checkers fire ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def calm() -> tuple[Simulation, GroupId]:
    made, group = world(1, Faults())
    made.send("alice", group, "one")
    made.remove("alice", group, "carol")
    made.settle()
    made.send("bob", group, "two")
    made.settle()
    assert checkers.everything(made, group) == []
    return made, group


def test_delivery_fires(calm: tuple[Simulation, GroupId]) -> None:
    made, group = calm
    bob = made.devices["bob"]
    kept = list(bob.events)
    got = next(event for event in kept if isinstance(event, MessageReceived))
    bob.events = [event for event in kept if event is not got]
    assert checkers.Delivery().complaints(made, group)
    bob.events = [*kept, got]
    assert checkers.Delivery().complaints(made, group)
    earlier = replace(got, epoch=got.epoch - 1)
    bob.events = [earlier if event is got else event for event in kept]
    assert checkers.Delivery().complaints(made, group)
    sender = next(each for each in made.devices.values() if each.state.device == got.device)
    sender.events.append(Gap(group, earlier.epoch, earlier.epoch))
    assert checkers.Delivery().complaints(made, group) == []
    sender.events.pop()
    bob.events = kept


def test_what_its_sender_forgot_is_not_promised_to_who_waits_for_its_key(
    calm: tuple[Simulation, GroupId],
) -> None:
    made, group = calm
    bob, alice = made.devices["bob"], made.devices["alice"]
    kept = alice.events
    lost = next(event for event in reversed(kept) if isinstance(event, MessageReceived))
    alice.events = [event for event in kept if event is not lost]
    forgotten = {("bob", lost.message)}
    assert lost.device == bob.device
    assert checkers.Delivery((), forgotten).complaints(made, group)  # she was told of no frame
    alice.events.append(Held(group, lost.epoch, bob.device))
    assert checkers.Delivery((), forgotten).complaints(made, group) == []
    assert checkers.Delivery().complaints(made, group)
    assert checkers.Delivery((), {("alice", lost.message)}).complaints(made, group)
    alice.events = kept


def test_exclusion_fires(calm: tuple[Simulation, GroupId]) -> None:
    made, group = calm
    carol, alice = made.devices["carol"], made.devices["alice"]
    seen = [event for event in alice.events if isinstance(event, MessageReceived)]
    carol.events.append(seen[-1])
    assert checkers.Exclusion().complaints(made, group)
    carol.events.pop()


def test_agreement_fires(calm: tuple[Simulation, GroupId]) -> None:
    made, group = calm
    bob = made.devices["bob"]
    kept = bob.events
    at = next(n for n, event in enumerate(kept) if isinstance(event, MembershipChanged))
    changed = kept[at]
    assert isinstance(changed, MembershipChanged)
    other = replace(changed, log_hash=LogHash(bytes(32)))
    bob.events = [*kept[:at], other, *kept[at + 1 :]]
    assert checkers.OneLog().complaints(made, group) == ["epoch 2 has more than one log"]
    bob.events = kept[:at]
    assert checkers.Agreement().complaints(made, group) == ["bob is at epoch 1 of 2"]
    bob.events = kept.copy()
    for event in kept:
        if isinstance(event, EpochLive):
            bob.events.remove(event)
    assert checkers.Agreement().complaints(made, group) == ["bob's epoch 2 never became live"]
    departed = Departed(group, 2, made.devices["alice"].account)
    bob.events = [*kept, departed]
    assert checkers.Agreement().complaints(made, group) == ["bob takes itself for no member"]
    bob.events = kept


def test_who_is_left_alone_by_stores_put_back_is_promised_no_confirm(
    calm: tuple[Simulation, GroupId],
) -> None:
    """And only who is: one other that knows the group, or was added and not welcomed, is enough."""
    made, group = calm
    kept = {name: one.events for name, one in made.devices.items()}
    bob, carol = made.devices["bob"], made.devices["carol"]
    waits = "bob's epoch 2 never became live"
    made.sent[MessageId(bytes(16))] = ("bob", group)

    def judged(*put_back: str) -> tuple[bool, bool]:
        agreed = checkers.Agreement(put_back).complaints(made, group)
        return waits in agreed, bool(checkers.NoLoss(put_back).complaints(made, group))

    bob.events = [
        event for event in bob.events if not isinstance(event, EpochLive | MessageSettled)
    ]
    assert judged("alice") == (True, True)  # she knows the group
    made.devices["alice"].events, carol.events = [], []
    assert judged() == (True, True)
    assert judged("alice") == (False, False)
    bob.events = [
        replace(event, added=(carol.account,), removed=(), went=())
        if isinstance(event, MembershipChanged)
        else event
        for event in bob.events
    ]
    assert judged("alice") == (True, True)  # carol has her store, and was added
    assert judged("alice", "carol") == (False, False)
    for name, events in kept.items():
        made.devices[name].events = events
    del made.sent[MessageId(bytes(16))]


def test_no_loss_fires(calm: tuple[Simulation, GroupId]) -> None:
    made, group = calm
    made.sent[MessageId(bytes(16))] = ("alice", group)
    assert checkers.NoLoss().complaints(made, group)
    del made.sent[MessageId(bytes(16))]
    alice = made.devices["alice"]
    kept = alice.events
    alice.events = [event for event in kept if not isinstance(event, MessageSettled)]
    assert checkers.NoLoss().complaints(made, group)
    alice.events = kept


def test_key_use_and_durability_fire(calm: tuple[Simulation, GroupId]) -> None:
    made, _ = calm
    alice = made.devices["alice"]
    appended = max(alice.wire, key=len)
    alice.wire.append(appended[:-1] + bytes([appended[-1] ^ 1]))
    assert checkers.Durability().complaints(made)
    alice.wire.pop()


@pytest.mark.spec("10.8-5")
def test_an_upload_that_the_server_refuses_for_good_fails_visibly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, group = world(4, Faults())
    answer = made.server.answer

    def refusing(request: Request, *, now: int) -> Reply:
        record = isinstance(request, Append) and request.kind == TopicKind.GROUP
        return Refused(Code.TOO_BIG, 0) if record else answer(request, now=now)

    monkeypatch.setattr(made.server, "answer", refusing)
    message = made.send("bob", group, "too much")
    made.remove("alice", group, "carol")
    made.settle()
    failed = [each for each in made.devices["bob"].events if isinstance(each, MessageFailed)]
    assert [(each.message, each.code) for each in failed] == [(message, "refused")]
    given_up = [each for each in made.devices["alice"].events if isinstance(each, ChangeFailed)]
    assert [(each.operation, each.code) for each in given_up] == [("remove", "refused")]
    monkeypatch.undo()
    del made.sent[message]
    made.send("bob", group, "small")
    made.settle()
    assert checkers.everything(made, group) == []


@pytest.mark.spec("10.7-6", "10.2-4")
@pytest.mark.parametrize("seed", [5001, 5057, 5131])
def test_who_was_removed_still_gets_what_it_held(seed: int) -> None:
    made, group = world(seed)
    wander(made, group, 60)
    made.settle(quiet=7_200)
    assert checkers.Delivery().complaints(made, group) == []
    assert [state.held for state in checkers.states(made, group).values() if state.held] == []
