"""Vectors of the Double Ratchet: scripts of one side, with what it drew (spec 06).

`given` has the state one side begins with and its steps: `open` a message or `seal` a text, at a
time, with the draws that sealing makes. `then.results` has what each step gives. In a bad vector
the last step is refused.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from groupcrypt.errors import (
    AuthenticationFailed,
    BadKey,
    Duplicate,
    GroupcryptError,
    MalformedFrame,
    TooFarAhead,
)
from groupcrypt.protocol import limits, ratchet
from groupcrypt.protocol.primitives import DhPrivate
from groupcrypt.protocol.ratchet import Header, Ratchet
from groupcrypt.protocol.wire import decode, encode
from groupcrypt.testing.entropy import SeededEntropy
from groupcrypt.testing.vectors import Vector, expecting, vector
from groupcrypt.testing.vectors.recorded import Recorder, Replay

NOW: Final = 1_800_000_000
AD: Final = b"associated data of the channel"
Message = tuple[bytes, bytes]


class _Script:
    """Both sides of a channel, and the steps of the responder as a vector has them."""

    def __init__(self, seed: int) -> None:
        entropy = SeededEntropy(seed)
        self.root, self.signed = entropy(32), DhPrivate.generate(entropy)
        self.entropy = entropy.fork("initiator")
        self.recorder = Recorder(entropy.fork("responder"))
        self.far = ratchet.initiator(self.root, self.signed.public, NOW)
        self.near = ratchet.responder(self.root, self.signed, NOW)
        self.now = NOW
        self.steps: list[dict[str, Any]] = []
        self.results: list[Any] = []

    def made(self, text: bytes) -> Message:
        """A message of the other side."""
        self.far, header, ciphertext = ratchet.seal(
            self.far, text, AD, now=self.now, entropy=self.entropy
        )
        return header, ciphertext

    def open(self, message: Message) -> None:
        """A step that opens."""
        self.steps.append(self.opening(message))
        self.near, text = ratchet.open_message(self.near, *message, AD, now=self.now)
        self.results.append(text)

    def opening(self, message: Message) -> dict[str, Any]:
        return {"open": list(message), "now": self.now}

    def seal(self, text: bytes) -> Message:
        """A step that seals; the other side opens it."""
        self.near, header, ciphertext = ratchet.seal(
            self.near, text, AD, now=self.now, entropy=self.recorder
        )
        self.steps.append({"seal": text, "now": self.now, "draws": self.recorder.taken()})
        self.results.append([header, ciphertext])
        self.far, _ = ratchet.open_message(self.far, header, ciphertext, AD, now=self.now)
        return header, ciphertext

    def given(self, *more: dict[str, Any]) -> dict[str, Any]:
        return {
            "root": self.root,
            "signed_prekey": self.signed.to_bytes(),
            "created": NOW,
            "ad": AD,
            "steps": [*self.steps, *more],
        }

    def good(self, spec: str, name: str) -> Vector:
        state = self.near
        then = {"results": self.results, "step": state.step, "root": state.root}
        return vector(spec, name, self.given(), then | {"resumption": state.resumption})


def generate() -> tuple[list[Vector], list[Vector]]:
    """Good and bad vectors."""
    return [_turns(), _orders(), _exchange()], _bad()


def _turns() -> Vector:
    script = _Script(1)
    script.open(script.made(b"one"))
    script.seal(b"two")
    script.seal(b"")
    script.open(script.made(b"three"))
    script.seal(b"four")
    return script.good("06.2", "a conversation with three steps")


def _orders() -> Vector:
    script = _Script(2)
    first = [script.made(b"1.%d" % n) for n in range(4)]
    script.open(first[2])
    script.seal(b"turn")
    later = [script.made(b"3.%d" % n) for n in range(3)]
    for message in (later[1], first[3], later[0], first[0], later[2], first[1]):
        script.open(message)
    return script.good("06.6", "messages out of order, across a step")


def _exchange() -> Vector:
    script = _Script(3)
    script.open(script.made(b"one"))
    script.now += limits.PQ_STEP_SECONDS
    script.seal(b"with an offer")
    script.open(script.made(b"with the answer"))
    script.seal(b"mixed")
    script.now += limits.PQ_STEP_SECONDS
    script.far = replace(script.far, mixed=NOW)  # it is due for the other side first
    script.open(script.made(b"with an offer"))
    script.seal(b"with the answer")
    script.seal(b"and again")
    return script.good("06.7", "a KEM exchange from each side")


def _bad() -> list[Vector]:
    out: list[Vector] = []

    def case(
        spec: str, name: str, make: Callable[[_Script], Message], code: type[GroupcryptError]
    ) -> None:
        script = _Script(4)
        script.open(script.made(b"one"))
        script.seal(b"two")
        step = script.opening(make(script))
        out.append(vector(spec, name, script.given(step), expect=code))

    def header(**changes: Any) -> Callable[[_Script], Message]:
        def make(script: _Script) -> Message:
            raw, ciphertext = script.made(b"three")
            return encode(replace(decode(Header, raw), **changes)), ciphertext

        return make

    def again(script: _Script) -> Message:
        message = script.made(b"three")
        script.open(message)
        return message

    def flipped(script: _Script) -> Message:
        raw, ciphertext = script.made(b"three")
        return raw, bytes((ciphertext[0] ^ 1,)) + ciphertext[1:]

    def cut(script: _Script) -> Message:
        raw, ciphertext = script.made(b"three")
        return raw[:-1], ciphertext

    def no_answer(script: _Script) -> Message:
        script.open(script.made(b"three"))
        script.now += limits.PQ_STEP_SECONDS
        script.seal(b"offer")
        raw, ciphertext = script.made(b"answer")
        return encode(replace(decode(Header, raw), answer=None)), ciphertext

    other = DhPrivate.generate(SeededEntropy(9)).public
    case("06.2", "step 0", header(step=0), MalformedFrame)
    case("06.2", "a step of the own side", header(step=4), MalformedFrame)
    case("06.2", "a step too far", header(step=5), AuthenticationFailed)
    case("06.5", "a header cut short", cut, MalformedFrame)
    case("06.5", "a ratchet key of small order", header(ratchet=bytes(32)), BadKey)
    case("06.5", "another ratchet key", header(ratchet=other), AuthenticationFailed)
    case("06.5", "another guard", header(guard=bytes(16)), AuthenticationFailed)
    case("06.5", "a flipped bit of the ciphertext", flipped, AuthenticationFailed)
    case("06.5", "a chain before shorter than was opened", header(previous=0), MalformedFrame)
    case("06.5", "a chain before that is too long", header(previous=2_002), TooFarAhead)
    case("06.5", "a number too far ahead", header(number=2_001), TooFarAhead)
    case(
        "06.5",
        "a number at the limit that was not sealed",
        header(number=2_000),
        AuthenticationFailed,
    )
    case("06.5", "a message opened before", again, Duplicate)
    case("06.7", "an answer that was not asked for", header(answer=bytes(1088)), MalformedFrame)
    case("06.7", "an offer that is no key", header(offer=b"\xff" * 1184), BadKey)
    case("06.7", "an offer left without its answer", no_answer, MalformedFrame)
    return out


def check(vector: Vector) -> None:
    """Run one vector against this library; raises `AssertionError`."""
    given, then = vector["given"], vector["then"]
    signed = DhPrivate.from_bytes(bytes.fromhex(given["signed_prekey"]))
    state = ratchet.responder(bytes.fromhex(given["root"]), signed, given["created"])
    ad = bytes.fromhex(given["ad"])
    steps: list[dict[str, Any]] = given["steps"]
    results: list[Any] = []
    last = len(steps) if vector["expect"] == "success" else len(steps) - 1
    for step in steps[:last]:
        state, result = _step(state, step, ad)
        results.append(result)
    before = encode(state)
    with expecting(vector):
        for step in steps[last:]:
            _step(state, step, ad)
    assert encode(state) == before
    if then:
        assert results == then["results"]
        assert (state.step, state.root.hex()) == (then["step"], then["root"])
        assert state.resumption.hex() == then["resumption"]


def _step(state: Ratchet, step: dict[str, Any], ad: bytes) -> tuple[Ratchet, Any]:
    if "open" in step:
        header, ciphertext = (bytes.fromhex(part) for part in step["open"])
        state, text = ratchet.open_message(state, header, ciphertext, ad, now=step["now"])
        return state, text.hex()
    draws = Replay(step["draws"])
    text = bytes.fromhex(step["seal"])
    state, header, ciphertext = ratchet.seal(state, text, ad, now=step["now"], entropy=draws)
    draws.finish()
    return state, [header.hex(), ciphertext.hex()]
