"""Slots: small signed values named by the hash of the key that signs them (spec 13.7).

Rules of this file:
- The key is made for the slot alone, never an account or device key, or the server could link them.
- The signature covers key, version and value; versions only grow.

Values are sealed by `protocol.identity` before they come here; nothing here is secret.
"""

from groupcrypt.errors import AuthenticationFailed
from groupcrypt.protocol.broadcast.names import slot_name
from groupcrypt.protocol.broadcast.replies import SlotValue
from groupcrypt.protocol.broadcast.requests import SlotPut
from groupcrypt.protocol.primitives import SigningKey, equal, number, verify


def sign_slot(key: SigningKey, version: int, value: bytes) -> SlotPut:
    """The request that sets the slot of `key` to `value`; `version` must grow (spec 13.7)."""
    signature = key.sign("slot", key.public, number(version), value)
    return SlotPut(key.public, version, value, signature)


def check_slot(put: SlotPut | SlotValue) -> None:
    """Raise `AuthenticationFailed` unless the signature is by the slot's key (spec 13.7)."""
    verify(put.public, put.signature, "slot", put.public, number(put.version), put.value)


def verify_slot(name: bytes, held: SlotValue) -> bytes:
    """The value, if `held` is what the slot `name` may hold; else `AuthenticationFailed`.

    The caller compares `held.version` with the newest it has seen: an old value verifies too.
    """
    if not equal(slot_name(held.public), name):
        raise AuthenticationFailed("the value belongs to another slot")
    check_slot(held)
    return held.value
