"""Chapter 03: framing, keys, signatures, AEAD, padding, HPKE."""

import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from groupcrypt.errors import AuthenticationFailed, BadKey, MalformedFrame
from groupcrypt.protocol import primitives
from groupcrypt.protocol.primitives import DhPrivate, KemPrivate, SigningKey, agreement
from groupcrypt.testing.entropy import SeededEntropy
from groupcrypt.testing.vectors import ch03_primitives

BAD = {one["name"]: one for one in ch03_primitives.generate()[1]}
ENTROPY = SeededEntropy(b"test primitives")
P = 2**255 - 19


def names(start: str) -> list[str]:
    """The bad vectors whose names begin like this."""
    found = [name for name in BAD if name.startswith(start)]
    assert found
    return found


# --- hashes ---------------------------------------------------------------------------------


@pytest.mark.spec("03.1-1")
def test_no_two_lists_of_parts_have_one_framing() -> None:
    lists = [(), (b"",), (b"", b""), (b"ab",), (b"a", b"b"), (b"\0\0\0\1a",), (b"b", b"a")]
    framed = {primitives.framed(label, *parts) for label in ("a", "ab") for parts in lists}
    assert len(framed) == 2 * len(lists)


def test_framing_is_as_the_spec_writes_it() -> None:
    wanted = b"groupcrypt/1 x y\0\0\0\0\2ab\0\0\0\0"
    assert primitives.framed("x y", b"ab", b"") == wanted
    assert primitives.digest("x y", b"ab", b"") == hashlib.sha256(wanted).digest()
    assert primitives.mac(b"k", "x y", b"ab", b"") == hmac.digest(b"k", wanted, "sha256")
    assert primitives.number(258) == b"\0\0\0\0\0\0\1\2"


@pytest.mark.spec("03.1-2")
def test_comparison_is_the_constant_time_one(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[bytes, bytes]] = []

    def compare(left: bytes, right: bytes) -> bool:
        asked.append((left, right))
        return left == right

    monkeypatch.setattr(hmac, "compare_digest", compare)
    assert primitives.equal(b"a", b"a")
    assert not primitives.equal(b"a", b"b")
    assert asked == [(b"a", b"a"), (b"a", b"b")]


@pytest.mark.parametrize("length", [1, 31, 32, 33, 64, 80, 8160])
def test_expand_gives_a_prefix_of_the_longest(length: int) -> None:
    longest = primitives.expand(b"k" * 32, "x", b"c", length=8160)
    assert primitives.expand(b"k" * 32, "x", b"c", length=length) == longest[:length]


# --- keys -----------------------------------------------------------------------------------


@pytest.mark.spec("03.2-1")
@pytest.mark.parametrize(
    "name",
    [
        *(name for name in BAD if name.startswith(("x25519 s", "x25519 z", "x25519 o"))),
        *(name for name in BAD if name.startswith("ed25519")),
        *(name for name in BAD if name.startswith("ml-kem-768 co")),
    ],
)
def test_ck01_ck02_ck04_ck07_ck08_unacceptable_keys(name: str) -> None:
    ch03_primitives.check(BAD[name])


@pytest.mark.spec("03.2-1")
def test_ck04_all_fourteen_encodings_of_small_order_are_refused() -> None:
    """Not taken from a list: the eight points are computed, with every encoding they have."""
    ys = {0, 1, P - 1} | set(order_eight())
    encodings = {
        (y + extra | sign << 255).to_bytes(32, "little")
        for y in ys
        for sign in (0, 1)
        for extra in ((0, P) if y < 19 else (0,))
    }
    assert len(encodings) == 14
    for encoding in encodings:
        with pytest.raises(BadKey):
            primitives.check_signing_public(encoding)


def order_eight() -> list[int]:
    """The y of the points whose double has y = 0, so is of order 4.

    There y^2 = -x^2, so with t = y^2 the curve's equation becomes d t^2 + 2 t - 1 = 0.
    """
    d = -121665 * pow(121666, -1, P) % P
    root = sqrt((1 + d) % P)
    found: list[int] = []
    for signed in (root, P - root):
        t = (-1 + signed) * pow(d, -1, P) % P
        if pow(t, (P - 1) // 2, P) == 1:
            y = sqrt(t)
            found += [y, P - y]
    return found


def sqrt(square: int) -> int:
    root = pow(square, (P + 3) // 8, P)
    if root * root % P != square:
        root = root * pow(2, (P - 1) // 4, P) % P
    assert root * root % P == square
    return root


@pytest.mark.spec("03.2-2")
@pytest.mark.parametrize("name", [name for name in BAD if " bytes" in name and "25519 of" in name])
def test_ck03_keys_of_another_length(name: str) -> None:
    ch03_primitives.check(BAD[name])


@pytest.mark.spec("03.2-2")
def test_ck03_private_keys_of_another_length() -> None:
    for size in (0, 31, 33, 63, 65):
        for kind in (DhPrivate, SigningKey, KemPrivate):
            with pytest.raises(BadKey):
                kind.from_bytes(bytes(size))


def test_a_private_key_that_is_read_compared_and_written_computes_nothing() -> None:
    # A device opens with a hundred prekeys, of which few are ever used.
    for kind, size in ((DhPrivate, 32), (SigningKey, 32), (KemPrivate, 64)):
        key = kind.from_bytes(bytes(range(size)))
        assert key == kind.from_bytes(key.to_bytes()) != kind.from_bytes(bytes(size))
        assert not {"_key", "public"} & vars(key).keys()
        assert key.public == key.public
        assert {"_key", "public"} <= vars(key).keys()


@pytest.mark.spec("03.2-3")
def test_ck01_a_result_of_zeros_is_refused_even_if_the_list_missed_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(agreement, "_DH_SMALL_ORDER", frozenset())
    with pytest.raises(BadKey):
        DhPrivate.generate(ENTROPY).exchange(bytes(32))


@pytest.mark.spec("03.2-4")
def test_ck03_a_ciphertext_of_another_length() -> None:
    ch03_primitives.check(BAD["a ml-kem-768 ciphertext of 1087 bytes"])
    with pytest.raises(MalformedFrame):
        KemPrivate.generate(ENTROPY).decapsulate(bytes(1089))


def test_ck09_a_flipped_ciphertext_gives_another_secret_and_no_error() -> None:
    key = KemPrivate.generate(ENTROPY)
    secret, ciphertext = primitives.kem_encapsulate(key.public)
    assert key.decapsulate(ciphertext) == secret
    flipped = bytes((ciphertext[0] ^ 1,)) + ciphertext[1:]
    assert key.decapsulate(flipped) != secret


@pytest.mark.parametrize("kind", [DhPrivate, SigningKey, KemPrivate])
def test_private_keys_come_back_equal_and_show_nothing(
    kind: type[DhPrivate] | type[SigningKey] | type[KemPrivate],
) -> None:
    key, other = kind.generate(ENTROPY), kind.generate(ENTROPY)
    again = kind.from_bytes(key.to_bytes())
    assert again == key
    assert hash(again) == hash(key)
    assert key != other
    assert key != key.public
    assert repr(key) == f"<{kind.__name__}>"


# --- signatures -----------------------------------------------------------------------------


@pytest.mark.spec("03.3-1")
@pytest.mark.parametrize("name", [name for name, one in BAD.items() if one["spec"] == "03.3"])
def test_ck05_ck06_unacceptable_signatures(name: str) -> None:
    ch03_primitives.check(BAD[name])


@pytest.mark.spec("03.3-1")
def test_ck05_the_forgery_with_small_r_would_pass_the_library_alone() -> None:
    """Else the vector would show nothing: the bare equation holds for it."""
    given = BAD["R of small order"]["given"]
    parts = [bytes.fromhex(part) for part in given["parts"]]
    message = primitives.PREFIX + primitives.digest(given["label"], *parts)
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(given["public"]))
    public.verify(bytes.fromhex(given["signature"]), message)


def test_verify_refuses_a_small_key_that_nobody_checked() -> None:
    with pytest.raises(BadKey):
        primitives.verify(b"\1" + bytes(31), b"\1" + bytes(63), "example")


def test_a_key_that_is_no_point_fails_as_a_signature_where_nobody_checked_it() -> None:
    with pytest.raises(AuthenticationFailed):
        primitives.verify(b"\2" + bytes(31), bytes(64), "example")


# --- AEAD, padding --------------------------------------------------------------------------


@pytest.mark.spec("03.4-1")
def test_a_salt_or_counter_gives_every_plaintext_its_own_key() -> None:
    """The one sealing here that has a lasting key draws a salt for each value."""
    from groupcrypt.protocol import identity  # noqa: PLC0415  # of this test only

    sealed = [identity.seal_slot(b"k" * 32, b"same", ENTROPY) for _ in range(8)]
    assert len({each[1:33] for each in sealed}) == 8
    assert len({each[33:] for each in sealed}) == 8


@pytest.mark.spec("03.4-2")
@pytest.mark.parametrize("name", [n for n, one in BAD.items() if one["given"]["do"] == "open"])
def test_ciphertexts_that_do_not_open(name: str) -> None:
    ch03_primitives.check(BAD[name])


@pytest.mark.spec("03.4-3")
@pytest.mark.parametrize("name", [n for n, one in BAD.items() if one["given"]["do"] == "unpad"])
def test_s78_paddings_that_are_not_the_one(name: str) -> None:
    ch03_primitives.check(BAD[name])


@pytest.mark.spec("03.4-3")
def test_every_length_pads_to_one_size_and_back() -> None:
    sizes: set[int] = set()
    for length in range(2000):
        plain = bytes((length % 255 + 1,)) * length
        padded = primitives.pad(plain)
        assert primitives.unpad(padded) == plain
        assert len(padded) <= max(256, (length + 4) * 1.12)
        sizes.add(len(padded))
    assert len(sizes) < 60


# --- HPKE -----------------------------------------------------------------------------------


@pytest.mark.spec("03.6-1", "03.6-2")
@pytest.mark.parametrize("name", [name for name, one in BAD.items() if one["spec"] == "03.6"])
def test_hpke_that_does_not_open(name: str) -> None:
    ch03_primitives.check(BAD[name])


@pytest.mark.spec("03.6-1")
def test_hpke_is_not_sealed_to_a_key_of_small_order() -> None:
    with pytest.raises(BadKey):
        primitives.hpke_seal(bytes(32), b"", b"", b"x", ENTROPY)


@pytest.mark.spec("03.6-3")
@pytest.mark.parametrize("plain", [b"", b"x", bytes(5000)])
def test_hpke_is_that_of_another_implementation(plain: bytes) -> None:
    suite = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
    key = DhPrivate.generate(ENTROPY)
    theirs = X25519PrivateKey.from_private_bytes(key.to_bytes())
    sealed = primitives.hpke_seal(key.public, b"info", b"", plain, ENTROPY)
    assert suite.decrypt(sealed, theirs, info=b"info") == plain
    public = X25519PublicKey.from_public_bytes(key.public)
    assert primitives.hpke_open(key, b"info", b"", suite.encrypt(plain, public, b"info")) == plain


@pytest.mark.spec("03.5-1")
def test_the_same_randomness_gives_the_same_bytes() -> None:
    def run() -> list[bytes]:
        entropy = SeededEntropy(7)
        dh, signing = DhPrivate.generate(entropy), SigningKey.generate(entropy)
        kem = KemPrivate.generate(entropy)
        sealed = primitives.hpke_seal(dh.public, b"", b"", b"x", entropy)
        return [dh.to_bytes(), signing.sign("x"), *entropy.encapsulate(kem.public), sealed]

    assert run() == run()


def test_an_hpke_ciphertext_opens_with_its_associated_data_only() -> None:
    key = DhPrivate.generate(ENTROPY)
    sealed = primitives.hpke_seal(key.public, b"info", b"ad", b"text", ENTROPY)
    assert primitives.hpke_open(key, b"info", b"ad", sealed) == b"text"
    for other in (b"", b"da"):
        with pytest.raises(AuthenticationFailed):
            primitives.hpke_open(key, b"info", other, sealed)
