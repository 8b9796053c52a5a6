"""The good vectors of chapter 08: what every implementation gets (spec 08).

Rules of this file:
- One vector shows one thing; what it gives is complete, down to the random bytes.
"""

from collections.abc import Iterator

from groupcrypt.protocol import sender_key, wire
from groupcrypt.protocol.sender_key import frame as frames
from groupcrypt.protocol.sender_key import message as messages
from groupcrypt.protocol.sender_key.chain import closed, next_head, step
from groupcrypt.testing.forgery import Forgery
from groupcrypt.testing.vectors import Vector, vector
from groupcrypt.testing.vectors.sender_keys_scene import NOW, Scene, chain_given, place, replay


class _Recorder:
    """Randomness that remembers what it gave."""

    def __init__(self, scene: Scene) -> None:
        self._source = scene.entropy
        self.given = b""

    def __call__(self, size: int, /) -> bytes:
        drawn = self._source(size)
        self.given += drawn
        return drawn

    def encapsulate(self, public: bytes, /) -> tuple[bytes, bytes]:
        raise NotImplementedError


def good() -> list[Vector]:
    """Every good vector, by section."""
    return [*_chains(), *_frames(), *_messages(), *_opened(), *_control(), *_evidence()]


def _chains() -> Iterator[Vector]:
    scene = Scene("chains")
    start = chain_key = scene.entropy(32)
    chain_keys: list[bytes] = []
    message_keys: list[bytes] = []
    for _ in range(4):
        chain_key, message_key = step(chain_key)
        chain_keys.append(chain_key)
        message_keys.append(message_key)
    yield vector(
        "08.2",
        "four steps of a chain",
        {"chain_key": start, "steps": 4},
        {"chain_keys": chain_keys, "message_keys": message_keys},
    )
    tape = _Recorder(scene)
    chain = sender_key.new_chain(scene.device, 77, scene.context, now=NOW, entropy=tape)
    fresh = {**place(scene.context), "new_chain": chain_given(chain, tape.given)}
    yield vector(
        "08.5",
        "a fresh chain and its distribution",
        fresh,
        {
            "name": chain.distribution,
            "distribution": sender_key.distribution(scene.context, chain),
        },
    )
    before = scene.context
    scene.enter(fresh=1)
    salt = scene.epochs[-1]["salt"]
    carried = sender_key.carry_sending(chain, salt, scene.context)
    tape = _Recorder(scene)
    renewed = sender_key.refresh_signing(carried, scene.context, now=NOW, entropy=tape)
    yield vector(
        "08.3",
        "a vouch for a new key in the next fresh-secret epoch",
        {
            "before": {**fresh, **place(before)},
            **place(scene.context),
            "salt": salt,
            "refresh_random": tape.given,
        },
        {"vouch": renewed.vouch, "signing": renewed.signing.public},
    )


def _frames() -> Iterator[Vector]:
    scene = Scene("frames")
    body = scene.entropy(256 + 16)
    proof = frames.FrameProof(
        scene.entropy(50), scene.entropy(32), frames.hash_body(body), scene.entropy(64)
    )
    yield vector(
        "08.4",
        "a frame from its parts",
        {
            **place(scene.context, scene.keys),
            "header": proof.header,
            "commit_tag": proof.commit_tag,
            "signature": proof.signature,
            "body": body,
        },
        {"frame": frames.assemble(scene.keys, proof, body)},
    )


def _messages() -> Iterator[Vector]:
    for name, texts in (
        ("one content of 11 bytes, sealed step by step", [b"see you at 6"[:11]]),
        ("an empty content", [b""]),
        ("a bundle of three contents", [b"one", b"", b"three" * 60]),
    ):
        scene = Scene(name)
        made, tape = _Recorder(scene), _Recorder(scene)
        chain = sender_key.new_chain(scene.device, 9, scene.context, now=NOW, entropy=made)
        contents = scene.contents(*texts)
        _, frame = sender_key.seal(
            chain, scene.context, scene.keys, contents, now=NOW, entropy=tape
        )
        header = scene.header(frame)
        _, message_key = step(chain.chain_key)
        yield vector(
            "08.6",
            name,
            {
                **place(scene.context, scene.keys),
                "new_chain": chain_given(chain, made.given),
                "contents": [{"id": one, "content": text} for one, text in contents],
                "seal_random": tape.given,
            },
            {
                "header": header.proof.header,
                "position": header.position,
                "message_key": message_key,
                "body_key": messages.body_key(message_key, header.position),
                "commitments": [
                    messages.commitment(tape.given[16 + 32 * at : 48 + 32 * at], *one)
                    for at, one in enumerate(contents)
                ],
                "commit_tag": header.proof.commit_tag,
                "body_hash": header.proof.body_hash,
                "hash": header.hash,
                "signature": header.proof.signature,
                "frame": frame,
            },
        )


def _opened() -> Iterator[Vector]:
    scene = Scene("in order")
    scene.show(*[scene.seal(b"message %d" % n) for n in range(3)])
    yield _opens("08.6", "three frames in order", scene)

    scene = Scene("reordered")
    sealed = [scene.seal(b"message %d" % n) for n in range(4)]
    scene.show(sealed[3], sealed[1], sealed[0], sealed[2])
    yield _opens("08.6", "four frames in another order", scene)

    scene = Scene("jump")
    scene.skip(2000)
    yield _opens("08.6", "the farthest legal jump", scene.show(scene.seal(b"far ahead")))

    scene = Scene("full bundle")
    scene.show(scene.seal(*[b"%d" % n for n in range(64)]))
    yield _opens("08.6", "a bundle of 64 contents", scene)

    scene = Scene("derived epoch")
    first = scene.seal(b"before")
    scene.show(first).echoed(first)
    scene.enter(fresh=0)
    scene.show(scene.seal(b"after"))
    yield _opens("08.2", "a chain carried into a derived epoch, its head agreed", scene)

    scene = Scene("fresh epoch")
    first = scene.seal(b"before")
    scene.show(first).echoed(first)
    scene.enter(fresh=1)
    scene.refresh()
    scene.show(scene.seal(b"under the new key"), scene.seal(b"with the vouch still riding"))
    yield _opens("08.3", "a chain carried into a fresh-secret epoch, with a vouch", scene)

    scene = Scene("late vouch")
    scene.show(scene.seal(b"0"))
    late = scene.seal(b"1, under the old key, late")
    scene.refresh()
    scene.show(scene.seal(b"2, under the new key"), late)
    yield _opens("08.3", "a late frame under the key before a vouch of the same epoch", scene)

    scene = Scene("withheld")
    sealed = [scene.seal(b"%d" % n) for n in range(3)]
    scene.show(sealed[0]).echoed(*sealed)
    scene.enter(fresh=0)
    scene.show(scene.seal(b"the count tells"))
    yield _opens("08.7", "two frames that the server withheld", scene)

    scene = Scene("swapped")
    sealed = [scene.seal(b"%d" % n) for n in range(2)]
    scene.show(sealed[1], sealed[0]).echoed(*sealed)
    scene.enter(fresh=0)
    scene.show(scene.seal(b"the head tells"))
    yield _opens("08.7", "two frames that the server showed in another order", scene)

    hashes = [scene.entropy(32) for _ in range(3)]
    previous = scene.entropy(32)
    head = bytes(32)
    for hashed in hashes:
        head = next_head(head, hashed)
    count, closing = closed(7, previous, 3, head)
    yield vector(
        "08.7",
        "a running head over three frames, and the closing",
        {"previous_count": 7, "previous_head": previous, "hashes": hashes},
        {"head": head, "closing_count": count, "closing_head": closing},
    )


def _opens(spec: str, name: str, scene: Scene) -> Vector:
    # The outcome is what this library's receiver computes; `check` runs it again from the JSON.
    unopened = vector(spec, name, scene.given)
    return vector(spec, name, scene.given, replay(unopened["given"]))


def _control() -> Iterator[Vector]:
    for kind, name in ((sender_key.ENTRY, "an entry"), (sender_key.CONFIRM, "a confirm")):
        scene = Scene(name)
        control_key, plaintext = scene.entropy(32), scene.entropy(90)
        frame = sender_key.seal_control(
            kind, plaintext, control_key, scene.keys, entropy=scene.entropy
        )
        yield vector(
            "08.8",
            f"{name} as a control record",
            {
                **place(scene.context, scene.keys),
                "control_key": control_key,
                "control_frame": frame,
            },
            {"kind": kind, "plaintext": plaintext, "frame": frame},
        )


def _evidence() -> Iterator[Vector]:
    scene = Scene("report")
    chain = sender_key.accept(
        scene.distribution, context=scene.context, owner=scene.device, known=None
    )
    signing = scene.chain.signing
    frame = scene.seal(b"harmless", b"a threat", b"private")
    header = scene.header(frame)
    _, opened = sender_key.open_frame(chain, scene.context, frame, header, now=NOW)
    yield vector(
        "08.9",
        "a report of the second of three contents",
        {
            **place(scene.context),
            "signing": signing.public,
            "report": sender_key.report(header, opened, 1),
        },
        {
            "device": scene.device,
            "generation": scene.chain.generation,
            "iteration": 0,
            "id": opened.ids[1],
            "content": b"a threat",
        },
    )
    one, other = (scene.forge(Forgery(), text) for text in (b"to some", b"to others"))
    yield vector(
        "08.9",
        "two messages under one iteration",
        {
            **place(scene.context),
            "signing": signing.public,
            "proofs": [wire.encode(scene.header(frame).proof) for frame in (one, other)],
        },
        {"device": scene.device},
    )
