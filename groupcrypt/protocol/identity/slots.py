"""Account records and the sealing of slot values, which the server cannot read (spec 02.4).

Rules of this file:
- A slot's value is sealed under the slot's key, with a fresh salt for every value.
- Who may write a slot is the server's and the slot's affair (spec 13); what a record says about
  devices counts only as far as its signed device list does.
"""

from typing import Annotated, Final

from groupcrypt.errors import MalformedFrame, UnsupportedVersion
from groupcrypt.protocol import limits
from groupcrypt.protocol.identity.device_lists import DeviceList, read_device_list
from groupcrypt.protocol.identity.display import check_name
from groupcrypt.protocol.primitives import Entropy, expand, pad, seal, unpad, unseal
from groupcrypt.protocol.wire import Blob, Bytes16, Bytes32, Many, Text, decode, shape

_VERSION_BYTE: Final = bytes((limits.VERSION,))


@shape
class DeviceEntry:
    """Where a device's prekey bundle lives, and the key that opens it (spec 02.4)."""

    device: Bytes16
    slot_name: Bytes32
    slot_key: Bytes32


@shape
class AccountRecord:
    """The value of an account's slot, sealed under the card's slot key (spec 02.4)."""

    device_list: Annotated[bytes, Blob(1, limits.MAX_DEVICE_LIST_BYTES)]
    devices: Annotated[tuple[DeviceEntry, ...], Many(limits.MAX_ACCOUNT_DEVICES)]
    name: Annotated[str, Text(limits.MAX_NAME_BYTES)]


def read_account_record(value: bytes) -> tuple[AccountRecord, DeviceList]:
    """Decode an account slot's value and check its list (spec 02.4).

    Raises what `read_device_list` does, and `MalformedFrame` for entries of devices that are not in
    the list or come twice, and for a name with control characters.
    """
    record = decode(AccountRecord, value)
    listed = read_device_list(record.device_list)
    named = [entry.device for entry in record.devices]
    if len(set(named)) != len(named) or not set(named) <= {each.device for each in listed.devices}:
        raise MalformedFrame("an account record with a slot of no listed device")
    check_name(record.name)
    return record, listed


def seal_slot(slot_key: bytes, value: bytes, entropy: Entropy) -> bytes:
    """Seal a slot's value: version byte, 32 bytes of salt, padded ciphertext (spec 02.4)."""
    salt = entropy(32)
    key = expand(slot_key, "slot value", salt)
    return _VERSION_BYTE + salt + seal(key, pad(value), _VERSION_BYTE)


def open_slot(slot_key: bytes, sealed: bytes) -> bytes:
    """Undo `seal_slot` (spec 02.4).

    Raises `MalformedFrame`, `UnsupportedVersion` or `AuthenticationFailed`.
    """
    if not 33 <= len(sealed) <= limits.MAX_RECORD_BYTES:
        raise MalformedFrame("a slot value of the wrong size")
    if sealed[:1] != _VERSION_BYTE:
        raise UnsupportedVersion(f"a slot value of version {sealed[0]}")
    key = expand(slot_key, "slot value", sealed[1:33])
    return unpad(unseal(key, sealed[33:], _VERSION_BYTE))
