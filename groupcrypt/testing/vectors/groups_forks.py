"""What a member is shown of another log, for the vectors of chapter 10 (spec 10.12).

Rules of this file:
- The scene: bob made an update; then devices state that they follow another log from there on.
- Each bad letter is a right one with one fault.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from groupcrypt.protocol import limits, membership, wire
from groupcrypt.protocol.group import LetterKind, branches
from groupcrypt.protocol.group.branches import StatementBody
from groupcrypt.protocol.group.letters import BranchLetter
from groupcrypt.protocol.membership import Op, Roster, UpdateData
from groupcrypt.testing.vectors import Vector, vector
from groupcrypt.testing.vectors.groups_scene import READER, Given, RecordedRoom

PARTS = 2  # the epoch in which the logs part


def play(room: RecordedRoom) -> None:
    """Bob makes an update, which all see."""
    room.propose("bob", Op.UPDATE, UpdateData())
    room.settle()


def rosters(room: RecordedRoom) -> list[Roster]:
    """The reader's log, folded."""
    found: list[Roster] = []
    for raw in room.seats[READER].group.log:
        found.append(membership.apply(found[-1] if found else None, raw))
    return found


def entry(room: RecordedRoom, name: str) -> bytes:
    """An update that would have been valid in bob's place."""
    common, me = rosters(room)[PARTS - 1], room.seats[name].me
    body = membership.draft(common, author=me, op=Op.UPDATE, data=wire.encode(UpdateData()), now=1)
    commit = membership.entry_commit(bytes(32), body.group, body.epoch)
    return membership.sign_entry(replace(body, commit=commit), me)


def letter(room: RecordedRoom, name: str, *entries: bytes, **changed: Any) -> Given:
    """A branch letter of a seat with these entries; fields of its statement may be changed."""
    group, me = room.seats[READER].group, room.seats[name].me
    hashes = membership.log_hashes((*group.log[:PARTS], *entries))
    signer = room.seats[changed.pop("signer", name)].me
    body = StatementBody(
        version=limits.VERSION,
        group=group.id,
        epoch=len(hashes) - 1,
        log_hash=hashes[-1],
        device=me.device,
        number=room.now,
        kept=(),
    )
    statement = branches.sign_statement(signer, replace(body, **changed))
    shown = wire.encode(BranchLetter(group.id, statement, PARTS, entries))
    return {"from": me.device, "letter": int(LetterKind.BRANCH), "body": shown}


def scene() -> Given:
    """Dave's branch stops nobody; bob's word beside it does."""
    room = RecordedRoom(b"a forked group", "alice bob carol dave eve", members="bob carol dave")
    room.inputs.clear()
    play(room)
    daves = entry(room, "dave")
    given = room.given()
    given["inputs"] += [letter(room, "dave", daves), letter(room, "bob", daves)]
    return given


def choices() -> Iterator[Given]:
    """Two valid entries on one log, and the hash of the log with the one that is kept."""
    room = RecordedRoom(b"a choice", "alice bob carol dave eve", members="bob carol dave")
    play(room)
    common = list(room.seats[READER].group.log[:PARTS])
    made = {name: entry(room, name) for name in ("alice", "bob", "dave")}
    for one, other in (("alice", "bob"), ("bob", "dave"), ("dave", "bob")):
        yield {"common": common, "one": made[one], "other": made[other]}


def choose(given: Given) -> dict[str, Any]:
    """Run a vector of the choice."""
    roster: Roster | None = None
    for raw in given["common"]:
        roster = membership.apply(roster, bytes.fromhex(raw))
    assert roster is not None
    one, other = (bytes.fromhex(given[name]) for name in ("one", "other"))
    for raw in (one, other):
        membership.apply(roster, raw)
    kept = branches.choose(roster, one, other)
    return {"kept": membership.apply(roster, kept).log_hash.hex()}


def bad() -> list[Vector]:
    """Letters that prove nothing."""
    room = RecordedRoom(b"forks, bad", "alice bob carol dave eve", members="bob carol dave")
    room.inputs.clear()
    play(room)
    return [
        vector("10.12", name, {**room.given(), "refused": make(room)}, expect=code)
        for name, code, make in _FAULTS
    ]


def _changed(room: RecordedRoom, **changed: Any) -> Given:
    return letter(room, "dave", entry(room, "dave"), **changed)


def _outsider(room: RecordedRoom) -> Given:
    eve = room.seats["eve"].device
    return {**_changed(room, device=eve, signer="eve"), "from": eve}


def _demanding(room: RecordedRoom) -> Given:
    """An admin's entry in the name of a member."""
    body, _ = membership.read_entry(entry(room, "dave"))
    policy = replace(body, op=Op.ROLE, data=b"\x90")
    return letter(room, "dave", membership.sign_entry(policy, room.seats["dave"].me))


def _unsigned(room: RecordedRoom) -> Given:
    body, _ = membership.read_entry(entry(room, "dave"))
    return letter(room, "dave", membership.sign_entry(body, room.seats["bob"].me))


def _longer(room: RecordedRoom) -> Given:
    given = _changed(room)
    return {**given, "body": given["body"] + b"\0"}


Fault = tuple[str, str, Callable[[RecordedRoom], Given]]
_FAULTS: list[Fault] = [
    ("a statement of another version", "unsupported-version", lambda r: _changed(r, version=2)),
    ("a statement of another group", "stale-epoch", lambda r: _changed(r, group=bytes(32))),
    ("a statement of another epoch", "stale-epoch", lambda r: _changed(r, epoch=3)),
    ("a statement of another log", "stale-epoch", lambda r: _changed(r, log_hash=bytes(32))),
    ("another device's statement", "not-allowed", lambda r: _changed(r, device=bytes(16))),
    (
        "a statement that another device signed",
        "authentication-failed",
        lambda r: _changed(r, signer="bob"),
    ),
    ("a branch from an outsider", "not-member", _outsider),
    ("a branch without entries", "stale-epoch", lambda r: letter(r, "dave")),
    ("a branch whose entry its author may not make", "not-allowed", _demanding),
    ("a branch whose entry is not signed", "authentication-failed", _unsigned),
    ("a branch letter with a byte more", "malformed", _longer),
]

__all__ = ["bad", "choices", "choose", "play", "scene"]
