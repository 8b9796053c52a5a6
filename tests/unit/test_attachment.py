"""Files in chunks: what opens, what is refused, and what a name becomes (spec 14)."""

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groupcrypt.errors import AuthenticationFailed, MalformedFrame, RemoteError
from groupcrypt.protocol import limits, wire
from groupcrypt.protocol.attachment import (
    SEALED_CHUNK_BYTES,
    AttachmentContent,
    FileKey,
    Layout,
    check_attachment,
    chunk_tag,
    file_digest,
    numbered_name,
    open_chunk,
    safe_name,
    seal_chunk,
)
from groupcrypt.protocol.broadcast import token_hash
from groupcrypt.protocol.content import read_content, write_content
from groupcrypt.protocol.limits import FILE_CHUNK_BYTES as CHUNK
from groupcrypt.protocol.primitives import seal

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))
SIZES = (0, 1, 255, 256, 257, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 300_000)


def parts(file: FileKey, data: bytes) -> list[bytes]:
    """The file's bytes in each of its chunks."""
    return [data[n * CHUNK :][: file.layout.data(n)] for n in range(file.layout.chunks)]


def sealed(file: FileKey, data: bytes) -> list[bytes]:
    return [seal_chunk(file, n, part) for n, part in enumerate(parts(file, data))]


def content(data: bytes = b"hello", **fields: object) -> AttachmentContent:
    file = FileKey(KEY, len(data))
    digest = file_digest(file, [one[:32] for one in sealed(file, data)])
    made = AttachmentContent("a.txt", "text/plain", len(data), KEY, bytes(32), digest, b"")
    return wire.decode(AttachmentContent, wire.encode(made)) if not fields else made


# --- the content --------------------------------------------------------------------------------


def test_an_attachment_is_a_content_like_others() -> None:
    made = content()
    assert read_content(write_content(made, time=1, expires=60)).content == made


@pytest.mark.spec("14.1-1")
@pytest.mark.parametrize(
    "made",
    [
        AttachmentContent("n" * 256, "", 0, KEY, KEY, KEY, b""),
        AttachmentContent("n", "m" * 128, 0, KEY, KEY, KEY, b""),
        AttachmentContent("n", "", limits.MAX_FILE_BYTES + 1, KEY, KEY, KEY, b""),
        AttachmentContent("n", "", 0, KEY[1:], KEY, KEY, b""),
        AttachmentContent("n", "", 0, KEY, KEY, KEY, bytes(4097)),
    ],
)
def test_a_content_over_its_limits_is_refused(made: AttachmentContent) -> None:
    with pytest.raises(MalformedFrame):
        read_content(write_content(made, time=1))


@pytest.mark.spec("14.2-1")
def test_the_key_gives_the_read_token_and_not_the_write_token() -> None:
    made = content()
    tokens = {made.file.read_token, made.key, made.digest}
    assert len(tokens) == 3
    assert made.write_hash not in map(token_hash, tokens)
    assert made.file.read_token == FileKey(KEY, 0).read_token  # of the key, whatever the size
    assert FileKey(OTHER, 0).read_token != made.file.read_token


# --- sizes --------------------------------------------------------------------------------------


@pytest.mark.spec("14.3-1")
@given(st.one_of(st.sampled_from(SIZES), st.integers(0, limits.MAX_FILE_BYTES)))
def test_chunks_make_up_the_padded_file(size: int) -> None:
    layout = Layout(size)
    last = layout.chunks - 1
    assert size <= layout.padded <= max(256, size * 1.12)
    assert layout.data(last + 1) == 0
    assert 0 < layout.chunk(last) <= CHUNK
    assert last * CHUNK + layout.chunk(last) == layout.padded
    assert last * SEALED_CHUNK_BYTES + layout.sealed_chunk(last) == layout.sealed
    if layout.chunks < 100:
        assert sum(map(layout.data, range(layout.chunks))) == size


def test_the_largest_file_has_the_largest_blob() -> None:
    assert Layout(limits.MAX_FILE_BYTES).sealed == 2_148_270_416
    assert Layout(limits.MAX_FILE_BYTES - 1).sealed <= Layout(limits.MAX_FILE_BYTES).sealed


# --- chunks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_what_is_sealed_opens(size: int) -> None:
    data = bytes(n % 251 for n in range(size))
    file = FileKey(KEY, size)
    chunks = sealed(file, data)
    assert sum(map(len, chunks)) == file.layout.sealed
    assert b"".join(open_chunk(file, n, one) for n, one in enumerate(chunks)) == data
    assert [chunk_tag(file, n, part) for n, part in enumerate(parts(file, data))] == [
        one[:32] for one in chunks
    ]
    check_attachment(content(data), [one[:32] for one in chunks])


@pytest.mark.spec("14.4-1")
def test_a_chunk_of_another_length_is_refused() -> None:
    file = FileKey(KEY, 300)
    (chunk,) = sealed(file, b"x" * 300)
    for cut in (chunk[:-1], chunk + b"\0", b"", chunk[:48]):
        with pytest.raises(MalformedFrame):
            open_chunk(file, 0, cut)


@pytest.mark.spec("14.4-2")
def test_a_chunk_of_another_place_file_or_size_is_refused() -> None:
    size = 2 * CHUNK + 5
    file = FileKey(KEY, size)
    first, second, last = sealed(file, bytes(size))  # its first chunks have the same plaintext
    assert first != second
    grown, shrunk = FileKey(KEY, size + CHUNK), FileKey(KEY, size - 6)
    for opened, index, chunk in (
        (file, 1, first),
        (file, 0, second),
        (FileKey(OTHER, size), 0, first),
        (grown, 0, first),  # the file is said to go on
        (shrunk, 0, first),  # and to end before
    ):
        with pytest.raises(AuthenticationFailed):
            open_chunk(opened, index, chunk)
    with pytest.raises(RemoteError):
        open_chunk(file, 0, last)


@pytest.mark.spec("14.4-2")
@given(place=st.integers(0, 303), bit=st.integers(0, 7))
def test_a_chunk_with_any_bit_changed_is_refused(place: int, bit: int) -> None:
    file = FileKey(KEY, 9)
    (chunk,) = sealed(file, b"plaintext")
    wrong = bytearray(chunk)
    wrong[place] ^= 1 << bit
    with pytest.raises(AuthenticationFailed):
        open_chunk(file, 0, bytes(wrong))


@pytest.mark.spec("14.4-2")
def test_a_commitment_to_other_plaintext_is_refused() -> None:
    file = FileKey(KEY, 9)
    said = file.commitment(0, b"other.txt".ljust(256, b"\0"))
    shown = seal(file.chunk_key(said), b"plaintext".ljust(256, b"\0"), b"")
    with pytest.raises(AuthenticationFailed):
        open_chunk(file, 0, said + shown)


@pytest.mark.spec("14.4-3")
def test_padding_that_is_not_zero_is_refused() -> None:
    file = FileKey(KEY, 9)
    padded = b"plaintext" + bytes(246) + b"\1"
    commitment = file.commitment(0, padded)
    with pytest.raises(MalformedFrame):
        open_chunk(file, 0, commitment + seal(file.chunk_key(commitment), padded, b""))


@pytest.mark.spec("14.4-4")
def test_two_keys_have_two_commitments() -> None:
    """GCM opens a crafted ciphertext under two keys; the commitments of both would have to meet."""
    one, other = FileKey(KEY, 256), FileKey(OTHER, 256)
    assert one.commitment(0, bytes(256)) != other.commitment(0, bytes(256))
    (chunk,) = sealed(one, bytes(256))
    # Grant the attacker the hard part: a body that opens under the other key as well.
    body = seal(other.chunk_key(chunk[:32]), b"another picture".ljust(256, b"\0"), b"")
    with pytest.raises(AuthenticationFailed):
        open_chunk(other, 0, chunk[:32] + body)


@pytest.mark.spec("14.4-5")
def test_the_same_bytes_seal_to_the_same_and_others_under_another_key() -> None:
    file = FileKey(KEY, 9)
    (one,), (again,), (other,) = (
        sealed(file, b) for b in (b"plaintext", b"plaintext", b"plaintexT")
    )
    assert one == again
    keys = {file.chunk_key(chunk[:32]) for chunk in (one, other)}
    assert len(keys) == 2
    places = {file.chunk_key(file.commitment(n, bytes(256))) for n in range(3)}
    assert len(places) == 3


def test_the_digest_is_of_all_chunks_in_their_order() -> None:
    data = bytes(300_000)
    file = FileKey(KEY, len(data))
    tags = [one[:32] for one in sealed(file, data)]
    made = content(data)
    check_attachment(made, tags)
    for wrong in ([tags[1], tags[0], tags[2]], [*tags[:2], bytes(32)]):
        with pytest.raises(AuthenticationFailed):
            check_attachment(made, wrong)


# --- names --------------------------------------------------------------------------------------

NAMES = {
    "photo.jpg": "photo.jpg",
    "../../etc/passwd": "passwd",
    "/etc/passwd": "passwd",
    "C:\\Windows\\system.ini": "system.ini",
    "..": "file",
    "...": "file",
    "": "file",
    "/": "file",
    "a/b/": "b",
    ".bashrc": "_bashrc",
    "..hidden": "_.hidden",
    " a.txt ": "a.txt",
    "a.txt. .": "a.txt",
    "a\0b\nc.txt": "ab c.txt",
    "photo\u202egpj.exe": "photogpj.exe",  # shown it would end in "exe.jpg"
    'a<b>:c|d?e*f"g': "a_b__c_d_e_f_g",
    "nul": "_nul",
    "NUL.txt": "_NUL.txt",
    "com1.tar.gz": "_com1.tar.gz",
    "LPT².txt": "_LPT².txt",
    "con .txt": "_con .txt",
    "console.txt": "console.txt",
    "写真.png": "写真.png",
}


@pytest.mark.spec("14.7-1")
@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_a_name_becomes_one_harmless_component(name: str) -> None:
    assert safe_name(name) == NAMES[name]


@pytest.mark.spec("14.7-1")
@given(
    st.one_of(st.text(), st.text("./\\ \0:nulCON1\u202e", max_size=20), st.text("é.", max_size=300))
)
def test_any_name_becomes_one_harmless_component(name: str) -> None:
    safe = safe_name(name)
    assert safe == safe_name(safe)
    assert 0 < len(safe.encode()) <= 200
    assert not set(safe) & set('/\\\0<>:"|?*')
    assert not safe.startswith(".")
    assert not safe.endswith((".", " "))
    assert not {unicodedata.category(mark) for mark in safe} & {"Cc", "Cs", "Zl", "Zp"}
    assert not set(safe) & set("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def test_a_long_name_keeps_its_ending() -> None:
    assert safe_name("x" * 300 + ".jpg") == "x" * 196 + ".jpg"
    assert safe_name("é" * 300) == "é" * 100
    assert safe_name("a." + "x" * 300) == ("a." + "x" * 300)[:200]


@pytest.mark.spec("14.7-2")
def test_a_taken_name_gets_a_number_before_its_ending() -> None:
    assert [numbered_name("a.txt", n) for n in (1, 2, 3)] == ["a.txt", "a (2).txt", "a (3).txt"]
    assert numbered_name("README", 2) == "README (2)"
    names = [numbered_name(safe_name("x" * 300 + ".jpg"), n) for n in range(1, 1_001)]
    assert all(len(name) <= 255 for name in names)
    assert all(one != other for one, other in pairwise(names))
