"""A restless life: nodes are cancelled and come back, connections break, and nothing goes amiss."""

import random
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
import trio
from trio.testing import MockClock

from groupcrypt.entropy import SystemEntropy
from groupcrypt.errors import LocalError
from groupcrypt.node import Node
from groupcrypt.protocol.identifiers import GroupId
from tests.shell.scene import HOUR, World, group_of, texts, unread, world

NAMES = ("alice", "bob", "carol")
DEEDS = 30  # of each


@dataclass
class Life:
    """One person: what their calls said, over all runs of their node."""

    name: str
    seed: int
    sent: list[str] = field(default_factory=list[str])
    shown: list[str] = field(default_factory=list[str])

    async def live(self, w: World, group: GroupId) -> None:
        """Open the node again and again, until all is done."""
        chance = random.Random(f"{self.seed} {self.name}")
        deeds = iter(range(DEEDS))
        while next(deeds, None) is not None:
            with trio.move_on_after(20 * chance.random()):
                async with w.node(self.name) as node, trio.open_nursery() as nursery:
                    nursery.start_soon(self._read, node)
                    for _ in deeds:
                        await self._act(w, node, group, chance)
                        await trio.sleep(2 * chance.random())
                    nursery.cancel_scope.cancel()

    async def _read(self, node: Node) -> None:
        async for message in node.messages():
            self.shown.append(message.text)

    async def _act(self, w: World, node: Node, group: GroupId, chance: random.Random) -> None:
        deed, here = chance.random(), node.group(group)
        if deed < 0.8:
            text = f"{self.name} {len(self.sent)}"
            await here.send(text)
            self.sent.append(text)
        elif deed < 0.85:
            with suppress(LocalError), trio.move_on_after(5):
                await here.update()
        elif deed < 0.9:
            await w.cut()
        elif self.name == "alice":
            await here.rename(f"hikers {deed}")


@pytest.mark.parametrize("seed", range(3))
async def test_a_restless_life(seed: int, autojump_clock: MockClock) -> None:
    lives = [Life(name, seed) for name in NAMES]
    async with world() as w:
        for name in NAMES:
            w.place(name).entropy = SystemEntropy()  # the seeded one takes its time
        async with w.node("alice") as alice, w.node("bob") as bob, w.node("carol") as carol:
            group = (await group_of(alice, bob, carol))[0].id
        async with trio.open_nursery() as nursery:
            for life in lives:
                nursery.start_soon(life.live, w, group)
        async with w.node("alice") as alice, w.node("bob") as bob, w.node("carol") as carol:
            await trio.sleep(HOUR)
            for life, node in zip(lives, (alice, bob, carol), strict=True):
                life.shown += await texts(node, len(unread(node)))
                _compare(life, lives)
            assert len({node.group(group).authenticator for node in (alice, bob, carol)}) == 1


def _compare(life: Life, lives: list[Life]) -> None:
    """What came from each other person is what they sent, in order; at most the last came again."""
    once = list(dict.fromkeys(life.shown))
    for other in lives:
        if other is not life:
            assert [text for text in once if text.startswith(other.name)] == other.sent
    again = [text for earlier, text in pairwise(life.shown) if earlier == text]
    assert len(life.shown) == len(once) + len(again)
