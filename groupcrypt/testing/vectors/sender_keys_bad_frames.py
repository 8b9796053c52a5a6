"""The bad frames of chapter 08: one fault each, and the error that must name it (spec 08).

Rules of this file:
- Every forgery is made by a member that holds all shared keys, so no earlier check hides the fault.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import replace

from groupcrypt.errors import (
    AuthenticationFailed,
    BadKey,
    ChainFork,
    Duplicate,
    Expired,
    GroupcryptError,
    MalformedFrame,
    TooFarAhead,
    UnknownChain,
    UnsupportedVersion,
)
from groupcrypt.protocol import limits, sender_key
from groupcrypt.protocol.primitives import mac, pad
from groupcrypt.protocol.sender_key import frame as frames
from groupcrypt.testing.forgery import Forgery, item
from groupcrypt.testing.vectors import Vector, vector
from groupcrypt.testing.vectors.sender_keys_scene import Scene

_Refusal = type[GroupcryptError]
_SMALL_ORDER = b"\1" + bytes(31)
_HEADER = struct.Struct(">BB16sII16s8s")


def bad_frames() -> list[Vector]:
    """Every bad vector that ends in a frame."""
    return [*_outer(), *_heads(), *_windows(), *_signing(), *_vouches(), *_bodies()]


def _frame(spec: str, name: str, expect: _Refusal, make: Callable[[Scene], bytes]) -> Vector:
    scene = Scene(name)
    scene.show(make(scene))
    return vector(spec, name, scene.given, expect=expect)


def _altered(frame: bytes, at: int) -> bytes:
    return frame[:at] + bytes((frame[at] ^ 1,)) + frame[at + 1 :]


def _resealed(scene: Scene, frame: bytes) -> bytes:
    """The frame with a membership tag that fits again."""
    front, body = frame[:163], frame[163:-16]
    tag = mac(scene.keys.membership, "membership tag", front, frames.hash_body(body))
    return front + body + tag[:16]


def _outer() -> Iterator[Vector]:
    whole, no = "08.4", AuthenticationFailed
    malformed = MalformedFrame
    yield _frame(whole, "no bytes at all", malformed, lambda _: b"")
    yield _frame(whole, "a byte less than any frame has", malformed, lambda s: s.seal(b"x")[:450])
    yield _frame(whole, "a length that padding does not make", malformed, _longer)
    yield _frame(whole, "another version", UnsupportedVersion, lambda s: b"\2" + s.seal(b"x")[1:])
    for name, at in (
        ("membership tag", -1),
        ("commit tag", 1),
        ("head", 40),
        ("body", 170),
    ):
        yield _frame(whole, f"a changed bit: {name}", no, _flipped(at))
    yield _frame(whole, "sealed for another group's keys", no, lambda _: Scene("other").seal(b"x"))
    for name, at in (("commit tag", 1), ("head", 40), ("extension", 170), ("ciphertext", 300)):
        title = f"a changed bit under a fitting membership tag: {name}"
        yield _frame(whole, title, no, _flipped(at, fitting=True))


def _flipped(at: int, *, fitting: bool = False) -> Callable[[Scene], bytes]:
    def make(scene: Scene) -> bytes:
        frame = scene.seal(b"x")
        altered = _altered(frame, at % len(frame))
        return _resealed(scene, altered) if fitting else altered

    return make


def _longer(scene: Scene) -> bytes:
    frame = scene.seal(b"x")
    return _resealed(scene, frame[:-16] + b"\0" + frame[-16:])


def _header(scene: Scene, **changed: int | bytes) -> bytes:
    names = ("kind", "flags", "device", "generation", "iteration", "guard", "name")
    honest = _HEADER.unpack(frames.header_bytes(scene.chain, scene.entropy(16), 0))
    values = dict(zip(names, honest, strict=True)) | changed
    return _HEADER.pack(*(values[name] for name in names))


def _heads() -> Iterator[Vector]:
    cases: tuple[tuple[str, str, _Refusal, dict[str, int | bytes]], ...] = (
        ("08.4", "an unknown kind", MalformedFrame, {"kind": 3}),
        ("08.4", "an unknown flag", MalformedFrame, {"flags": 4}),
        ("08.6", "another generation", UnknownChain, {"generation": 2}),
        ("08.6", "another chain of the same generation", UnknownChain, {"name": bytes(8)}),
        ("08.6", "another device", UnknownChain, {"device": bytes(16)}),
        ("08.8", "a control record with a chain in its header", MalformedFrame, {"kind": 1}),
    )
    for spec, name, expect, changed in cases:
        scene = Scene(name)
        scene.show(scene.forge(Forgery(header=_header(scene, **changed))))
        yield vector(spec, name, scene.given, expect=expect)
    empty = bytes((1,)) + bytes(49)
    yield _frame(
        "08.8",
        "a control record with a signature",
        MalformedFrame,
        lambda s: s.forge(Forgery(header=empty)),
    )
    yield _frame(
        "08.6",
        "a control record where a message is expected",
        MalformedFrame,
        lambda s: sender_key.seal_control(1, b"e", s.entropy(32), s.keys, entropy=s.entropy),
    )


def _windows() -> Iterator[Vector]:
    yield _frame("08.6", "an iteration beyond the window", TooFarAhead, lambda s: _far(s, 2001))
    last = limits.MAX_ITERATION
    yield _frame(
        "08.6",
        "the iteration that no frame may have",
        TooFarAhead,
        lambda s: s.forge(Forgery(header=_header(s, iteration=last))),
    )
    scene = Scene("repeat")
    frame = scene.seal(b"once")
    scene.show(frame, frame)
    yield vector("08.6", "a frame shown twice", scene.given, expect=Duplicate)

    scene = Scene("repeat of a skipped one")
    frames_ = [scene.seal(b"%d" % n) for n in range(2)]
    scene.show(frames_[1], frames_[0], frames_[0])
    yield vector("08.6", "a late frame shown twice", scene.given, expect=Duplicate)

    scene = Scene("old repeat")
    sealed = [scene.seal(b"%d" % n) for n in range(34)]
    scene.show(*sealed, sealed[0])
    yield vector(
        "08.6", "a repeat from before the remembered hashes", scene.given, expect=Duplicate
    )

    scene = Scene("evicted")
    late = scene.seal(b"too late")
    scene.skip(1000)
    scene.show(scene.seal(b"1001"), late)
    yield vector("08.6", "a key that was evicted", scene.given, expect=Expired)

    scene = Scene("fork")
    other = scene.forge(Forgery(), b"to others")
    scene.show(scene.seal(b"to some"), other)
    yield vector("08.6", "a second message under a used iteration", scene.given, expect=ChainFork)

    scene = Scene("forged fork")
    other = scene.forge(Forgery(signing=scene.signing_key()), b"to others")
    scene.show(scene.seal(b"to some"), other)
    yield vector(
        "08.6",
        "a forged second message under a used iteration",
        scene.given,
        expect=AuthenticationFailed,
    )


def _far(scene: Scene, iterations: int) -> bytes:
    scene.skip(iterations)
    return scene.seal(b"x")


def _signing() -> Iterator[Vector]:
    no = AuthenticationFailed
    yield _frame(
        "08.6",
        "signed by another member",
        no,
        lambda s: s.forge(Forgery(signing=s.signing_key())),
    )
    yield _frame("08.6", "a zero signature", no, lambda s: s.forge(Forgery(signature=bytes(64))))

    scene = Scene("not renewed")
    scene.enter(fresh=1)
    scene.show(scene.forge(Forgery()))
    missing = UnknownChain
    yield vector("08.3", "a signing key that was not renewed", scene.given, expect=missing)

    scene = Scene("old key after the vouch")
    old = scene.chain.signing
    scene.refresh()
    scene.show(scene.seal(b"0"))
    scene.show(scene.forge(Forgery(signing=old)))
    yield vector("08.3", "the old key after its vouch", scene.given, expect=no)

    scene = Scene("moved to another epoch")
    moved = scene.chain
    scene.enter(fresh=0)
    scene.chain = replace(scene.chain, chain_key=moved.chain_key)
    scene.show(scene.seal(b"x"))
    yield vector("08.2", "the chain key of the epoch before", scene.given, expect=no)


def _vouches() -> Iterator[Vector]:
    no = AuthenticationFailed

    def with_vouch(name: str, expect: _Refusal, alter: Callable[[Scene, bytes], bytes]) -> Vector:
        scene = Scene(name)
        scene.enter(fresh=1)
        scene.refresh()
        assert scene.chain.vouch is not None
        vouch = alter(scene, scene.chain.vouch)
        header = _header(scene, flags=1)
        scene.show(scene.forge(Forgery(header=header, extension=vouch)))
        return vector("08.3", name, scene.given, expect=expect)

    yield with_vouch("a vouch with a changed count", no, lambda _, v: _altered(v, 23))
    yield with_vouch("a vouch not signed by the old key", no, lambda _, v: _altered(v, 90))
    yield with_vouch("a vouch not signed by the new key", no, lambda _, v: _altered(v, 160))
    yield with_vouch("a vouch for another fresh count", no, lambda _, v: _altered(v, 7))
    yield with_vouch("a vouch of a later epoch", no, lambda _, v: _altered(v, 3))
    yield with_vouch("a vouch that skips a key", UnknownChain, lambda _, v: _altered(v, 10))
    yield with_vouch(
        "a vouch for a key of small order",
        BadKey,
        lambda _, v: v[:56] + _SMALL_ORDER + v[88:],
    )
    yield with_vouch(
        "a vouch that begins after its frame", MalformedFrame, lambda _, v: _altered(v, 15)
    )

    scene = Scene("two fresh epochs")
    scene.enter(fresh=2)
    scene.chain = replace(scene.chain, fresh=scene.context.fresh - 1)  # what a thief would claim
    scene.refresh()
    scene.show(scene.seal(b"x"))
    yield vector("08.3", "a vouch two fresh-secret epochs later", scene.given, expect=no)


def _bodies() -> Iterator[Vector]:
    malformed, no = MalformedFrame, AuthenticationFailed

    def bundled(name: str, bundle: Callable[[Scene], bytes]) -> Vector:
        return _frame("08.6", name, malformed, lambda s: s.forge(Forgery(bundle=bundle(s))))

    def one(scene: Scene, content: bytes = b"x") -> bytes:
        return item(*scene.items(content)[0])

    yield bundled("a bundle that ends in an item", lambda s: one(s)[:-1])
    yield bundled("a bundle with a byte too many", lambda s: one(s) + b"\0")
    yield _frame(
        "08.6",
        "a bundle without a content",
        malformed,
        lambda s: s.forge(Forgery(bundle=b"", commitments=[])),
    )
    yield _frame("08.6", "65 contents", malformed, lambda s: s.forge(Forgery(), *[b""] * 65))
    yield _frame("08.6", "one logical id twice", malformed, _twice)
    yield _frame(
        "08.6",
        "a padding that is not zero",
        malformed,
        lambda s: s.forge(Forgery(padded=pad(one(s))[:-1] + b"\1")),
    )
    yield _frame(
        "08.6",
        "a commit tag for other contents",
        no,
        lambda s: s.forge(Forgery(commitments=[s.entropy(32)])),
    )
    yield _frame(
        "08.6", "sealed under another key", no, lambda s: s.forge(Forgery(body_key=s.entropy(32)))
    )


def _twice(scene: Scene) -> bytes:
    first, second = scene.items(b"a", b"b")
    bundle = item(*first) + item(second[0], first[1], second[2])
    tags = [
        mac(opening, "content commitment", first[1], content)
        for opening, _, content in (first, second)
    ]
    return scene.forge(Forgery(bundle=bundle, commitments=tags))
