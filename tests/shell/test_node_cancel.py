"""A node cancelled at each checkpoint of a conversation: it comes back, nothing is lost or doubled.

The n-th run is cancelled when its task comes to its n-th checkpoint. Then the node is opened anew,
finishes what is left, and both sides are compared with what the calls had said.
"""

from dataclasses import dataclass, field

import pytest
import trio
from trio.testing import MockClock

from groupcrypt.node import Group, Node
from groupcrypt.protocol import device
from tests.shell.scene import World, joined, quiet, texts, unread, world

SAID = [f"alice {number}" for number in range(3)]
HEARD = [f"bob {number}" for number in range(2)]


class Cut(trio.abc.Instrument):
    """Cancels a scope when the task that made it has come to its n-th checkpoint."""

    def __init__(self, checkpoint: int) -> None:
        self.scope = trio.CancelScope()
        self._task = trio.lowlevel.current_task()
        self.left = checkpoint

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        """One more checkpoint: the task has just given way."""
        if task is self._task:
            self.left -= 1
            if self.left == 0:
                self.scope.cancel()


@dataclass
class Conversation:
    """What alice's calls have said so far, over all her runs."""

    sent: list[str] = field(default_factory=list[str])  # `send` returned for these
    shown: list[str] = field(default_factory=list[str])
    node: Node | None = None

    async def go_on(self, w: World, bob: Node) -> None:
        """Do what is not done yet."""
        async with w.node("alice") as self.node:
            alice = self.node
            group = alice.groups[0] if alice.groups else await alice.create_group("climbers")
            await group.wait_live()
            if len(group.members) == 1:
                await group.add(bob.card)
                await group.wait_live()
            while len(self.sent) < len(SAID):
                text = SAID[len(self.sent)]
                await group.send(text)
                self.sent.append(text)
            await self._answers(w, bob, group)
            messages = alice.messages()
            while set(self.shown) < set(HEARD) or unread(alice):
                self.shown.append((await anext(messages)).text)
                await alice.inbox.acknowledge()
            if group.title == "climbers":
                await group.rename("hikers")
            await alice.wait_sent()

    async def _answers(self, w: World, bob: Node, group: Group) -> None:
        """Bob says his part once, as soon as he is in the group."""
        theirs = await joined(bob, group)
        if not w.places["bob"].said:
            w.places["bob"].said = True
            w.nursery.start_soon(_say, theirs)


async def _say(group: Group) -> None:
    for text in HEARD:
        await group.send(text)


async def cancelled_at(checkpoint: int) -> bool:
    """One run; False if the conversation was over before that checkpoint."""
    async with world() as w, w.node("bob") as bob:
        alice = Conversation()
        cut = Cut(checkpoint)
        trio.lowlevel.add_instrument(cut)
        with cut.scope:
            await alice.go_on(w, bob)
        trio.lowlevel.remove_instrument(cut)
        store = w.places["alice"].store
        if alice.node is not None:  # memory and store agree
            assert device.load(store.rows()) == alice.node.state == alice.node.core.front
        first = list(alice.shown)
        if cut.scope.cancelled_caught:
            await alice.go_on(w, bob)
        # A cancelled `send` has not happened; one that returned has, once.
        assert await texts(bob, len(SAID)) == SAID
        again = alice.shown[len(first) :]
        assert first + again in (HEARD, HEARD[: len(first)] + HEARD[max(len(first) - 1, 0) :])
        async with w.node("alice") as back:
            await quiet(back, bob)
            (ours,), (theirs,) = back.groups, bob.groups
            assert (ours.title, ours.authenticator) == ("hikers", theirs.authenticator)
            assert len(ours.members) == len(theirs.members) == 2
            assert device.describe(back.state)["outbox"] == 0
        return cut.left <= 0


@pytest.mark.parametrize("block", range(8))
async def test_cancelled_at_every_checkpoint(block: int, autojump_clock: MockClock) -> None:
    checkpoint = block + 1
    while await cancelled_at(checkpoint):
        checkpoint += 8
    assert checkpoint > 40  # the conversation has at least that many
