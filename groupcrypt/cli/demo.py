"""`groupcrypt demo`: a server and five people as processes of their own, and what came of it.

Rules of this file:
- Every line it prints as done was seen to happen; what did not happen ends it with exit status 1.
- It runs in a temporary folder, on loopback, over TLS, and leaves nothing behind.
"""

import argparse
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import trio

from groupcrypt.cli import command, outcome, proof, travelling, vanishing
from groupcrypt.cli.show import Show
from groupcrypt.cli.stage import Actor, Broadcaster, NotSeen, Tap

# Names long enough that no random bytes hold one by chance.
FULL = {
    "alice": "alice lindgren",
    "bob": "bob okonkwo",
    "carol": "carol jimenez",
    "dave": "dave kowalski",
    "erin": "erin mcallister",
}
NAMES = tuple(FULL)
TITLE = "the climbing club"


def register(subparsers: command.Subparsers) -> None:
    """Declare the command."""
    command.add(
        subparsers, "demo", run, summary="see it work: a server and five people, in seconds"
    )


def run(arguments: argparse.Namespace) -> int:
    """Play it; exit code 1 if anything it claims did not happen."""
    show = Show(json_lines=arguments.json)
    folder = Path(tempfile.mkdtemp(prefix="groupcrypt-demo-"))
    try:
        trio.run(_play, folder, show, strict_exception_groups=True)
    except BaseException as error:
        failed = [leaf for leaf in outcome.leaves(error) if isinstance(leaf, NotSeen)]
        if not failed:
            raise
        show.claim(str(failed[0]), holds=False)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return show.end()


@dataclass(slots=True)
class _Stage:
    """Who and what is on stage."""

    folder: Path
    show: Show
    nursery: trio.Nursery
    server: Broadcaster
    people: dict[str, Actor]
    group: str = ""
    said: list[str] = field(default_factory=list[str])

    async def say(self, name: str, text: str) -> None:
        """One of them says something to the group."""
        self.said.append(text)
        self.show.note(f"{name}: {text}")
        await self.people[name].do("send", group=self.group, text=text)

    async def heard(self, text: str, *names: str) -> None:
        """All of these were shown the text."""
        for name in names:
            await self.people[name].reads(text)

    def copied(self, name: str) -> Path:
        """A copy of somebody's files as they are now."""
        place = self.folder / f"copy-{name}-{len(list(self.folder.iterdir()))}"
        shutil.copytree(self.people[name].home, place)
        return place


async def _play(folder: Path, show: Show) -> None:
    server = Broadcaster(folder / "server")
    people: dict[str, Actor] = {}
    async with trio.open_nursery() as nursery:
        try:
            show.scene("A server that knows nothing, and five people: six processes, over TLS 1.3")
            await server.start()
            tap = Tap(server.address)
            await nursery.start(tap.run)
            people |= {
                name: Actor(name, folder / name, (tap.address, server.key), FULL[name])
                for name in NAMES
            }
            stage = _Stage(folder, show, nursery, server, people)
            async with trio.open_nursery() as starting:
                for actor in people.values():
                    starting.start_soon(actor.start, nursery)
            show.claim(f"server and {len(people)} nodes run and are connected")
            copies = await _acts(stage)
        finally:
            with trio.CancelScope(shield=True):
                async with trio.open_nursery() as stopping:
                    for actor in people.values():
                        stopping.start_soon(actor.stop)
                await server.stop()
            nursery.cancel_scope.cancel()
    await _afterwards(stage, bytes(tap.kept), copies)


async def _acts(stage: _Stage) -> list[Path]:
    await _a_group(stage)
    secret = await vanishing.begin(stage.show, stage.people, stage.folder)
    await _a_joiner(stage)
    copies = await _a_crash(stage)
    await _a_removal(stage)
    await travelling.play(stage.show, stage.people, stage.group, stage.server.data)
    await secret.end()
    stage.said.append(vanishing.TEXT)
    return copies


def _full(*names: str) -> list[str]:
    return [FULL[name] for name in names]


async def _a_group(stage: _Stage) -> None:
    show, people = stage.show, stage.people
    show.scene("alice makes a group and adds bob, carol and erin by their contact cards")
    alice = people["alice"]
    for name in NAMES[1:]:
        await alice.do("import", card=people[name].ready["card"])
    stage.group = str((await alice.do("create", title=TITLE))["group"])
    await alice.do("add", group=stage.group, contacts=_full("bob", "carol", "erin"))
    for name in ("bob", "carol", "erin"):
        await people[name].wait("join", lambda line: line["type"] == "joined")
    show.claim("bob, carol and erin were welcomed into the group")
    await stage.say("alice", "we meet at the north face at six")
    await stage.heard(stage.said[-1], "bob", "carol", "erin")
    await stage.say("bob", "i bring the long rope")
    await stage.heard(stage.said[-1], "alice", "carol", "erin")
    show.claim("messages both ways: everybody read both, once")


async def _a_joiner(stage: _Stage) -> None:
    show, people = stage.show, stage.people
    show.scene("dave is added")
    await people["alice"].do("add", group=stage.group, contacts=_full("dave"))
    await people["dave"].wait("join", lambda line: line["type"] == "joined")
    await stage.say("carol", "welcome dave, bring crampons")
    await stage.heard(stage.said[-1], "alice", "bob", "dave", "erin")
    await stage.say("dave", "crampons are packed")
    await stage.heard(stage.said[-1], "alice", "bob", "carol", "erin")
    earlier = set(people["dave"].texts()) & set(stage.said[:2])
    show.claim("dave reads what is sent from now on, and nothing earlier", holds=not earlier)


async def _a_crash(stage: _Stage) -> list[Path]:
    show, bob = stage.show, stage.people["bob"]
    show.scene("bob's process is killed with SIGKILL, and started again later")
    await bob.taken()
    await bob.kill()
    copies = [stage.copied("bob")]
    before = len(bob.texts())
    missed = [f"forecast for hour {hour}: clear" for hour in (7, 8, 9)]
    for text in missed:
        await stage.say("erin", text)
    await stage.heard(missed[-1], "alice", "carol", "dave")
    await bob.start(stage.nursery)
    await bob.reads(missed[-1])
    await stage.say("bob", "back again, my battery died")
    await stage.heard(stage.said[-1], "alice", "carol", "dave", "erin")
    show.claim(
        "bob got the three messages he missed, each once, and nothing twice",
        holds=bob.texts()[before:] == missed,
    )
    return copies


async def _a_removal(stage: _Stage) -> None:
    show, people = stage.show, stage.people
    show.scene("bob is removed: nobody calls 'rotate', the keys have changed all the same")
    rest = [name for name in NAMES if name != "bob"]
    await people["alice"].do("remove", group=stage.group, contacts=_full("bob"))
    await people["bob"].wait("learn of it", lambda line: line["type"] == "departed")
    held = list(people["bob"].texts())
    await stage.say("carol", "the new meeting point is the old hut")
    await stage.say("alice", "bob does not know about the hut")
    for text in stage.said[-2:]:
        speaker = "carol" if "new" in text else "alice"
        await stage.heard(text, *(name for name in rest if name != speaker))
    refused = await people["bob"].ask("send", group=stage.group, text="let me in")
    show.claim("bob's own attempt to write is refused", holds=refused["type"] == "error")
    kept = people["bob"].texts()
    show.claim("bob holds everything he had, and was shown nothing later", holds=kept == held)


async def _afterwards(stage: _Stage, traffic: bytes, copies: list[Path]) -> None:
    show = stage.show
    show.scene("Everybody has stopped. What do the files say?")
    rows = {name: proof.rows_of(stage.people[name].home) for name in NAMES}
    bobs = [rows["bob"], *(proof.rows_of(copy) for copy in copies)]
    data = stage.server.data
    records = await proof.records_of(data, [rows["alice"], *bobs], int(time.time()))
    last = max(record.place.epoch for record in records)
    later = [record for record in records if record.place.epoch == last]
    earlier = [record for record in records if record.place.epoch < last]
    bob = proof.attempt(bobs, later)
    show.claim(
        f"bob's stores, now and before, open {bob.opened} of {bob.records} records sent after"
        f" his removal (and know {proof.knows_of(bobs, earlier)} earlier ones)",
        holds=bob.opened == 0 < bob.records and proof.knows_of(bobs, earlier) > 0,
    )
    first = min(record.place.epoch for record in records)
    before = [record for record in records if record.place.epoch == first]
    dave = proof.attempt([rows["dave"]], before)
    show.claim(
        f"dave's store opens {dave.opened} of {dave.records} records from before he came",
        holds=dave.opened == 0 < dave.records,
    )
    wanted = [text.encode() for text in (*stage.said, TITLE, *FULL.values())]
    _searched(show, "the server's files", proof.found_in(data, wanted), len(wanted))
    crossed = [text for text in wanted[: len(stage.said) + 1] if text in traffic]
    _searched(
        show,
        f"{len(traffic):,} bytes on the wire (inside TLS, so no proof by itself)",
        crossed,
        len(stage.said) + 1,
    )


def _searched(show: Show, where: str, found: list[bytes], wanted: int) -> None:
    show.claim(
        f"{where}: searched for {wanted} texts and names, found {len(found)}", holds=not found
    )
