"""The demonstration's message for five seconds: on two disks, and then on none (spec 12.14, 16.3).

Rules of this file:
- It looks at bytes, not at what a node says: first what lies on the disk is read with the store's
  key, then those very bytes are looked for again.
- The rest of the demonstration goes on while the time runs.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trio

from groupcrypt.cli import proof
from groupcrypt.cli.show import Show
from groupcrypt.cli.stage import WAIT_SECONDS, Actor, Line, NotSeen
from groupcrypt.errors import StoreError

TEXT: Final = "between us: alice snores"
SECONDS: Final = 5
LOOK_AGAIN: Final = 0.05


@dataclass(frozen=True, slots=True)
class Secret:
    """The message, and what of it was on the disks of its sender and its reader."""

    show: Show
    people: dict[str, Actor]
    message: str
    traces: dict[str, list[bytes]]

    async def end(self) -> None:
        """Wait for its time to be over, and look for it again."""
        show = self.show
        show.scene(f"The {SECONDS} seconds of that message are over")
        for name in self.traces:
            await self.people[name].wait("forget it", self._forgotten)
        shown = [await self._shows(name) for name in self.traces]
        show.claim("neither alice's history shows it, nor carol's", holds=not any(shown))
        texts, pieces = await self._left()
        sealed = sum(map(len, self.traces.values())) // 2
        show.claim(
            f"in all files of both: the text {texts} times; of the {sealed} sealed rows that held"
            f" it, and their salts, {pieces} pieces of 16 bytes",
            holds=texts == pieces == 0,
        )

    def _forgotten(self, line: Line) -> bool:
        return line["type"] == "forgotten" and any(
            gone["message"] == self.message for gone in line["messages"]
        )

    async def _shows(self, name: str) -> bool:
        """Whether a node's own history finds it."""
        return bool((await self.people[name].do("search", words=TEXT))["messages"])

    async def _left(self) -> tuple[int, int]:
        """How many files have the text, and how many pieces of what held it are there: at last."""
        homes = [(self.people[name].home, parts) for name, parts in self.traces.items()]
        texts = pieces = 0
        with trio.move_on_after(WAIT_SECONDS):
            while True:
                texts = sum(len(proof.found_in(home, [TEXT.encode()])) for home, _ in homes)
                found = [proof.found_in(home, proof.pieces_of(parts)) for home, parts in homes]
                pieces = sum(map(len, found))
                if not texts and not pieces:
                    break
                await trio.sleep(LOOK_AGAIN)  # a process erases: there is no event to wait for
        return texts, pieces


async def begin(show: Show, people: dict[str, Actor], folder: Path) -> Secret:
    """Send it, show it, and see where it lies."""
    show.scene(f"alice writes to carol alone, outside of any group, for {SECONDS} seconds")
    alice, carol = people["alice"], people["carol"]
    show.note(f"alice: {TEXT}")
    sent = await alice.do("dm", contact=carol.shown, text=TEXT, expires=SECONDS)
    traces = {"alice": await _traces(alice, folder / "image-alice")}
    told = await carol.reads(TEXT)
    names = {"contact": told["account"], "account": told["account"]}
    await carol.do("seen", **names, messages=[sent["message"]])
    traces["carol"] = await _traces(carol, folder / "image-carol")
    others = [
        line for one in people.values() if one is not carol for line in one.seen if _has(line)
    ]
    direct = told["group"] is None and told["expires"] == SECONDS
    show.claim("carol got it from alice, and nobody else", holds=direct and not others)
    there = all(
        len(proof.found_in(folder / f"image-{name}", proof.pieces_of(parts)))
        == len(proof.pieces_of(parts))
        > 0
        for name, parts in traces.items()
    )
    counts = [len(traces[name]) // 2 for name in ("alice", "carol")]
    show.claim(
        f"it lies sealed on both disks: with the store's key {counts[0]} rows of alice's open to"
        f" it, and {counts[1]} of carol's",
        holds=there,
    )
    return Secret(show, people, sent["message"], traces)


def _has(line: Line) -> bool:
    return bool(line["type"] == "message" and line["text"] == TEXT)


async def _traces(actor: Actor, image: Path) -> list[bytes]:
    """What of somebody's files, as they are now, holds the text."""
    with trio.move_on_after(WAIT_SECONDS):
        while True:
            shutil.rmtree(image, ignore_errors=True)
            shutil.copytree(actor.home, image)
            try:
                found = proof.sealed_with(image, TEXT.encode())
            except StoreError:  # it was copied while the node wrote
                found = []
            if found:
                return found
            await trio.sleep(LOOK_AGAIN)
    raise NotSeen(f"{actor.name}'s store does not hold the message")
