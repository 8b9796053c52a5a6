"""A node cancelled at each checkpoint of a conversation: it comes back, nothing is lost or doubled.

In the n-th run the block is cancelled at its n-th checkpoint. Then the node is opened anew,
finishes what is left, and both sides are compared with what the calls had said.
"""

from dataclasses import dataclass, field

import pytest
import trio
from trio.testing import MockClock

from groupcrypt.node import Node
from groupcrypt.protocol import device
from groupcrypt.testing.checkpoints import Cut, at_every_checkpoint
from groupcrypt.testing.party import Party, party
from groupcrypt.testing.party.clients import NodeClient, Place
from tests.shell.scene import unread

SAID = [f"alice {number}" for number in range(3)]
HEARD = [f"bob {number}" for number in range(2)]


@dataclass
class Conversation:
    """What alice's calls have said so far, over all her runs."""

    party: Party[NodeClient]
    place: Place
    others: trio.Nursery
    sent: list[str] = field(default_factory=list[str])  # `send` returned for these
    shown: list[str] = field(default_factory=list[str])
    node: Node | None = None
    answered: bool = False

    async def go_on(self) -> None:
        """Do what is not done yet."""
        async with self.place.node() as self.node:
            alice = self.node
            group = alice.groups[0] if alice.groups else await alice.create_group("climbers")
            await group.wait_live()
            if len(group.members) == 1:
                await group.add(self.place.cards["bob"])
                await group.wait_live()
            while len(self.sent) < len(SAID):
                text = SAID[len(self.sent)]
                await group.send(text)
                self.sent.append(text)
            await self.party.until(lambda: "bob" in self.party.members("bob"))
            if not self.answered:
                self.answered = True
                self.others.start_soon(self._answer)
            messages = alice.messages()
            while set(self.shown) < set(HEARD) or unread(alice):
                self.shown.append((await anext(messages)).text)
                await alice.inbox.acknowledge()
            if group.title == "climbers":
                await group.rename("hikers")
            await alice.wait_sent()

    async def _answer(self) -> None:
        for text in HEARD:
            await self.party.say("bob", text)


async def once(cut: Cut) -> None:
    async with party("bob") as p, trio.open_nursery() as others:
        alice = Conversation(p, p.seat("alice"), others)
        disk = alice.place.disk
        with cut:
            await alice.go_on()
        if alice.node is not None:  # memory and store agree
            assert device.load(disk.rows()) == alice.node.state == alice.node.core.front
        first = list(alice.shown)
        if cut.cancelled:
            disk.start()
            await alice.go_on()
        await p.settled()
        # A cancelled `send` has not happened; one that returned has, once.
        assert p.texts("bob") == SAID
        again = alice.shown[len(first) :]
        assert first + again in (HEARD, HEARD[: len(first)] + HEARD[max(len(first) - 1, 0) :])
        disk.start()
        async with alice.place.node() as back:
            await p.settled()
            assert unread(back) == [] and p.texts("bob") == SAID
            (ours,), theirs = back.groups, p["bob"].group
            assert (ours.title, ours.authenticator) == ("hikers", theirs.authenticator)
            assert len(ours.members) == len(theirs.members) == 2
            assert device.describe(back.state)["outbox"] == 0


@pytest.mark.parametrize("block", range(8))
async def test_cancelled_at_every_checkpoint(block: int, autojump_clock: MockClock) -> None:
    assert await at_every_checkpoint(once, first=block + 1, every=8) > 40


@pytest.mark.parametrize("first", [11, 40])
async def test_cancelled_while_its_tasks_are_at_work(first: int, autojump_clock: MockClock) -> None:
    """The node's own tasks are counted, too: one checkpoint in 59 of them all."""
    assert await at_every_checkpoint(once, of="tree", first=first, every=59) > 400
