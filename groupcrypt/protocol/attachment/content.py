"""What a message says of a file (spec 14.1): type 8 of the registry of contents.

Rules of this file:
- Name and media type are the sender's words: shown cleaned, used for nothing else.
"""

from collections.abc import Sequence
from typing import Annotated

from groupcrypt.errors import AuthenticationFailed
from groupcrypt.protocol import limits
from groupcrypt.protocol.attachment.chunks import FileKey, file_digest
from groupcrypt.protocol.primitives import equal
from groupcrypt.protocol.wire import Blob, Bytes32, Text, Uint, shape


@shape
class AttachmentContent:
    """A file: what it is, where its blob lies, what opens it (spec 14.1)."""

    name: Annotated[str, Text(limits.MAX_FILE_NAME_BYTES)]
    media: Annotated[str, Text(limits.MAX_MEDIA_TYPE_BYTES)]  # such as image/png; may be empty
    size: Annotated[int, Uint(limits.MAX_FILE_BYTES)]
    key: Bytes32
    write_hash: Bytes32  # of the blob's write token, which its sender keeps
    digest: Bytes32
    preview: Annotated[bytes, Blob(0, limits.MAX_PREVIEW_BYTES)]

    @property
    def file(self) -> FileKey:
        return FileKey(self.key, self.size)


def check_attachment(content: AttachmentContent, commitments: Sequence[bytes]) -> None:
    """The last check, before a file counts as received; `AuthenticationFailed` (spec 14.6)."""
    if not equal(file_digest(content.file, commitments), content.digest):
        raise AuthenticationFailed("the file is not the one its sender sealed")
