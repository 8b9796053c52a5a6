"""Clients of another protocol at a party: the same stories, faults and promises hold for them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from examples.naive_sender_keys import Naive, story
from groupcrypt.protocol import limits
from groupcrypt.testing.party import Party, party, play
from groupcrypt.testing.party.clients import Client, Place
from groupcrypt.testing.party.transport import Heard, Transport

ROOT = Path(__file__).parents[2]
LEAK = "exclusion: carol read m2 of alice"


class Echo:
    """The smallest client: no keys, no group; it shows what it hears and remembers how far."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.transport: Transport | None = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        after = int(self.place.disk.rows().get(b"after", b"0"))
        async with self.place.broadcast(after=after) as self.transport:
            task_status.started()
            async for heard in self.transport:
                sender, text = json.loads(heard.body)
                self.place.disk.commit({b"after": b"%d" % heard.number})
                self.place.show(sender, text)

    async def found(self) -> None: ...

    async def add(self, *names: str) -> None: ...

    async def remove(self, *names: str) -> None: ...

    async def send(self, text: str) -> None:
        assert self.transport is not None
        await self.transport.send(json.dumps([self.place.name, text]).encode())

    def members(self) -> frozenset[str]:
        return frozenset(("alice", "bob"))


# --- the leak ----------------------------------------------------------------------------------


def test_naive_sender_keys_leak_to_whoever_is_removed() -> None:
    wrong, picture = play("alice bob carol", story, client=Naive)
    assert [each.partition(" at ")[0] for each in wrong] == [LEAK]
    assert picture.count("carol") > 1 and "m2" in picture


def test_the_same_story_is_no_leak_here() -> None:
    wrong, _ = play("alice bob carol", story)
    assert wrong == []


def test_keys_that_change_close_the_leak() -> None:
    class Rotating(Naive):
        async def take(self, kind: str, sender: str, to: str, sealed: str) -> None:
            if kind == "roster" and self.roster - set(to.split()):
                self.keys = {self.me: self.place.entropy(32)}
                self.roster = {self.me}  # so that everybody gets the new one
            await super().take(kind, sender, to, sealed)

    wrong, _ = play("alice bob carol", story, client=Rotating)
    assert wrong == []


def test_the_example_shows_the_leak_and_draws_it(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "naive_sender_keys.py"), "leak.svg"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        check=True,
        text=True,
    )
    assert done.stdout.startswith(LEAK) and len(done.stdout.splitlines()) == 1
    assert (tmp_path / "leak.svg").read_text("utf-8").startswith("<svg")


def test_the_naive_client_is_as_short_as_it_says() -> None:
    text = (ROOT / "examples" / "naive_sender_keys.py").read_text("utf-8")
    body = text.partition("class Naive:")[2].partition("async def story")[0]
    assert len([line for line in body.splitlines() if line]) <= 60


# --- the broadcast -----------------------------------------------------------------------------


async def chatter(p: Party[Echo]) -> None:
    """Every fault there is, and all is there in the end."""
    p.cut("bob")
    await p.say("alice", "while bob is away")
    p.heal()
    p.lose(0.3)
    for number in range(10):
        await p.say("alice", f"alice {number}")
        await p.say("bob", f"bob {number}")
    p.heal()
    p.kill("bob")
    await p.say("alice", "while bob is dead")
    p.crash_server()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(p.say, "alice", "while nobody is there")
        await trio.sleep(60)
        assert not p.journal.said[-1].done
        await p.restart_server()
    await p.restart("bob")
    await p.settled()
    assert p.complaints() == []
    assert len(p.texts("bob")) == 23 and p.texts("bob") == p.texts("alice")


@pytest.mark.parametrize("seed", range(3))
def test_a_broadcast_reaches_all_once_and_in_one_order(seed: int) -> None:
    play("alice bob", chatter, seed=seed, client=Echo)


def test_a_client_that_forgets_how_far_it_heard_is_found() -> None:
    class Forgetful(Echo):
        async def run(
            self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
        ) -> None:
            if self.place.life > 1:
                self.place.disk.commit({b"after": b"0"})
            await super().run(task_status=task_status)

    with pytest.raises(AssertionError, match="once: bob read"):
        play("alice bob", chatter, client=Forgetful)


async def test_what_is_too_large_is_refused(autojump_clock: MockClock) -> None:
    async with party("") as p:
        place = p.seat("alice")
        async with place.broadcast() as transport:
            await transport.send(b"fits")
            assert await anext(transport) == Heard(1, b"fits")
            with pytest.raises(ValueError, match="may be"):
                await transport.send(bytes(limits.MAX_RECORD_BYTES + 1))
        with pytest.raises(ZeroDivisionError):  # and what is raised inside comes out by itself
            async with place.broadcast():
                raise ZeroDivisionError


def test_the_examples_are_clients() -> None:
    kinds: list[type[Client]] = [Naive, Echo]
    assert all(kind.run for kind in kinds)
