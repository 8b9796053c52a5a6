"""Tokens and the names their hashes make: topics, pools, slots (spec 13.1).

Rules of this file:
- A name is a hash of the hashes of two bearer tokens: who shows one token and the hash of the
  other names the thing and proves the right in one step. Nothing is registered anywhere.
- The kind of a topic is part of its name, so nobody can open a group's topic as a mailbox.

It does not decide what a right allows; the model and the engines do.
"""

from enum import IntEnum
from typing import Final

from groupcrypt.protocol.identifiers import TopicId
from groupcrypt.protocol.primitives import digest

TOKEN_BYTES: Final = 32


class TopicKind(IntEnum):
    """What a topic is used for; part of its name (spec 13.1)."""

    GROUP = 0  # many readers; nobody may trim it; sealed for good once full
    MAILBOX = 1  # one reader, who trims it


def token_hash(token: bytes) -> bytes:
    """The 32-byte hash that stands for a 32-byte token in names (spec 13.1)."""
    return digest("token", token)


def topic_id(write_hash: bytes, read_hash: bytes, kind: int = TopicKind.GROUP) -> TopicId:
    """The 32-byte name of the topic with these token hashes (spec 13.1)."""
    return TopicId(digest("topic", bytes((kind,)), write_hash, read_hash))


def pool_id(put_hash: bytes, take_hash: bytes) -> bytes:
    """The 32-byte name of the pool with these token hashes (spec 13.1)."""
    return digest("pool", put_hash, take_hash)


def slot_name(public: bytes) -> bytes:
    """The 32-byte name of the slot that this Ed25519 key signs (spec 13.7)."""
    return digest("slot name", public)


def blob_id(write_hash: bytes, read_hash: bytes) -> bytes:
    """The 32-byte name of the blob with these token hashes (spec 13.12)."""
    return digest("blob", write_hash, read_hash)
