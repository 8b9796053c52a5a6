"""Where the bytes of a file lie: padding, chunks, places in the blob (spec 14.3).

Rules of this file:
- Everything follows from the size of the file, which both sides know.
- Chunks are equal but for the last one, so a place in the blob is a multiplication.
"""

from dataclasses import dataclass
from typing import Final

from groupcrypt.protocol.limits import FILE_CHUNK_BYTES
from groupcrypt.protocol.primitives import TAG_BYTES, padded_length

COMMITMENT_BYTES: Final = 32
SEALED_CHUNK_BYTES: Final = FILE_CHUNK_BYTES + COMMITMENT_BYTES + TAG_BYTES  # 128 KiB


@dataclass(frozen=True, slots=True)
class Layout:
    """The plan of a file of `size` bytes (spec 14.3)."""

    size: int

    @property
    def padded(self) -> int:
        """Bytes of the file with its padding."""
        return padded_length(self.size)

    @property
    def chunks(self) -> int:
        """How many chunks there are; one at least."""
        return -(-self.padded // FILE_CHUNK_BYTES)

    @property
    def sealed(self) -> int:
        """Bytes of the blob."""
        return self.padded + self.chunks * (COMMITMENT_BYTES + TAG_BYTES)

    def chunk(self, index: int) -> int:
        """Bytes that the chunk seals, padding included."""
        return min(FILE_CHUNK_BYTES, self.padded - index * FILE_CHUNK_BYTES)

    def data(self, index: int) -> int:
        """Bytes of the file in the chunk; 0 where it is padding alone."""
        return max(0, min(FILE_CHUNK_BYTES, self.size - index * FILE_CHUNK_BYTES))

    def sealed_chunk(self, index: int) -> int:
        """Bytes of the chunk in the blob; it begins at `index * SEALED_CHUNK_BYTES`."""
        return self.chunk(index) + COMMITMENT_BYTES + TAG_BYTES
