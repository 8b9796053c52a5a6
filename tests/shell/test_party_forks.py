"""A server that shows some another order, and how whole nodes come out of it (spec 10.12)."""

import json
from collections import defaultdict
from collections.abc import Set as AbstractSet
from typing import Any

import pytest
import trio

from groupcrypt.cli.drive import drive
from groupcrypt.errors import SendingPaused
from groupcrypt.node import Node
from groupcrypt.protocol.broadcast import Append, Entry, Subscribe, Unsubscribe, token_hash
from groupcrypt.protocol.events import BranchDropped, Forked, ForkSettled
from groupcrypt.testing.checkers import Detection, Durability, Exclusion, KeyUse
from groupcrypt.testing.party import Party, Place, play
from groupcrypt.testing.party.clients import NodeClient
from groupcrypt.testing.party.transport import READ, WRITE

Guests = Party[NodeClient]
Fields = dict[str, Any]


def told(p: Guests, name: str) -> list[str]:
    """What a node told of the fork, in order."""
    kinds = (Forked, BranchDropped, ForkSettled)
    return [type(each).__name__ for each in p.devices[name].events if isinstance(each, kinds)]


def judged(p: Guests) -> list[str]:
    """What has to hold whatever a server shows."""
    group = p["alice"].group.id
    found = [*KeyUse().complaints(p), *Durability().complaints(p)]
    return found + Exclusion().complaints(p, group) + Detection().complaints(p, group)


async def halves(p: Party[Any]) -> None:
    """A group whose halves each go on by themselves, in the topic that was one."""
    await p.group()
    await p.say("alice", "before")
    await p.settled()
    p.fork_server("carol", "dave")


# --- driven by JSON ----------------------------------------------------------------------------


class Driven:
    """A client that is another program: commands go in as lines of JSON, objects come out."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.told: list[Fields] = []
        self.node: Node | None = None
        self._commands, self._lines = trio.open_memory_channel[str](8)
        self._answers: dict[int, Fields] = {}
        self._moved = trio.Event()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        async with self.place.node() as self.node:
            self.place.publish(self.node.card)
            task_status.started()
            await drive(self.node, self._lines, self._emit)

    async def _emit(self, line: Fields) -> None:
        line = json.loads(json.dumps(line))
        if line["type"] == "message":
            self.place.show(line["sender"], line["text"])
        elif "id" in line:
            self._answers[line["id"]] = line
        else:
            self.told.append(line)
        self._moved.set()
        self._moved = trio.Event()
        await trio.lowlevel.checkpoint()

    async def ask(self, do: str, **fields: object) -> Fields:
        """One command and its answer."""
        number = len(self._answers)
        await self._commands.send(json.dumps({"do": do, "id": number, "group": "g", **fields}))
        while number not in self._answers:
            await self._moved.wait()
        assert self._answers[number]["type"] == "done", self._answers[number]
        return self._answers[number]

    async def found(self) -> None:
        await self.ask("create", title="g")

    async def add(self, *names: str) -> None:
        await self.ask("add", contacts=[self.place.cards[name] for name in names])

    async def remove(self, *names: str) -> None:
        await self.ask("remove", contacts=[*names])

    async def send(self, text: str) -> None:
        await self.ask("send", text=text)

    def members(self) -> AbstractSet[str]:
        held = [] if self.node is None else [one for one in self.node.groups if one.member]
        return {one.name for one in held[0].members} if held else frozenset[str]()


def test_a_fork_is_proven_and_the_group_comes_together_told_as_json() -> None:
    async def story(p: Party[Driven]) -> None:
        await halves(p)
        for name in ("alice", "carol"):
            await p[name].ask("heal")
        await p.say("alice", "on one side")
        await p.settled()
        kinds = defaultdict[str, list[str]](list)
        for name in p.names:
            for line in p[name].told:
                if line["type"] in ("forked", "branch-dropped", "joined", "fork-settled"):
                    kinds[name].append(line["type"])
        assert set(kinds["alice"]) == {"joined", "forked", "fork-settled"}
        assert set(kinds["bob"]) == {"joined", "forked", "fork-settled"}
        for name in ("carol", "dave"):
            assert kinds[name][0] == "joined" and kinds[name][1] == "forked"
            assert kinds[name][-3:] == ["branch-dropped", "joined", "fork-settled"]
        forked = next(line for line in p["dave"].told if line["type"] == "forked")
        assert forked["author"]["name"] == "alice" and forked["our_author"]["name"] == "carol"
        assert forked["stopped"] is True and forked["epoch"] == 2
        for name in p.names:
            await p.say(name, f"{name} is back")
        await p.settled()
        assert p.complaints() == []

    play("alice bob carol dave", story, seed=1, client=Driven)


# --- nodes of this library ---------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_what_was_said_on_both_sides_is_read_by_all_once(seed: int) -> None:
    async def story(p: Guests) -> None:
        await halves(p)
        await p["carol"].group.update()
        await p.say("carol", "on the other side")
        await p["alice"].group.update()
        await p.say("alice", "on one side")
        await p.settled()
        assert told(p, "alice")[-1] == told(p, "bob")[-1] == "ForkSettled"
        for name in ("carol", "dave"):
            assert told(p, name)[-2:] == ["BranchDropped", "ForkSettled"]
        groups = [p[name].group for name in p.names]
        assert len({each.epoch for each in groups}) == 1
        assert all(p.members(name) == set(p.names) for name in p.names)
        for name in p.names:
            assert sorted(p.texts(name)) == sorted(
                {"before", "on the other side", "on one side"}
                - ({"before", "on one side"} if name == "alice" else set())
                - ({"on the other side"} if name == "carol" else set())
            )
        assert p.complaints() == [] and judged(p) == []

    play("alice bob carol dave", story, seed=seed)


@pytest.mark.spec("10.9-4")
def test_two_people_who_wait_for_each_others_confirm_find_out() -> None:
    async def story(p: Guests) -> None:
        await p.group()
        p.fork_server("bob")
        await p["bob"].group.update()
        await p["alice"].group.update()
        await (await p["alice"].contact("bob")).send("are you there?")  # any letter does
        await p.settled()
        assert told(p, "bob")[-2:] == ["BranchDropped", "ForkSettled"]
        await p.say("bob", "I am")
        await p.settled()
        assert p.texts("alice") == ["I am"] and judged(p) == []

    play("alice bob", story)


def test_whom_the_dropped_half_removed_stays_when_an_admin_says_so() -> None:
    async def story(p: Guests) -> None:
        await p.group()
        alice = p["alice"]
        await alice.group.set_admin(await alice.contact("carol"), admin=True)
        await p.settled()
        p.fork_server("carol", "dave")
        await p.remove("carol", "bob")
        await alice.group.update()
        await p.say("alice", "what a day")
        await p.settled()
        assert "BranchDropped" in told(p, "carol")
        assert "ForkSettled" not in told(p, "alice")  # who is bob to them?
        with pytest.raises(SendingPaused):
            await alice.send("too early")
        await alice.group.keep_members()
        await p.settled()
        assert told(p, "bob") == []  # whom the other half removed, and so told nothing
        assert {told(p, name)[-1] for name in ("alice", "carol", "dave")} == {"ForkSettled"}
        for name in p.names:
            await p.say(name, f"{name} is here")
        await p.settled()
        for name in p.names:
            others = {f"{other} is here" for other in p.names if other != name}
            assert {text for text in p.texts(name) if text.endswith("here")} == others
        assert judged(p) == []

    play("alice bob carol dave", story, seed=2)


# --- the lie itself ----------------------------------------------------------------------------


def test_a_fork_outlives_the_server_and_the_seed_decides_all_of_it() -> None:
    async def story(p: Guests) -> str:
        await halves(p)
        p.crash_server()
        await p.restart_server()
        await p["carol"].group.update()
        p.kill("dave")
        await p["alice"].group.update()
        await p.restart("dave")
        await p.say("alice", "after all that")
        await p.settled()
        assert "Forked" in told(p, "alice") and "BranchDropped" in told(p, "dave")
        return p.trace.digest()

    assert play("alice bob carol dave", story, seed=3) == play(
        "alice bob carol dave", story, seed=3
    )


class Shouting:
    """A client of another protocol, which trusts its server to show all the same."""

    def __init__(self, place: Place) -> None:
        self.place, self.here = place, {place.name}

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        async with self.place.broadcast() as self.transport:
            task_status.started()
            async for heard in self.transport:
                sender, text = json.loads(heard.body)
                if sender != self.place.name:
                    self.place.show(sender, text)

    async def send(self, text: str) -> None:
        await self.transport.send(json.dumps([self.place.name, text]).encode())

    async def found(self) -> None:
        self.here = {"alice", "bob", "carol"}

    async def add(self, *names: str) -> None:
        self.here = self.here | {*names}

    async def remove(self, *names: str) -> None:
        self.here = self.here - {*names}

    def members(self) -> AbstractSet[str]:
        return self.here


def test_what_is_not_followed_any_more_is_not_shown() -> None:
    async def story(p: Party[Shouting]) -> None:
        await p.say("alice", "one")
        await p.settled()
        p.fork_server("bob")
        write, read = bytes(32), bytes(31) + b"r"
        follow = Subscribe(READ, token_hash(WRITE), 0)
        async with p.place("bob").connecting() as connection:
            await connection.ask(follow)
            await connection.ask(Unsubscribe(follow.topic))
            await p.say("bob", "two")  # over his own connection
            await connection.ask(Append(write, token_hash(read), bytes(16), b"last", 60))
            await connection.ask(Subscribe(read, token_hash(write), 0))
            shown = [b""]
            async for item in connection:
                shown += [item.body] if isinstance(item, Entry) else []
                if shown[-1] == b"last":
                    break
            assert not any(b"two" in body for body in shown)

    play("alice bob", story, client=Shouting)


def test_a_client_of_another_protocol_is_lied_to_as_well() -> None:
    async def story(p: Party[Shouting]) -> None:
        for name in p.names:
            await p[name].found()
        await p.say("alice", "one")
        await p.settled()
        p.fork_server("carol")
        await p.say("alice", "two")
        await p.say("carol", "three")
        await p.settled()
        assert (p.texts("bob"), p.texts("carol")) == (["one", "two"], ["one"])
        assert p.complaints() == [
            "delivery: carol never read m2 of alice",
            "delivery: alice never read m3 of carol",
            "delivery: bob never read m3 of carol",
        ]

    play("alice bob carol", story, client=Shouting)
