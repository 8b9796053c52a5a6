"""What was promised of conversations: who is told what of messages, and what is shown (spec 11).

Rules of this file:
- It is asked in a world at rest, by what nodes told. `without` are nodes to whom nothing is
  promised: they lie, or their store was put back.
- What was said of a message is put together as an application does (11.11); which words reached
  whom is for others to judge.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from groupcrypt.protocol.content import ReceiptContent, Reference, TimerContent
from groupcrypt.protocol.conversation import Line, Spoken, concerns, lay
from groupcrypt.protocol.events import (
    DeviceRevoked,
    DirectAccepted,
    DirectFailed,
    DirectReceived,
    DirectSent,
    Event,
    MessageQueued,
    MessageReceived,
    Receipt,
)
from groupcrypt.protocol.identifiers import AccountId, DeviceId, GroupId, MessageId
from groupcrypt.testing.checkers.evidence import Evidence, Node

NOBODY: Collection[str] = frozenset()
Talk = GroupId | frozenset[AccountId]  # a group, or two accounts
Key = tuple[Talk, Reference]


def heard(node: Node) -> Iterator[tuple[Talk, Spoken]]:
    """What a node was shown or said, and where, in its order."""
    me = node.account
    for event in node.events:
        match event:
            case MessageQueued(group, to, message, said):
                talk = frozenset((me, to)) if group is None and to is not None else group
                if talk is not None:
                    yield talk, Spoken(me, message, said)
            case MessageReceived(group, sender=sender, message=message, said=said):
                yield group, Spoken(sender, message, said)
            case DirectReceived(sender=sender, message=message, said=said):
                yield frozenset((me, sender)), Spoken(sender, message, said)
            case DirectSent(to=to, message=message, said=said):
                yield frozenset((me, to)), Spoken(me, message, said)
            case _:
                pass


@dataclass(slots=True)
class _Known:
    """A message as one node has it: its line, and the words that were laid into it."""

    line: Line = field(default_factory=Line)
    words: set[Reference] = field(default_factory=set[Reference])

    def shown(self, again: Collection[MessageId]) -> tuple[object, ...]:
        """All that there is to see of it; of what was said again, without when and how long."""
        beside: tuple[object, ...] = ()
        if self.line.spoken is not None:
            said = self.line.spoken.said
            once = self.line.spoken.message not in again
            beside = (said.content, said.time, said.expires) if once else (said.content,)
        return self.line.deleted, beside, self.line.text, sorted(self.line.reactions.items())


def _lines(node: Node) -> dict[Key, _Known]:
    found: dict[Key, _Known] = {}
    for talk, spoken in heard(node):
        for about in concerns(spoken, node.account):
            known = found.setdefault((talk, about), _Known())
            known.line = lay(known.line, spoken)
            known.words.add(spoken.reference)
    return found


@dataclass(frozen=True, slots=True)
class Convergence:
    """Who has all that was said of a message shows the same of it, in whatever order it came.

    `again`: messages of files that a device put back said again: each shows when it was said, and
    for how long it is shown, as it heard it first (spec 14.5).
    """

    without: Collection[str] = NOBODY
    again: Collection[MessageId] = frozenset[MessageId]()

    def complaints(self, world: Evidence) -> list[str]:
        several = {
            name: _lines(node) for name, node in world.devices.items() if name not in self.without
        }
        said: dict[Key, set[Reference]] = {}
        for lines in several.values():
            for key, known in lines.items():
                said.setdefault(key, set()).update(known.words)
        first: dict[Key, tuple[str, tuple[object, ...]]] = {}
        found: list[str] = []
        for name, lines in several.items():
            for key, known in lines.items():
                if known.words == said[key]:
                    mine = known.shown(self.again)
                    other, shown = first.setdefault(key, (name, mine))
                    if shown != mine:
                        found.append(f"{other} and {name} show a message differently")
        return found


@dataclass(frozen=True, slots=True)
class ToTheAuthor:
    """A receipt is told to who sent what it names, and of an account that was shown that."""

    without: Collection[str] = NOBODY

    def complaints(self, world: Evidence) -> list[str]:
        unsure = {world.devices[name].account for name in self.without if name in world.devices}
        said: dict[AccountId, set[tuple[Talk, MessageId]]] = {}
        shown: dict[AccountId, set[tuple[Talk, Reference]]] = {}
        for node in world.devices.values():
            for talk, spoken in heard(node):
                if spoken.sender == node.account:
                    said.setdefault(node.account, set()).add((talk, spoken.message))
                shown.setdefault(node.account, set()).add((talk, spoken.reference))
        found: list[str] = []
        for name, node in world.devices.items():
            me = node.account
            for sender, talk, message in _receipts(node):
                if me not in unsure and (talk, message) not in said.get(me, ()):
                    found.append(f"{name} was told of a message that it did not send")
                if sender not in unsure and (talk, Reference(me, message)) not in shown[sender]:
                    found.append(f"{name} was told of a message as shown where it was not")
        return found


def _receipts(node: Node) -> Iterator[tuple[AccountId, Talk, MessageId]]:
    """Of what a node was told, by whom: where each message was said, and which it is."""
    for event in node.events:
        if isinstance(event, Receipt) and isinstance(event.said.content, ReceiptContent):
            group = event.said.content.group
            both = frozenset((node.account, event.sender))
            for message in event.said.content.messages:
                yield event.sender, both if group is None else GroupId(group), MessageId(message)


@dataclass(frozen=True, slots=True)
class Directs:
    """An accepted direct message is shown once at every device of both accounts.

    If one of the two came later, from the first one on that was shown: they may have to hear of
    each other. Of and to one that was revoked, nothing is promised, nor of what was over or deleted
    before it was acknowledged: `forgotten`, by the senders' names (spec 12.11).
    """

    without: Collection[str] = NOBODY
    forgotten: Collection[tuple[str, MessageId]] = frozenset[tuple[str, MessageId]]()

    def complaints(self, world: Evidence) -> list[str]:
        gone, newer = revoked(world), late(world)
        found: list[str] = []
        for sender, node in world.devices.items():
            if sender in self.without or node.device in gone:
                continue
            accepted = _accepted(node)
            for name, other in world.devices.items():
                if name in self.without or other.device in gone or other is node:
                    continue
                got = Counter(_came(other.events, node.device))
                found += [f"{name} was shown a message {n} times" for n in got.values() if n > 1]
                theirs = [
                    message
                    for message, to in accepted.items()
                    if other.account in (to, node.account)
                    and (sender, message) not in self.forgotten
                ]
                if not newer.isdisjoint((sender, name)):
                    came = [at for at, message in enumerate(theirs) if message in got]
                    theirs = theirs[came[0] :] if came else []
                missed = sum(message not in got for message in theirs)
                if missed:
                    found.append(f"{name} was not shown {missed} messages of {sender}")
        return found


def _accepted(node: Node) -> dict[MessageId, AccountId]:
    """The direct messages that the server has, in the order in which they were said."""
    done = {event.message for event in node.events if isinstance(event, DirectAccepted)}
    return {
        event.message: event.to
        for event in node.events
        if isinstance(event, MessageQueued) and event.to is not None and event.message in done
    }


def _came(events: Collection[Event], device: DeviceId) -> list[MessageId]:
    return [
        event.message
        for event in events
        if isinstance(event, DirectReceived | DirectSent) and event.device == device
    ]


def late(world: Evidence) -> set[str]:
    """The devices that came to an account that was there before."""
    first: dict[AccountId, str] = {}
    for name, node in world.devices.items():
        first.setdefault(node.account, name)
    return set(world.devices) - set(first.values())


def revoked(world: Evidence) -> set[DeviceId]:
    """The devices that their account lists no more."""
    return {
        event.device
        for node in world.devices.values()
        for event in node.events
        if isinstance(event, DeviceRevoked)
    }


@dataclass(frozen=True, slots=True)
class Timers:
    """Both accounts show for how long messages between them are shown, and it is the same time.

    `shown`: what each node shows for each account. Where a word about it failed visibly, nothing
    is promised; nor of a device that came later and heard no such word, since the other account
    may not have known of it; nor where somebody missed the word of a revoked device (12.10).
    """

    shown: Mapping[str, Mapping[AccountId, int]]
    without: Collection[str] = NOBODY

    def complaints(self, world: Evidence) -> list[str]:
        gone, newer = revoked(world), late(world)
        unsure = {world.devices[name].account for name in self.without if name in world.devices}
        ended = [node for node in world.devices.values() if node.device in gone]
        lost = [each for node in ended for each in _set(node)]
        seen: dict[frozenset[AccountId], dict[str, int]] = {}
        void: set[frozenset[AccountId]] = set()
        for name, node in world.devices.items():
            words = _timers(node)
            void |= {
                frozenset((node.account, event.to))
                for event in node.events
                if isinstance(event, DirectFailed) and event.message in words
            }
            if node.device in gone:
                continue
            void |= {talk for talk, word in lost if node.account in talk and word not in words}
            heard_of = {talk for talk, said in heard(node) if _is_timer(said)}
            for account, seconds in self.shown[name].items():
                talk = frozenset((node.account, account))
                if talk in heard_of or name not in newer:
                    seen.setdefault(talk, {})[name] = seconds
        return [
            f"{' and '.join(sorted(several))} show messages for different times"
            for talk, several in seen.items()
            if talk not in void and not talk & unsure and len(set(several.values())) > 1
        ]


def _set(node: Node) -> Iterator[tuple[frozenset[AccountId], MessageId]]:
    """The timers that a node said itself: in which conversation, and the word."""
    for event in node.events:
        match event:
            case MessageQueued(to=to, message=message, said=said) if to is not None:
                if isinstance(said.content, TimerContent):
                    yield frozenset((node.account, to)), message
            case _:
                pass


def _timers(node: Node) -> set[MessageId]:
    return {spoken.message for _, spoken in heard(node) if _is_timer(spoken)}


def _is_timer(spoken: Spoken) -> bool:
    return isinstance(spoken.said.content, TimerContent)


__all__ = ["Convergence", "Directs", "Timers", "ToTheAuthor", "heard", "late", "revoked"]
