"""The other bad vectors of chapter 08: distributions, control records, evidence (spec 08).

Rules of this file:
- Each takes an honest record and spoils one thing.
"""

import struct
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from groupcrypt.errors import (
    AuthenticationFailed,
    BadKey,
    ChainFork,
    GroupcryptError,
    MalformedFrame,
    NonCanonical,
    NotAllowed,
    StaleEpoch,
    UnsupportedVersion,
)
from groupcrypt.protocol import sender_key, wire
from groupcrypt.protocol.primitives import mac, pad, seal
from groupcrypt.protocol.sender_key import Report
from groupcrypt.protocol.sender_key import frame as frames
from groupcrypt.testing.vectors import Vector, vector
from groupcrypt.testing.vectors.sender_keys_scene import NOW, Scene, place

_Refusal = type[GroupcryptError]
_SMALL_ORDER = b"\1" + bytes(31)
_HEADER = struct.Struct(">BB16sII16s8s")


def bad_records() -> list[Vector]:
    """Every bad vector that is not about a message's frame."""
    return [*_distributions(), *_control(), *_evidence()]


def _distributions() -> Iterator[Vector]:
    scene = Scene("distributions")
    honest = sender_key.read_distribution(scene.distribution)
    base = {**place(scene.context), "owner": scene.device}

    def case(name: str, expect: _Refusal, arrived: bytes, held: bytes | None = None) -> Vector:
        return vector("08.5", name, {**base, "held": held, "arrived": arrived}, expect=expect)

    cases: tuple[tuple[str, _Refusal, dict[str, Any]], ...] = (
        ("of another device than its sender", NotAllowed, {"device": scene.entropy(16)}),
        ("for another group", StaleEpoch, {"group": scene.entropy(32)}),
        ("for another epoch", StaleEpoch, {"epoch": 6}),
        ("for another log", StaleEpoch, {"log_hash": scene.entropy(32)}),
        ("of another version", UnsupportedVersion, {"version": 2}),
        ("with a signing key from the future", NotAllowed, {"fresh": 4}),
        ("with a signing key two fresh secrets old", NotAllowed, {"fresh": 1}),
        ("with a signing key from a later iteration", MalformedFrame, {"signing_from": 1}),
        ("at the iteration that no frame may have", MalformedFrame, {"iteration": 2**32 - 1}),
        ("with a signing key of small order", BadKey, {"signing": _SMALL_ORDER}),
        ("with a short carry", MalformedFrame, {"carry": bytes(31)}),
    )
    for name, expect, changed in cases:
        yield case(f"a distribution {name}", expect, wire.encode(replace(honest, **changed)))
    raw = scene.distribution
    yield case("a distribution with a byte too many", MalformedFrame, raw + b"\0")
    wide = raw.replace(b"\xc4\x20", b"\xc5\x00\x20", 1)
    yield case("a distribution not in canonical form", NonCanonical, wide)
    forks: tuple[tuple[str, dict[str, Any]], ...] = (
        ("carry", {"carry": scene.entropy(32)}),
        ("chain key", {"chain_key": scene.entropy(32)}),
        ("name", {"distribution": scene.entropy(8)}),
        ("signing key", {"signing": scene.signing_key().public}),
    )
    for name, changed in forks:
        other = wire.encode(replace(honest, **changed))
        yield case(f"another {name} under the name of a held chain", ChainFork, other, raw)
    scene.skip(3)
    ahead = replace(
        sender_key.read_distribution(sender_key.distribution(scene.context, scene.chain)),
        chain_key=scene.entropy(32),
    )
    yield case("a held chain continued otherwise", ChainFork, wire.encode(ahead), raw)


def _control() -> Iterator[Vector]:
    scene = Scene("control")
    control_key = scene.entropy(32)
    base = {**place(scene.context, scene.keys), "control_key": control_key}

    def case(name: str, expect: _Refusal, frame: bytes) -> Vector:
        return vector("08.8", name, {**base, "control_frame": frame}, expect=expect)

    entry = sender_key.seal_control(1, b"e", scene.entropy(32), scene.keys, entropy=scene.entropy)
    yield case("an entry under another control key", AuthenticationFailed, entry)
    message = scene.seal(b"x")
    yield case("a message where a control record is expected", MalformedFrame, message)
    name = scene.entropy(32)
    key = mac(control_key, "control record key", b"\1", name)
    body = seal(key, pad(b"e")[:-1] + b"\1", b"")
    head = bytes((1,)) + bytes(49)
    proof = frames.FrameProof(head, name, frames.hash_body(body), bytes(64))
    padded = frames.assemble(scene.keys, proof, body)
    yield case("an entry with a padding that is not zero", MalformedFrame, padded)


def _evidence() -> Iterator[Vector]:
    scene = Scene("evidence")
    context, signing = scene.context, scene.chain.signing.public
    chain = sender_key.accept(scene.distribution, context=context, owner=scene.device, known=None)
    frame = scene.seal(b"harmless", b"a threat")
    header = scene.header(frame)
    _, opened = sender_key.open_frame(chain, context, frame, header, now=NOW)
    true = wire.decode(Report, sender_key.report(header, opened, 1))

    def case(name: str, expect: _Refusal, found: Report, key: bytes = signing) -> Vector:
        given = {**place(context), "signing": key, "report": wire.encode(found)}
        return vector("08.9", name, given, expect=expect)

    no = AuthenticationFailed
    yield case("a report of an altered content", no, replace(true, content=b"a threat!"))
    yield case("a report of the other content's place", no, replace(true, index=0))
    yield case("a report under another id", no, replace(true, id=scene.entropy(16)))
    yield case("a report with another opening key", no, replace(true, opening=scene.entropy(32)))
    swapped = true.commitments[32:] + true.commitments[:32]
    yield case("a report with its list swapped", no, replace(true, commitments=swapped, index=0))
    place_ = _HEADER.pack(*_HEADER.unpack(true.header)[:4], 1, *_HEADER.unpack(true.header)[5:])
    yield case("a report of another iteration", no, replace(true, header=place_))
    yield case("a report of another signer", no, true, scene.signing_key().public)
    yield case("a report past its list", MalformedFrame, replace(true, index=2))
    yield case("a report of another version", UnsupportedVersion, replace(true, version=2))
    short = replace(true, commitments=true.commitments[:-1])
    yield case("a report with a broken list", MalformedFrame, short)
    elsewhere = replace(context, epoch=context.epoch + 1)
    given = {**place(elsewhere), "signing": signing, "report": wire.encode(true)}
    yield vector("08.9", "a report for another epoch", given, expect=no)

    proof = wire.encode(header.proof)
    later = wire.encode(scene.header(scene.seal(b"next")).proof)
    for name, proofs in (
        ("two proofs of one frame", [proof, proof]),
        ("two proofs of two iterations", [proof, later]),
    ):
        given = {**place(context), "signing": signing, "proofs": proofs}
        yield vector("08.9", name, given, expect=no)
