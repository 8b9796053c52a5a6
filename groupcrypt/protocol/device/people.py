"""The people this device knows: contacts and fellow members (spec 12.2).

Rules of this file:
- What a slot says is believed only as far as the account key signed it.
- A list that does not follow the known one pauses sending to that account; the user decides.
"""

from dataclasses import replace

from groupcrypt.errors import (
    AuthenticationFailed,
    IdentityChanged,
    InvalidCard,
    MalformedFrame,
    NotAllowed,
    NotPermitted,
    RemoteError,
    StaleSlot,
    UnknownDevice,
)
from groupcrypt.protocol import broadcast, identity
from groupcrypt.protocol.broadcast import SlotValue
from groupcrypt.protocol.device import account as own
from groupcrypt.protocol.device import lists
from groupcrypt.protocol.device.state import DeviceState, Person, SeenSlot, Stated, Work
from groupcrypt.protocol.events import ContactSeen, IdentityAlarm
from groupcrypt.protocol.identifiers import AccountId, DeviceId
from groupcrypt.protocol.identity import Card, DeviceEntry, DeviceList, read_account_record

RECORD_PATIENCE_MS = 3_600_000  # between two readings of an account's slot for one statement
OWN_RECORD_MS = 24 * 3_600_000  # between two readings of the own account's, on a linked device


def add_contact(work: Work, contact: Card, held: SlotValue) -> AccountId:
    """Take a card and the slot it names; raises a `RemoteError` if they do not fit (02.4)."""
    record, listed = _read_slot(contact, held)
    if listed.account == work.state.account:
        raise NotPermitted("this is your own card: give it to others, and import theirs")
    before = work.state.people.get(listed.account)
    slot = newer_slot(None if before is None else before.slot, contact.slot_name, held)
    learn(work, record)
    person = work.state.people[listed.account]
    _put(work, listed.account, replace(person, card=person.card or str(contact), slot=slot))
    return listed.account


def _read_slot(contact: Card, held: SlotValue) -> tuple[bytes, DeviceList]:
    value = broadcast.verify_slot(contact.slot_name, held)
    record = identity.open_slot(contact.slot_key, value)
    _, listed = read_account_record(record)
    if listed.account != contact.account:
        raise AuthenticationFailed("the slot belongs to another account than the card")
    return record, listed


def take_over(work: Work, record: bytes, text: str) -> None:
    """A person whose card another device of this account took; may raise a `RemoteError` (12.9)."""
    try:
        contact = Card.parse(text)
    except InvalidCard as error:
        raise MalformedFrame(str(error)) from None
    account = read_account_record(record)[1].account
    if contact.account != account or account == work.state.account:
        raise NotAllowed("a card and a record of two accounts, or of the own one")
    learn(work, record)
    person = work.state.people[account]
    if not person.card:
        _put(work, account, replace(person, card=text))


def newer_slot(seen: SeenSlot | None, name: bytes, held: SlotValue) -> SeenSlot:
    """What is to be remembered of a slot's value; raises `StaleSlot` for an older one (12.2)."""
    if seen is not None and seen.name == name and held.version < seen.version:
        raise StaleSlot("a slot holds an older value than it did before")
    return SeenSlot(name, held.version)


def learn(work: Work, record: bytes) -> None:
    """An account's record from its slot or a fellow member; the account key decides (12.2)."""
    _, listed = read_account_record(record)
    account = listed.account
    if account == work.state.account:
        lists.learn(work, record)
        return
    person = work.state.people.get(account)
    if person is None:
        _put(work, account, Person(record))
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
        if person.offered != record:
            _alarm(work, account, replace(person, offered=record))
        return
    _take(work, account, person, record)
    _settle(work, account)


def _take(work: Work, account: AccountId, person: Person, record: bytes) -> None:
    """A record in the place of the one before; devices that its list dropped are forgotten."""
    _put(work, account, replace(person, record=record))
    for device, peer in list(work.state.peers.items()):
        if peer.core.account == account and not has_device(work.state, account, device):
            work.drop_peer(device)


def _alarm(work: Work, account: AccountId, person: Person) -> None:
    _put(work, account, replace(person, paused=True))
    if not person.paused:
        work.events.append(IdentityAlarm(account))


def hear_list(work: Work, account: AccountId, version: int, list_hash: bytes) -> None:
    """What a listed device states of its account's list: is it the one we hold? (spec 12.2)."""
    person = work.state.people.get(account)
    core = work.state.core
    newer = account == work.state.account and version > own.own_list(work.state).version
    if newer and work.ms - core.list_asked >= RECORD_PATIENCE_MS:
        lists.doubt(work)
    if person is None:
        return
    known, stated = device_list_of(person), person.stated
    said = Stated(version, list_hash, 0)
    if version > known.version:
        if stated is None or version > stated.version:
            _put(work, account, replace(person, stated=said))
    elif known.hash_at(version) not in (list_hash, None) and not _same(stated, said):
        _alarm(work, account, replace(person, stated=said))


def _same(one: Stated | None, other: Stated) -> bool:
    return one is not None and (one.version, one.hash) == (other.version, other.hash)


def _settle(work: Work, account: AccountId) -> None:
    """Compare a list that was learned with what a device had stated before."""
    person = work.state.people[account]
    stated, known = person.stated, device_list_of(person)
    if stated is None or stated.version > known.version:
        return
    if known.hash_at(stated.version) in (stated.hash, None):
        _put(work, account, replace(person, stated=None))
    else:
        _alarm(work, account, person)


def wanted(state: DeviceState, now: float) -> dict[AccountId, Card]:
    """Accounts whose record is to be fetched: a device named a newer list than ours (12.2)."""
    ms = int(now * 1000)
    core, found = state.core, dict[AccountId, Card]()
    pause = OWN_RECORD_MS if core.linking is None else RECORD_PATIENCE_MS
    if core.account_key is None and ms - core.list_asked >= pause:
        found[state.account] = Card.parse(core.card)
    return found | {
        account: Card.parse(person.card)
        for account, person in state.people.items()
        if person.stated is not None
        and person.card
        and ms - person.stated.asked_at >= RECORD_PATIENCE_MS
    }


def record_arrived(work: Work, account: AccountId, held: SlotValue) -> None:
    """The slot of an account that `wanted` named; may raise a `RemoteError` (spec 12.2)."""
    person = work.state.people.get(account)
    if account == work.state.account:
        learn(work, _read_slot(own.card(work.state), held)[0])
    elif person is not None and person.card:
        add_contact(work, Card.parse(person.card), held)


def asked(work: Work, account: AccountId) -> None:
    """An account's slot was read, with what outcome ever: not again for a while."""
    person = work.state.people.get(account)
    if account == work.state.account:
        work.set_core(list_asked=work.ms)
    elif person is not None and person.stated is not None:
        stated = replace(person.stated, asked_at=work.ms)
        _put(work, account, replace(person, stated=stated))


def newest_list(state: DeviceState, account: AccountId) -> DeviceList | None:
    """The newest list held of an account, from its record or from the log of a group."""
    person = state.people.get(account)
    found = [] if person is None else [device_list_of(person)]
    found += [own.own_list(state)] if account == state.account else []
    for group in state.groups.values():
        for roster in (group.base.roster, group.roster):
            member = roster.members.get(account)
            if member is not None:
                found.append(member.listed)
    return max(found, key=lambda listed: listed.version, default=None)


def has_device(state: DeviceState, account: AccountId, device: DeviceId) -> bool:
    """Whether a device may be written to: a list of its account has it, or none is known (12.2).

    The record is asked first, as that costs the same however many groups there are.
    """
    person = state.people.get(account)
    if person is not None and _lists(device_list_of(person), device):
        return True
    listed = newest_list(state, account)
    return listed is None or _lists(listed, device)


def _lists(listed: DeviceList, device: DeviceId) -> bool:
    return any(each.device == device for each in listed.devices)


def device_list_of(person: Person) -> DeviceList:
    """The person's device list as stored (verified when it was learned)."""
    return read_account_record(person.record)[1]


def _put(work: Work, account: AccountId, person: Person) -> None:
    work.set(people={**work.state.people, account: person})


def accept(work: Work, account: AccountId) -> None:
    """The user accepts the account as it is now, with the list that alarmed (spec 02.6, 12.2)."""
    if account == work.state.account:
        return  # its list is not a matter of taste, only what its devices' sessions prove
    person = work.state.people.get(account)
    if person is None:
        raise UnknownDevice("no contact with this id: import its contact card first")
    accepted = replace(person, paused=False, verified=False, offered=None)
    _take(work, account, accepted, person.offered or person.record)


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
    """The devices of an account as it signed them last; of the own one, all but this."""
    if account == state.account:
        return sorted(lists.ids(own.own_list(state)) - {state.device})
    person = state.people.get(account)
    if person is None:
        return []
    return [certificate.device for certificate in device_list_of(person).devices]


def list_of(state: DeviceState, account: AccountId) -> DeviceList:
    """The list by which a session with an account begins; raises `UnknownDevice`."""
    person = state.people.get(account)
    if account == state.account:
        return own.own_list(state)
    if person is None:
        raise UnknownDevice("no contact with this id: import its contact card first")
    return device_list_of(person)


def entry_of(state: DeviceState, device: DeviceId) -> tuple[AccountId, DeviceEntry] | None:
    """Where a device's bundle lies, if any record we hold says so."""
    for entry in state.core.others:
        if entry.device == device:
            return state.account, entry
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
