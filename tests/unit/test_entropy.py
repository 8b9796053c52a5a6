"""Both sources of randomness: the system's, and the seeded one with its own ML-KEM (spec 03.5)."""

import pytest

from groupcrypt.entropy import SystemEntropy
from groupcrypt.errors import BadKey
from groupcrypt.protocol.primitives import Entropy, KemPrivate
from groupcrypt.testing.entropy import SeededEntropy


@pytest.mark.parametrize("entropy", [SystemEntropy(), SeededEntropy(1)], ids=["system", "seeded"])
def test_encapsulation_agrees_with_decapsulation(entropy: Entropy) -> None:
    for _ in range(100):
        key = KemPrivate.generate(entropy)
        secret, ciphertext = entropy.encapsulate(key.public)
        assert (len(secret), len(ciphertext)) == (32, 1088)
        assert key.decapsulate(ciphertext) == secret


@pytest.mark.parametrize("entropy", [SystemEntropy(), SeededEntropy(1)], ids=["system", "seeded"])
def test_bytes_have_the_size_asked_for_and_do_not_repeat(entropy: Entropy) -> None:
    assert entropy(0) == b""
    assert [len(entropy(size)) for size in (1, 31, 32, 33, 1000)] == [1, 31, 32, 33, 1000]
    assert len({entropy(16) for _ in range(100)}) == 100
    key = KemPrivate.generate(entropy)
    assert entropy.encapsulate(key.public) != entropy.encapsulate(key.public)


@pytest.mark.parametrize("entropy", [SystemEntropy(), SeededEntropy(1)], ids=["system", "seeded"])
@pytest.mark.parametrize("public", [b"", bytes(1183), b"\xff" * 1184], ids=["empty", "short", "q"])
def test_a_bad_public_key_is_refused_with_our_error(entropy: Entropy, public: bytes) -> None:
    with pytest.raises(BadKey):
        entropy.encapsulate(public)


def test_the_seed_decides_every_byte() -> None:
    # Written down, so that another Python or another version cannot drift unseen.
    entropy = SeededEntropy(7)
    assert entropy(8).hex() == "6d62a28ebc2aa538"
    assert entropy(8).hex() == "589e66f322237967"
    key = KemPrivate.generate(entropy)
    secret, ciphertext = entropy.encapsulate(key.public)
    assert secret.hex()[:16] == "fdab329ded4028fd"
    assert ciphertext.hex()[-16:] == "7c1481d74d496b9b"


def test_kinds_of_seed_do_not_meet() -> None:
    seeds: list[int | bytes] = [0, 1, -1, b"", b"1", b"int 1", 2**200]
    assert len({SeededEntropy(seed)(16) for seed in seeds}) == len(seeds)


def test_a_fork_depends_on_seed_and_name_only() -> None:
    parent, drawn = SeededEntropy(3), SeededEntropy(3)
    drawn(100)
    assert parent.fork("alice")(16) == drawn.fork("alice")(16)
    forks = [parent, parent.fork("alice"), parent.fork("bob"), parent.fork("alice").fork("bob")]
    assert len({source(16) for source in forks}) == len(forks)


def test_a_repr_shows_no_seed() -> None:
    assert repr(SeededEntropy(b"secret seed")) == "<SeededEntropy after 0 calls>"
