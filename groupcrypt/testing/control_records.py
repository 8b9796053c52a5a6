"""Entries and confirms as any member, honest or not, could put them into a topic (spec 10.4).

Rules of this file:
- What it makes passes the checks of chapter 08; whether it counts is chapter 09's and 10's.
"""

from dataclasses import replace

from groupcrypt.protocol import membership, sender_key, wire
from groupcrypt.protocol.group.authoring import SealedEntry
from groupcrypt.protocol.group.secrets import derived_secret
from groupcrypt.protocol.group.state import Epoch, GroupState, frame_keys, need_keys
from groupcrypt.protocol.identity import LocalIdentity
from groupcrypt.protocol.membership import Op
from groupcrypt.protocol.primitives import Entropy
from groupcrypt.protocol.sender_key import CONFIRM, ENTRY


def control(epoch: Epoch, kind: int, plain: bytes, entropy: Entropy) -> bytes:
    """A control record in an epoch's topic, around any bytes."""
    keys = need_keys(epoch)
    return sender_key.seal_control(kind, plain, keys.control, frame_keys(epoch), entropy=entropy)


def entry_record(epoch: Epoch, raw: bytes, entropy: Entropy, *addresses: bytes) -> bytes:
    """The record of a signed entry."""
    return control(epoch, ENTRY, wire.encode(SealedEntry(raw, addresses)), entropy)


def confirm_record(epoch: Epoch, raw: bytes, entropy: Entropy) -> bytes:
    """The record of a confirm."""
    return control(epoch, CONFIRM, raw, entropy)


def signed_entry(
    group: GroupState, author: LocalIdentity, op: Op, data: object, secret: bytes | None = None
) -> bytes:
    """A valid entry on the head; without a secret the derived one, which is made to fit."""
    body = membership.draft(group.roster, author=author, op=op, data=wire.encode(data), now=0)
    if secret is None:
        init = need_keys(group.head).init
        secret = derived_secret(init, membership.commitless(body))
    commit = membership.entry_commit(secret, group.id, body.epoch)
    return membership.sign_entry(replace(body, commit=commit), author)


__all__ = ["confirm_record", "control", "entry_record", "signed_entry"]
