"""This account and this device: what it publishes, and cards to give away (spec 12.2).

Rules of this file:
- Every value a device publishes is an outbox row, so a crash repeats it byte for byte.
- Each put to a slot has a higher version than all before it.
- One put of a slot is under way at a time: what changes meanwhile is put when it was answered.
"""

from dataclasses import replace

from groupcrypt.protocol import broadcast, handshake, identity, limits, wire
from groupcrypt.protocol.broadcast import (
    MAX_POOL_PUT_ITEMS,
    PoolCount,
    PoolPut,
    SlotPut,
    read_request,
    token_hash,
    write_request,
)
from groupcrypt.protocol.device.state import DeviceCore, DeviceState, Mailbox, OwnSlot, Work
from groupcrypt.protocol.handshake import Prekeys
from groupcrypt.protocol.identifiers import AccountId
from groupcrypt.protocol.identity import (
    AccountRecord,
    Card,
    DeviceEntry,
    DeviceList,
    LocalIdentity,
    stored_device_list,
)
from groupcrypt.protocol.primitives import DhPrivate, Entropy, SigningKey

AGAIN_MS = 60_000
SKIPPED_VERSIONS = 65_536  # of the device's slot; more openings than a lost life has had


def found(
    name: str, server: str, server_key: bytes, *, now: float, entropy: Entropy
) -> DeviceState:
    """A new account with one device; nothing is published yet (spec 12.2)."""
    account_key = SigningKey.generate(entropy)
    signing, dh = SigningKey.generate(entropy), DhPrivate.generate(entropy)
    certificate = identity.certify(account_key, signing, dh)
    listed = identity.make_device_list(account_key, None, [certificate])
    slot = OwnSlot(SigningKey.generate(entropy), entropy(32), 0)
    card = Card(
        AccountId(account_key.public),
        server,
        server_key,
        broadcast.slot_name(slot.signing.public),
        slot.opening,
    )
    core = first_core(
        LocalIdentity(certificate, signing, dh),
        OwnSlot(SigningKey.generate(entropy), entropy(32), 0),
        listed=listed.raw,
        card=card,
        name=name,
        now=now,
        entropy=entropy,
    )
    core = replace(core, account_key=account_key, account_slot=slot)
    return DeviceState(core, Prekeys(handshake.make_signed_prekeys(1, now, entropy)))


def first_core(
    me: LocalIdentity,
    device_slot: OwnSlot,
    *,
    listed: bytes,
    card: Card,
    name: str,
    now: float,
    entropy: Entropy,
) -> DeviceCore:
    """What a device begins with that does not hold the account key (spec 12.2, 12.9)."""
    return DeviceCore(
        identity=me,
        account_key=None,
        device_list=listed,
        lists_before=(),
        others=(),
        list_asked=0,
        linking=None,
        name=name,
        server=card.server,
        server_key=card.server_key,
        account_slot=None,
        card=str(card),
        device_slot=device_slot,
        first=Mailbox(entropy(32), entropy(32), 0, 0),
        second=Mailbox(entropy(32), entropy(32), 0, 0),
        put_token=entropy(32),
        take_token=entropy(32),
        pool_next=0,
        republished=0,
        pool_asked=0,
        prekeys_at=int(now * 1000),
        outbox_next=1,
        inbox_next=1,
    )


def card(state: DeviceState) -> Card:
    """What to give to somebody, so that they can reach this account (spec 02.5)."""
    return Card.parse(state.core.card)


def own_entry(core: DeviceCore) -> DeviceEntry:
    """Where this device's bundle lies (spec 02.4)."""
    return DeviceEntry(
        core.identity.device,
        broadcast.slot_name(core.device_slot.signing.public),
        core.device_slot.opening,
    )


def own_record(core: DeviceCore) -> AccountRecord:
    """The value of this account's slot (spec 02.4)."""
    listed = {each.device for each in stored_device_list(core.device_list).devices}
    entries = (own_entry(core), *core.others)
    return AccountRecord(
        core.device_list, tuple(entry for entry in entries if entry.device in listed), core.name
    )


def own_list(state: DeviceState) -> DeviceList:
    """This account's own device list."""
    return stored_device_list(state.core.device_list)


def publish_account(work: Work) -> None:
    """Put the account's record into its slot, on the device that may (spec 12.2)."""
    core = work.state.core
    if core.account_slot is None:
        return
    slot = replace(core.account_slot, version=core.account_slot.version + 1)
    work.set_core(account_slot=slot)
    if not _puts(work.state, slot):
        _put_account(work, slot)


def _put_account(work: Work, slot: OwnSlot) -> None:
    value = identity.seal_slot(slot.opening, wire.encode(own_record(work.state.core)), work.entropy)
    work.post(write_request(0, broadcast.sign_slot(slot.signing, slot.version, value)))


def publish_device(work: Work) -> None:
    """Put the prekey bundle into the device's slot, under a version of its own (spec 12.2)."""
    core = work.state.core
    slot = replace(core.device_slot, version=core.device_slot.version + 1)
    work.set_core(device_slot=slot)
    if not _puts(work.state, slot):
        _put_device(work, slot)


def _put_device(work: Work, slot: OwnSlot) -> None:
    core = work.state.core
    bundle = handshake.make_bundle(
        core.identity,
        work.state.prekeys.current,
        mailbox=token_hash(core.first.read_token),
        mailbox_token=core.first.write_token,
        pool=token_hash(core.put_token),
        pool_token=core.take_token,
    )
    value = identity.seal_slot(slot.opening, bundle, work.entropy)
    work.post(write_request(0, broadcast.sign_slot(slot.signing, slot.version, value)))


def _puts(state: DeviceState, slot: OwnSlot) -> set[int]:
    """The rows of the outbox that put something into this slot: one at most."""
    plain = {key: row for key, row in state.outbox.items() if row.mid is None}
    found = {key: read_request(row.request)[1] for key, row in plain.items()}
    name = slot.signing.public
    return {key for key, put in found.items() if isinstance(put, SlotPut) and put.public == name}


def put_answered(work: Work, put: SlotPut) -> None:
    """What an own slot is to hold changed while a put was under way: it is put now (12.6)."""
    core = work.state.core
    for slot, again in ((core.account_slot, _put_account), (core.device_slot, _put_device)):
        if slot is None or slot.signing.public != put.public or slot.version == put.version:
            continue
        if not _puts(work.state, slot):
            again(work, slot)


def skip_versions(work: Work) -> None:
    """After a restore: leave out the versions that the lost life may have put (spec 12.6)."""
    slot = work.state.core.device_slot
    given_up = _puts(work.state, slot)  # it is no news if the server refuses that one too
    kept = {key: row for key, row in work.state.outbox.items() if key not in given_up}
    work.set(outbox=kept)
    work.set_core(device_slot=replace(slot, version=slot.version + SKIPPED_VERSIONS))


def needs_pool(left: int) -> int:
    """How many one-time prekeys to add when the pool has `left`."""
    return limits.ONE_TIME_PREKEYS - left if left < limits.ONE_TIME_PREKEYS // 2 else 0


def top_up_pool(work: Work, count: int) -> None:
    """Make one-time prekeys and put their public halves into the pool, sealed (spec 05.2).

    They name the device and are signed by it, so the server must not be able to read them.
    """
    while count > 0:
        core = work.state.core
        some = min(count, MAX_POOL_PUT_ITEMS)
        made, items = handshake.make_one_time(core.identity, core.pool_next, some, work.entropy)
        opening = core.device_slot.opening
        sealed = tuple(identity.seal_slot(opening, item, work.entropy) for item in items)
        put = PoolPut(core.put_token, token_hash(core.take_token), core.pool_next, sealed)
        work.post(write_request(0, put))
        work.set(prekeys=handshake.with_one_time(work.state.prekeys, made))
        work.set_core(pool_next=core.pool_next + some)
        count -= some


def ask_pool(work: Work) -> None:
    """Ask how many one-time prekeys the server still has."""
    core = work.state.core
    work.post(write_request(0, PoolCount(core.put_token, token_hash(core.take_token))))
    work.set_core(pool_asked=work.ms)


def publish_again(work: Work) -> None:
    """A server lost its data: slots, bundle and pool are put there again, once a minute."""
    if work.ms - work.state.core.republished < AGAIN_MS:
        return
    work.set_core(republished=work.ms)
    publish_account(work)
    publish_device(work)
    ask_pool(work)


def renew_prekeys(work: Work) -> None:
    """New signed prekeys; the ones before stay for late first messages (spec 05.2)."""
    work.set(prekeys=handshake.renewed(work.state.prekeys, now=work.now, entropy=work.entropy))
    work.set_core(prekeys_at=work.ms)
    publish_device(work)


def replace_prekeys(work: Work) -> None:
    """New signed prekeys and no old ones: what a thief may have copied opens nothing (10.6)."""
    work.set(prekeys=handshake.replaced(work.state.prekeys, now=work.now, entropy=work.entropy))
    # The pool of before holds public halves whose private ones are gone: it is left behind.
    put_token, take_token = work.entropy(32), work.entropy(32)
    work.set_core(prekeys_at=work.ms, put_token=put_token, take_token=take_token)
    top_up_pool(work, limits.ONE_TIME_PREKEYS)
    publish_device(work)
