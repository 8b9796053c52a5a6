"""Files that travel beside a conversation: sealed in chunks, stored by the server (spec 14).

Rules of this package:
- Everything is a function of the file's key, its size and its bytes: sealing the same file again
  gives the same bytes, and a key never seals two plaintexts, whatever is read the second time.
- A chunk commits to key, size, place and content; the digest commits to all chunks.
- `layout` < `chunks`; `content` says what a message carries, `names` what a name becomes on a disk.

It moves no bytes and touches no files: the node does.
"""

from groupcrypt.protocol.attachment.chunks import (
    FileKey,
    chunk_tag,
    file_digest,
    open_chunk,
    seal_chunk,
)
from groupcrypt.protocol.attachment.content import AttachmentContent, check_attachment
from groupcrypt.protocol.attachment.layout import SEALED_CHUNK_BYTES, Layout
from groupcrypt.protocol.attachment.names import numbered_name, safe_name

__all__ = [
    "SEALED_CHUNK_BYTES",
    "AttachmentContent",
    "FileKey",
    "Layout",
    "check_attachment",
    "chunk_tag",
    "file_digest",
    "numbered_name",
    "open_chunk",
    "safe_name",
    "seal_chunk",
]
