"""Our primitives against public edge cases, with our stricter refusals (spec 03).

The files are not part of the repository. They are looked for where `GROUPCRYPT_TEST_DATA` points,
or in `../shared/data` beside the checkout; without them these tests say so and are skipped.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from groupcrypt.errors import AuthenticationFailed, BadKey, GroupcryptError, MalformedFrame
from groupcrypt.protocol import primitives
from groupcrypt.protocol.primitives import DhPrivate, KemPrivate, derivation, signatures
from groupcrypt.testing.vectors.ch03_primitives import DH_SMALL

BESIDE = Path(__file__).parents[3] / "shared" / "data"
FOLDER = Path(os.environ.get("GROUPCRYPT_TEST_DATA", BESIDE))
P = 2**255 - 19


def load(name: str) -> Any:
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"{name} is not in {FOLDER}; set GROUPCRYPT_TEST_DATA to the folder with it")
    return json.loads(path.read_text("utf-8"))


def cases(name: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each (group, case) of a Wycheproof file."""
    for group in load(name)["testGroups"]:
        for case in group["tests"]:
            yield group, case


def raw(case: dict[str, Any], *names: str) -> list[bytes]:
    return [bytes.fromhex(case[name]) for name in names]


def accepted(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether our import check and our verification both pass."""
    try:
        primitives.check_signing_public(public)
        signatures._verify(public, signature, message)
    except (BadKey, AuthenticationFailed):
        return False
    return True


def test_wycheproof_ed25519() -> None:
    seen = 0
    for group, case in cases("wycheproof-ed25519_test.json"):
        public = bytes.fromhex(group["publicKey"]["pk"])
        signature, message = raw(case, "sig", "msg")
        assert accepted(public, signature, message) == (case["result"] == "valid"), case["tcId"]
        seen += 1
    assert seen == 151


def test_cctv_ed25519_is_verify_strict() -> None:
    """Refused: small order or non-canonical encodings of A or R, and what needs the cofactor."""
    refused = {"low_order_A", "low_order_R", "non_canonical_A", "non_canonical_R"}
    refused |= {"low_order_residue"}
    verdicts: list[bool] = []
    for case in load("cctv-ed25519.json"):
        public, signature = raw(case, "key", "sig")
        verdict = accepted(public, signature, case["msg"].encode())
        assert verdict == (not refused & set(case["flags"] or ())), case["number"]
        verdicts.append(verdict)
    assert len(verdicts) == 914
    assert 0 < sum(verdicts) < 208  # the library alone accepts 208


def test_speccheck_ed25519_is_verify_strict() -> None:
    verdicts = [
        accepted(*raw(case, "pub_key", "signature", "message"))
        for case in load("ed25519-speccheck.json")
    ]
    assert verdicts == [number == 3 for number in range(12)]


def test_wycheproof_x25519() -> None:
    refused = 0
    for _, case in cases("wycheproof-x25519_test.json"):
        public, private, shared = raw(case, "public", "private", "shared")
        key = DhPrivate.from_bytes(private)
        if int.from_bytes(public, "little") >= P or public in DH_SMALL or not any(shared):
            with pytest.raises(BadKey):
                key.exchange(public)
            refused += 1
        else:
            assert key.exchange(public) == shared, case["tcId"]
    assert refused >= 31


def test_wycheproof_ml_kem_768() -> None:
    outcomes: set[str] = set()
    for _, case in cases("wycheproof-mlkem_768_test.json"):
        outcomes.add(case["result"])
        seed, ciphertext = raw(case, "seed", "c")
        if case["result"] == "valid":
            key = KemPrivate.from_bytes(seed)
            assert key.public == bytes.fromhex(case["ek"]), case["tcId"]
            assert key.decapsulate(ciphertext) == bytes.fromhex(case["K"]), case["tcId"]
        else:
            with pytest.raises((BadKey, MalformedFrame)):
                KemPrivate.from_bytes(seed).decapsulate(ciphertext)
    assert outcomes == {"valid", "invalid"}


def test_wycheproof_ml_kem_768_public_keys() -> None:
    outcomes = {True: 0, False: 0}
    for _, case in cases("wycheproof-mlkem_768_encaps_test.json"):
        (public,) = raw(case, "ek")
        valid = case["result"] == "valid"
        outcomes[valid] += 1
        if valid:
            assert primitives.check_kem_public(public) == public
        else:
            with pytest.raises(BadKey):
                primitives.check_kem_public(public)
    assert all(outcomes.values())


def test_wycheproof_hkdf() -> None:
    seen = 0
    for _, case in cases("wycheproof-hkdf_sha256_test.json"):
        if case["result"] == "valid":
            secret, salt, info, wanted = raw(case, "ikm", "salt", "info", "okm")
            key = primitives.extract(salt, secret)
            assert derivation._expand(key, info, case["size"]) == wanted, case["tcId"]
            seen += 1
    assert seen > 50


def test_wycheproof_hmac() -> None:
    for group, case in cases("wycheproof-hmac_sha256_test.json"):
        key, message, tag = raw(case, "key", "msg", "tag")
        made = primitives.extract(key, message)[: group["tagSize"] // 8]
        assert (made == tag) == (case["result"] == "valid"), case["tcId"]


def test_wycheproof_aes_gcm() -> None:
    seen = 0
    for group, case in cases("wycheproof-aes_gcm_test.json"):
        if (group["keySize"], group["ivSize"], group["tagSize"]) != (256, 96, 128):
            continue  # the suite has one key, nonce and tag size
        key, nonce, ad, message, ciphertext, tag = raw(
            case, *("key", "iv", "aad", "msg", "ct", "tag")
        )
        seen += 1
        if case["result"] == "valid":
            assert primitives.seal(key, message, ad, nonce) == ciphertext + tag
            assert primitives.unseal(key, ciphertext + tag, ad, nonce) == message
        else:
            with pytest.raises(GroupcryptError):
                primitives.unseal(key, ciphertext + tag, ad, nonce)
    assert seen > 20
