"""Scripts of one device and its session, as vectors of chapter 07 have them (spec 07).

Rules of this file:
- A script makes its vector while it runs; `Player` runs one from the JSON alone.
- A step is `start` (with a bundle), `seal` (a payload), `receive` (an envelope), `refuse` (an
  envelope that does not open, after which the session is judged), or a decision about the session:
  `wedge`, `forget` (it is an older copy), `accept`; those that draw list their draws.
"""

from collections.abc import Callable
from typing import Any, Final

from groupcrypt.errors import RemoteError
from groupcrypt.protocol import handshake, pairwise
from groupcrypt.protocol.handshake import OneTimePrekey, Prekeys, SignedPrekeys
from groupcrypt.protocol.identity import DeviceCertificate, LocalIdentity
from groupcrypt.protocol.pairwise import Session
from groupcrypt.protocol.primitives import DhPrivate, KemPrivate, SigningKey
from groupcrypt.protocol.wire import decode, encode
from groupcrypt.testing.pair import End, make_ends
from groupcrypt.testing.vectors import Vector, vector
from groupcrypt.testing.vectors.recorded import Recorder, Replay

DECISIONS: Final[dict[str, Callable[[Session, float], Session]]] = {
    "wedge": pairwise.wedge,
    "forget": pairwise.forget,
    "accept": lambda session, _now: pairwise.accept(session),
}


class Script:
    """Two ends; the steps of the near one are written down."""

    def __init__(self, seed: int) -> None:
        self.near, self.far = make_ends(seed, one_time=2)
        self._recorder = Recorder(self.near.entropy)
        self.near.entropy = self._recorder
        self._keys = _keys_of(self.near)
        self._steps: list[dict[str, Any]] = []
        self._results: list[Any] = []

    def start(self) -> None:
        """The near end starts, without a one-time prekey."""
        self.far.pool.clear()
        bundle = self.far.raw_bundle
        self.near.start(self.far)
        mine, theirs = self.near.list_name, self.far.list_name
        step = {"start": bundle, "own_list": list(mine), "peer_list": list(theirs)}
        self._add(step, {"channel": self.near.held().channel.id})

    def seal(self, payload: bytes) -> bytes:
        """The near end seals."""
        envelope = self.near.seal(payload)
        self._add({"seal": payload}, {"envelope": envelope})
        return envelope

    def receive(self, envelope: bytes) -> None:
        """The near end opens."""
        payload = self.near.receive(envelope)
        last = self.near.last()
        result = {"payload": payload, "started": last.started, "proven": last.proven}
        self._add({"receive": envelope}, result)

    def refuse(self, envelope: bytes) -> None:
        """The near end refuses, and judges its session by it."""
        try:
            self.near.receive(envelope)
        except RemoteError as error:
            self._add({"refuse": envelope}, {"code": error.code})
        else:
            raise AssertionError("it opened")

    def decide(self, what: str) -> None:
        """The near end wedges its session, learns that it is an older copy, or accepts the peer."""
        self.near.session = DECISIONS[what](self.near.held(), self.near.now)
        self._add({what: None}, {})

    def _add(self, step: dict[str, Any], result: dict[str, Any]) -> None:
        self._steps.append(step | {"now": int(self.near.now), "draws": self._recorder.taken()})
        self._results.append(result)

    def _given(self, steps: list[dict[str, Any]]) -> dict[str, Any]:
        return self._keys | {"steps": steps}

    def good(self, spec: str, name: str) -> Vector:
        """The vector of what was done so far."""
        then = {"results": self._results, "session": summary(self.near.session)}
        return vector(spec, name, self._given(self._steps), then)

    def bad(self, spec: str, name: str, envelope: bytes, expect: type[Exception]) -> Vector:
        """The vector in which this envelope is refused after what was done so far."""
        last: dict[str, Any] = {"receive": envelope, "now": int(self.near.now), "draws": []}
        code: str = getattr(expect, "code")  # noqa: B009  # an error of ours
        return vector(spec, name, self._given([*self._steps, last]), expect=code)


def _keys_of(end: End) -> dict[str, Any]:
    signed = end.prekeys.current
    return {
        "certificate": encode(end.me.certificate),
        "signing": end.me.signing.to_bytes(),
        "dh": end.me.dh.to_bytes(),
        "signed_prekeys": [signed.id, signed.created, signed.dh.to_bytes(), signed.kem.to_bytes()],
        "one_time_prekeys": [
            [one.id, one.dh.to_bytes(), one.kem.to_bytes()] for one in end.prekeys.one_time.values()
        ],
    }


def summary(session: Session | None) -> dict[str, Any] | None:
    """What a vector says of the session at the end."""
    if session is None:
        return None
    return {
        "state": type(session).__name__,
        "channel": session.channel.id.hex(),
        "proven": session.proven,
        "retired": [one.channel.id.hex() for one in session.link.retired],
    }


class Player:
    """Runs the steps of a vector."""

    def __init__(self, given: dict[str, Any]) -> None:
        self.me = LocalIdentity(
            decode(DeviceCertificate, bytes.fromhex(given["certificate"])),
            SigningKey.from_bytes(bytes.fromhex(given["signing"])),
            DhPrivate.from_bytes(bytes.fromhex(given["dh"])),
        )
        number, created, dh, kem = given["signed_prekeys"]
        held = [OneTimePrekey(one[0], *_pair(*one[1:])) for one in given["one_time_prekeys"]]
        self.prekeys = Prekeys(
            SignedPrekeys(number, created, *_pair(dh, kem)),
            one_time={one.id: one for one in held},
        )
        self.session: Session | None = None

    def state(self) -> tuple[bytes | None, bytes]:
        """Everything, as bytes."""
        session = None if self.session is None else pairwise.write_session(self.session)
        return session, handshake.write_prekeys(self.prekeys)

    def play(self, step: dict[str, Any]) -> dict[str, Any]:
        """Make one step; returns its result as a vector has it."""
        draws = Replay(step["draws"])
        match step:
            case {"start": bundle}:
                result = self._start(bundle, step, draws)
            case {"seal": payload}:
                assert self.session is not None
                self.session, envelope = pairwise.seal(
                    self.session, self.me, bytes.fromhex(payload), now=step["now"], entropy=draws
                )
                result = {"envelope": envelope.hex()}
            case {"receive": envelope}:
                result = self._receive(bytes.fromhex(envelope), step, draws)
            case {"refuse": envelope}:
                result = self._refuse(bytes.fromhex(envelope), step, draws)
            case _:
                assert self.session is not None
                (what,) = DECISIONS.keys() & step.keys()
                self.session = DECISIONS[what](self.session, step["now"])
                result = {}
        draws.finish()
        return result

    def _start(self, bundle: str, step: dict[str, Any], draws: Replay) -> dict[str, Any]:
        mine, theirs = step["own_list"], step["peer_list"]
        self.session = pairwise.start(
            self.me,
            handshake.read_bundle(bytes.fromhex(bundle)),
            None,
            my_list=(mine[0], bytes.fromhex(mine[1])),
            peer_list=(theirs[0], bytes.fromhex(theirs[1])),
            resumption=self.session,
            now=step["now"],
            entropy=draws,
        )
        return {"channel": self.session.channel.id.hex()}

    def _receive(self, envelope: bytes, step: dict[str, Any], draws: Replay) -> dict[str, Any]:
        inner = pairwise.unwrap(self.me, envelope)
        received = pairwise.receive(
            self.me, self.prekeys, self.session, inner, now=step["now"], entropy=draws
        )
        self.session, self.prekeys = received.session, received.prekeys
        payload = received.payload.hex()
        return {"payload": payload, "started": received.started, "proven": received.proven}

    def _refuse(self, envelope: bytes, step: dict[str, Any], draws: Replay) -> dict[str, Any]:
        try:
            self._receive(envelope, step, draws)
        except RemoteError as error:
            inner = pairwise.unwrap(self.me, envelope)
            assert self.session is not None
            self.session = pairwise.judge(self.session, inner, error, step["now"])
            return {"code": error.code}
        raise AssertionError("an envelope opened that is to be refused")


def _pair(dh: str, kem: str) -> tuple[DhPrivate, KemPrivate]:
    return DhPrivate.from_bytes(bytes.fromhex(dh)), KemPrivate.from_bytes(bytes.fromhex(kem))
