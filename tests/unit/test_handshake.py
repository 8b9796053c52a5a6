"""Prekeys and the hybrid agreement (spec 05)."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from groupcrypt.errors import (
    AuthenticationFailed,
    BadKey,
    Duplicate,
    Expired,
    MalformedFrame,
    NotAllowed,
    RemoteError,
    UnknownPrekey,
    UnknownResumption,
    UnsupportedVersion,
)
from groupcrypt.protocol import handshake, limits, pairwise
from groupcrypt.protocol.handshake import Agreed, Hello, ListName, prekeys
from groupcrypt.protocol.primitives import DhPrivate, KemPrivate
from groupcrypt.protocol.wire import encode
from groupcrypt.testing.entropy import SeededEntropy
from groupcrypt.testing.pair import START, End, make_ends, make_pair
from groupcrypt.testing.person import make_device

LISTS = (ListName(1, b"a" * 32), ListName(2, b"b" * 32))
WEEK = limits.SIGNED_PREKEY_SECONDS
GRACE = limits.SIGNED_PREKEY_GRACE_SECONDS
LOW_ORDER = [
    bytes(32),
    (1).to_bytes(32, "little"),
    (325606250916557431795983626356110631294008115727848805560023387167927233504).to_bytes(
        32, "little"
    ),
    (39382357235489614581723060781553021112529911719440698176882885853963445705823).to_bytes(
        32, "little"
    ),
    (2**255 - 20).to_bytes(32, "little"),
    (2**255 - 19).to_bytes(32, "little"),
    (2**255 - 18).to_bytes(32, "little"),
]


def signed(end: End, body: object, label: str = "prekey bundle") -> bytes:
    """A published item with any body, signed as the device does."""
    raw = encode(body)
    return encode(prekeys._Signed(raw, end.me.signing.sign(label, raw)))


def initiate(a: End, b: End, one_time: bytes | None = None, **changes: Any) -> handshake.Start:
    given: dict[str, Any] = {
        "lists": LISTS,
        "created": int(START),
        "replaces": b"",
        "resumption": None,
        "entropy": a.entropy,
    }
    key = None if one_time is None else handshake.read_one_time(one_time, b.me.certificate)
    return handshake.initiate(a.me, b.bundle, key, **given | changes)


def respond(b: End, raw: bytes, resumption: bytes | None = None) -> handshake.Answer:
    return handshake.respond(b.me, b.prekeys, raw, handshake.read_hello(raw), resumption)


def same(left: Agreed, right: Agreed) -> bool:
    return (left.root, left.channel) == (right.root, right.channel)


# --- prekeys and their lives ------------------------------------------------------------------


@pytest.mark.spec("05.1-1")
def test_ids_are_never_given_twice() -> None:
    a, b = make_ends()
    for raw in [initiate(a, b, item).hello for item in b.pool]:
        b.prekeys = respond(b, raw).prekeys
    assert not b.prekeys.one_time
    b.pool.clear()
    b.fill(2)
    b.restart()
    assert sorted(b.prekeys.one_time) == [5, 6]
    healed = handshake.replaced(b.prekeys, now=START, entropy=b.entropy)
    assert (healed.issued, healed.current.id) == (6, 2)
    assert handshake.renewed(healed, now=START, entropy=b.entropy).current.id == 3


@pytest.mark.spec("05.1-2")
def test_a_replaced_signed_prekey_lives_until_its_grace_is_over() -> None:
    a, b = make_ends()
    raw = initiate(a, b).hello
    assert not handshake.renewal_due(b.prekeys, START + WEEK - 1)
    assert handshake.renewal_due(b.prekeys, START + WEEK)
    b.prekeys = respond(b, raw).prekeys
    for weeks in (1, 2):
        b.prekeys = handshake.renewed(b.prekeys, now=START + weeks * WEEK, entropy=b.entropy)
    assert [one.id for one in b.prekeys.previous] == [2, 1]
    assert b.prekeys.signed(1) is not None
    assert 1 in b.prekeys.accepted
    # 1 was replaced after one week, so it goes with the first renewal after week three.
    b.prekeys = handshake.renewed(b.prekeys, now=START + WEEK + GRACE, entropy=b.entropy)
    assert [one.id for one in b.prekeys.previous] == [3, 2]
    assert b.prekeys.signed(1) is None
    assert 1 not in b.prekeys.accepted
    with pytest.raises(UnknownPrekey):
        respond(b, raw)


@pytest.mark.spec("05.1-2")
def test_a_device_that_was_away_keeps_the_key_that_others_used_meanwhile() -> None:
    a, b = make_ends()
    raw = initiate(a, b).hello
    month = START + 30 * 24 * 3600
    b.prekeys = handshake.renewed(b.prekeys, now=month, entropy=b.entropy)
    assert respond(b, raw)


@pytest.mark.spec("05.1-3")
def test_a_healed_device_holds_nothing_older() -> None:
    a, b = make_ends()
    starts = [initiate(a, b).hello, initiate(a, b, b.pool[0]).hello]
    b.prekeys = handshake.replaced(b.prekeys, now=START, entropy=b.entropy)
    assert not b.prekeys.one_time
    assert b.prekeys.previous == ()
    for raw in starts:
        with pytest.raises(UnknownPrekey):
            respond(b, raw)


def test_only_the_newest_one_time_prekeys_are_held() -> None:
    _, b = make_ends(one_time=0)
    made, _ = handshake.make_one_time(b.me, 1, 3, b.entropy)
    many = tuple(replace(made[0], id=n) for n in range(1, limits.MAX_ONE_TIME_HELD + 3))
    held = handshake.with_one_time(b.prekeys, many)
    assert sorted(held.one_time) == list(range(3, limits.MAX_ONE_TIME_HELD + 3))
    assert held.issued == limits.MAX_ONE_TIME_HELD + 2


def test_prekeys_survive_being_written() -> None:
    a, b = make_ends()
    b.prekeys = respond(b, initiate(a, b, b.pool[0]).hello).prekeys
    b.prekeys = handshake.renewed(b.prekeys, now=START + WEEK, entropy=b.entropy)
    before = b.prekeys
    b.restart()
    assert b.prekeys == before


@pytest.mark.spec("05.5-1")
def test_all_starts_that_were_accepted_are_known_after_being_written() -> None:
    a, b = make_ends()
    starts = [initiate(a, b).hello for _ in range(3)]
    for raw in starts:
        b.prekeys = respond(b, raw).prekeys
    b.restart()
    for raw in starts:
        with pytest.raises(Duplicate):
            respond(b, raw)


# --- what is published ------------------------------------------------------------------------


def bundle_with(end: End, **changes: Any) -> bytes:
    return signed(end, replace(end.bundle.body, **changes))


def one_time_with(end: End, **changes: Any) -> bytes:
    body = handshake.read_one_time(end.pool[0], end.me.certificate)
    return signed(end, replace(body, **changes), "one-time prekey")


def test_a_bundle_says_what_was_published() -> None:
    a, _ = make_ends()
    bundle = a.bundle
    assert bundle.raw == a.raw_bundle
    assert bundle.certificate == a.me.certificate
    assert (bundle.mailbox, bundle.mailbox_token) == (b"m" * 32, b"M" * 32)
    assert (bundle.pool, bundle.pool_token) == (b"p" * 32, b"P" * 32)
    assert bundle.body.created == int(START)


@pytest.mark.spec("05.2-1")
@pytest.mark.parametrize("version", [0, 2, 255])
def test_another_version_is_refused(version: int) -> None:
    a, _ = make_ends()
    with pytest.raises(UnsupportedVersion):
        handshake.read_bundle(bundle_with(a, version=version))
    with pytest.raises(UnsupportedVersion):
        handshake.read_one_time(one_time_with(a, version=version), a.me.certificate)


@pytest.mark.spec("05.2-2")
def test_every_flipped_bit_of_a_bundle_is_refused() -> None:
    a, _ = make_ends(one_time=1)
    for raw in (a.raw_bundle, a.pool[0]):
        for at in range(0, len(raw), 7):
            forged = raw[:at] + bytes((raw[at] ^ 1 << at % 8,)) + raw[at + 1 :]
            with pytest.raises(RemoteError):
                handshake.read_one_time(forged, a.me.certificate)
            with pytest.raises(RemoteError):
                handshake.read_bundle(forged)


@pytest.mark.spec("05.2-2")
def test_the_signature_is_the_devices_under_the_labels_of_its_kind() -> None:
    a, b = make_ends()
    body = a.bundle.body
    stranger = encode(
        prekeys._Signed(encode(body), b.me.signing.sign("prekey bundle", encode(body)))
    )
    for raw in (stranger, signed(a, body, "one-time prekey")):
        with pytest.raises(AuthenticationFailed):
            handshake.read_bundle(raw)
    with pytest.raises(AuthenticationFailed):
        handshake.read_one_time(b.pool[0], a.me.certificate)


@pytest.mark.spec("05.2-3")
def test_s19_a_swapped_bundle_or_prekey_is_refused() -> None:
    a, b = make_ends()
    with pytest.raises(NotAllowed):
        handshake.read_bundle(a.raw_bundle, b.me.device)
    with pytest.raises(NotAllowed):
        handshake.read_one_time(one_time_with(a, device=b.me.device), a.me.certificate)


@pytest.mark.spec("05.2-4", "05.4-4")
def test_ck11_a_prekey_equal_to_the_identity_key_is_refused() -> None:
    a, _ = make_ends()
    with pytest.raises(BadKey):
        handshake.read_bundle(bundle_with(a, dh=a.me.dh.public))
    with pytest.raises(BadKey):
        handshake.read_one_time(one_time_with(a, dh=a.me.dh.public), a.me.certificate)


@pytest.mark.parametrize("public", LOW_ORDER)
@pytest.mark.parametrize("high", [0, 0x80])
def test_ck01_low_order_points_are_bad_keys_wherever_they_stand(public: bytes, high: int) -> None:
    twin = public[:31] + bytes((public[31] | high,))
    a, b = make_ends(one_time=1)
    hello = handshake.read_hello(initiate(a, b).hello)
    with pytest.raises(BadKey):
        handshake.read_bundle(bundle_with(a, dh=twin))
    with pytest.raises(BadKey):
        handshake.read_one_time(one_time_with(a, dh=twin), a.me.certificate)
    with pytest.raises(BadKey):
        handshake.read_hello(encode(replace(hello, base=twin)))
    with pytest.raises(BadKey):
        handshake.read_hello(
            encode(replace(hello, certificate=replace(hello.certificate, dh=twin)))
        )


@pytest.mark.parametrize("size", [0, 31, 33])
def test_ck03_keys_of_another_length_are_malformed(size: int) -> None:
    a, _ = make_ends()
    for changes in ({"dh": bytes(size)}, {"kem": bytes(size + 1152)}):
        with pytest.raises(MalformedFrame):
            handshake.read_bundle(bundle_with(a, **changes))


def test_ck08_an_unreduced_kem_key_is_a_bad_key() -> None:
    a, _ = make_ends()
    with pytest.raises(BadKey):
        handshake.read_bundle(bundle_with(a, kem=b"\xff" * 1184))


# --- the agreement ----------------------------------------------------------------------------


@pytest.mark.parametrize("with_one_time", [True, False])
@pytest.mark.parametrize("resumption", [None, b"r" * 32])
def test_both_sides_agree(with_one_time: bool, resumption: bytes | None) -> None:  # noqa: FBT001
    a, b = make_ends()
    made = initiate(a, b, b.pool[0] if with_one_time else None, resumption=resumption)
    answer = respond(b, made.hello, resumption)
    assert same(made.agreed, answer.agreed)
    assert answer.ratchet_key == b.prekeys.current.dh
    assert len(made.hello) <= handshake.MAX_HELLO_BYTES


ALTERED = (
    "certificate",
    "identity",
    "base",
    "kem_ciphertext",
    "own_list",
    "peer_list",
    "created",
    "replaces",
    "resumed",
    "one_time_id",
)


def altered(hello: Hello, b: End) -> dict[str, Hello]:
    """Every field of a start that does not by itself raise, changed."""
    entropy = SeededEntropy(99)
    flipped = bytes((hello.kem_ciphertext[0] ^ 1,)) + hello.kem_ciphertext[1:]
    return {
        "certificate": replace(
            hello,
            certificate=replace(hello.certificate, account_signature=b"s" * 64),
        ),
        "identity": replace(
            hello, certificate=replace(hello.certificate, dh=DhPrivate.generate(entropy).public)
        ),
        "base": replace(hello, base=DhPrivate.generate(entropy).public),
        "kem_ciphertext": replace(hello, kem_ciphertext=flipped),
        "own_list": replace(hello, own_list=ListName(1, b"c" * 32)),
        "peer_list": replace(hello, peer_list=ListName(3, b"b" * 32)),
        "created": replace(hello, created=hello.created + 1),
        "replaces": replace(hello, replaces=bytes(8)),
        "resumed": replace(hello, resumed=bytes(8)),
        "one_time_id": replace(hello, one_time_id=2),
    }


@pytest.mark.spec("05.3-1")
@pytest.mark.parametrize("field", ALTERED)
def test_the_transcript_binds_every_field(field: str) -> None:
    a, b = make_ends()
    made = initiate(a, b, b.pool[0])
    changed = encode(altered(handshake.read_hello(made.hello), b)[field])
    agreed = respond(b, changed).agreed
    assert agreed.root != made.agreed.root
    assert agreed.channel != made.agreed.channel


@pytest.mark.spec("05.3-1")
@pytest.mark.parametrize("key", ["dh", "kem"])
def test_the_transcript_binds_the_keys_that_were_used(key: str) -> None:
    a, b = make_ends()
    made = initiate(a, b, b.pool[0])
    other = handshake.make_signed_prekeys(1, START, b.entropy)
    held = b.prekeys.current
    dh, kem = (other.dh, held.kem) if key == "dh" else (held.dh, other.kem)
    b.prekeys = replace(b.prekeys, current=replace(held, dh=dh, kem=kem))
    # The last-resort KEM key does not even take part in this start, only in its transcript.
    assert respond(b, made.hello).agreed.root != made.agreed.root


@pytest.mark.spec("05.3-1")
def test_a_secret_of_resumption_changes_the_root() -> None:
    a, b = make_ends()
    made = initiate(a, b, resumption=b"r" * 32)
    assert respond(b, made.hello, b"s" * 32).agreed.root != made.agreed.root
    assert respond(b, made.hello, None).agreed.root != made.agreed.root


@pytest.mark.spec("05.3-2", "05.4-1")
def test_cd11_a_device_does_not_start_with_itself() -> None:
    a, b = make_ends()
    with pytest.raises(NotAllowed):
        initiate(a, a)
    own = replace(handshake.read_hello(initiate(a, b).hello), certificate=b.me.certificate)
    with pytest.raises(NotAllowed):
        respond(b, encode(own))


@pytest.mark.spec("05.3-3")
def test_every_start_has_a_kem_secret_of_the_right_key() -> None:
    a, b = make_ends()
    without = initiate(a, b)
    b.prekeys = replace(
        b.prekeys, current=replace(b.prekeys.current, kem=KemPrivate.generate(b.entropy))
    )
    assert not same(respond(b, without.hello).agreed, without.agreed)
    assert handshake.read_hello(without.hello).one_time_id is None


@pytest.mark.spec("05.4-2", "05.5-1")
@pytest.mark.parametrize("with_one_time", [True, False])
def test_cd08_a_start_is_accepted_once(with_one_time: bool) -> None:  # noqa: FBT001
    a, b = make_ends()
    raw = initiate(a, b, b.pool[0] if with_one_time else None).hello
    b.prekeys = respond(b, raw).prekeys
    b.restart()
    with pytest.raises(Duplicate):
        respond(b, raw)


@pytest.mark.spec("05.4-3")
def test_an_id_that_is_not_held_is_unknown() -> None:
    a, b = make_ends()
    hello = handshake.read_hello(initiate(a, b, b.pool[0]).hello)
    for changed in (replace(hello, signed_id=7), replace(hello, one_time_id=99)):
        with pytest.raises(UnknownPrekey):
            respond(b, encode(changed))


@pytest.mark.spec("05.4-4")
@pytest.mark.parametrize("which", ["own identity", "peer identity", "signed", "one-time"])
def test_ck11_a_base_key_equal_to_another_key_is_refused(which: str) -> None:
    a, b = make_ends()
    hello = handshake.read_hello(initiate(a, b, b.pool[0]).hello)
    base = {
        "own identity": a.me.dh.public,
        "peer identity": b.me.dh.public,
        "signed": b.prekeys.current.dh.public,
        "one-time": b.prekeys.one_time[1].dh.public,
    }[which]
    with pytest.raises(BadKey):
        respond(b, encode(replace(hello, base=base)))


@pytest.mark.spec("05.4-4")
@pytest.mark.parametrize("key", ["dh", "kem"])
def test_ck11_a_one_time_key_equal_to_the_signed_one_is_refused_by_both(key: str) -> None:
    a, b = make_ends()
    raw = one_time_with(b, **{key: getattr(b.bundle.body, key)})
    with pytest.raises(BadKey):
        initiate(a, b, raw)
    hello = initiate(a, b, b.pool[0]).hello
    doubled = replace(b.prekeys.one_time[1], **{key: getattr(b.prekeys.current, key)})
    b.prekeys = replace(b.prekeys, one_time={1: doubled})
    with pytest.raises(BadKey):
        respond(b, hello)


@pytest.mark.spec("05.4-5")
def test_an_envelope_with_another_channel_id_is_refused() -> None:
    a, b = make_ends()
    a.start(b)
    assert a.session is not None
    a.session = replace(a.session, channel=replace(a.session.channel, id=b"another!"))
    with pytest.raises(AuthenticationFailed):
        b.receive(a.seal(b"x"))
    assert b.session is None


def broken(envelope: Callable[[], bytes], b: End) -> tuple[Any, ...]:
    before = handshake.write_prekeys(b.prekeys), b.session
    with pytest.raises(RemoteError) as raised:
        b.receive(envelope())
    assert (handshake.write_prekeys(b.prekeys), b.session) == before
    return type(raised.value), str(raised.value)


@pytest.mark.spec("05.4-6")
def test_cd07_ck09_a_first_message_that_does_not_open_consumes_nothing() -> None:
    a, b = make_ends()
    a.start(b)
    good = a.session
    assert isinstance(good, pairwise.AwaitingReply)
    hello = handshake.read_hello(good.hello)

    def with_hello(changed: Hello) -> Callable[[], bytes]:
        def envelope() -> bytes:
            raw = encode(changed)
            agreed = respond(b, raw).agreed.channel
            a.session = replace(good, hello=raw, channel=replace(good.channel, id=agreed))
            return a.seal(b"x")

        return envelope

    kem = broken(with_hello(altered(hello, b)["kem_ciphertext"]), b)
    exchange = broken(with_hello(altered(hello, b)["base"]), b)
    assert kem == exchange  # a wrong KEM secret and a wrong DH look alike
    assert kem[0] is AuthenticationFailed
    a.session = good
    assert b.receive(a.seal(b"y")) == b"y"


@pytest.mark.spec("05.4-7")
def test_an_accepted_start_takes_its_one_time_prekey_with_it() -> None:
    a, b = make_ends(one_time=2)
    a.start(b)
    b.receive(a.seal(b"x"))
    assert sorted(b.prekeys.one_time) == [2]
    assert [len(names) for names in b.prekeys.accepted.values()] == [1]


@pytest.mark.spec("05.5-2")
def test_s20_a_full_memory_refuses_last_resort_starts_only() -> None:
    a, b = make_ends()
    names = frozenset(n.to_bytes(16, "big") for n in range(limits.MAX_ACCEPTED_HANDSHAKES - 1))
    b.prekeys = replace(b.prekeys, accepted={1: names})
    assert not handshake.renewal_due(b.prekeys, START)
    b.prekeys = respond(b, initiate(a, b).hello).prekeys
    assert handshake.renewal_due(b.prekeys, START)
    raw = initiate(a, b).hello
    with pytest.raises(Expired):
        respond(b, raw)
    answered = respond(b, initiate(a, b, b.pool[0]).hello)
    assert 1 not in answered.prekeys.one_time
    b.prekeys = answered.prekeys
    b.restart()
    b.prekeys = handshake.renewed(b.prekeys, now=START, entropy=b.entropy)
    assert respond(b, initiate(a, b).hello)


# --- resumption -------------------------------------------------------------------------------


@pytest.mark.spec("05.6-1")
def test_an_unknown_resumption_secret_is_refused() -> None:
    a, b = make_pair()
    assert a.session is not None
    a.session = replace(a.session, link=replace(a.session.link, named=b"x" * 32))
    a.start(b)
    with pytest.raises(UnknownResumption):
        b.receive(a.seal(b"x"))


@pytest.mark.spec("05.6-2")
@pytest.mark.parametrize("exchanges", range(4))
@pytest.mark.parametrize("lost", ["none", "a's last", "b's last", "both"])
def test_whatever_was_lost_a_start_can_be_resumed(exchanges: int, lost: str) -> None:
    for starter in (0, 1):
        a, b = ends = make_pair(exchanges)
        for _ in range(exchanges):
            b.receive(a.seal(b"x"))
            a.receive(b.seal(b"y"))
        letter = a.seal(b"x")
        if lost not in ("a's last", "both"):
            b.receive(letter)
        reply = b.seal(b"y")
        if lost not in ("b's last", "both"):
            a.receive(reply)
        ends[starter].start(ends[1 - starter])
        ends[1 - starter].receive(ends[starter].seal(b"z"))
        received = ends[1 - starter].last()
        assert received.started and received.proven
        assert received.session.channel.resumed


@pytest.mark.spec("05.6-2")
def test_starts_without_an_answer_do_not_lose_the_secret() -> None:
    a, b = make_pair()
    for _ in range(5):  # b hears none of these
        a.start(b)
        a.seal(b"lost")
    b.start(a)
    assert a.receive(b.seal(b"x")) == b"x"
    assert a.last().proven


def test_a_signature_of_low_order_is_no_signature() -> None:
    a, _ = make_ends()
    body = encode(a.bundle.body)
    with pytest.raises(AuthenticationFailed):
        handshake.read_bundle(encode(prekeys._Signed(body, bytes(64))))


def test_an_own_device_of_the_same_account_is_a_peer_like_any_other() -> None:
    a, b = make_ends()
    b.me = make_device(a.person.key, b.entropy)
    b.pool.clear()
    b.fill(1)
    a.start(b)
    assert b.receive(a.seal(b"to my other device")) == b"to my other device"


def test_nothing_secret_is_in_a_repr() -> None:
    a, b = make_ends()
    made = initiate(a, b)
    answer = respond(b, made.hello)
    shown = repr((b.prekeys, b.prekeys.current, made, made.agreed, answer, a.bundle))
    for secret in (b.prekeys.current.dh.to_bytes(), made.agreed.root):
        assert secret.hex() not in shown
        assert repr(secret) not in shown
