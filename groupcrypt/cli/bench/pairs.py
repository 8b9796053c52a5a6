"""Rows of `groupcrypt bench` about two devices: handshake, in turns, one way (spec 05-07).

Rules of this file:
- The two sides meet for the first time: nothing that was checked before is remembered, so the
  caches of checked certificates and keys are emptied before each handshake.
- Both sides of a message are in one figure, as a conversation costs both.
"""

from groupcrypt.cli.bench import floors
from groupcrypt.cli.bench.floors import Needs
from groupcrypt.cli.bench.rounds import Body, Case, Row
from groupcrypt.entropy import SystemEntropy
from groupcrypt.protocol import handshake, identity, pairwise, primitives
from groupcrypt.testing.pair import End

SECTION = "pairs"
PAYLOAD = bytes(100)
ENTROPY = SystemEntropy()
BODY_BYTES = 260  # header, ciphertext and names of a message of 100 bytes
HELLO_BYTES = 1_700  # what a start adds
TURNS = 100
HANDSHAKES = 4

# HPKE: 5 HMACs on each side, the two of constants left out; the pair's MAC; chain, message and
# guarded key. A step is one root extraction and three blocks of output more.
_HPKE = (90, 110, 60, 100, 80)
_STEP = (70, 90, 120, 120)


def seal_needs(*, step: bool, extra: int = 0) -> Needs:
    """One pairwise message sealed to its recipient (spec 06, 07.2)."""
    keys = 2 if step else 1
    hmacs = (*_HPKE, BODY_BYTES + extra, 30, 30, 50, *(_STEP if step else ()))
    return Needs(dh_keys=keys, dh=keys, hmac=hmacs, seal=(BODY_BYTES + extra + 32, 100))


def open_needs(*, step: bool, extra: int = 0) -> Needs:
    """The same opened (spec 06, 07.3)."""
    hmacs = (*_HPKE, BODY_BYTES + extra, 30, 30, 50, *(_STEP if step else ()))
    return Needs(dh=2 if step else 1, hmac=hmacs, unseal=(BODY_BYTES + extra + 32, 100))


def _initiator_needs() -> Needs:
    letter = seal_needs(step=True, extra=HELLO_BYTES)
    return Needs(
        verify=4,  # certificate twice, bundle, one-time prekey
        dh_keys=1 + letter.dh_keys,
        dh=4 + 1 + letter.dh,  # the agreement, the pair's MAC key, the message
        encapsulate=1,
        hmac=(300, 60, 60, *letter.hmac),
        sha=(4_400, 1_500, 1_500),
        seal=letter.seal,
    )


def _responder_needs() -> Needs:
    letter = open_needs(step=True, extra=HELLO_BYTES)
    return Needs(
        verify=2,
        dh=4 + 1 + letter.dh,
        decapsulate=1,
        hmac=(300, 60, 60, *letter.hmac),
        sha=(4_400,),
        unseal=letter.unseal,
    )


def rows() -> list[Row]:
    """Handshake and first message for each side, then messages both ways and one way."""
    return [*_handshakes(), _turns(), _one_way()]


def forget() -> None:
    """Nothing is known to have been checked."""
    identity.check_certificate.cache_clear()
    identity.read_device_list.cache_clear()
    primitives.check_signing_public.cache_clear()


def _initiate(one: End, other: "_Published", item: bytes) -> bytes:
    session = pairwise.start(
        one.me,
        handshake.read_bundle(other.published, other.me.device),
        item,
        my_list=one.list_name,
        peer_list=other.list_name,
        resumption=None,
        now=one.now,
        entropy=ENTROPY,
    )
    return pairwise.seal(session, one.me, PAYLOAD, now=one.now, entropy=ENTROPY)[1]


class _Published(End):
    """An end whose bundle was made once, as the server has it."""

    def __init__(self) -> None:
        super().__init__(ENTROPY, HANDSHAKES)
        self.published = self.raw_bundle


def _handshakes() -> list[Row]:
    one, other = _Published(), _Published()
    first = [_initiate(one, other, item) for item in other.pool]

    def initiator() -> None:
        for item in other.pool:
            forget()
            _initiate(one, other, item)

    def responder() -> None:
        for envelope in first:
            forget()
            inner = pairwise.unwrap(other.me, envelope)
            pairwise.receive(other.me, other.prekeys, None, inner, now=other.now, entropy=ENTROPY)

    return [
        _case(f"handshake and first message, {side}", HANDSHAKES, body, (HANDSHAKES, needs))
        for side, body, needs in (
            ("initiator", initiator, _initiator_needs()),
            ("responder", responder, _responder_needs()),
        )
    ]


def _pair() -> tuple[End, End]:
    one, other = End(ENTROPY), End(ENTROPY)
    one.start(other)
    other.receive(one.seal(b"first"))
    one.receive(other.seal(b"second"))
    return one, other


def _turns() -> Row:
    one, other = _pair()
    sessions = one.session, other.session

    def body() -> None:
        one.session, other.session = sessions
        for _ in range(TURNS // 2):
            other.receive(one.seal(PAYLOAD))
            one.receive(other.seal(PAYLOAD))

    kem = Needs(kem_keys=1, encapsulate=1, decapsulate=1)
    parts = ((TURNS, seal_needs(step=True)), (TURNS, open_needs(step=True)), (TURNS // 50 - 1, kem))
    return _case("one to one in turns, both sides", TURNS, body, *parts)


def _one_way() -> Row:
    one, other = _pair()
    other.receive(one.seal(PAYLOAD))
    sessions = one.session, other.session

    def body() -> None:
        one.session, other.session = sessions
        for _ in range(TURNS):
            other.receive(one.seal(PAYLOAD))

    parts = ((TURNS, seal_needs(step=False)), (TURNS, open_needs(step=False)))
    return _case("one to one, one way, both sides", TURNS, body, *parts)


def _case(name: str, per: int, body: Body, *parts: tuple[int, Needs]) -> Case:
    needs = "; ".join(part.text() + f" (x {times})" for times, part in parts)
    return Case(SECTION, name, "us", per, lambda: body, floors.bare(*parts), needs)
