"""The key schedule of an epoch: what r_e is split into (spec 10.3).

Rules of this file:
- r_e is 32 fresh bytes, or derived from the epoch before for operations that exclude nobody.
- Everything is bound to the group, the epoch and lh_e, so a fork has other keys.
- The salt and r_e can be erased alone; what reads and writes the epoch stays.
"""

from dataclasses import replace

from groupcrypt.protocol import primitives
from groupcrypt.protocol.identifiers import GroupId, LogHash, TopicId
from groupcrypt.protocol.primitives import ZERO32
from groupcrypt.protocol.wire import Bytes32, shape


@shape
class EpochKeys:
    """What a member of an epoch holds; 32 bytes each. An erased value is zeros (spec 10.3)."""

    secret: Bytes32  # r_e, for re-supply; erased together with the salt
    salt: Bytes32  # carries chains into this epoch
    init: Bytes32  # derives the secret of the next epoch where nobody leaves
    topic: Bytes32
    header: Bytes32
    control: Bytes32
    confirm: Bytes32
    membership: Bytes32
    exporter: Bytes32
    authenticator: Bytes32

    @property
    def complete(self) -> bool:
        """Whether r_e and the salt are still held."""
        return self.secret != ZERO32


def split(secret: bytes, group: GroupId, epoch: int, log_hash: LogHash) -> EpochKeys:
    """All keys of an epoch from its secret (spec 10.3)."""
    context = (group, primitives.number(epoch), log_hash)
    root = primitives.extract(log_hash, secret)
    part = [
        primitives.expand(root, label, *context)
        for label in (
            "epoch salt",
            "epoch init",
            "epoch topic",
            "epoch header",
            "epoch control",
            "epoch confirm",
            "epoch membership",
            "epoch exporter",
            "epoch authenticator",
        )
    ]
    return EpochKeys(secret, *part)


def derived_secret(init: bytes, commitless_entry: bytes) -> bytes:
    """r_{e+1} of an operation that excludes nobody: add, device_add, role, policy (spec 10.3)."""
    return primitives.expand(init, "epoch derived", commitless_entry)


def erased(keys: EpochKeys) -> EpochKeys:
    """The keys without r_e and the salt (spec 10.6)."""
    return replace(keys, secret=ZERO32, salt=ZERO32)


def topic_tokens(keys: EpochKeys, segment: int) -> tuple[bytes, bytes]:
    """(write token, read token) of a segment of the epoch's topic (spec 10.4)."""
    place = primitives.number(segment)
    return (
        primitives.expand(keys.topic, "topic write", place),
        primitives.expand(keys.topic, "topic read", place),
    )


__all__ = ["EpochKeys", "TopicId", "derived_secret", "erased", "split", "topic_tokens"]
