"""What is said in a world, in groups and between two accounts alike (spec 11).

Rules of this file:
- A script names a message by the text it was said with; the last one with that text is meant.
- It says what an application would let its user say: nothing about what it does not show.
"""

from collections.abc import Callable
from dataclasses import replace

from groupcrypt.errors import LocalError, NotPermitted, UnknownDevice
from groupcrypt.protocol import conversation, device, limits
from groupcrypt.protocol.content import (
    Content,
    CustomContent,
    DeleteContent,
    EditContent,
    ReactionContent,
    Reference,
    ReplyContent,
    TextContent,
)
from groupcrypt.protocol.conversation import Kept, Line, Verdict
from groupcrypt.protocol.device.state import Step
from groupcrypt.protocol.identifiers import AccountId, GroupId, MessageId
from groupcrypt.protocol.membership import Op
from groupcrypt.protocol.primitives import Entropy
from groupcrypt.testing.trace import Kind
from groupcrypt.testing.world import actions as a
from groupcrypt.testing.world.book import Name, Place
from groupcrypt.testing.world.host import Host
from groupcrypt.testing.world.stage import Stage

PATH = b"/somewhere"  # no file of a world is read


def place_of(world: Stage, who: str, label: str) -> Place:
    """What a script calls a conversation: a group, or another person."""
    if label in world.groups:
        return Place(world.groups[label])
    if label not in world.devices:
        raise UnknownDevice("there is neither a group nor a device of this name")
    world.introduce(world.host(who), world.host(label))
    return Place(None, world.host(label).account)


def name_of(world: Stage, who: str, label: str, text: str) -> Name:
    """The message with this text, in a conversation as `who` sees it."""
    if text not in world.said:
        raise LocalError("nobody said this")
    return Name(place_of(world, who, label), *world.said[text])


def _line(world: Stage, who: str, name: Name) -> tuple[Kept, Line]:
    kept = world.host(who).book.lines.get(name)
    if kept is None:
        raise LocalError("the message is not here, or not any more")
    return kept, kept.line


def _allowed(verdict: Verdict) -> None:
    if verdict is not Verdict.ALLOWED:
        raise NotPermitted(f"not with this message: {verdict}")


def _say(
    world: Stage, who: str, place: Place, content: Content, expires: int | None = None
) -> MessageId:
    """Say something; `expires` None: as the conversation's timer has it."""
    message = MessageId(world.chance.entropy(f"message of {who}")(16))
    world.act(who, _saying(place, message, content, expires))
    group = place.group
    label = "" if group is None else world.scribe.labels.of("g", group)
    world.scribe.line(who, Kind.SEND, group=label, text=world.scribe.labels.of("m", message))
    return message


def _saying(
    place: Place, message: MessageId, content: Content, expires: int | None
) -> Callable[[Host, float, Entropy], Step]:
    def act(host: Host, now: float, entropy: Entropy) -> Step:
        if place.group is None:
            to = AccountId(place.key)
            return device.send_direct(
                host.state, to, message, content, now=now, entropy=entropy, expires=expires
            )
        timer = _group_timer(host, place.group) if expires is None else expires
        return device.send(
            host.state, place.group, message, content, now=now, entropy=entropy, expires=timer
        )

    return act


def _group_timer(host: Host, group: GroupId) -> int:
    return device.group_state(host.state, group).roster.settings.timer


def _known(world: Stage, who: str, text: str, message: MessageId) -> None:
    """From now on scripts can name it, and checkers look for it."""
    sender = world.host(who).account
    world.said[text] = (sender, message)
    _word(world, (sender, message), text)


def _word(world: Stage, said: tuple[AccountId, MessageId], text: str) -> None:
    """Something that is only to be read where the message is."""
    world.words.setdefault(said, []).append(text)


# --- messages -----------------------------------------------------------------------------------


def send(world: Stage, action: a.Send) -> None:
    """A text to a group."""
    if action.group not in world.groups:
        raise LocalError("nobody made this group")
    place = Place(world.groups[action.group])
    message = _say(world, action.who, place, TextContent(action.text), action.expires)
    _known(world, action.who, action.text, message)


def send_direct(world: Stage, action: a.SendDirect) -> None:
    """A text to an account."""
    world.introduce(world.host(action.who), world.host(action.other))
    place = Place(None, world.host(action.other).account)
    message = _say(world, action.who, place, TextContent(action.text), action.expires)
    _known(world, action.who, action.text, message)


def reply(world: Stage, action: a.Reply) -> None:
    """An answer; what has no timer is quoted (spec 11.7)."""
    name = name_of(world, action.who, action.place, action.to)
    kept, line = _line(world, action.who, name)
    _allowed(conversation.may_react(line))
    excerpt = "" if kept.expires else conversation.excerpt_of(line.text or "")
    target = Reference(name.sender, name.message)
    content = ReplyContent(target, excerpt, action.text)
    _known(world, action.who, action.text, _say(world, action.who, name.place, content))


def react(world: Stage, action: a.React) -> None:
    """A sign."""
    name = name_of(world, action.who, action.place, action.to)
    kept, line = _line(world, action.who, name)
    _allowed(conversation.may_react(line))
    target = Reference(name.sender, name.message)
    _say(world, action.who, name.place, ReactionContent(target, action.sign), kept.expires)


def edit(world: Stage, action: a.Edit) -> None:
    """Another text."""
    name = name_of(world, action.who, action.place, action.to)
    kept, line = _line(world, action.who, name)
    _allowed(conversation.may_edit(line, world.host(action.who).account))
    _word(world, (name.sender, name.message), action.text)
    content = EditContent(name.message, action.text)
    _say(world, action.who, name.place, content, kept.expires)


def delete(world: Stage, action: a.Delete) -> None:
    """A message taken away from everybody."""
    name = name_of(world, action.who, action.place, action.to)
    _, line = _line(world, action.who, name)
    _allowed(conversation.may_delete(line, world.host(action.who).account))
    _say(world, action.who, name.place, DeleteContent(name.message), 0)


def custom(world: Stage, action: a.Custom) -> None:
    """A content of the application's own."""
    content = CustomContent("example.org/note", action.text.encode())
    place = place_of(world, action.who, action.place)
    _known(world, action.who, action.text, _say(world, action.who, place, content))


def attach(world: Stage, action: a.Attach) -> None:
    """A file: its message follows when the server has it (spec 14.5)."""
    place = place_of(world, action.who, action.place)
    message = MessageId(world.chance.entropy(f"message of {action.who}")(16))
    offer = device.Offer(PATH, action.size, 0, 0, action.text, "")
    world.act(
        action.who,
        lambda h, now, entropy: device.offer_file(
            h.state, message, place.key, offer, now=now, entropy=entropy
        ),
    )
    row = world.host(action.who).state.files.get(message)
    if row is not None:
        world.file_keys.add(row.key)
    _known(world, action.who, action.text, message)


# --- beside messages ----------------------------------------------------------------------------


def typing(world: Stage, action: a.Typing) -> None:
    """A word that is worth nothing later (spec 11.9)."""
    account = AccountId(place_of(world, action.who, action.other).key)
    world.act(
        action.who,
        lambda h, now, entropy: device.send_typing(
            h.state, account, typing=True, now=now, entropy=entropy
        ),
    )


def see(world: Stage, action: a.See) -> None:
    """The user sees all that is there: own devices are told, and authors (11.10, 12.13)."""
    host, place = world.host(action.who), place_of(world, action.who, action.place)
    if host.off:
        raise LocalError("the device is off")
    host.look_at_clock(world.now)
    names = host.book.unseen(place)[-limits.MAX_RECEIPT_MESSAGES :]
    if not names:
        return
    host.book = host.book.seen(names, host.clock)
    told = tuple(Reference(name.sender, name.message) for name in names)
    where = place.group or AccountId(place.key)
    world.act(
        action.who,
        lambda h, now, entropy: device.saw(h.state, where, told, now=now, entropy=entropy),
    )


def receipts(world: Stage, action: a.Receipts) -> None:
    """Whether authors are told (spec 12.13)."""
    key = place_of(world, action.who, action.place).key
    world.act(
        action.who,
        lambda h, now, entropy: device.set_receipts(
            h.state, key, on=action.on, now=now, entropy=entropy
        ),
    )


def timer(world: Stage, action: a.Timer) -> None:
    """How long messages are shown from now on: an entry of a group, or a word to an account."""
    place = place_of(world, action.who, action.place)
    if place.group is not None:
        _group_timer_entry(world, action, place.group)
        return
    message = MessageId(world.chance.entropy(f"message of {action.who}")(16))
    account = AccountId(place.key)
    seconds = action.seconds
    world.act(
        action.who,
        lambda h, now, entropy: device.set_direct_timer(
            h.state, account, message, seconds, now=now, entropy=entropy
        ),
    )


def _group_timer_entry(world: Stage, action: a.Timer, group: GroupId) -> None:
    held = device.group_state(world.host(action.who).state, group)
    data = device.policy_data(replace(held.roster.settings, timer=action.seconds))
    world.act(
        action.who,
        lambda h, now, entropy: device.change(
            h.state, group, Op.POLICY, data, now=now, entropy=entropy
        ),
    )


__all__ = [
    "attach",
    "custom",
    "delete",
    "edit",
    "react",
    "receipts",
    "reply",
    "see",
    "send",
    "send_direct",
    "timer",
    "typing",
]
