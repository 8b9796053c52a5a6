"""Every script of chapter 07 played by a second reader: its envelopes are ours, byte by byte.

The oracles (05, 06, 07) derive keys and decide; curve, KEM, AEAD, HPKE and certificates are the
library's, msgpack is msgpack's.
"""

from pathlib import Path
from typing import Any

import msgpack
import pytest

from groupcrypt.errors import AuthenticationFailed, GroupcryptError
from groupcrypt.protocol import primitives
from groupcrypt.protocol.identity import DeviceCertificate, check_certificate
from groupcrypt.protocol.primitives import DhPrivate, KemPrivate
from groupcrypt.protocol.wire import decode
from groupcrypt.testing import vectors
from groupcrypt.testing.vectors.recorded import Replay
from tests import oracle_pairwise as schedule
from tests import oracle_sessions as oracle
from tests.oracle import framed, padded_length
from tests.oracle_sessions import Channel, Refused, Session, Start

FOLDER = Path(__file__).parents[2] / "spec" / "vectors"
SCRIPTS = [
    one
    for file in ("07-pairwise.json", "07-pairwise.bad.json")
    for one in vectors.load(FOLDER / file)
]
INFO = framed("pairwise envelope", [])
Stepped = tuple[bytes, bytes] | None  # the secrets before and after a step


def pack(value: object) -> bytes:
    packed = msgpack.packb(value)
    assert isinstance(packed, bytes)
    return packed


def unpack(raw: bytes, fields: int) -> list[Any]:
    try:
        read = msgpack.unpackb(raw)
    except ValueError as error:
        raise Refused("malformed") from error
    if not isinstance(read, list) or len(read) != fields or pack(read) != raw:
        raise Refused("malformed")
    return read


class Keys:
    """The ratchet of one channel, by the oracle of chapter 06."""

    def __init__(self, root: bytes, own: DhPrivate | None, peer: bytes) -> None:
        self.root, self.own, self.peer = root, own, peer
        self.step, self.resumption = 0, root
        self.chains: dict[int, bytes] = {}
        self.opened: set[tuple[int, int]] = set()
        self.number = self.previous = 0
        self.offered: KemPrivate | None = None
        self.offer: bytes | None = None
        self.answer: bytes | None = None

    def _step(self, own: DhPrivate, peer: bytes, secret: bytes) -> tuple[bytes, bytes]:
        before, self.step = self.resumption, self.step + 1
        made = schedule.step(self.root, own.exchange(peer), secret, self.step)
        self.root, self.chains[self.step], self.resumption = made
        return before, self.resumption

    def open(self, raw: bytes, sealed: bytes, ad: bytes) -> tuple[bytes, Stepped]:
        """(payload, the secrets before and after if the peer made a step)."""
        step, key, _, number, guard, offer, answer = unpack(raw, 7)
        if (step, number) in self.opened:
            raise Refused("duplicate")
        made = None
        if step > self.step:
            if self.own is None or step != self.step + 1:
                raise Refused("authentication-failed")
            secret = b"" if answer is None or not self.offered else self.offered.decapsulate(answer)
            made = self._step(self.own, key, secret)
            self.own, self.peer, self.offer = None, key, offer
        self_ad = schedule.associated_data(ad, raw)
        aead = schedule.aead_key(self.chains[step], number, guard)
        payload = unsealed(aead, sealed, self_ad)
        self.opened.add((step, number))
        return payload, made

    def seal(self, payload: bytes, ad: bytes, draws: Replay, left: list[Any]) -> tuple[bytes, ...]:
        """(header, ciphertext, the secret of our step if one was made or nothing)."""
        stepped = b""
        if self.own is None:
            self.own, secret = DhPrivate.from_bytes(draws(32)), b""
            self.answer, self.offered = None, None
            if self.offer is not None:
                secret, self.answer = draws.encapsulate(self.offer)
            elif len(left[1]) == 128:  # an offer is made where the vector draws one
                self.offered = KemPrivate.from_bytes(draws(64))
            _, stepped = self._step(self.own, self.peer, secret)
            self.previous, self.number, self.offer = self.number, 0, None
        guard = draws(16)
        offered = None if self.offered is None else self.offered.public
        fields = [self.step, self.own.public, self.previous, self.number, guard]
        header = pack([*fields, offered, self.answer])
        key = schedule.aead_key(self.chains[self.step], self.number, guard)
        sealed = primitives.seal(key, payload, schedule.associated_data(ad, header))
        self.number += 1
        return header, sealed, stepped


def unsealed(key: bytes, sealed: bytes, ad: bytes) -> bytes:
    try:
        return primitives.unseal(key, sealed, ad)
    except AuthenticationFailed as error:
        raise Refused("authentication-failed") from error


def padded(text: bytes) -> bytes:
    text = len(text).to_bytes(4, "big") + text
    return text + bytes(padded_length(len(text)) - len(text))


def unpadded(text: bytes) -> bytes:
    inner = text[4 : 4 + int.from_bytes(text[:4], "big")]
    if padded(inner) != text:
        raise Refused("malformed")
    return inner


class Near:
    """The device of a script."""

    def __init__(self, given: dict[str, Any]) -> None:
        self.raw = bytes.fromhex(given["certificate"])
        self.certificate = decode(DeviceCertificate, self.raw)
        self.x = DhPrivate.from_bytes(bytes.fromhex(given["dh"]))
        self.signed = given["signed_prekeys"][0]
        self.prekey = both(given["signed_prekeys"][2:])
        self.one_time = {one[0]: both(one[1:]) for one in given["one_time_prekeys"]}
        self.accepted: set[bytes] = set()
        self.session: Session | None = None
        self.peer: DeviceCertificate | None = None
        self.hello: bytes | None = None
        self.start_read: Start | None = None  # of the envelope that was received last

    @property
    def pair(self) -> bytes:
        assert self.peer is not None
        return oracle.pair(self.x.exchange(self.peer.dh), self.x.public, self.peer.dh)

    def play(self, step: dict[str, Any]) -> dict[str, Any]:
        now = step["now"]
        match step:
            case {"start": bundle}:
                return self.start(bytes.fromhex(bundle), step)
            case {"seal": payload}:
                return {"envelope": self.seal(bytes.fromhex(payload), step["draws"]).hex()}
            case {"receive": envelope}:
                return self.receive(bytes.fromhex(envelope), now)
            case {"refuse": envelope}:
                with pytest.raises(Refused) as refused:
                    self.receive(bytes.fromhex(envelope), now)
                assert self.session is not None
                oracle.judged(self.session, str(refused.value), self.start_read, now)
                return {"code": str(refused.value)}
        assert self.session is not None
        if "accept" in step:
            oracle.accepted(self.session)
            return {}
        self.session.state = "Wedged"
        self.session.lost = self.session.lost or "forget" in step
        return {}

    # --- starts ---------------------------------------------------------------------------------

    def start(self, bundle: bytes, step: dict[str, Any]) -> dict[str, Any]:
        body = msgpack.unpackb(msgpack.unpackb(bundle)[0])
        theirs, number, spk, last = pack(body[1]), body[2], body[4], body[5]
        draws, now, held = Replay(step["draws"]), step["now"], self.session
        if held is not None:
            held.end_old(now)
        base = DhPrivate.from_bytes(draws(32))
        secret, ciphertext = draws.encapsulate(last)
        lists = [[one[0], bytes.fromhex(one[1])] for one in (step["own_list"], step["peer_list"])]
        named = None if held is None else held.named
        created = now if held is None else held.next_clock(now)
        replaces = [] if held is None else held.replaces()
        name = None if named is None else schedule.resumption_name(named)
        mine = msgpack.unpackb(self.raw)
        fields = [mine, base.public, number, None, ciphertext, *lists, created, b"".join(replaces)]
        hello = pack([*fields, name])
        peer = decode(DeviceCertificate, theirs)
        exchanged = [self.x.exchange(spk), base.exchange(peer.dh), base.exchange(spk), b""]
        root, channel = schedule.handshake(
            [*exchanged, secret, named or b""], [hello, theirs, spk, last, b"", b""]
        )
        proven = held is None or held.channel.proven or named is not None
        keys = Keys(root, None, spk)
        made = Channel(channel, base.public, created, named is not None, proven, keys, heard=False)
        self.session, self.peer, self.hello = oracle.began(held, made, now), peer, hello
        return {"channel": channel.hex()}

    def accept(self, hello: bytes, start: Start, secret: bytes) -> tuple[bytes, Keys]:
        """(channel id, its keys) of a start of the peer's (05.3, 05.4)."""
        certificate, base, number, one, ciphertext, *_ = msgpack.unpackb(hello)
        if base in self.accepted:
            raise Refused("duplicate")
        held = self.one_time.get(one)
        if number != self.signed or (one is not None and held is None):
            code = "unknown-prekey"
            raise Refused(code if self.session is None else self.session.code_of(code, start))
        spk, last = self.prekey
        public = [b"", b""] if held is None else [held[0].public, held[1].public]
        secrets = [
            spk.exchange(certificate[3]),
            self.x.exchange(base),
            spk.exchange(base),
            b"" if held is None else held[0].exchange(base),
            (last if held is None else held[1]).decapsulate(ciphertext),
            secret,
        ]
        named = [hello, self.raw, spk.public, last.public, *public]
        root, channel = schedule.handshake(secrets, named)
        return channel, Keys(root, spk, b"")

    # --- messages -------------------------------------------------------------------------------

    def seal(self, payload: bytes, left: list[Any]) -> bytes:
        session, me, draws = self.session, self.certificate.device, Replay(left)
        assert session is not None and self.peer is not None
        assert session.state != "Wedged"
        channel = session.channel
        ad = oracle.bound(me, self.peer.device, channel.id)
        header, sealed, stepped = channel.keys.seal(payload, ad, draws, left)
        session.sealed(stepped or None)
        hello = self.hello if session.state == "AwaitingReply" else None
        body = pack([1, me, hello, channel.id, header, sealed])
        tag = oracle.tag(self.pair, me, self.peer.device, body)
        return primitives.hpke_seal(self.peer.dh, INFO, b"", padded(tag + body), draws)

    def receive(self, envelope: bytes, now: int) -> dict[str, Any]:
        try:
            inner = unpadded(primitives.hpke_open(self.x, INFO, b"", envelope))
        except GroupcryptError as error:
            raise Refused(error.code) from error
        tag, body = inner[:32], inner[32:]
        version, sender, hello, channel, header, sealed = unpack(body, 6)
        self.check(version, sender, hello, (tag, body))
        session = self.session
        if session is not None:
            session.end_old(now)
        ad = oracle.bound(sender, self.certificate.device, channel)
        if session is not None:
            if channel == session.channel.id:
                return self.on_current(session, header, sealed, ad, now)
            for one, _ in session.retired:
                if one.id == channel:
                    payload, step = one.keys.open(header, sealed, ad)
                    oracle.opened_retired(session, one, step, now)
                    return {"payload": payload.hex(), "started": False, "proven": one.proven}
        if hello is None:
            gone = session is not None and channel in session.ended
            waits = session is not None and session.state == "AwaitingReply"
            raise Refused("expired" if gone or waits else "session-broken")
        start = self.start_read
        assert start is not None
        secret = b"" if session is None else session.secret(start)
        if session is None and start.resumed is not None:
            raise Refused("unknown-resumption")
        name, keys = self.accept(hello, start, secret)
        if name != channel:
            raise Refused("authentication-failed")
        payload, _ = keys.open(header, sealed, ad)
        made = Channel(channel, start.base, start.created, secret != b"", False, keys, heard=True)
        self.session = oracle.adopted(session, start, made, secret, now)
        self.accepted.add(start.base)
        self.one_time.pop(msgpack.unpackb(hello)[3], None)
        return {"payload": payload.hex(), "started": True, "proven": made.proven}

    def on_current(
        self, session: Session, header: bytes, sealed: bytes, ad: bytes, now: int
    ) -> dict[str, Any]:
        try:
            payload, step = session.channel.keys.open(header, sealed, ad)
        except Refused as refused:
            code = str(refused)
            raise Refused("session-broken" if code == "authentication-failed" else code) from None
        oracle.opened_current(session, step, now)
        return {"payload": payload.hex(), "started": False, "proven": session.channel.proven}

    def check(
        self, version: int, sender: bytes, hello: bytes | None, tagged: tuple[bytes, bytes]
    ) -> None:
        """Spec 07.3, before anything of the session is asked."""
        if version != 1:
            raise Refused("unsupported-version")
        if sender == self.certificate.device:
            raise Refused("not-allowed")
        certificate, self.start_read = self.peer, None
        if hello is not None:
            fields = unpack(hello, 10)
            certificate = decode(DeviceCertificate, pack(fields[0]))
            ids = [fields[8][at : at + 8] for at in range(0, len(fields[8]), 8)]
            self.start_read = Start(fields[7], fields[1], ids, fields[9])
        elif certificate is None:
            raise Refused("session-broken")
        assert certificate is not None
        known = self.peer is None or certificate == self.peer
        if certificate.device != sender or not known:
            raise Refused("authentication-failed")
        try:
            check_certificate(certificate)
        except GroupcryptError as error:
            raise Refused(error.code) from error
        key = oracle.pair(self.x.exchange(certificate.dh), self.x.public, certificate.dh)
        if oracle.tag(key, sender, self.certificate.device, tagged[1]) != tagged[0]:
            raise Refused("authentication-failed")
        self.peer = certificate


def both(keys: list[str]) -> tuple[DhPrivate, KemPrivate]:
    dh, kem = map(bytes.fromhex, keys)
    return DhPrivate.from_bytes(dh), KemPrivate.from_bytes(kem)


def check(vector: dict[str, Any]) -> None:
    """Play a vector; raises `AssertionError`."""
    near, steps = Near(vector["given"]), vector["given"]["steps"]
    if vector["expect"] != "success":
        for step in steps[:-1]:
            near.play(step)
        with pytest.raises(Refused) as refused:
            near.play(steps[-1])
        assert str(refused.value) == vector["expect"]
        return
    assert [near.play(step) for step in steps] == vector["then"]["results"]
    session = near.session
    assert session is not None
    assert vector["then"]["session"] == {
        "state": session.state,
        "channel": session.channel.id.hex(),
        "proven": session.channel.proven,
        "retired": [one.id.hex() for one, _ in session.retired],
    }


@pytest.mark.parametrize("vector", SCRIPTS, ids=lambda one: one["name"])
def test_a_second_reader_comes_to_the_same(vector: dict[str, Any]) -> None:
    check(vector)
