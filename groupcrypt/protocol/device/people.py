"""The people this device knows: contacts and fellow members (spec 12.2).

Rules of this file:
- What a slot says is believed only as far as the account key signed it.
- A list that does not follow the known one pauses sending to that account; the user decides.
"""

from dataclasses import replace

from groupcrypt.errors import (
    AuthenticationFailed,
    IdentityChanged,
    NotPermitted,
    RemoteError,
    UnknownDevice,
)
from groupcrypt.protocol import broadcast, identity
from groupcrypt.protocol.broadcast import SlotValue
from groupcrypt.protocol.device import account as own
from groupcrypt.protocol.device.state import DeviceState, Person, Work
from groupcrypt.protocol.events import ContactSeen, IdentityAlarm
from groupcrypt.protocol.identifiers import AccountId, DeviceId
from groupcrypt.protocol.identity import Card, DeviceEntry, DeviceList, read_account_record


def add_contact(work: Work, contact: Card, held: SlotValue) -> AccountId:
    """Take a card and the slot it names; raises a `RemoteError` if they do not fit (02.4)."""
    value = broadcast.verify_slot(contact.slot_name, held)
    record = identity.open_slot(contact.slot_key, value)
    _, listed = read_account_record(record)
    if listed.account != contact.account:
        raise AuthenticationFailed("the slot belongs to another account than the card")
    if listed.account == work.state.account:
        raise NotPermitted("this is your own card: give it to others, and import theirs")
    learn(work, record)
    person = work.state.people[listed.account]
    if not person.card:
        person = replace(person, card=str(contact))
        work.set(people={**work.state.people, listed.account: person})
    return listed.account


def learn(work: Work, record: bytes) -> None:
    """An account's record from its slot or a fellow member; the account key decides (12.2)."""
    _, listed = read_account_record(record)
    account = listed.account
    if account == work.state.account:
        return
    person = work.state.people.get(account)
    if person is None:
        work.set(people={**work.state.people, account: Person(record, "", False, False)})
        work.events.append(ContactSeen(account))
        return
    if person.record == record:
        return
    old = device_list_of(person)
    if listed.version < old.version:
        return
    try:
        if listed.hash != old.hash:
            identity.check_succession(old, listed)
    except RemoteError:
        paused = replace(person, paused=True)
        work.set(people={**work.state.people, account: paused})
        work.events.append(IdentityAlarm(account))
        return
    work.set(people={**work.state.people, account: replace(person, record=record)})


def device_list_of(person: Person) -> DeviceList:
    """The person's device list as stored (verified when it was learned)."""
    return read_account_record(person.record)[1]


def _put(work: Work, account: AccountId, person: Person) -> None:
    work.set(people={**work.state.people, account: person})


def accept(work: Work, account: AccountId) -> None:
    """The user accepts the account as it is now (spec 02.6)."""
    person = work.state.people.get(account)
    if person is None:
        raise UnknownDevice("no contact with this id: import its contact card first")
    _put(work, account, replace(person, paused=False, verified=False))


def set_verified(work: Work, account: AccountId) -> None:
    """The user compared safety numbers (spec 02.6)."""
    _put(work, account, replace(person_of(work.state, account), verified=True))


def safety_number(state: DeviceState, account: AccountId) -> str:
    """The 60 digits both sides compare (spec 02.6)."""
    person = state.people.get(account)
    if person is None:
        raise UnknownDevice("no contact with this id: import its contact card first")
    return identity.safety_number(own.own_list(state), device_list_of(person))


def person_of(state: DeviceState, account: AccountId) -> Person:
    """A person we may write to; raises `UnknownDevice` or `IdentityChanged`."""
    person = state.people.get(account)
    if person is None:
        raise UnknownDevice("no contact with this id: import its contact card first")
    if person.paused:
        raise IdentityChanged(
            "the contact's identity changed: compare safety numbers, then accept the change"
        )
    return person


def devices_of(state: DeviceState, account: AccountId) -> list[DeviceId]:
    """The devices of an account as it signed them last."""
    person = state.people.get(account)
    if person is None:
        return []
    return [certificate.device for certificate in device_list_of(person).devices]


def entry_of(state: DeviceState, device: DeviceId) -> tuple[AccountId, DeviceEntry] | None:
    """Where a device's bundle lies, if any record we hold says so."""
    peer = state.peers.get(device)
    accounts = list(state.people) if peer is None else [AccountId(peer.core.account)]
    for account in accounts:
        person = state.people.get(account)
        if person is None:
            continue
        for entry in read_account_record(person.record)[0].devices:
            if entry.device == device:
                return account, entry
    return None
