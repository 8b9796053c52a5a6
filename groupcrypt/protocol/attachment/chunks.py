"""Chunks of a file, sealed and opened one by one (spec 14.2, 14.4).

Rules of this file:
- The commitment of a chunk is a MAC over its place and plaintext, and the key that seals it is
  derived from the commitment: other bytes at the same place have another key.
- Nothing of a chunk is handed out before its commitment was found to be right.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from groupcrypt.errors import AuthenticationFailed, MalformedFrame
from groupcrypt.protocol.attachment.layout import COMMITMENT_BYTES, Layout
from groupcrypt.protocol.primitives import digest, equal, expand, mac, number, seal, unseal


@dataclass(frozen=True, slots=True, repr=False)
class FileKey:
    """The key of a file, bound to the file's size (spec 14.2)."""

    key: bytes  # 32 random bytes, drawn for this file alone
    size: int
    _secret: bytes = field(init=False)
    layout: Layout = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_secret", expand(self.key, "file", number(self.size)))
        object.__setattr__(self, "layout", Layout(self.size))

    @property
    def read_token(self) -> bytes:
        """The token that fetches the blob: who can open the file may fetch it (spec 14.2)."""
        return expand(self.key, "file read token")

    def commitment(self, index: int, padded: bytes) -> bytes:
        """What names key, size, place and plaintext of a chunk (spec 14.4)."""
        return mac(self._secret, "file chunk", number(index), padded)

    def chunk_key(self, commitment: bytes) -> bytes:
        """The AEAD key of the one chunk with this commitment (spec 14.4)."""
        return expand(self._secret, "file chunk key", commitment)


def seal_chunk(file: FileKey, index: int, data: bytes) -> bytes:
    """A chunk as it lies in the blob; `data` are the file's bytes in it (spec 14.4).

    The commitment is its first 32 bytes.
    """
    assert len(data) == file.layout.data(index)  # the caller read that many, or gave up
    padded = data.ljust(file.layout.chunk(index), b"\0")
    commitment = file.commitment(index, padded)
    return commitment + seal(file.chunk_key(commitment), padded, b"")


def open_chunk(file: FileKey, index: int, sealed: bytes) -> bytes:
    """The file's bytes in a chunk (spec 14.4).

    Raises `MalformedFrame` for a length or padding, `AuthenticationFailed` for anything else that
    is not what the owner of the key sealed at this place of a file of this size.
    """
    if len(sealed) != file.layout.sealed_chunk(index):
        raise MalformedFrame("a chunk of another length")
    commitment = sealed[:COMMITMENT_BYTES]
    padded = unseal(file.chunk_key(commitment), sealed[COMMITMENT_BYTES:], b"")
    if not equal(commitment, file.commitment(index, padded)):
        raise AuthenticationFailed("a chunk is not what its commitment says")
    data = padded[: file.layout.data(index)]
    if padded.count(0, len(data)) != len(padded) - len(data):
        raise MalformedFrame("the padding of a file is not zero")
    return data


def chunk_tag(file: FileKey, index: int, data: bytes) -> bytes:
    """The commitment of a chunk that was opened before, from the file's bytes (spec 14.4)."""
    return file.commitment(index, data.ljust(file.layout.chunk(index), b"\0"))


def file_digest(file: FileKey, commitments: Sequence[bytes]) -> bytes:
    """What stands for the whole file: over the commitments of all its chunks (spec 14.4)."""
    assert len(commitments) == file.layout.chunks
    return digest("file", number(file.size), b"".join(commitments))
