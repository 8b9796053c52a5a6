"""Vectors of chapter 10: the key schedule of an epoch, ranks, letters, passive members (spec 10).

Rules of this file:
- `check` looks at the kind of input a vector gives and runs what the spec says for it.
- A passive member joins by a Welcome and is shown records and letters; its events and where it
  stands at the end are compared. A bad vector's `refused` is shown last and must change nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, cast

from groupcrypt import errors
from groupcrypt.errors import RemoteError
from groupcrypt.protocol import membership, primitives, wire
from groupcrypt.protocol.events import Rejected
from groupcrypt.protocol.group import LetterKind, letters, secrets
from groupcrypt.protocol.identifiers import DeviceId, GroupId, LogHash
from groupcrypt.protocol.membership import EntryBody
from groupcrypt.testing.room import but_position
from groupcrypt.testing.vectors import Vector, expecting, groups_forks, vector
from groupcrypt.testing.vectors.groups_bad import bad
from groupcrypt.testing.vectors.groups_good import scenes
from groupcrypt.testing.vectors.groups_scene import Given, Reader, outcome, reader, told

_LETTERS: Final[dict[int, type[Any]]] = {
    LetterKind.EPOCH_SECRET: letters.EpochSecret,
    LetterKind.WELCOME: letters.Welcome,
    LetterKind.LOG_PART: letters.LogPart,
    LetterKind.KEY_REQUEST: letters.KeyRequest,
    LetterKind.SECRET_REQUEST: letters.SecretRequest,
    LetterKind.RESEND: letters.Resend,
    LetterKind.WELCOME_REQUEST: letters.WelcomeRequest,
    LetterKind.ADDRESSES: letters.Addresses,
}


def generate() -> tuple[list[Vector], list[Vector]]:
    """All vectors of the chapter: good ones, bad ones."""
    good = [*_schedules(), *_derived(), *_ranks(), *_letters()]
    good += [_filled("10.5", name, given) for name, given in scenes()]
    good += [_filled("10.12", "two accounts follow another log", groups_forks.scene())]
    good += [
        _filled("10.12", f"a choice, {n}", each) for n, each in enumerate(groups_forks.choices())
    ]
    return good, [*bad(), *groups_forks.bad()]


def _filled(spec: str, name: str, given: Given) -> Vector:
    """A good vector whose outcome is what the library makes of it."""
    made = vector(spec, name, given)
    made["then"] = run(made["given"])
    return made


def _schedules() -> list[Vector]:
    out: list[Vector] = []
    for epoch in (0, 1, 2**32 - 1):
        secret, group, log_hash = (
            primitives.digest(f"vector {name}", primitives.number(epoch))
            for name in ("secret", "group", "log hash")
        )
        given = {"secret": secret, "group": group, "epoch": epoch, "log_hash": log_hash}
        out.append(_filled("10.3", f"the keys of epoch {epoch}", given))
    return out


def _derived() -> list[Vector]:
    body = EntryBody(
        version=1,
        group=GroupId(b"g" * 32),
        epoch=8,
        previous=LogHash(b"p" * 32),
        author=DeviceId(b"a" * 16),
        op=membership.Op.POLICY,
        data=b"any",
        members_hash=b"m" * 32,
        commit=b"c" * 32,
        time=1_800_000_000,
    )
    given = {"init": b"i" * 32, "body": wire.encode(body)}
    return [_filled("10.3", "a derived secret binds the body but not its commitment", given)]


def _ranks() -> list[Vector]:
    devices = [primitives.digest("vector device", bytes([n]))[:16] for n in range(6)]
    given = {"rank_log_hash": bytes(32), "devices": devices}
    return [_filled("10.2", "ranks of six devices", given)]


def _letters() -> list[Vector]:
    group, log_hash = GroupId(b"g" * 32), LogHash(b"h" * 32)
    bodies = {
        LetterKind.EPOCH_SECRET: letters.EpochSecret(group, 300, log_hash, b"s" * 32),
        LetterKind.WELCOME: letters.Welcome(group, 3, log_hash, b"s" * 32),
        LetterKind.LOG_PART: letters.LogPart(group, 2, (b"entry", b"another")),
        LetterKind.KEY_REQUEST: letters.KeyRequest(group, 3, log_hash, 1_800_000_000, (1, 2)),
        LetterKind.SECRET_REQUEST: letters.SecretRequest(group, 3, log_hash),
        LetterKind.RESEND: letters.Resend(group, 3, 1, 4, ((b"i" * 16, b"content"),)),
        LetterKind.WELCOME_REQUEST: letters.WelcomeRequest(group),
        LetterKind.ADDRESSES: letters.Addresses(group, (b"record",)),
    }
    return [
        _filled(
            "10.6",
            f"a letter: {kind.name.lower().replace('_', ' ')}",
            {"letter_kind": int(kind), "letter_body": wire.encode(body)},
        )
        for kind, body in bodies.items()
    ]


def check(one: Vector) -> None:
    """Run one vector; raises `AssertionError` if the library does otherwise."""
    then: dict[str, Any] = {}
    with expecting(one):
        then = run(one["given"])
    if one["expect"] == "success":
        assert then == one["then"]


def run(given: Given) -> dict[str, Any]:
    """What the library makes of a vector's inputs, or the error that it raises."""
    for field, kind in _KINDS.items():
        if field in given:
            return kind(given)
    raise AssertionError("a vector without anything to run")


def _schedule(given: Given) -> dict[str, Any]:
    secret, group, log_hash = (
        bytes.fromhex(given[name]) for name in ("secret", "group", "log_hash")
    )
    keys = secrets.split(secret, GroupId(group), given["epoch"], LogHash(log_hash))
    write, read = secrets.topic_tokens(keys, 0)
    names = ("salt", "init", "topic", "header", "control", "confirm", "membership", "exporter")
    found = {name: getattr(keys, name).hex() for name in (*names, "authenticator")}
    return {**found, "write_token": write.hex(), "read_token": read.hex()}


def _derive(given: Given) -> dict[str, Any]:
    body = wire.decode(EntryBody, bytes.fromhex(given["body"]))
    commitless = membership.commitless(body)
    assert commitless == wire.encode(replace(body, commit=bytes(32)))
    secret = secrets.derived_secret(bytes.fromhex(given["init"]), commitless)
    commit = membership.entry_commit(secret, body.group, body.epoch)
    return {"secret": secret.hex(), "commit": commit.hex()}


def _rank(given: Given) -> dict[str, Any]:
    log_hash = bytes.fromhex(given["rank_log_hash"])
    mixed = [
        primitives.digest("confirm rank", log_hash, bytes.fromhex(device))
        for device in given["devices"]
    ]
    return {"ranks": [sorted(mixed).index(one) for one in mixed]}


def _letter(given: Given) -> dict[str, Any]:
    body = bytes.fromhex(given["letter_body"])
    found: Any = wire.decode(_LETTERS[given["letter_kind"]], body)
    return {name: _shown(getattr(found, name)) for name in found.__dataclass_fields__}


def _shown(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_shown(part) for part in cast("Sequence[Any]", value)]
    return value.hex() if isinstance(value, bytes) else value


def _passive(given: Given) -> dict[str, Any]:
    member = reader(given)
    events = [[told(event) for event in member.show(one)] for one in given["inputs"]]
    if "refused" in given:
        _refuse(member, given["refused"])
    return {"events": events, **outcome(member.held)}


def _refuse(member: Reader, last: Given) -> None:
    """Show the last input; a refusal that changed nothing is raised as its error."""
    before = member.held
    events = member.show(last)
    assert but_position(member.held) == but_position(before)
    assert member.held.core.cursor == last.get("position", before.core.cursor)
    (event,) = events
    assert isinstance(event, Rejected)
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    known = {kind.code: kind for kind in kinds if issubclass(kind, RemoteError)}
    raise known[event.code]("ended as an event")


_KINDS: Final[dict[str, Callable[[Given], dict[str, Any]]]] = {
    "secret": _schedule,
    "init": _derive,
    "rank_log_hash": _rank,
    "common": groups_forks.choose,
    "letter_kind": _letter,
    "inputs": _passive,
}
