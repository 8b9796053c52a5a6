"""The names of things: accounts, devices, groups, messages (spec 02.1).

Rules of this file:
- An id is public and says nothing about a person; still it never reaches a log above debug level.
- Ids are plain bytes at run time; the types keep one kind from being used as another.
"""

from typing import NewType

AccountId = NewType("AccountId", bytes)  # 32 bytes: the account's Ed25519 public key
DeviceId = NewType("DeviceId", bytes)  # 16 bytes: hash of account, signing and DH keys
GroupId = NewType("GroupId", bytes)  # 32 bytes: hash of the genesis entry
MessageId = NewType("MessageId", bytes)  # 16 random bytes; the logical id, kept when sealed again
TopicId = NewType("TopicId", bytes)  # 32 bytes: hash of the hashes of its two tokens
LogHash = NewType("LogHash", bytes)  # 32 bytes: the log up to and including one entry


def short(identifier: bytes) -> str:
    """First 8 hex digits, for people to tell two ids apart; never an identification (spec 02.1)."""
    return identifier[:4].hex()
