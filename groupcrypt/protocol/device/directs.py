"""Direct messages: out to every device of an account, in once, and what became of them (12.12).

Rules of this file:
- A message is accepted when the server has it for each device it goes to that there still is; what
  the server has for none of them has failed. Either is told in the step that learns it.
- The timer of a conversation is the greatest word that either side said of it (spec 11.2).
- Typing is worth nothing later: it waits for nothing, is not repeated and not kept.
"""

from dataclasses import replace

from groupcrypt.errors import ContentTooLarge, NotAllowed, NotPermitted
from groupcrypt.protocol import conversation, limits, wire
from groupcrypt.protocol.content import (
    Content,
    HeadsContent,
    Internal,
    LeaveContent,
    ReceiptContent,
    Said,
    SeenContent,
    TimerContent,
    TypingContent,
    read_content,
    write_content,
)
from groupcrypt.protocol.device import lists, people, post, receipts, strangers
from groupcrypt.protocol.device.sessions import Sender
from groupcrypt.protocol.device.state import Fate, InboxRow, Posted, Work
from groupcrypt.protocol.events import (
    DirectAccepted,
    DirectFailed,
    DirectReceived,
    MessageQueued,
    Receipt,
    SeenElsewhere,
    Typing,
)
from groupcrypt.protocol.group import LetterKind
from groupcrypt.protocol.group.letters import Direct, Sent
from groupcrypt.protocol.identifiers import AccountId, DeviceId, MessageId

TYPING_MS = limits.TYPING_SECONDS * 1000


# --- out --------------------------------------------------------------------------------------


def send(
    work: Work, account: AccountId, message: MessageId, content: Content, expires: int | None
) -> None:
    """A message to another account, and a copy to our other devices; may raise a `LocalError`.

    `expires`: None: the conversation's timer.
    """
    if isinstance(content, TimerContent | TypingContent | Internal):
        raise NotPermitted("this kind of content has a call of its own: see spec 11.2")
    timer = work.state.talk(account).timer.seconds
    _send(work, account, message, content, timer if expires is None else expires)


def set_timer(work: Work, account: AccountId, message: MessageId, seconds: int) -> None:
    """Say how long messages of a conversation are shown from now on; may raise a `LocalError`."""
    talk = work.state.talk(account)
    timer = conversation.changed(talk.timer, seconds)
    _send(work, account, message, timer, 0)
    work.set_talk(account, replace(talk, timer=timer))


def _send(
    work: Work, account: AccountId, message: MessageId, content: Content, expires: int
) -> None:
    if account == work.state.account:
        raise NotPermitted("a direct message goes to another account")
    lists.check_listed(work.state)
    people.person_of(work.state, account)
    if message in work.state.posted:
        return  # the application asks again for what it asked before
    if len(work.state.posted) >= limits.MAX_UNSENT_DIRECT:
        raise ContentTooLarge("too many messages wait to be sent: is the server reachable?")
    raw = write_content(content, time=work.ms, expires=expires)
    devices = tuple(people.devices_of(work.state, account))
    if not isinstance(content, ReceiptContent):
        posted = Posted(message, account, devices, accepted=False)
        work.set(posted={**work.state.posted, message: posted})
        said = Said(content, work.ms, expires)
        work.events.append(MessageQueued(None, account, message, said))
    body = wire.encode(Direct(message, raw))
    for device in devices:
        post.queue(work, device, account, LetterKind.DIRECT, body)
    copy = wire.encode(Sent(account, message, raw))
    for device in people.devices_of(work.state, work.state.account):
        post.queue(work, device, work.state.account, LetterKind.SENT, copy)


def send_typing(work: Work, account: AccountId, content: TypingContent) -> None:
    """Tell the devices of an account that listen; nothing if there is none (spec 11.9)."""
    lists.check_listed(work.state)
    people.person_of(work.state, account)
    raw = write_content(content, time=work.ms)
    body = wire.encode(Direct(work.entropy(16), raw))
    for device in people.devices_of(work.state, account):
        peer = work.state.peers.get(device)
        if peer is not None and post.listens(peer):
            post.queue(work, device, account, LetterKind.FLEETING, body)


def tell_seen(work: Work, seen: SeenContent) -> None:
    """Tell our other devices what the user saw on this one (spec 11.10)."""
    raw = write_content(seen, time=work.ms)
    body = wire.encode(Direct(work.entropy(16), raw))
    for device in people.devices_of(work.state, work.state.account):
        post.queue(work, device, work.state.account, LetterKind.DIRECT, body)


def settle(work: Work) -> None:
    """Tell what became of messages, at the end of the step that learned it (spec 12.12)."""
    for fate in work.fates:
        waiting = work.state.posted.values() if fate.messages is None else _named(work, fate)
        for posted in [posted for posted in waiting if fate.device in posted.devices]:
            _settle(work, posted, fate)
    work.fates.clear()


def _named(work: Work, fate: Fate) -> list[Posted]:
    found = [work.state.posted.get(MessageId(message)) for message in fate.messages or ()]
    return [posted for posted in found if posted is not None]


def _settle(work: Work, posted: Posted, fate: Fate) -> None:
    message, to = MessageId(posted.message), AccountId(posted.to)
    left = tuple(device for device in posted.devices if device != fate.device)
    accepted = posted.accepted or fate.code is None
    rest = {name: other for name, other in work.state.posted.items() if name != message}
    if left:
        work.set(posted={**rest, message: Posted(message, to, left, accepted=accepted)})
        return
    work.set(posted=rest)
    work.events.append(
        DirectAccepted(to, message) if accepted else DirectFailed(to, message, fate.code or "")
    )


# --- in ---------------------------------------------------------------------------------------


def receive(work: Work, sender: Sender, letter: Direct) -> None:
    """A direct message to this device (spec 12.3); may raise a `RemoteError`."""
    account, message = sender.account, MessageId(letter.message)
    said = read_content(letter.content)
    own = account == work.state.account
    match said.content:
        case SeenContent() as seen if own:
            work.events.append(SeenElsewhere(sender.device, seen, said.time))
            return
        case SeenContent() | LeaveContent() | HeadsContent():
            raise NotAllowed("a content for a group or an own device, outside of these")
        case TypingContent():
            raise NotAllowed("typing in a letter that is kept")
        case _ if own:
            raise NotAllowed("a direct message of an own device: it tells what it sent otherwise")
        case _:
            pass
    if seen_before(work, sender.device, message):
        return
    if isinstance(said.content, ReceiptContent):
        work.events.append(Receipt(account, sender.device, message, said))
        return
    strangers.room_for_message(work.state, account)
    hear(work, account, said.content)
    row = InboxRow(0, None, 0, account, sender.device, message, letter.content, sender.proven)
    number = work.keep(row)
    work.events.append(DirectReceived(account, sender.device, message, said, sender.proven, number))
    receipts.arrived(work, account, None, message, said.content)


def receive_fleeting(work: Work, sender: Sender, letter: Direct) -> None:
    """Somebody types; what is old or comes of a stranger is nothing (spec 11.9)."""
    said: Said = read_content(letter.content)
    if not isinstance(said.content, TypingContent) or sender.account == work.state.account:
        raise NotAllowed("a content that is kept, in a letter that is not")
    fresh = abs(said.time - work.ms) <= TYPING_MS
    if fresh and not strangers.is_stranger(work.state, sender.account):
        work.events.append(Typing(sender.account, sender.device, said.content.typing))


def hear(work: Work, account: AccountId, content: Content) -> None:
    """What either side of a conversation said of its timer; raises `TooFarAhead`."""
    if not isinstance(content, TimerContent):
        return
    talk = work.state.talk(account)
    timer = conversation.agreed(talk.timer, content)
    if timer != talk.timer:
        strangers.room_for_talk(work.state, account)
        work.set_talk(account, replace(talk, timer=timer))


def seen_before(work: Work, device: DeviceId, message: MessageId) -> bool:
    """Whether a device's direct message was taken before; from now on it was (spec 12.3)."""
    peer = work.state.peers[device]
    known = peer.core.directs
    if any(known[at : at + 16] == message for at in range(0, len(known), 16)):
        return True
    core = replace(peer.core, directs=(known + message)[-16 * 64 :])
    work.set_peer(device, replace(peer, core=core))
    return False


__all__ = [
    "hear",
    "receive",
    "receive_fleeting",
    "seen_before",
    "send",
    "send_typing",
    "set_timer",
    "settle",
    "tell_seen",
]
