"""The checkers of simulated worlds look at parties of real nodes as well."""

from collections.abc import Callable

import pytest

from groupcrypt.protocol.events import MessageReceived
from groupcrypt.testing.checkers import everything
from groupcrypt.testing.party import Party, play
from groupcrypt.testing.party.clients import NodeClient


async def hard_day(p: Party[NodeClient]) -> None:
    """People come and go while everything breaks."""
    await p.group("alice", "bob", "carol")
    p.lose(0.1)
    for number in range(4):
        await p.say("alice", f"alice {number}")
        await p.say("bob", f"bob {number}")
        victim = ("alice", "bob", "carol")[number % 3]
        p.kill(victim)
        await p.restart(victim)
    await p.remove("alice", "carol")
    p.crash_server()
    await p.say("bob", "to alice alone")
    await p.restart_server()
    await p.add("alice", "dave")
    p.heal()
    await p.settled()


@pytest.mark.parametrize("seed", range(4))
def test_a_party_at_rest_keeps_all_promises(seed: int) -> None:
    async def story(p: Party[NodeClient]) -> None:
        await hard_day(p)
        assert p.complaints() == []
        assert everything(p, p["alice"].group.id) == []
        assert len(p.sent) == 9 and all(each.wire for each in p.devices.values())

    play("alice bob carol dave", story, seed=seed)


Plant = Callable[[Party[NodeClient]], None]


def forget(p: Party[NodeClient]) -> None:
    events = p.devices["bob"].events
    events.remove(next(each for each in events if isinstance(each, MessageReceived)))


def uncommitted(p: Party[NodeClient]) -> None:
    device = p.devices["alice"]
    device.committed.discard(device.wire[-1])


def unsettled(p: Party[NodeClient]) -> None:
    p.devices["bob"].events.clear()


@pytest.mark.parametrize(
    ("plant", "complaint"),
    [
        (forget, "bob: a message of alice"),
        (uncommitted, "alice sent what was not in its durable outbox"),
        (unsettled, "a message of bob is neither settled nor failed"),
    ],
)
def test_what_is_planted_is_found(plant: Plant, complaint: str) -> None:
    async def story(p: Party[NodeClient]) -> None:
        await hard_day(p)
        plant(p)
        found = everything(p, p["alice"].group.id)
        assert any(each.startswith(complaint) for each in found), found

    play("alice bob carol dave", story)
