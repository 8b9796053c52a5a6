"""Which entry is valid after which log, and what it makes of the roster (spec 09.5, 09.6).

Rules of this file:
- Validity is a pure function of the log so far and the entry's bytes: never of time, of what one
  member happens to know beside the log, or of how a verifier feels about it.
- An entry that is refused has changed nothing; every member refuses it alike.
- The author's device is a member of every roster its entry makes: who leaves or is removed never
  drew the secret of the epoch without them.
- Only `commit` is not judged here: that needs the epoch's secret (spec 09.4).

`apply` judges what came (`RemoteError`), `draft` what the user wants (`LocalError`).
"""

from collections.abc import Iterator
from dataclasses import replace

from groupcrypt.errors import (
    AlreadyMember,
    AuthenticationFailed,
    ContentTooLarge,
    Exhausted,
    MalformedFrame,
    NotAllowed,
    NotAMember,
    NotInRoster,
    NotPermitted,
    RemoteError,
    StaleEpoch,
)
from groupcrypt.protocol import limits
from groupcrypt.protocol.identifiers import AccountId, DeviceId, GroupId, LogHash
from groupcrypt.protocol.identity import (
    DeviceList,
    LocalIdentity,
    read_device_list,
    stored_device_list,
)
from groupcrypt.protocol.membership.accounts import Member, Roster, check_settings, devices_of
from groupcrypt.protocol.membership.log import (
    AddData,
    DeviceListData,
    Entry,
    EntryBody,
    GenesisData,
    LeaveData,
    Op,
    RemoveData,
    check_signature,
    genesis_hash,
    group_id,
    log_hash,
    read_entry,
    sign_entry,
)
from groupcrypt.protocol.membership.ops import RULES, UNKNOWN, Case, entry_data
from groupcrypt.protocol.membership.statements import leaving_device
from groupcrypt.protocol.primitives import ZERO32


def apply(roster: Roster | None, raw: bytes) -> Roster:
    """The roster after this entry; `None` stands before genesis (spec 09.5).

    Raises `MalformedFrame`, `UnsupportedVersion`, `StaleEpoch`, `NotInRoster`, `NotAllowed`,
    `BadKey` or `AuthenticationFailed`; the caller's roster is unchanged then.
    """
    body, entry = read_entry(raw)
    if roster is None:
        return _found(body, entry)
    if (body.group, body.epoch, body.previous) != (
        roster.group,
        roster.epoch + 1,
        roster.log_hash,
    ):
        raise StaleEpoch(f"an entry that does not continue the log at epoch {roster.epoch}")
    author = roster.devices.get(body.author)
    if author is None:
        raise NotInRoster("an entry by a device that is not in the group")
    check_signature(entry, author)
    made = _advance(roster, author.account, body)
    if made.members_hash() != body.members_hash:
        raise AuthenticationFailed("an entry states another result than it has")
    return _seal(made, log_hash(roster.log_hash, entry.body))


def stays(log: tuple[bytes, ...], account: AccountId, device: DeviceId) -> tuple[range, ...]:
    """The epochs in which a device was a member, stretch by stretch; of a log that was checked."""
    found: list[range] = []
    own: set[bytes] = set()  # the devices of the account
    since, end = -1, 0  # -1: the device is no member
    for raw in log:
        body, _ = read_entry(raw)
        own = _devices_after(body, account, own)
        if device in own and since < 0:
            since = body.epoch
        if device not in own and since >= 0:
            found.append(range(since, body.epoch))
            since = -1
        end = body.epoch + 1
    return (*found, range(since, end)) if since >= 0 else tuple(found)


def _devices_after(body: EntryBody, account: AccountId, own: set[bytes]) -> set[bytes]:
    """The devices of an account that are members after an entry."""
    if body.op == Op.REMOVE and account in entry_data(RemoveData, body).accounts:
        return set()
    if body.op == Op.LEAVE_COMMIT:
        return set() if leaving_device(entry_data(LeaveData, body).proposal) in own else own
    for listed in _lists_in(body):
        if listed.account == account:
            own = {each.device for each in listed.devices}
    return own


def _lists_in(body: EntryBody) -> Iterator[DeviceList]:
    """The device lists that an entry brings."""
    match body.op:
        case Op.GENESIS:
            yield stored_device_list(entry_data(GenesisData, body).device_list)
        case Op.ADD:
            yield from map(stored_device_list, entry_data(AddData, body).device_lists)
        case Op.DEVICE_ADD | Op.DEVICE_REMOVE:
            yield stored_device_list(entry_data(DeviceListData, body).device_list)
        case _:
            pass


def draft(
    roster: Roster | None, *, author: LocalIdentity, op: Op, data: bytes, now: float
) -> EntryBody:
    """The body of an entry this device may make now; its `commit` is still zeros (spec 09.5).

    Raises `NotAMember`, `AlreadyMember`, `ContentTooLarge`, `Exhausted`, or `NotPermitted` with
    what would have to be otherwise.
    """
    if roster is not None and author.device not in roster.devices:
        raise NotAMember("this device is not in the group (any more)")
    if roster is not None and roster.epoch == limits.MAX_EPOCH:
        raise Exhausted("the group has used up its epochs; found a new one")
    body = EntryBody(
        version=limits.VERSION,
        group=GroupId(ZERO32) if roster is None else roster.group,
        epoch=0 if roster is None else roster.epoch + 1,
        previous=LogHash(ZERO32) if roster is None else roster.log_hash,
        author=author.device,
        op=op,
        data=data,
        members_hash=ZERO32,
        commit=ZERO32,
        time=int(now),
    )
    if len(sign_entry(body, author)) > limits.MAX_ENTRY_BYTES:
        raise ContentTooLarge("too much for one entry; add or remove fewer accounts at once")
    try:
        if roster is None:
            made = _genesis(body)
        else:
            _refuse_known(roster, body)
            made = _advance(roster, author.account, body)
    except RemoteError as error:
        raise NotPermitted(str(error)) from error
    return replace(body, members_hash=made.members_hash())


def _refuse_known(roster: Roster, body: EntryBody) -> None:
    if body.op != Op.ADD:
        return
    for raw in entry_data(AddData, body).device_lists:
        if read_device_list(raw).account in roster.members:
            raise AlreadyMember("the account is in the group already; its role can be changed")


# --- Genesis --------------------------------------------------------------------------------


def _found(body: EntryBody, entry: Entry) -> Roster:
    if body.op != Op.GENESIS or (body.group, body.epoch, body.previous) != (ZERO32, 0, ZERO32):
        raise StaleEpoch("a log begins with a genesis entry at epoch 0")
    made = _genesis(body)
    check_signature(entry, made.devices[body.author])
    if made.members_hash() != body.members_hash:
        raise AuthenticationFailed("an entry states another result than it has")
    group = group_id(entry.body)
    return _seal(replace(made, group=group), genesis_hash(group))


def _genesis(body: EntryBody) -> Roster:
    data = entry_data(GenesisData, body)
    check_settings(data.settings)
    listed = read_device_list(data.device_list)
    founder = Member.make(listed, admin=True, added=UNKNOWN, since=0)
    devices = devices_of([founder])
    if body.author not in devices:
        raise NotInRoster("a genesis by a device that is not in its own list")
    return Roster(
        group=GroupId(ZERO32),
        epoch=0,
        log_hash=UNKNOWN,
        members={listed.account: founder},
        devices=devices,
        settings=data.settings,
        recent=((Op.GENESIS, listed.account),),
    )


# --- One step -------------------------------------------------------------------------------


def _advance(roster: Roster, author: AccountId, body: EntryBody) -> Roster:
    """The roster after a well-signed, chaining entry, its log hash still unknown."""
    if body.op == Op.GENESIS:
        raise StaleEpoch("a genesis in a log that has one")
    change = RULES[Op(body.op)](Case(roster, author, body))
    members, devices = dict(roster.members), dict(roster.devices)
    for account, member in change.members.items():
        before = members.pop(account, None)
        for gone in devices_of(() if before is None else (before,)):
            del devices[gone]
        if member is not None:
            members[account] = member
            devices.update(devices_of((member,)))
    if len(devices) > limits.MAX_GROUP_DEVICES:
        raise MalformedFrame(
            f"{len(devices)} devices; a group has at most {limits.MAX_GROUP_DEVICES}"
        )
    if body.author not in devices:
        raise NotAllowed("an entry that removes its own author; another member has to commit it")
    if not any(member.admin for member in members.values()):
        raise NotAllowed("at least one admin remains; make another member admin first")
    return Roster(
        group=roster.group,
        epoch=body.epoch,
        log_hash=UNKNOWN,
        members=members,
        devices=devices,
        settings=roster.settings if change.settings is None else change.settings,
        recent=(*roster.recent, (body.op, author))[-limits.UPDATE_DISTANCE :],
    )


def _seal(made: Roster, head: LogHash) -> Roster:
    """Fill in the entry's own hash, which is known only once its body is complete."""
    members = dict(made.members)
    for account, member in made.members.items():
        if member.added == UNKNOWN:
            members[account] = replace(member, added=head)
    return replace(made, log_hash=head, members=members)
