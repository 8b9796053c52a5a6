"""What people who are neither contacts nor fellow members can make this device keep (spec 12.8).

Rules of this file:
- A stranger is an account whose card we never took and that shares no group with us. Who knows our
  card can be one; as many as they like.
- Each kind of thing has a number; at it the newest is refused, so that what is there stays. Only a
  stranger of long ago makes place for a new one.
"""

from groupcrypt.errors import NoRoom
from groupcrypt.protocol import limits
from groupcrypt.protocol.device import people
from groupcrypt.protocol.device.state import DeviceState, Work
from groupcrypt.protocol.identifiers import AccountId, DeviceId, GroupId
from groupcrypt.protocol.identity import read_account_record

STRANGER_MS = limits.STRANGER_SECONDS * 1000


def is_stranger(state: DeviceState, account: AccountId) -> bool:
    """Whether we neither took its card nor share a group with it (spec 12.8)."""
    return not _known(state, account, _fellows(state))


def place_for(state: DeviceState, account: AccountId, ms: int) -> DeviceId | None:
    """Whose place a device takes that we hold nothing about, if any's; raises `NoRoom`."""
    if not is_stranger(state, account):
        return None
    there = _devices(state)
    if len(there) < limits.MAX_STRANGERS:
        return None
    met_at, oldest = there[0]
    if ms - met_at < STRANGER_MS:
        raise NoRoom("too many devices of strangers have a session with this one")
    return oldest


def room_for_message(state: DeviceState, account: AccountId) -> None:
    """Before a direct message becomes an inbox row; raises `NoRoom`."""
    if not is_stranger(state, account):
        return
    fellows = _fellows(state)
    theirs = [
        row
        for row in state.inbox.values()
        if row.group is None and not _known(state, AccountId(row.sender), fellows)
    ]
    if len(theirs) >= limits.MAX_STRANGER_MESSAGES:
        raise NoRoom("too many messages of strangers wait for the application")


def room_for_talk(state: DeviceState, account: AccountId) -> None:
    """Before a timer that a stranger said is kept; raises `NoRoom`."""
    if account in state.talks or not is_stranger(state, account):
        return
    unknown = [name for name in state.talks if name not in state.people and not _of(state, name)]
    if len(unknown) >= limits.MAX_STRANGERS:
        raise NoRoom("too many strangers said how long their messages are shown")


def forget_talks(work: Work) -> None:
    """Once a day: nothing is kept of conversations with accounts that are not known any more."""
    met = {peer.core.account for peer in work.state.peers.values()}
    kept = {
        name: talk
        for name, talk in work.state.talks.items()
        if name in work.state.people or name in met or _of(work.state, name)
    }
    if len(kept) != len(work.state.talks):
        work.set(talks=kept)


def _of(state: DeviceState, name: bytes) -> bool:
    return GroupId(name) in state.groups


def room_for_group(state: DeviceState, account: AccountId) -> None:
    """Before a Welcome from this account is taken; raises `NoRoom`."""
    if len(state.groups) >= limits.MAX_STRANGER_GROUPS and is_stranger(state, account):
        raise NoRoom("a stranger added this device to one group too many")


def meet(work: Work, record: bytes) -> None:
    """Learn a record of a fellow member; raises `NoRoom` for one person too many (spec 12.8)."""
    account = read_account_record(record)[1].account
    if account not in work.state.people and not _room_for_person(work):
        raise NoRoom("too many people are known without their card")
    people.learn(work, record)


def _room_for_person(work: Work) -> bool:
    met = [name for name, person in work.state.people.items() if not person.card]
    if len(met) < limits.MAX_MET_PEOPLE:
        return True
    fellows = _fellows(work.state)
    gone = {name for name in met if name not in fellows and not work.state.people[name].verified}
    kept = {name: person for name, person in work.state.people.items() if name not in gone}
    work.set(people=kept)
    return bool(gone)


def forget(work: Work) -> None:
    """Once a day: of former fellow members, now strangers, the oldest over the number go."""
    there = _devices(work.state)
    for _, device in there[: max(len(there) - limits.MAX_STRANGERS, 0)]:
        work.drop_peer(device)


def _fellows(state: DeviceState) -> set[AccountId]:
    return {
        account
        for group in state.groups.values()
        if group.member
        for account in group.roster.members
    }


def _known(state: DeviceState, account: AccountId, fellows: set[AccountId]) -> bool:
    return account == state.account or account in fellows or _has_card(state, account)


def _has_card(state: DeviceState, account: AccountId) -> bool:
    person = state.people.get(account)
    return person is not None and bool(person.card)


def _devices(state: DeviceState) -> list[tuple[int, DeviceId]]:
    """The devices of strangers that are held, those met first in front."""
    fellows = _fellows(state)
    return sorted(
        (peer.core.met_at, device)
        for device, peer in state.peers.items()
        if not _known(state, AccountId(peer.core.account), fellows)
    )
