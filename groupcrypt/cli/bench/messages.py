"""Rows of `groupcrypt bench` about group messages: sender keys alone (spec 08.6).

Rules of this file:
- Chains are values, so every batch begins with the same ones.
- Signing keys: one throughout; their renewal has a row of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from groupcrypt.cli.bench import floors
from groupcrypt.cli.bench.floors import Needs
from groupcrypt.cli.bench.rounds import Body, Case, Row, Target
from groupcrypt.entropy import SystemEntropy
from groupcrypt.protocol import sender_key
from groupcrypt.protocol.identifiers import DeviceId, GroupId, LogHash, MessageId
from groupcrypt.protocol.primitives import padded_length
from groupcrypt.protocol.sender_key import Context, FrameKeys, ReceivingChain, SendingChain
from groupcrypt.protocol.sender_key.chain import step

SECTION = "messages"
NOW = 1_800_000_000.0
ENTROPY = SystemEntropy()
CONTEXT = Context(GroupId(b"g" * 32), 3, LogHash(b"l" * 32), 1)
KEYS = FrameKeys(b"h" * 32, b"m" * 32)
MEMBERSHIP_BYTES = 260  # what the membership tag is over, framed
POSITION_BYTES = 160
STEP = 1

# What a sender key with the field's usual parts needs: two HMACs for the chain, two for a key and
# nonce, one AEAD, one signature over the whole.
TEXTBOOK_SEAL = Needs(sign=1, hmac=(1, 1, 32, 60), seal=(100,))
TEXTBOOK_OPEN = Needs(verify=1, hmac=(1, 1, 32, 60), unseal=(100,))


def bundle_bytes(contents: int, size: int) -> int:
    """What is sealed: each content with its opening key, id and length, padded."""
    return padded_length(contents * (size + 52) + 4)


def _hashes(contents: int, size: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    hmacs = (
        *(STEP, STEP, POSITION_BYTES),  # chain key, message key, body key
        *([size + 60] * contents),  # a commitment each
        32 * contents + 40,  # commit tag
        *(60, MEMBERSHIP_BYTES),  # header key, membership tag
    )
    return hmacs, (POSITION_BYTES, bundle_bytes(contents, size) + 40, 140, 70)


def seal_needs(contents: int, size: int) -> Needs:
    """What sealing one frame takes (spec 08.6)."""
    hmacs, hashes = _hashes(contents, size)
    return Needs(sign=1, hmac=hmacs, sha=hashes, seal=(bundle_bytes(contents, size), 114))


def open_needs(contents: int, size: int) -> Needs:
    """What opening one frame takes; the fifth hash is the running head (spec 08.6)."""
    hmacs, hashes = _hashes(contents, size)
    sizes = (bundle_bytes(contents, size), 114)
    return Needs(verify=1, hmac=hmacs, sha=(*hashes, 90), unseal=sizes)


@dataclass(frozen=True, slots=True, repr=False)
class Talk:
    """A sender's chain past its first frame, and a receiver's."""

    sending: SendingChain
    receiving: ReceivingChain


def talk() -> Talk:
    """A chain that was distributed, and one frame sent and opened."""
    device = DeviceId(b"d" * 16)
    chain = sender_key.new_chain(device, 7, CONTEXT, now=NOW, entropy=ENTROPY)
    raw = sender_key.distribution(CONTEXT, chain)
    held = sender_key.accept(raw, context=CONTEXT, owner=device, known=None)
    chain, frame = _seal(chain, contents_of(1, 100))
    return Talk(chain, opened(held, frame))


def contents_of(count: int, size: int) -> list[tuple[MessageId, bytes]]:
    """Contents of one frame."""
    return [(MessageId(ENTROPY(16)), ENTROPY(size)) for _ in range(count)]


def _seal(
    chain: SendingChain, contents: list[tuple[MessageId, bytes]]
) -> tuple[SendingChain, bytes]:
    return sender_key.seal(chain, CONTEXT, KEYS, contents, now=NOW, entropy=ENTROPY)


def opened(chain: ReceivingChain, frame: bytes) -> ReceivingChain:
    """The chain after a frame."""
    header = sender_key.open_header(KEYS, CONTEXT, frame)
    return sender_key.open_frame(chain, CONTEXT, frame, header, now=NOW)[0]


def frames_of(chain: SendingChain, count: int, contents: int, size: int) -> list[bytes]:
    """Frames in a row."""
    made: list[bytes] = []
    for _ in range(count):
        chain, frame = _seal(replace(chain, signed=0), contents_of(contents, size))
        made.append(frame)
    return made


def rows(*, order: int, jump: int) -> list[Row]:
    """Seal and open alone, in bundles, large, out of order, after a gap."""
    start = talk()
    made: list[Row] = _textbook()
    made += _pair(start, 1, 100, Target("ratio", 2.0), Target("ratio", 1.6))
    for count in (8, 32, 64):
        targets = (Target("verifications", 0.06), Target("verifications", 0.1))
        made += _pair(start, count, 100, *(targets if count == 32 else (None, None)))
    made += _pair(start, 1, 10_240, None, None)
    made += _orders(start, order)
    made.append(_jump(start, jump))
    return [*made, *_renewal(start)]


def _textbook() -> list[Row]:
    made: list[Row] = []
    for verb, needs in (("seal", TEXTBOOK_SEAL), ("open", TEXTBOOK_OPEN)):
        batch = floors.bare((20, needs))
        made.append(
            Case(
                SECTION,
                f"textbook sender key: {verb}",
                "us",
                20,
                batch,
                batch,
                needs.text(),
                note="for comparison; nothing of ours is in it",
            )
        )
    return made


def _pair(
    start: Talk, count: int, size: int, sealing: Target | None, opening: Target | None
) -> list[Row]:
    frames = 20 if count == 1 else 4
    batch = contents_of(count, size)
    sealed = frames_of(start.sending, frames, count, size)

    def seal() -> None:
        chain = start.sending
        for _ in range(frames):
            chain, _frame = _seal(chain, batch)

    named = f"{size} bytes" if count == 1 else f"bundle of {count} x {size} bytes, each"
    made: list[Row] = []
    for verb, body, needs, target in (
        ("seal", seal, seal_needs(count, size), sealing),
        ("open", _opening(start, sealed), open_needs(count, size), opening),
    ):
        made.append(
            Case(
                SECTION,
                f"{verb} {named}",
                "us",
                frames * count,
                _always(body),
                floors.bare((frames, needs)),
                needs.text(),
                target,
            )
        )
    return made


def _opening(start: Talk, frames: list[bytes]) -> Body:
    def body() -> None:
        chain = start.receiving
        for frame in frames:
            chain = opened(chain, frame)

    return body


def _always(body: Body) -> Callable[[], Body]:
    return lambda: body


def _orders(start: Talk, order: int) -> list[Row]:
    frames = frames_of(start.sending, order, 1, 100)
    needs = open_needs(1, 100)
    return [
        Case(
            SECTION,
            f"open {order:,} frames {how}, each",
            "us",
            order,
            _always(_opening(start, queue)),
            floors.bare((order, needs)),
            needs.text(),
            slow=True,
        )
        for how, queue in (("in order", frames), ("in reverse", frames[::-1]))
    ]


def _jump(start: Talk, jump: int) -> Row:
    chain = start.sending
    for _ in range(jump):
        chain = replace(
            chain, iteration=chain.iteration + 1, chain_key=step(chain.chain_key)[0], signed=0
        )
    _, frame = _seal(chain, contents_of(1, 100))
    kept = min(jump, 1_000)
    parts = ((1, Needs(hmac=(STEP,) * (jump + kept))), (1, open_needs(1, 100)))
    return Case(
        SECTION,
        f"open after a gap of {jump:,}",
        "ms",
        1,
        _always(_opening(start, [frame])),
        floors.bare(*parts),
        floors.total(*parts),
        Target("value", 10.0),
        note=f"the last {kept:,} message keys are kept",
    )


def _renewal(start: Talk) -> list[Row]:
    chain = start.sending
    renewed = sender_key.refresh_signing(chain, CONTEXT, now=NOW, entropy=ENTROPY)
    _, frame = _seal(renewed, contents_of(1, 100))
    alone = seal_needs(1, 100)
    seals = replace(alone, sign=3, signing_keys=1, hmac=(*alone.hmac, 60), seal=(*alone.seal, 216))
    alone = open_needs(1, 100)
    opens = replace(alone, verify=3, hmac=(*alone.hmac, 60), unseal=(*alone.unseal, 216))

    def seal() -> None:
        for _ in range(10):
            fresh = sender_key.refresh_signing(chain, CONTEXT, now=NOW, entropy=ENTROPY)
            _seal(fresh, batch)

    def opening() -> None:
        for _ in range(10):
            opened(start.receiving, frame)

    batch = contents_of(1, 100)
    name = "the first frame under a renewed signing key"
    return [
        Case(SECTION, f"{verb} {name}", "us", 10, _always(body), floors.bare((10, needs)), text)
        for verb, body, needs, text in (
            ("seal", seal, seals, seals.text()),
            ("open", opening, opens, opens.text()),
        )
    ]
