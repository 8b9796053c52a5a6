"""Every exception of the library, its stable `code` and the spec section that defines it.

Rules of this file:
- One root. `LocalError`: you may not do that now. `RemoteError`: a peer, the server or a file sent
  something we refuse. `StoreError`: the durable state. `TransportError`: the connection.
- A raised error has changed nothing: the caller still holds the state it had before.
- Texts name what and where, by counters and kinds; never keys, plaintext or ids of people.

It does not decide who sees an error: `protocol.device` turns a `RemoteError` into an event.
"""

from typing import ClassVar


class GroupcryptError(Exception):
    """Root of every error this library raises on purpose."""

    code: ClassVar[str] = "error"
    spec: ClassVar[str] = "16"


class LocalError(GroupcryptError):
    """The caller may not do this now. Nothing changed; retrying the same call will not help."""

    code = "local"


class NotAMember(LocalError):
    """This device is not (or no longer) a member of the group."""

    code = "not-a-member"
    spec = "10.2"


class UnknownGroup(LocalError):
    """No group with this id is held here."""

    code = "unknown-group"
    spec = "10.2"


class UnknownDevice(LocalError):
    """No device or contact with this id is known here; import its contact card first."""

    code = "unknown-device"
    spec = "02.4"


class AlreadyMember(LocalError):
    """The account is in the group already."""

    code = "already-member"
    spec = "09.5"


class NotPermitted(LocalError):
    """The group's rules do not let this account do that."""

    code = "not-permitted"
    spec = "09.6"


class ContentTooLarge(LocalError):
    """The content is over its limit (spec 01); split it or send it as an attachment."""

    code = "content-too-large"
    spec = "11.1"


class InvalidTimer(LocalError):
    """Nothing can be shown for such a time: 0 is for ever, else 5 seconds to 4 weeks."""

    code = "invalid-timer"
    spec = "11.1"


class IdentityChanged(LocalError):
    """The contact's identity changed; sending is paused until the change is accepted."""

    code = "identity-changed"
    spec = "02.6"


class SendingPaused(LocalError):
    """Sending in this group is paused because of a proven fork."""

    code = "sending-paused"
    spec = "10.12"


class Exhausted(LocalError):
    """A counter reached its maximum; a fresh key is needed first."""

    code = "exhausted"
    spec = "01.1"


class SessionWedged(LocalError):
    """The pairwise session is wedged; start a new one (at most once an hour) before sealing."""

    code = "session-wedged"
    spec = "07.6"


class InvalidCard(LocalError):
    """The text is not a contact card, or a card of another version."""

    code = "invalid-card"
    spec = "02.5"


class InvalidLink(LocalError):
    """The text is not a linking text, of another version or server, or of a device not wanted."""

    code = "invalid-link"
    spec = "02.8"


class NotReportable(LocalError):
    """Nothing is kept here that would prove the message; the text says why."""

    code = "not-reportable"
    spec = "08.11"


class FileChanged(LocalError):
    """The file is not what it was when its upload began; send it again."""

    code = "file-changed"
    spec = "14.5"


class FileUnusable(LocalError):
    """A file cannot be read or written; the text has the system's reason."""

    code = "file-unusable"
    spec = "14.7"


class RemoteError(GroupcryptError):
    """A peer, the server or a file sent what we refuse. Nothing changed; the input is dropped."""

    code = "remote"


class MalformedFrame(RemoteError):
    """The bytes are not the shape they should be."""

    code = "malformed"
    spec = "04.2"


class NonCanonical(MalformedFrame):
    """The bytes decode, but are not the one canonical encoding."""

    code = "non-canonical"
    spec = "04.2"


class UnknownType(MalformedFrame):
    """A message of a type we do not know; only this message is refused."""

    code = "unknown-type"
    spec = "13.3"


class UnsupportedVersion(RemoteError):
    """A version byte we do not speak. There is one version and no negotiation."""

    code = "unsupported-version"
    spec = "04.1"


class BadKey(RemoteError):
    """A public key that is non-canonical, of small order, off the curve or of the wrong length."""

    code = "bad-key"
    spec = "03.2"


class AuthenticationFailed(RemoteError):
    """A signature, tag or commitment does not verify. Never says which one."""

    code = "authentication-failed"
    spec = "03.3"


class SessionBroken(AuthenticationFailed):
    """A peer's message that the pairwise session cannot open: wedge the session and replace it."""

    code = "session-broken"
    spec = "07.6"


class Duplicate(RemoteError):
    """This was accepted before."""

    code = "duplicate"
    spec = "08.6"


class TooFarAhead(RemoteError):
    """The counter is beyond the forward window; nothing was derived."""

    code = "too-far-ahead"
    spec = "01.1"


class Expired(RemoteError):
    """The key for this was erased by rule (window, age, or an epoch that is over)."""

    code = "expired"
    spec = "08.6"


class StaleEpoch(RemoteError):
    """An entry or frame for an epoch that is closed, or that does not chain to the head."""

    code = "stale-epoch"
    spec = "09.4"


class UnknownChain(RemoteError):
    """The sender key has not arrived. Usually held and asked for, not an error."""

    code = "no-sender-key"
    spec = "10.7"


class ChainFork(RemoteError):
    """A second, different sender key or ciphertext under one name; the first is kept."""

    code = "chain-fork"
    spec = "08.5"


class UnknownSigner(RemoteError):
    """A report under a signing key of which this device does not know whose it is."""

    code = "unknown-signer"
    spec = "08.11"


class NotInRoster(RemoteError):
    """The author or sender is not a member at that point of the log."""

    code = "not-member"
    spec = "09.4"


class NotAllowed(RemoteError):
    """The sender is not allowed to do this, or not over this channel."""

    code = "not-allowed"
    spec = "09.6"


class NotListed(RemoteError):
    """A device that its account's newest device list does not have (any more)."""

    code = "not-listed"
    spec = "12.2"


class StaleSlot(RemoteError):
    """The server shows an older value of a slot than one that was read before."""

    code = "stale-slot"
    spec = "12.2"


class NoRoom(RemoteError):
    """What others can make this device keep or do has a bound, and it is reached."""

    code = "no-room"
    spec = "12.8"


class RosterFork(RemoteError):
    """A device states another log for one epoch."""

    code = "fork"
    spec = "10.9"


class FileGone(RemoteError):
    """The server has no such file (any more), or one of another length."""

    code = "file-gone"
    spec = "14.6"


class UnknownPrekey(RemoteError):
    """A first message names a prekey we do not hold (any more)."""

    code = "unknown-prekey"
    spec = "05.4"


class UnknownResumption(UnknownPrekey):
    """A first message mixes in a resumption secret we do not hold: answer with a start without."""

    code = "unknown-resumption"
    spec = "05.6"


class StoreError(GroupcryptError):
    """The durable state could not be read or written; nothing was adopted and nothing sent."""

    code = "store"
    spec = "16.3"


class StoreLocked(StoreError):
    """Another process has the store open; its pid is in the text when known."""

    code = "store-locked"


class WrongPassphrase(StoreError):
    """The passphrase or key file does not open this store."""

    code = "wrong-passphrase"


class StoreCorrupt(StoreError):
    """The file is damaged or was not written by this library; it was left as it is."""

    code = "store-corrupt"


class StoreVersion(StoreError):
    """The store was written by a newer version of the library."""

    code = "store-version"


class StoreForeign(StoreError):
    """The file is a store, but of another kind or another device than asked for."""

    code = "store-foreign"


class StoreFull(StoreError):
    """The disk refused the write (full, read-only or failing)."""

    code = "store-full"


class StoreRolledBack(StoreError):
    """The store is an older copy of itself; its sending keys must be replaced before use."""

    code = "store-rolled-back"


class TransportError(GroupcryptError):
    """Connection trouble; the durable outbox keeps what matters and retrying helps."""

    code = "transport"
    spec = "13.2"


class ServerUnreachable(TransportError):
    """No connection could be made, or it broke."""

    code = "server-unreachable"


class CertificateMismatch(TransportError):
    """The server's key is not the pinned one."""

    code = "certificate-mismatch"


class ServerRefused(TransportError):
    """The server answered a request with an error code."""

    code = "server-refused"

    def __init__(self, reason: str) -> None:
        super().__init__(f"the server refused: {reason}")
        self.reason = reason
