"""Sessions as values: what is held about one peer device, in three states (spec 07.1, 07.8).

Rules of this file:
- A session is `AwaitingReply`, `Established` or `Wedged`; each has a link, which outlives its
  channels, and a current channel. Retired channels only receive.
- A session holds keys. It is written by `write_session` as one small row.

It does not seal or open; `exchange` does.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Final

from groupcrypt.errors import MalformedFrame
from groupcrypt.protocol import handshake, limits, ratchet
from groupcrypt.protocol.identity import DeviceCertificate
from groupcrypt.protocol.ratchet import Ratchet
from groupcrypt.protocol.wire import U64, Blob, Bytes8, Bytes32, Many, decode, encode, shape

FORGOTTEN: Final = bytes(8)  # in `replaces`: channels whose ids the starter forgot (spec 07.6)
_ENDED_IDS: Final = 8
_MAX_SENT: Final = 6
_MAX_SESSION_BYTES: Final = 256 * 1024  # four channels with all the skipped keys they may keep


@shape
class Channel:
    """One ratchet and what its start said (spec 07.1).

    `base` is the start's base key, `created` its clock; `resumed` whether it mixed in a secret.
    """

    id: Bytes8
    base: Bytes32
    created: U64
    resumed: bool
    proven: bool
    ratchet: Ratchet


@shape
class Retired:
    """A channel that is kept for what is still on its way, until a time (spec 07.5)."""

    channel: Channel
    until: U64


@shape
class Link:
    """What holds between two devices whatever the channel (spec 07.1).

    `pair` is the key under DH(Xa, Xb). Of the resumption secrets, `named` is the one we name when
    we start again, `shown` the last the peer has shown to hold, `sent` those it may hold. `heard`
    is the clock up to which starts of the peer are stale, `started` the time of our last start,
    `answered` that of the last answer to one. `lost`: we came back with less than we knew, and have
    not agreed on a channel since.
    """

    peer: DeviceCertificate
    pair: Bytes32
    named: Bytes32 | None
    shown: Bytes32 | None
    sent: Annotated[tuple[Bytes32, ...], Many(_MAX_SENT)]
    retired: Annotated[tuple[Retired, ...], Many(limits.MAX_RETIRED_CHANNELS)]
    ended: Annotated[bytes, Blob(0, 8 * _ENDED_IDS)]
    heard: U64
    started: U64
    answered: U64
    lost: bool


@shape
class AwaitingReply:
    """We started and were not answered yet: the start rides on every message."""

    link: Link
    channel: Channel
    hello: Annotated[bytes, Blob(1, handshake.MAX_HELLO_BYTES)]

    @property
    def peer(self) -> DeviceCertificate:
        return self.link.peer

    @property
    def proven(self) -> bool:
        return self.channel.proven

    @property
    def created(self) -> int:
        """The start's clock, in seconds."""
        return self.channel.created


@shape
class Established:
    """Both sides are known to hold the current channel, or the peer started it."""

    link: Link
    channel: Channel

    @property
    def peer(self) -> DeviceCertificate:
        return self.link.peer

    @property
    def proven(self) -> bool:
        return self.channel.proven

    @property
    def created(self) -> int:
        """The start's clock, in seconds."""
        return self.channel.created


@shape
class Wedged:
    """The current channel could not open something; nothing is sent until a new start."""

    link: Link
    channel: Channel
    since: U64

    @property
    def peer(self) -> DeviceCertificate:
        return self.link.peer

    @property
    def proven(self) -> bool:
        return self.channel.proven

    @property
    def created(self) -> int:
        """The start's clock, in seconds."""
        return self.channel.created


Session = AwaitingReply | Established | Wedged

_KINDS: Final[tuple[type[Session], ...]] = (AwaitingReply, Established, Wedged)


def write_session(session: Session) -> bytes:
    """The kind in one byte, then the shape (spec 07.8); secret."""
    return bytes((_KINDS.index(type(session)),)) + encode(session)


def read_session(raw: bytes) -> Session:
    """Undo `write_session`, or raise `MalformedFrame`."""
    if not raw or raw[0] >= len(_KINDS):
        raise MalformedFrame("not a stored session")
    kind: type[Session] = _KINDS[raw[0]]
    return decode(kind, raw[1:], _MAX_SESSION_BYTES)


def prune(session: Session, now: float) -> Session:
    """Without skipped keys and retired channels that are too old; cheap if there are none."""
    channel = session.channel
    if channel.ratchet.skipped:
        kept = ratchet.pruned(channel.ratchet, now)
        session = replace(session, channel=replace(channel, ratchet=kept))
    if session.link.retired:
        session = replace(session, link=pruned_link(session.link, now))
    return session


def pruned_link(link: Link, now: float) -> Link:
    """Without the retired channels whose time is over; their ids are remembered (spec 07.5)."""
    kept = [one for one in link.retired if now < one.until]
    gone = [one for one in link.retired if now >= one.until]
    young = tuple(
        replace(one, channel=replace(one.channel, ratchet=ratchet.pruned(one.channel.ratchet, now)))
        for one in kept
    )
    return replace(link, retired=young, ended=_ended(link, gone))


def retire(link: Link, channel: Channel, now: float) -> Link:
    """With this channel among the retired; over the limit the oldest ends (spec 07.5)."""
    added = Retired(channel, int(now) + limits.RETIRED_CHANNEL_SECONDS)
    every = (added, *link.retired)
    gone = every[limits.MAX_RETIRED_CHANNELS :]
    return replace(link, retired=every[: limits.MAX_RETIRED_CHANNELS], ended=_ended(link, gone))


def _ended(link: Link, gone: Sequence[Retired]) -> bytes:
    return (b"".join(one.channel.id for one in gone) + link.ended)[: 8 * _ENDED_IDS]


def above(one: Channel, other: Channel) -> bool:
    """The order of starts, the same on both sides: the later one, or the higher key (spec 07.4)."""
    return (one.created, one.base) > (other.created, other.base)


def ids(joined: bytes) -> list[bytes]:
    """The channel ids that stand one after the other in these bytes."""
    return [joined[at : at + 8] for at in range(0, len(joined), 8)]


def forgot(session: Session, channel: bytes) -> bool:
    """Whether a message on this channel shows that we came back without it (spec 07.6).

    All we know of the device is one start of ours, which did not say `lost`.
    """
    link = session.link
    known = link.heard or link.retired or link.ended or link.lost or session.channel.id == channel
    return not known and isinstance(session, AwaitingReply)


def known_ids(session: Session) -> bytes:
    """Every channel this side knows of: the current, the retired, those that ended (spec 07.4)."""
    link = session.link
    forgotten = FORGOTTEN if link.lost else b""
    retired = b"".join(one.channel.id for one in link.retired)
    return session.channel.id + forgotten + retired + link.ended


# --- resumption secrets (spec 05.6) -----------------------------------------------------------


def after_sealing(link: Link, before: Channel, after: Channel) -> Link:
    """A step of ours made a secret that the peer may name once it has heard it."""
    if after.ratchet.step == before.ratchet.step or not after.proven:
        return link
    return replace(link, sent=(after.ratchet.resumption, *link.sent)[:_MAX_SENT])


def after_opening(link: Link, before: Channel, after: Channel) -> Link:
    """A step of the peer's: it holds the secret of ours before, and we may name its own.

    An unproven channel makes no secrets: those of the proven time stay good (spec 07.7).
    """
    if after.ratchet.step == before.ratchet.step or not after.proven:
        return link
    return replace(link, named=after.ratchet.resumption, shown=before.ratchet.resumption, sent=())


def secret_named(link: Link, name: bytes | None) -> bytes | None:
    """The secret of this name, if the peer may hold it."""
    secrets = link.sent if link.shown is None else (*link.sent, link.shown)
    return next((one for one in secrets if handshake.resumption_name(one) == name), None)


def after_resuming(link: Link, secret: bytes) -> Link:
    """The peer showed that it holds this secret: it will not name one made before it."""
    newer = link.sent[: link.sent.index(secret)] if secret in link.sent else link.sent
    return replace(link, shown=secret, sent=newer)
