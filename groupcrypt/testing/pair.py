"""Two devices with prekeys and a session between them, for tests and vectors (spec 05-07).

Rules of this file:
- An `End` is mutable, as a node is: it adopts what a step returned, and nothing when it raised.
- Envelopes are handed over by the test: what is lost, repeated or reordered is its choice.

It is no network and no node: there are no topics, and nothing is sent by itself.
"""

from groupcrypt.errors import RemoteError
from groupcrypt.protocol import handshake, pairwise
from groupcrypt.protocol.handshake import Bundle, Prekeys
from groupcrypt.protocol.pairwise import Received, Session
from groupcrypt.protocol.primitives import Entropy
from groupcrypt.testing.entropy import SeededEntropy
from groupcrypt.testing.person import make_person

START = 1_800_000_000.0  # an arbitrary time, in seconds


class End:
    """One device and its session with the other end."""

    def __init__(self, entropy: Entropy, one_time: int = 4) -> None:
        self.entropy = entropy
        self.person = make_person(entropy)
        self.me = self.person.phone
        self.now = START
        self.session: Session | None = None
        self._last: Received | None = None
        self.prekeys = Prekeys(handshake.make_signed_prekeys(1, self.now, entropy))
        self.pool: list[bytes] = []
        self.fill(one_time)

    def fill(self, count: int) -> None:
        """Publish this many one-time prekeys more."""
        made, items = handshake.make_one_time(self.me, self.prekeys.issued + 1, count, self.entropy)
        self.prekeys = handshake.with_one_time(self.prekeys, made)
        self.pool += items

    @property
    def list_name(self) -> tuple[int, bytes]:
        return self.person.listed.version, self.person.listed.hash

    @property
    def raw_bundle(self) -> bytes:
        """The bundle as published; its mailbox and pool are made up."""
        return handshake.make_bundle(
            self.me,
            self.prekeys.current,
            mailbox=b"m" * 32,
            mailbox_token=b"M" * 32,
            pool=b"p" * 32,
            pool_token=b"P" * 32,
        )

    @property
    def bundle(self) -> Bundle:
        return handshake.read_bundle(self.raw_bundle, self.me.device)

    def held(self) -> Session:
        """The session, which is there."""
        assert self.session is not None
        return self.session

    def last(self) -> Received:
        """What the last opened message gave."""
        assert self._last is not None
        return self._last

    def start(self, peer: "End", refused: bytes | None = None) -> None:
        """Start a channel, with a one-time prekey if the peer's pool has one.

        `refused` names a start of the peer's that could not be opened.
        """
        self.session = pairwise.start(
            self.me,
            peer.bundle,
            peer.pool.pop(0) if peer.pool else None,
            my_list=self.list_name,
            peer_list=peer.list_name,
            resumption=self.session,
            refused=refused,
            now=self.now,
            entropy=self.entropy,
        )

    def seal(self, payload: bytes) -> bytes:
        """The envelope of a payload."""
        self.session, envelope = pairwise.seal(
            self.held(), self.me, payload, now=self.now, entropy=self.entropy
        )
        return envelope

    def receive(self, envelope: bytes) -> bytes:
        """The payload; raises what `pairwise.receive` does, having judged the session."""
        inner = pairwise.unwrap(self.me, envelope)
        try:
            received = pairwise.receive(
                self.me, self.prekeys, self.session, inner, now=self.now, entropy=self.entropy
            )
        except RemoteError as error:
            if self.session is not None:
                self.session = pairwise.judge(self.session, inner, error, self.now)
            raise
        self.session, self.prekeys, self._last = received.session, received.prekeys, received
        return received.payload

    def restart(self) -> None:
        """Write everything down and read it again."""
        self.prekeys = handshake.read_prekeys(handshake.write_prekeys(self.prekeys))
        if self.session is not None:
            self.session = pairwise.read_session(pairwise.write_session(self.session))


def make_ends(seed: int = 0, one_time: int = 4) -> tuple[End, End]:
    """Two devices of two accounts, without a session yet."""
    entropy = SeededEntropy(seed)
    return End(entropy.fork("a"), one_time), End(entropy.fork("b"), one_time)


def make_pair(seed: int = 0) -> tuple[End, End]:
    """Two devices with an established session: one message went each way."""
    a, b = make_ends(seed)
    a.start(b)
    b.receive(a.seal(b"first"))
    a.receive(b.seal(b"second"))
    return a, b
