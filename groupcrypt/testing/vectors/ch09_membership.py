"""Vectors of chapter 09: logs folded into rosters, entries refused, leaves and confirms (spec 09).

Rules of this file:
- `given.log` is a valid log; `given.entry`, where present, is judged after it.
- A log's epoch secrets are in `given.secrets`, so that commitments can be checked too.
- `check` works from the JSON alone.
"""

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

from groupcrypt.protocol import membership
from groupcrypt.protocol.identifiers import AccountId
from groupcrypt.protocol.membership import (
    AddData,
    DeviceListData,
    LeaveData,
    Op,
    PolicyData,
    RemoveData,
    RoleData,
    Roster,
    Settings,
    UpdateData,
    Who,
)
from groupcrypt.testing.entropy import SeededEntropy
from groupcrypt.testing.logbook import found, secret, step
from groupcrypt.testing.person import make_device, make_person, with_devices
from groupcrypt.testing.vectors import Vector, expecting, vector
from groupcrypt.testing.vectors.membership_bad import bad

_ENTROPY = SeededEntropy(b"vectors 09")
_ALICE = make_person(_ENTROPY.fork("alice"))
_BOB = make_person(_ENTROPY.fork("bob"), devices=2)
_CAROL = make_person(_ENTROPY.fork("carol"))
_CONFIRM_KEY = _ENTROPY(32)


def generate() -> tuple[list[Vector], list[Vector]]:
    """All vectors of the chapter: good ones, bad ones."""
    return [*_logs(), *_statements()], bad()


def _logs() -> list[Vector]:
    """One log through every op, a vector after each entry."""
    alice, bob = _ALICE.phone, _BOB.phone
    linked = with_devices(
        _CAROL, _CAROL.phone, make_device(_CAROL.key, _ENTROPY.fork("carol's second"))
    )
    revoked = with_devices(linked, linked.devices[1])
    open_to_all = Settings("climbers", 3600, Who.MEMBERS, Who.MEMBERS)
    roster, log = found(_ALICE, Settings("climbers"), _BOB)
    out = [_log("genesis", log[:1]), _log("add", log)]
    steps: list[tuple[str, Any, Op, Callable[[Roster], Any]]] = [
        ("role", alice, Op.ROLE, lambda _: RoleData(_BOB.account, admin=True)),
        ("policy", bob, Op.POLICY, lambda _: PolicyData(open_to_all)),
        ("update", _BOB.devices[1], Op.UPDATE, lambda _: UpdateData()),
        ("add by a second admin", bob, Op.ADD, lambda _: AddData((_CAROL.listed.raw,))),
        (
            "timer by a member",
            _CAROL.phone,
            Op.POLICY,
            lambda _: PolicyData(Settings("climbers", 5, Who.MEMBERS, Who.MEMBERS)),
        ),
        (
            "device_add by another member",
            alice,
            Op.DEVICE_ADD,
            lambda _: DeviceListData(linked.listed.raw),
        ),
        ("device_remove", alice, Op.DEVICE_REMOVE, lambda _: DeviceListData(revoked.listed.raw)),
        (
            "leave_commit",
            bob,
            Op.LEAVE_COMMIT,
            lambda roster: LeaveData(membership.make_leave(roster, alice)),
        ),
        ("remove", bob, Op.REMOVE, lambda _: RemoveData((_CAROL.account,))),
        ("back after a leave", bob, Op.ADD, lambda _: AddData((_ALICE.listed.raw,))),
    ]
    for name, author, op, data in steps:
        roster, raw = step(roster, author, op, data(roster))
        log.append(raw)
        out.append(_log(name, log))
    return out


def _log(name: str, log: list[bytes]) -> Vector:
    bodies = [membership.read_entry(raw)[0] for raw in log]
    given = {"do": "log", "log": log, "secrets": [secret(body) for body in bodies]}
    return vector("09.5", f"after {name}", given, _roster(_fold(log)))


def _fold(log: list[bytes]) -> Roster:
    roster = membership.apply(None, log[0])
    return reduce(membership.apply, log[1:], roster)


def _roster(roster: Roster) -> dict[str, Any]:
    return {
        "group": roster.group,
        "epoch": roster.epoch,
        "log_hash": roster.log_hash,
        "members_hash": roster.members_hash(),
        "members": [
            {
                "account": account,
                "admin": member.admin,
                "added": member.added,
                "since": member.since,
                "devices": [each.device for each in member.listed.devices],
            }
            for account, member in sorted(roster.members.items())
        ],
    }


def _statements() -> list[Vector]:
    roster, log = found(_ALICE, Settings("climbers"), _BOB)
    leave = membership.make_leave(roster, _BOB.devices[1])
    confirm = membership.make_confirm(_BOB.phone, roster.log_hash, _CONFIRM_KEY)
    return [
        vector(
            "09.7",
            "a leave",
            {"do": "leave", "log": log, "leave": leave},
            {"account": _BOB.account},
        ),
        vector(
            "09.8",
            "a confirm",
            {
                "do": "confirm",
                "log": log,
                "author": _ALICE.account,
                "key": _CONFIRM_KEY,
                "confirm": confirm,
            },
            {"device": _BOB.phone.device},
        ),
    ]


def check(one: Vector) -> None:
    """Run one vector; raises `AssertionError` where the library differs."""
    given: dict[str, Any] = one["given"]
    log = [bytes.fromhex(raw) for raw in given["log"]]
    before = _fold(log)
    kept = before.to_bytes()
    with expecting(one):
        result = vector("09.1", "", {}, _DO[given["do"]](before, log, given))["then"]
        assert result == one["then"]
    assert before.to_bytes() == kept


def _check_log(roster: Roster, log: list[bytes], given: Mapping[str, Any]) -> dict[str, Any]:
    for raw, known in zip(log, given["secrets"], strict=True):
        membership.check_entry_commit(membership.read_entry(raw)[0], bytes.fromhex(known))
    assert Roster.from_bytes(roster.to_bytes()) == roster
    return _roster(roster)


def _check_entry(roster: Roster, _log: list[bytes], given: Mapping[str, Any]) -> dict[str, Any]:
    membership.apply(roster, bytes.fromhex(given["entry"]))
    return {}


def _check_first(_roster: Roster, _log: list[bytes], given: Mapping[str, Any]) -> dict[str, Any]:
    membership.apply(None, bytes.fromhex(given["entry"]))
    return {}


def _check_secret(_roster: Roster, log: list[bytes], given: Mapping[str, Any]) -> dict[str, Any]:
    body, _ = membership.read_entry(log[-1])
    membership.check_entry_commit(body, bytes.fromhex(given["secret"]))
    return {}


def _check_leave(roster: Roster, _log: list[bytes], given: Mapping[str, Any]) -> dict[str, Any]:
    return {"account": membership.check_leave(roster, bytes.fromhex(given["leave"]))}


def _check_confirm(roster: Roster, _log: list[bytes], given: Mapping[str, Any]) -> dict[str, Any]:
    author, confirm, key = (bytes.fromhex(given[name]) for name in ("author", "confirm", "key"))
    device = membership.check_confirm(roster, AccountId(author), confirm, key)
    return {"device": device}


_DO: Mapping[str, Callable[[Roster, list[bytes], Mapping[str, Any]], dict[str, Any]]] = {
    "log": _check_log,
    "entry": _check_entry,
    "first": _check_first,
    "secret": _check_secret,
    "leave": _check_leave,
    "confirm": _check_confirm,
}
