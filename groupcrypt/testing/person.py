"""Made-up people for tests and vectors: an account, its devices, its current device list (spec 02).

Rules of this file:
- A person is a value; what changes returns a new one.
- All keys come from the `Entropy` given, so a seed decides them.
"""

from dataclasses import dataclass

from groupcrypt.protocol.identifiers import AccountId
from groupcrypt.protocol.identity import DeviceList, LocalIdentity, certify, make_device_list
from groupcrypt.protocol.primitives import DhPrivate, Entropy, SigningKey


@dataclass(frozen=True, slots=True, repr=False)
class Person:
    """An account with everything it holds, all in one place as it never is in life."""

    key: SigningKey
    devices: tuple[LocalIdentity, ...]
    listed: DeviceList

    @property
    def account(self) -> AccountId:
        return self.listed.account

    @property
    def phone(self) -> LocalIdentity:
        """The first device."""
        return self.devices[0]


def make_device(key: SigningKey, entropy: Entropy) -> LocalIdentity:
    """A new device of the account with this key."""
    signing, dh = SigningKey.generate(entropy), DhPrivate.generate(entropy)
    return LocalIdentity(certify(key, signing, dh), signing, dh)


def make_person(entropy: Entropy, devices: int = 1) -> Person:
    """A new account with this many devices, all in its first list."""
    key = SigningKey.generate(entropy)
    made = tuple(make_device(key, entropy) for _ in range(devices))
    return Person(key, made, make_device_list(key, None, [each.certificate for each in made]))


def with_devices(person: Person, *devices: LocalIdentity) -> Person:
    """The person after it signed its next list, with these devices."""
    certificates = [each.certificate for each in devices]
    return Person(person.key, devices, make_device_list(person.key, person.listed, certificates))
