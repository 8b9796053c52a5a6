"""Several devices for one account: a new one is linked, one is revoked (spec 12.9).

Rules of this file:
- Only the device that holds the account key links and revokes, and it never revokes itself.
- Each part of the exchange is an outbox row: a crash repeats it, and the same text makes the same
  certificate, so no list ever has two for one device.
- Devices of an account share no state: what one of them tells another is a letter like any other.
"""

from dataclasses import replace
from typing import Final

from groupcrypt.errors import InvalidLink, NotAllowed, NotPermitted, RemoteError, UnknownDevice
from groupcrypt.protocol import broadcast, handshake, identity, limits, wire
from groupcrypt.protocol.broadcast import Append, TopicKind, token_hash, write_request
from groupcrypt.protocol.content import (
    Internal,
    ReceiptContent,
    TypingContent,
    read_content,
    write_content,
)
from groupcrypt.protocol.device import account as own
from groupcrypt.protocol.device import directs, lists, people, post, records, rooms, sessions
from groupcrypt.protocol.device.sessions import Sender
from groupcrypt.protocol.device.state import (
    DeviceState,
    InboxRow,
    Linking,
    Mailbox,
    OwnSlot,
    Step,
    TopicRecord,
    Work,
)
from groupcrypt.protocol.device.step import step
from groupcrypt.protocol.device.views import mailbox_topic
from groupcrypt.protocol.events import DirectSent, Rejected
from groupcrypt.protocol.group import LetterKind
from groupcrypt.protocol.group.letters import Contacts, Sent
from groupcrypt.protocol.handshake import Prekeys
from groupcrypt.protocol.identifiers import AccountId, DeviceId, MessageId, TopicId
from groupcrypt.protocol.identity import Card, LinkText, LocalIdentity, read_account_record
from groupcrypt.protocol.primitives import DhPrivate, Entropy, SigningKey
from groupcrypt.protocol.wire import shape

EXCHANGE_SECONDS = 24 * 3600  # the server keeps offer and answer for so long
OWN: Final = frozenset((LetterKind.SENT, LetterKind.ACCOUNT, LetterKind.CONTACTS))
CONTACT_BYTES = 48 * 1024  # of one letter with contacts


@shape
class NewDevice:
    """A device without an account: what it holds until an offer comes (spec 12.9)."""

    signing: SigningKey
    dh: DhPrivate
    slot: OwnSlot
    text: LinkText

    @property
    def mailbox(self) -> Mailbox:
        """Where it waits for the offer."""
        return Mailbox(*self.text.offer_tokens, 0, 0)

    @property
    def rows(self) -> dict[bytes, bytes]:
        """What is stored of it; `records.load` refuses it until it has an account."""
        return {b"schema": records.SCHEMA, records.NEW_DEVICE: wire.encode(self)}


def new_device(server: str, server_key: bytes, entropy: Entropy) -> NewDevice:
    """Keys for a device that wants to be linked, and the text it shows (spec 02.8)."""
    signing, dh = SigningKey.generate(entropy), DhPrivate.generate(entropy)
    slot = OwnSlot(SigningKey.generate(entropy), entropy(32), 0)
    name = broadcast.slot_name(slot.signing.public)
    text = LinkText(signing.public, dh.public, name, slot.opening, entropy(32), server, server_key)
    return NewDevice(signing, dh, slot, text)


def load_new(rows: records.Rows) -> NewDevice | None:
    """The device that waits to be linked, if that is what the store holds."""
    raw = rows.get(records.NEW_DEVICE)
    return None if raw is None else wire.decode(NewDevice, raw)


def offered(new: NewDevice, record: TopicRecord, *, now: float, entropy: Entropy) -> Step:
    """The offer came: this is a device of that account, which only has to list it (spec 12.9).

    Raises a `RemoteError` for what is no offer to this device.
    """
    offer, said, listed = identity.read_offer(new.text, new.dh, record.body)
    certificate = identity.countersign(new.signing, new.dh, listed.account, offer.signature)
    identity.check_certificate(certificate)
    text = new.text
    core = own.first_core(
        LocalIdentity(certificate, new.signing, new.dh),
        new.slot,
        listed=listed.raw,
        card=Card(listed.account, text.server, text.server_key, offer.slot_name, offer.slot_key),
        name=said.name,
        now=now,
        entropy=entropy,
    )
    waiting = Linking(text, replace(new.mailbox, cursor=record.seq))
    core = replace(core, others=said.devices, linking=waiting)
    prekeys = Prekeys(handshake.make_signed_prekeys(1, now, entropy))
    work = Work(DeviceState(core, prekeys), now, entropy)
    own.publish_device(work)
    own.top_up_pool(work, own.needs_pool(0))
    _answer(work, waiting)
    changes = {**records.diff(None, work.state), records.NEW_DEVICE: None}
    return Step(work.state, changes, tuple(work.events))


def _answer(work: Work, linking: Linking) -> None:
    body = identity.make_answer(linking.text, work.me.certificate, work.entropy)
    _post(work, linking.text.answer_tokens, body)


def _post(work: Work, tokens: tuple[bytes, bytes], body: bytes) -> None:
    write, read = tokens
    mid = work.entropy(16)
    request = Append(write, token_hash(read), mid, body, EXCHANGE_SECONDS, TopicKind.MAILBOX)
    work.post(write_request(0, request), mid=mid)


# --- the device that holds the account --------------------------------------------------------


def link(state: DeviceState, text: LinkText, *, now: float, entropy: Entropy) -> Step:
    """Offer a new device to be one of this account; `DeviceLinked` tells when it is (12.9).

    The user has compared `text.code` on both devices before this is called. Of several texts the
    last one counts. Raises `InvalidLink` or `NotPermitted`.
    """

    def act(work: Work) -> None:
        core = work.state.core
        key, slot = core.account_key, core.account_slot
        if key is None or slot is None:
            raise NotPermitted("only the device that holds the account links others: use that one")
        if (text.server, text.server_key) != (core.server, core.server_key):
            raise InvalidLink(f"this device is on another server, {text.server}")
        mine = own.own_list(work.state)
        keys = {key.public} | {public for one in mine.devices for public in (one.signing, one.dh)}
        known = text.device_of(work.state.account) in lists.ids(mine)
        if {text.signing, text.dh} & keys and not known:
            raise InvalidLink("a linking text with a key that this account has in use")
        if not known and len(mine.devices) >= limits.MAX_ACCOUNT_DEVICES:
            raise NotPermitted(
                f"an account has at most {limits.MAX_ACCOUNT_DEVICES} devices: revoke one first"
            )
        place = (broadcast.slot_name(slot.signing.public), slot.opening)
        record = own.own_record(core)
        _post(work, text.offer_tokens, identity.make_offer(key, text, record, place, work.entropy))
        work.set_core(linking=Linking(text, Mailbox(*text.answer_tokens, 0, 0)))

    return step(state, now, entropy, act)


def revoke(state: DeviceState, device: DeviceId, *, now: float, entropy: Entropy) -> Step:
    """Sign a list without an own device, which ends its sessions and its part in every group.

    Raises `NotPermitted` or `UnknownDevice`.
    """

    def act(work: Work) -> None:
        core, mine = work.state.core, own.own_list(work.state)
        if core.account_key is None:
            raise NotPermitted("only the device that holds the account revokes others")
        if device == work.state.device:
            raise NotPermitted("the device that holds the account cannot revoke itself")
        if device not in lists.ids(mine):
            raise UnknownDevice("this account has no device with this id")
        kept = [one for one in mine.devices if one.device != device]
        lists.adopt(work, identity.make_device_list(core.account_key, mine, kept), (), core.name)
        _spread(work)

    return step(state, now, entropy, act)


def _spread(work: Work) -> None:
    """A new list of the own account: to its slot, its devices, its groups, its contacts."""
    own.publish_account(work)
    record = wire.encode(own.own_record(work.state.core))
    for device in people.devices_of(work.state, work.state.account):
        post.queue(work, device, work.state.account, LetterKind.ACCOUNT, record)
    follow_all(work)
    for device, peer in list(work.state.peers.items()):
        account = AccountId(peer.core.account)
        person = work.state.people.get(account)
        if peer.session is not None and person is not None and person.card:
            post.queue(work, device, account, LetterKind.ACCOUNT, record)


def follow_all(work: Work) -> None:
    """Let the log of every group follow the own list."""
    if work.state.core.account_key is None:
        return
    for group, held in list(work.state.groups.items()):
        if held.member:
            rooms.run(work, group, lambda turn: lists.follow(work.state.core, turn))


# --- what comes -------------------------------------------------------------------------------


def receive(work: Work, record: TopicRecord) -> None:
    """An entry of the mailbox of a linking; what is wrong with it ends as an event."""
    linking = work.state.core.linking
    if linking is None or record.topic != mailbox_topic(linking.mailbox):
        return
    if record.seq <= linking.mailbox.cursor:
        return
    before = work.state
    try:
        if work.state.core.account_key is None:
            _again(work, linking, record)
        else:
            _answered(work, linking, work.state.core.account_key, record)
    except RemoteError as error:
        work.state = before
        work.events.append(Rejected(error.code, None, f"linking: {error}"))
    if work.state.core.linking is linking:
        work.set_core(linking=replace(linking, mailbox=replace(linking.mailbox, cursor=record.seq)))


def mailbox_lost(work: Work, topic: TopicId) -> None:
    """The mailbox of a linking is read from its start: each part may come twice."""
    linking = work.state.core.linking
    if linking is not None and mailbox_topic(linking.mailbox) == topic:
        mailbox = replace(linking.mailbox, cursor=0)
        work.set_core(linking=replace(linking, mailbox=mailbox))


def _again(work: Work, linking: Linking, record: TopicRecord) -> None:
    """The offer comes once more: our answer may be lost."""
    _, _, listed = identity.read_offer(linking.text, work.me.dh, record.body)
    if listed.account == work.state.account:
        _answer(work, linking)


def _answered(work: Work, linking: Linking, key: SigningKey, record: TopicRecord) -> None:
    """The certificate is complete: sign the list that has it, and tell everybody."""
    certificate = identity.read_answer(key, linking.text, record.body)
    device, mine = certificate.device, own.own_list(work.state)
    work.set_core(linking=None)
    if device not in lists.ids(mine):
        listed = identity.make_device_list(key, mine, [*mine.devices, certificate])
        entry = linking.text.entry_in(work.state.account)
        lists.adopt(work, listed, (entry,), work.state.core.name)
    _spread(work)
    _share(work, device)


def _share(work: Work, device: DeviceId) -> None:
    """Tell a new device whom we know: people whose card we took, and agreed timers (12.9)."""
    known = [(one.record, one.card) for one in work.state.people.values() if one.card]
    batch: list[tuple[bytes, str]] = []
    for one in [*known, None]:
        size = sum(len(record) for record, _ in batch)
        if batch and (one is None or size + len(one[0]) > CONTACT_BYTES):
            body = wire.encode(Contacts(tuple(batch)))
            post.queue(work, device, work.state.account, LetterKind.CONTACTS, body)
            batch = []
        if one is not None:
            batch.append(one)
    for account, talk in work.state.talks.items():
        if talk.timer.counter and account in work.state.people:  # of accounts, not of groups
            raw = write_content(talk.timer, time=work.ms)
            body = wire.encode(Sent(account, work.entropy(16), raw))
            post.queue(work, device, work.state.account, LetterKind.SENT, body)


def share_contact(work: Work, account: AccountId) -> None:
    """Tell the own devices of a contact that was just taken."""
    person = work.state.people[account]
    body = wire.encode(Contacts(((person.record, person.card),)))
    for device in people.devices_of(work.state, work.state.account):
        post.queue(work, device, work.state.account, LetterKind.CONTACTS, body)


def receive_item(work: Work, sender: Sender, kind: int, body: bytes) -> None:
    """An item of the kinds `OWN`, from another own device; may raise a `RemoteError`."""
    if kind == LetterKind.ACCOUNT:
        _account(work, sender, body)
        return
    if sender.account != work.state.account:
        raise NotAllowed("a letter between devices of one account, from another one")
    if kind == LetterKind.SENT:
        _sent(work, sender, wire.decode(Sent, body))
    else:
        for record, card in wire.decode(Contacts, body).people:
            people.take_over(work, record, card)


def _account(work: Work, sender: Sender, body: bytes) -> None:
    """The record of the sender's account; others than the own one have to be known (12.9)."""
    account = read_account_record(body)[1].account
    if account != sender.account or account not in (work.state.account, *work.state.people):
        raise NotAllowed("the record of another account than the sender's, or of nobody known")
    with sessions.greeting(work):
        people.learn(work, body)


def _sent(work: Work, sender: Sender, letter: Sent) -> None:
    """What an own device sent to somebody is shown as sent, once (spec 12.9)."""
    said = read_content(letter.content)
    if isinstance(said.content, ReceiptContent | TypingContent | Internal):
        raise NotAllowed("a content for a group outside of one")
    message, to = MessageId(letter.message), AccountId(letter.to)
    if directs.seen_before(work, sender.device, message):
        return
    directs.hear(work, to, said.content)
    row = InboxRow(
        0, None, 0, sender.account, sender.device, message, letter.content, sender.proven, to
    )
    number = work.keep(row)
    work.events.append(DirectSent(to, sender.device, message, said, number))
