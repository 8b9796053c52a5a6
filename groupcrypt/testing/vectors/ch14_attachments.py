"""Vectors of chapter 14: sizes, names, chunks that open and chunks that do not (spec 14).

Rules of this file:
- `given.do` names the operation. A file is given by a text that is repeated up to its size.
- Of sealed chunks that are long, `then` has the SHA-256; a bad vector seals the file that is given
  and says what is then done to which chunk.
"""

import hashlib
from dataclasses import replace
from typing import Any

from groupcrypt.errors import AuthenticationFailed, GroupcryptError, MalformedFrame
from groupcrypt.protocol import wire
from groupcrypt.protocol.attachment import (
    AttachmentContent,
    FileKey,
    Layout,
    check_attachment,
    file_digest,
    open_chunk,
    safe_name,
    seal_chunk,
)
from groupcrypt.protocol.broadcast import blob_id, token_hash
from groupcrypt.protocol.content import ContentType, Envelope, read_content, write_content
from groupcrypt.protocol.limits import FILE_CHUNK_BYTES, MAX_FILE_BYTES
from groupcrypt.protocol.primitives import seal
from groupcrypt.testing.entropy import SeededEntropy
from groupcrypt.testing.vectors import Vector, expecting, vector

_ENTROPY = SeededEntropy(b"vectors 14")
_KEY, _OTHER, _WRITE = (_ENTROPY(32) for _ in range(3))
_TEXT = "a file to send "
_TIME = 1_800_000_000_123
_LONG = 2 * FILE_CHUNK_BYTES + 100
_NAMES = (
    *("photo.jpg", "../../etc/passwd", "C:\\Users\\x.ini", "", "..", ".profile", "nul.txt"),
    *(" a. ", "photo\u202egpj.exe", 'a<b>:"c|d?e*f', "写真.png", "x" * 300 + ".jpg"),
)


def generate() -> tuple[list[Vector], list[Vector]]:
    """All vectors of the chapter: good ones, bad ones."""
    good = [_good_content(), _good_names(), *_good_sizes(), *_good_files(), *_good_chunks()]
    return good, [*_bad_contents(), *_bad_chunks(), *_bad_files()]


def check(one: Vector) -> None:
    """Run one vector against the library; `AssertionError` if it does not hold."""
    given = one["given"]
    found: dict[str, Any] = {}
    with expecting(one):
        found = _CHECKS[given["do"]](given)
    assert found == one["then"]


# --- what each operation is ---------------------------------------------------------------------


def _content(given: Vector) -> Vector:
    said = read_content(bytes.fromhex(given["content"]))
    assert (
        write_content(said.content, time=said.time, expires=said.expires).hex() == given["content"]
    )
    assert isinstance(said.content, AttachmentContent)
    file = said.content.file
    blob = blob_id(said.content.write_hash, token_hash(file.read_token))
    return {
        "name": said.content.name,
        "media": said.content.media,
        "size": said.content.size,
        "read token": file.read_token.hex(),
        "blob": blob.hex(),
    }


def _names(given: Vector) -> Vector:
    return {"safe": [safe_name(name) for name in given["names"]]}


def _sizes(given: Vector) -> Vector:
    layout = Layout(given["size"])
    last = layout.sealed_chunk(layout.chunks - 1)
    return {
        "padded": layout.padded,
        "chunks": layout.chunks,
        "blob": layout.sealed,
        "last chunk": last,
    }


def _bytes(given: Vector) -> bytes:
    text, size = given["text"].encode(), given["size"]
    return bytes((text * (size // len(text) + 1))[:size])


def _sealed(given: Vector) -> tuple[FileKey, list[bytes]]:
    data = _bytes(given)
    file = FileKey(bytes.fromhex(given["key"]), given["size"])
    chunks = [
        seal_chunk(file, n, data[n * FILE_CHUNK_BYTES :][: file.layout.data(n)])
        for n in range(file.layout.chunks)
    ]
    return file, chunks


def _file(given: Vector) -> Vector:
    file, chunks = _sealed(given)
    return {
        "commitments": [chunk[:32].hex() for chunk in chunks],
        "digest": file_digest(file, [chunk[:32] for chunk in chunks]).hex(),
        "sealed SHA-256": [hashlib.sha256(chunk).hexdigest() for chunk in chunks],
    }


def _chunk(given: Vector) -> Vector:
    file = FileKey(bytes.fromhex(given["key"]), given["size"])
    data = open_chunk(file, given["index"], bytes.fromhex(given["sealed"]))
    return {"data": data.hex()}


def _moved(given: Vector) -> Vector:
    """Chunk `of` of the file that is given, read as chunk `at` of a file of size `as`."""
    _, chunks = _sealed(given)
    file = FileKey(bytes.fromhex(given["read with"]), given["as"])
    return {"data": open_chunk(file, given["at"], chunks[int(given["of"])]).hex()}


def _digest(given: Vector) -> Vector:
    file, chunks = _sealed(given)
    digest = bytes.fromhex(given["digest"])
    made = AttachmentContent("", "", file.size, file.key, bytes(32), digest, b"")
    check_attachment(made, [chunks[int(n)][:32] for n in given["order"]])
    return {}


_CHECKS = {
    "content": _content,
    "names": _names,
    "sizes": _sizes,
    "file": _file,
    "open": _chunk,
    "moved": _moved,
    "digest": _digest,
}


def _shown(
    spec: str, name: str, given: Vector, *, expect: type[GroupcryptError] | None = None
) -> Vector:
    if expect is not None:
        return vector(spec, name, given, expect=expect)
    plain = vector(spec, name, given)["given"]
    return vector(spec, name, given, _CHECKS[given["do"]](plain))


# --- good ---------------------------------------------------------------------------------------


def _made(size: int = 5) -> AttachmentContent:
    digest = b"d" * 32  # of nothing: that is compared elsewhere
    return AttachmentContent(
        "photo\u202e.jpg", "image/jpeg", size, _KEY, token_hash(_WRITE), digest, b"\xff\xd8"
    )


def _good_content() -> Vector:
    raw = write_content(_made(), time=_TIME, expires=3600)
    return _shown("14.1", "an attachment", {"do": "content", "content": raw})


def _good_names() -> Vector:
    return _shown("14.7", "names from elsewhere", {"do": "names", "names": list(_NAMES)})


def _good_sizes() -> list[Vector]:
    sizes = (0, 256, 257, FILE_CHUNK_BYTES, FILE_CHUNK_BYTES + 48, 10**6, 2**30 + 1, MAX_FILE_BYTES)
    return [_shown("14.3", f"a file of {n} bytes", {"do": "sizes", "size": n}) for n in sizes]


def _given(do: str, size: int, **more: Any) -> Vector:
    return {"do": do, "key": _KEY, "text": _TEXT, "size": size, **more}


def _good_files() -> list[Vector]:
    return [
        _shown("14.4", f"{size} bytes in chunks", _given("file", size))
        for size in (0, 17, 300, FILE_CHUNK_BYTES, _LONG)
    ]


def _good_chunks() -> list[Vector]:
    made: list[Vector] = []
    for size in (0, 17):
        file, (chunk,) = _sealed({"key": _KEY.hex(), "text": _TEXT, "size": size})
        given = {"do": "open", "key": file.key, "size": size, "index": 0, "sealed": chunk}
        made.append(_shown("14.4", f"a chunk with {size} bytes of a file", given))
    return made


# --- bad ----------------------------------------------------------------------------------------


def _bad_contents() -> list[Vector]:
    good = _made()
    faults = {
        "a name of 256 bytes": replace(good, name="n" * 256),
        "a media type of 128 bytes": replace(good, media="m" * 128),
        "a size above 2 GiB": replace(good, size=MAX_FILE_BYTES + 1),
        "a key of 31 bytes": replace(good, key=_KEY[1:]),
        "a preview of 4097 bytes": replace(good, preview=bytes(4097)),
    }
    return [
        vector(
            "14.1",
            name,
            {
                "do": "content",
                "content": wire.encode(
                    Envelope(ContentType.ATTACHMENT, _TIME, 0, None, wire.encode(fault))
                ),
            },
            expect=MalformedFrame,
        )
        for name, fault in faults.items()
    ]


def _bad_chunks() -> list[Vector]:
    file, (good,) = _sealed({"key": _KEY.hex(), "text": _TEXT, "size": 17})
    dirty = _TEXT.encode().ljust(17, b"a") + bytes(238) + b"\1"
    commitment = file.commitment(0, dirty)
    dirty_chunk = commitment + seal(file.chunk_key(commitment), dirty, b"")
    lying = good[:32] + seal(file.chunk_key(good[:32]), bytes(256), b"")

    def flipped(place: int) -> bytes:
        return good[:place] + bytes((good[place] ^ 1,)) + good[place + 1 :]

    faults: list[tuple[str, bytes, type[GroupcryptError]]] = [
        ("a chunk one byte short", good[:-1], MalformedFrame),
        ("a chunk one byte long", good + b"\0", MalformedFrame),
        ("a bit of the commitment", flipped(0), AuthenticationFailed),
        ("a bit of the ciphertext", flipped(40), AuthenticationFailed),
        ("a bit of the tag", flipped(len(good) - 1), AuthenticationFailed),
        ("a commitment to other plaintext", lying, AuthenticationFailed),
        ("padding that is not zero", dirty_chunk, MalformedFrame),
    ]
    return [
        _shown(
            "14.4",
            name,
            {"do": "open", "key": _KEY, "size": 17, "index": 0, "sealed": chunk},
            expect=error,
        )
        for name, chunk, error in faults
    ]


def _bad_files() -> list[Vector]:
    def moved(name: str, **how: Any) -> Vector:
        place = {"of": 0, "at": 0, "as": _LONG, "read with": _KEY, **how}
        return _shown("14.4", name, _given("moved", _LONG, **place), expect=AuthenticationFailed)

    plain = {"key": _KEY.hex(), "text": _TEXT, "size": _LONG}
    file, chunks = _sealed(plain)
    digest = file_digest(file, [chunk[:32] for chunk in chunks])
    wrong = {"digest": digest, "order": [1, 0, 2]}
    return [
        moved("the first chunk in the second place", at=1),
        moved("a chunk of another file", **{"read with": _OTHER}),
        moved("a file said to be longer", **{"as": _LONG + FILE_CHUNK_BYTES}),
        moved("a file said to be shorter", **{"as": _LONG - 101}),
        _shown(
            "14.4",
            "a digest of the chunks in another order",
            _given("digest", _LONG, **wrong),
            expect=AuthenticationFailed,
        ),
        _shown(
            "14.4",
            "another digest",
            _given("digest", _LONG, digest=bytes(32), order=[0, 1, 2]),
            expect=AuthenticationFailed,
        ),
    ]
