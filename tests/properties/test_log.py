"""Random lives of a group: the fold of its log is deterministic and keeps its invariants."""

from functools import reduce
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from groupcrypt.errors import LocalError, MalformedFrame, NotAllowed, NotInRoster, StaleEpoch
from groupcrypt.protocol import membership
from groupcrypt.protocol.identity import LocalIdentity
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
)
from groupcrypt.protocol.membership.accounts import devices_of
from groupcrypt.testing.entropy import SeededEntropy
from groupcrypt.testing.logbook import forge, found, step
from groupcrypt.testing.person import Person, make_device, make_person, with_devices

ENTROPY = SeededEntropy(b"test log")
CAST = tuple(make_person(ENTROPY.fork(str(n)), devices=2) for n in range(6))
REFUSED = (MalformedFrame, NotAllowed, NotInRoster, StaleEpoch)  # by a rule, not by the result
WHO = st.integers(0, len(CAST) - 1)


def replay(log: list[bytes]) -> Roster:
    return reduce(membership.apply, log[1:], membership.apply(None, log[0]))


class Life(RuleBasedStateMachine):
    """Whoever it is tries what comes to mind; what `draft` lets through, everybody accepts."""

    @initialize(members=st.integers(1, 5))
    def begin(self, members: int) -> None:
        self.people = list(CAST)
        self.roster, self.log = found(CAST[0], Settings("x"), *CAST[1:members])
        self.spares = 0

    def attempt(self, author: LocalIdentity, op: Op, data: Any) -> None:
        before = self.roster.to_bytes()
        try:
            self.roster, raw = step(self.roster, author, op, data)
            self.log.append(raw)
        except LocalError:
            with pytest.raises(REFUSED):  # what is refused locally is refused by all
                membership.apply(
                    self.roster, membership.sign_entry(forge(self.roster, author, op, data), author)
                )
            assert self.roster.to_bytes() == before

    def author(self, who: int, device: int) -> LocalIdentity:
        devices = self.people[who].devices
        return devices[device % len(devices)]

    @rule(who=WHO, device=st.integers(0, 1), whom=st.lists(WHO, max_size=2))
    def add(self, who: int, device: int, whom: list[int]) -> None:
        lists = tuple(self.people[each].listed.raw for each in whom)
        self.attempt(self.author(who, device), Op.ADD, AddData(lists))

    @rule(who=WHO, device=st.integers(0, 1), whom=st.lists(WHO, max_size=2))
    def remove(self, who: int, device: int, whom: list[int]) -> None:
        accounts = tuple(self.people[each].account for each in whom)
        self.attempt(self.author(who, device), Op.REMOVE, RemoveData(accounts))

    @rule(who=WHO, device=st.integers(0, 1), whom=WHO, admin=st.booleans())
    def role(self, who: int, device: int, whom: int, *, admin: bool) -> None:
        data = RoleData(self.people[whom].account, admin=admin)
        self.attempt(self.author(who, device), Op.ROLE, data)

    @rule(who=WHO, device=st.integers(0, 1), add=st.booleans(), timer=st.sampled_from([0, 4, 5]))
    def policy(self, who: int, device: int, timer: int, *, add: bool) -> None:
        data = PolicyData(Settings("x", timer, int(add)))
        self.attempt(self.author(who, device), Op.POLICY, data)

    @rule(who=WHO, device=st.integers(0, 1))
    def update(self, who: int, device: int) -> None:
        self.attempt(self.author(who, device), Op.UPDATE, UpdateData())

    @rule(whom=WHO)
    def link(self, whom: int) -> None:
        person = self.people[whom]
        if len(person.devices) < 4:
            self.spares += 1
            device = make_device(person.key, ENTROPY.fork(f"spare {self.spares}"))
            self.people[whom] = with_devices(person, *person.devices, device)

    @rule(whom=WHO)
    def revoke(self, whom: int) -> None:
        person = self.people[whom]
        if len(person.devices) > 1:
            self.people[whom] = with_devices(person, *person.devices[1:])

    @rule(who=WHO, whom=WHO, op=st.sampled_from([Op.DEVICE_ADD, Op.DEVICE_REMOVE]))
    def relist(self, who: int, whom: int, op: Op) -> None:
        data = DeviceListData(self.people[whom].listed.raw)
        self.attempt(self.author(who, 0), op, data)

    @rule(who=WHO, whom=WHO, device=st.integers(0, 1))
    def leave(self, who: int, whom: int, device: int) -> None:
        try:
            proposal = membership.make_leave(self.roster, self.author(whom, device))
        except LocalError:
            return
        self.attempt(self.author(who, 0), Op.LEAVE_COMMIT, LeaveData(proposal))

    @invariant()
    def the_roster_is_sound(self) -> None:
        roster = self.roster
        assert roster.admins
        assert dict(roster.devices) == devices_of(roster.members.values())
        assert roster.epoch == len(self.log) - 1
        assert all(account == member.account for account, member in roster.members.items())
        body, _ = membership.read_entry(self.log[-1])
        assert body.author in roster.devices
        assert body.members_hash == roster.members_hash()

    def teardown(self) -> None:
        if hasattr(self, "log"):
            again = replay(self.log)
            assert again == self.roster
            assert Roster.from_bytes(again.to_bytes()) == self.roster


Life.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestLife: Any = pytest.mark.spec("09.3-3")(Life.TestCase)


def test_the_cast_is_made_of_different_people() -> None:
    people: tuple[Person, ...] = CAST
    assert len({person.account for person in people}) == len(people)
