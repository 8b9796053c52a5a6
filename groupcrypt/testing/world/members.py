"""What a dishonest member does: one lie each, made with all it rightly knows (spec 16.1).

Rules of this file:
- A lie has one fault, the planned one; the rest is made as an honest device would make it.
- Who lied once is promised nothing any more, and nothing of it is promised to others.
"""

from collections.abc import Callable, Mapping
from typing import Final

from groupcrypt.errors import LocalError
from groupcrypt.protocol import device, membership, wire
from groupcrypt.protocol.content import TextContent, write_content
from groupcrypt.protocol.device import post, records
from groupcrypt.protocol.device.state import Step, Work
from groupcrypt.protocol.group import LetterKind
from groupcrypt.protocol.group.letters import EpochSecret
from groupcrypt.protocol.group.state import frame_keys
from groupcrypt.protocol.identifiers import AccountId, DeviceId, GroupId, TopicId
from groupcrypt.protocol.membership import Op, RemoveData
from groupcrypt.protocol.primitives import Entropy, SigningKey
from groupcrypt.protocol.sender_key import SendingChain
from groupcrypt.testing.forgery import Forgery, Item, forged_frame
from groupcrypt.testing.hostile import as_sender, sealed_entry
from groupcrypt.testing.logbook import forge
from groupcrypt.testing.world.actions import Lie
from groupcrypt.testing.world.host import Host

FLOOD: Final = 100  # records
PLAIN: Final = Forgery()


class Liar:
    """A member for the time of one lie."""

    def __init__(
        self, host: Host, group: GroupId, tape: Mapping[bytes, list[bytes]], entropy: Entropy
    ) -> None:
        held = host.state.groups.get(group)
        topic = None if held is None else device.group_topic(held)
        if held is None or topic is None or not held.member:
            raise LocalError("the liar is no member that reads")
        self.host, self.held, self.entropy = host, held, entropy
        self.topic: TopicId = topic
        self.stored = tape.get(topic, [])

    def records(self, lie: Lie) -> list[bytes]:
        """What this lie puts into the group's topic."""
        return RECORDS[lie](self) if lie in RECORDS else []

    def letter(self, lie: Lie) -> tuple[LetterKind, bytes] | None:
        """What this lie sends to one device."""
        return LETTERS[lie](self) if lie in LETTERS else None

    def others(self) -> list[DeviceId]:
        """The devices of the other members, in order."""
        return sorted(each for each in self.held.roster.devices if each != self.host.state.device)

    # --- records ----------------------------------------------------------------------------------

    def garbage(self) -> list[bytes]:
        return [self.entropy(700)]

    def flood(self) -> list[bytes]:
        return [self.entropy(100) for _ in range(FLOOD)]

    def replay(self) -> list[bytes]:
        return [self._stored()]

    def altered(self) -> list[bytes]:
        body = self._stored()
        at = int.from_bytes(self.entropy(4), "big") % len(body)
        return [body[:at] + bytes((body[at] ^ 1,)) + body[at + 1 :]]

    def impersonation(self) -> list[bytes]:
        chain = self._chain()
        known = {key[0] for key in self.held.base.chains}
        for other in self.others():
            if other in known:
                return [self._frame(as_sender(self.held, other, chain))]
        raise LocalError("no chain of another is known")

    def signature(self) -> list[bytes]:
        forgery = Forgery(signing=SigningKey.generate(self.entropy))
        return [self._frame(self._chain(), forgery)]

    def equivocation(self) -> list[bytes]:
        return [self._frame(self._chain()), self._frame(self._chain())]

    def entry(self) -> list[bytes]:
        """A removal that states that nobody is removed."""
        me = self.host.state.core.identity
        others = self.held.roster.members.keys() - {me.account}
        if not others:
            raise LocalError("nobody else is in the group")
        gone = min(others)
        body = forge(self.held.roster, me, Op.REMOVE, RemoveData((gone,)))
        raw = membership.sign_entry(body, me)
        return [sealed_entry(self.held, raw, self.entropy)]

    def _stored(self) -> bytes:
        if not self.stored:
            raise LocalError("nothing is stored yet")
        return self.stored[int.from_bytes(self.entropy(4), "big") % len(self.stored)]

    def _chain(self) -> SendingChain:
        chain = self.held.base.own
        if chain is None:
            raise LocalError("the liar has no chain yet")
        return chain

    def _frame(self, chain: SendingChain, forgery: Forgery = PLAIN) -> bytes:
        base = self.held.base
        content = write_content(TextContent("a lie"), time=0)
        item: Item = (self.entropy(32), self.entropy(16), content)
        context = base.context(self.held.id)
        guard = self.entropy(16)
        return forged_frame(chain, context, frame_keys(base), [item], guard=guard, forgery=forgery)

    # --- letters ----------------------------------------------------------------------------------

    def distribution(self) -> tuple[LetterKind, bytes]:
        return LetterKind.DISTRIBUTION, self.entropy(300)

    def secret(self) -> tuple[LetterKind, bytes]:
        """A wrong secret for the epoch that everybody is in."""
        head = self.held.head
        letter = EpochSecret(self.held.id, head.number, head.core.log_hash, self.entropy(32))
        return LetterKind.EPOCH_SECRET, wire.encode(letter)


def post_letter(
    to: DeviceId, account: AccountId, letter: tuple[LetterKind, bytes]
) -> Callable[[Host, float, Entropy], Step]:
    """A letter of any kind and content over an open session, as a step of its sender."""

    def act(host: Host, now: float, entropy: Entropy) -> Step:
        work = Work(host.state, now, entropy)
        post.queue(work, to, account, *letter)
        post.seal_all(work)
        return Step(work.state, records.diff(host.state, work.state), ())

    return act


RECORDS: Final[dict[Lie, Callable[[Liar], list[bytes]]]] = {
    Lie.GARBAGE: Liar.garbage,
    Lie.REPLAY: Liar.replay,
    Lie.ALTERED: Liar.altered,
    Lie.IMPERSONATION: Liar.impersonation,
    Lie.SIGNATURE: Liar.signature,
    Lie.ENTRY: Liar.entry,
    Lie.EQUIVOCATION: Liar.equivocation,
    Lie.FLOOD: Liar.flood,
}
LETTERS: Final[dict[Lie, Callable[[Liar], tuple[LetterKind, bytes]]]] = {
    Lie.DISTRIBUTION: Liar.distribution,
    Lie.SECRET: Liar.secret,
}

__all__ = ["Liar", "post_letter"]
