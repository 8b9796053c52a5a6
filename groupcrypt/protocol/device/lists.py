"""The own device list, followed by every group this account is in (spec 12.9).

Rules of this file:
- The device that holds the account signs lists; it also sees to it that each log follows them.
- One entry adds devices or drops them: where a log is several lists behind it follows one by one.
"""

from groupcrypt.errors import NotPermitted, RemoteError
from groupcrypt.protocol import group as groups
from groupcrypt.protocol import limits, wire
from groupcrypt.protocol.device import account as own
from groupcrypt.protocol.device.state import DeviceCore, DeviceState, Work
from groupcrypt.protocol.events import DeviceLinked, DeviceRevoked, IdentityAlarm
from groupcrypt.protocol.group import Turn
from groupcrypt.protocol.identifiers import AccountId, DeviceId
from groupcrypt.protocol.identity import (
    DeviceEntry,
    DeviceList,
    check_succession,
    read_account_record,
    stored_device_list,
)
from groupcrypt.protocol.membership import DeviceListData, Op


def ids(listed: DeviceList) -> frozenset[DeviceId]:
    """The devices a list names."""
    return frozenset(each.device for each in listed.devices)


def check_listed(state: DeviceState) -> None:
    """Raises `NotPermitted` on a device that is not linked yet, or was revoked."""
    if state.device in ids(own.own_list(state)):
        return
    if state.core.linking is not None:
        raise NotPermitted("this device is not linked yet: show its linking text again")
    raise NotPermitted("this device was revoked by its account; link it anew in another folder")


def follow(core: DeviceCore, turn: Turn) -> None:
    """On the device that holds the account: want this group's log to follow the own list."""
    member = turn.group.roster.members.get(AccountId(core.identity.account))
    if core.account_key is None or member is None or not turn.group.member:
        return
    held = ids(member.listed)
    for raw in (core.device_list, *core.lists_before):
        listed = stored_device_list(raw)
        if listed.version <= member.listed.version:
            return
        if held < ids(listed) or ids(listed) < held:
            op = Op.DEVICE_ADD if held < ids(listed) else Op.DEVICE_REMOVE
            data = wire.encode(DeviceListData(raw))
            groups.want(turn, op, data, (wire.encode(own.own_record(core)),))
            return


def let_go(core: DeviceCore, turn: Turn) -> None:
    """On a revoked device: a group whose secret it would have to ask for is over (spec 12.10)."""
    stuck = turn.group.member and groups.lacks_secret(turn.group)
    if stuck and core.linking is None:
        listed = stored_device_list(core.device_list)
        if turn.me.device not in ids(listed):
            groups.depart(turn, listed.account)


def doubt(work: Work) -> None:
    """On a linked device: read the account's slot, perhaps it is not in the list any more."""
    if work.state.core.account_key is None:
        work.set_core(list_asked=0)


def adopt(work: Work, listed: DeviceList, entries: tuple[DeviceEntry, ...], name: str) -> None:
    """Take a list of the own account, which follows the one held; devices it drops are gone."""
    core, before = work.state.core, own.own_list(work.state)
    places = {entry.device: entry for entry in (*core.others, *entries)}
    others = ids(listed) - {work.state.device}
    older = (core.device_list, *core.lists_before)[: limits.MAX_ACCOUNT_DEVICES]
    work.set_core(
        device_list=listed.raw,
        lists_before=() if core.account_key is None else older,
        others=tuple(places[device] for device in sorted(others) if device in places),
        name=name,
    )
    for device, peer in list(work.state.peers.items()):
        if peer.core.account == work.state.account and device not in others:
            work.drop_peer(device)
    if work.state.device in ids(listed) and core.account_key is None:
        work.set_core(linking=None)
    work.events += [DeviceLinked(device) for device in sorted(ids(listed) - ids(before))]
    work.events += [DeviceRevoked(device) for device in sorted(ids(before) - ids(listed))]


def learn(work: Work, raw: bytes) -> None:
    """A record of the own account from others: a linked device learns its list so (spec 12.9)."""
    record, listed = read_account_record(raw)
    core, held = work.state.core, own.own_list(work.state)
    if held.hash_at(listed.version) == listed.hash and listed.version < held.version:
        return
    if listed.hash != held.hash and (core.account_key is not None or not _follows(held, listed)):
        work.events.append(IdentityAlarm(work.state.account))  # somebody else has the key
    elif core.account_key is None:
        adopt(work, listed, record.devices, record.name)


def _follows(held: DeviceList, listed: DeviceList) -> bool:
    try:
        check_succession(held, listed)
    except RemoteError:
        return False
    return True
