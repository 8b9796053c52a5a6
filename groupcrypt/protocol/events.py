"""What a step tells the application (spec 12.4).

Rules of this file:
- Nouns for things that happened. An event is a value; it never calls back and holds no state.
- Reprs show the kind only: an event may hold plaintext and ids of people.
- Every inbound record ends as exactly one of: a change the application sees, nothing to see
  (own echo, control), `Held`, or `Rejected` with a code.
"""

from dataclasses import dataclass

from groupcrypt.protocol.content import Said, SeenContent
from groupcrypt.protocol.identifiers import AccountId, DeviceId, GroupId, LogHash, MessageId
from groupcrypt.protocol.reports import Evidence


@dataclass(frozen=True, slots=True, repr=False)
class MessageReceived:
    """A group content from another device, opened and seen for the first time."""

    group: GroupId
    epoch: int
    sender: AccountId
    device: DeviceId
    message: MessageId
    said: Said
    raw: bytes  # the content as it came, for the inbox
    inbox: int = 0  # its number there, until the application took it
    evidence: Evidence | None = None  # for a report of it (spec 08.11); a resend brings none


@dataclass(frozen=True, slots=True, repr=False)
class DirectReceived:
    """A content from another account over the pairwise channel."""

    sender: AccountId
    device: DeviceId
    message: MessageId
    said: Said
    proven: bool
    inbox: int


@dataclass(frozen=True, slots=True, repr=False)
class DirectSent:
    """A direct message that another device of this account sent, and to whom."""

    to: AccountId
    device: DeviceId
    message: MessageId
    said: Said
    inbox: int


@dataclass(frozen=True, slots=True, repr=False)
class MessageQueued:
    """An own content was taken for sending: to a group, or, where that is None, to an account."""

    group: GroupId | None
    to: AccountId | None
    message: MessageId
    said: Said


@dataclass(frozen=True, slots=True, repr=False)
class DirectAccepted:
    """The server has an own direct message for every device it goes to (spec 12.12)."""

    to: AccountId
    message: MessageId


@dataclass(frozen=True, slots=True, repr=False)
class DirectFailed:
    """The server has an own direct message for no device at all, and will not (spec 12.12)."""

    to: AccountId
    message: MessageId
    code: str


@dataclass(frozen=True, slots=True, repr=False)
class Receipt:
    """Own messages arrived at an account, or were read there; no message itself (spec 12.13)."""

    sender: AccountId
    device: DeviceId
    message: MessageId
    said: Said  # a `ReceiptContent`


@dataclass(frozen=True, slots=True, repr=False)
class Typing:
    """Somebody writes to this account just now, or does not any more (spec 11.9)."""

    account: AccountId
    device: DeviceId
    typing: bool


@dataclass(frozen=True, slots=True, repr=False)
class SeenElsewhere:
    """What the user saw on another device of this account (spec 11.10)."""

    device: DeviceId
    seen: SeenContent
    time: int = 0  # when it was told, by that device's clock; milliseconds


@dataclass(frozen=True, slots=True, repr=False)
class MessageSettled:
    """Own group content was seen in its topic before the close: every member gets it."""

    group: GroupId
    epoch: int
    message: MessageId


@dataclass(frozen=True, slots=True, repr=False)
class MessageFailed:
    """Own group content will not be sent; this device is out of the group."""

    group: GroupId
    message: MessageId
    code: str


@dataclass(frozen=True, slots=True, repr=False)
class GroupJoined:
    """This device made the group or was welcomed into it.

    `continues`: the group, epoch and log hash that it says it goes on from, which proves nothing
    (spec 10.12).
    """

    group: GroupId
    epoch: int
    log_hash: LogHash
    name: str
    by: AccountId
    continues: tuple[GroupId, int, LogHash] | None = None


@dataclass(frozen=True, slots=True, repr=False)
class MembershipChanged:
    """An entry closed an epoch; accounts and devices that came and went, and who decided it."""

    group: GroupId
    epoch: int
    log_hash: LogHash
    author: AccountId
    operation: str
    added: tuple[AccountId, ...]
    removed: tuple[AccountId, ...]
    live: bool
    device: DeviceId  # of the author
    came: tuple[DeviceId, ...]  # those of added accounts as well
    went: tuple[DeviceId, ...]


@dataclass(frozen=True, slots=True, repr=False)
class EpochLive:
    """The epoch is confirmed (or needed no confirmation): messages sealed in it are delivered."""

    group: GroupId
    epoch: int
    log_hash: LogHash


@dataclass(frozen=True, slots=True, repr=False)
class Departed:
    """This device is no longer a member; it reads and writes nothing later."""

    group: GroupId
    epoch: int
    by: AccountId


@dataclass(frozen=True, slots=True, repr=False)
class FileNotSent:
    """A file of ours does not reach the server: no message follows it (spec 14.5)."""

    message: MessageId
    code: str


@dataclass(frozen=True, slots=True, repr=False)
class ChangeFailed:
    """A membership change of ours was given up: no longer valid, or outrun too often."""

    group: GroupId
    operation: str
    code: str


@dataclass(frozen=True, slots=True, repr=False)
class Held:
    """A frame that cannot be opened yet; it is kept, and its sender's key was asked for (10.7)."""

    group: GroupId
    epoch: int
    device: DeviceId


@dataclass(frozen=True, slots=True, repr=False)
class Rejected:
    """Input that was refused; `code` is the code of the error. State is as it was before."""

    code: str
    group: GroupId | None
    reason: str


@dataclass(frozen=True, slots=True, repr=False)
class AfterClose:
    """A frame that landed after its epoch's close: not delivered, its sender sends it again."""

    group: GroupId
    epoch: int
    own: bool


@dataclass(frozen=True, slots=True, repr=False)
class Gap:
    """This device was taken forward: it reads no more of these epochs, if anything (spec 10.10)."""

    group: GroupId
    first: int
    last: int


@dataclass(frozen=True, slots=True, repr=False)
class Missing:
    """A sender's count, or another member's heads, shows that frames never arrived here."""

    group: GroupId
    device: DeviceId
    count: int


@dataclass(frozen=True, slots=True, repr=False)
class Withheld:
    """The server does not show so many records of a topic (0: it cannot be told how many).

    They were withheld, or ran out; other members are asked where the group stands.
    """

    group: GroupId
    epoch: int
    count: int


@dataclass(frozen=True, slots=True, repr=False)
class Rewound:
    """The server lost records of a topic that it had shown; what is held is appended again."""

    group: GroupId
    epoch: int


@dataclass(frozen=True, slots=True, repr=False)
class PeerSilent:
    """A member's device was not heard of for two days and more in which this one sent."""

    group: GroupId
    account: AccountId
    device: DeviceId


@dataclass(frozen=True, slots=True, repr=False)
class Diverged:
    """A sender's own account of its frames is not what was seen here (spec 08.7)."""

    group: GroupId
    epoch: int
    device: DeviceId


@dataclass(frozen=True, slots=True, repr=False)
class Equivocation:
    """Another member states other frames of a chain than were seen here, as many (spec 10.11).

    The chain's owner made two of one, or the server shows different topics, or `by` lies. What is
    certain is that `by` said it: `evidence` is a report of its signed statement (spec 08.9).
    """

    group: GroupId
    epoch: int
    device: DeviceId  # whose chain it is
    by: DeviceId
    count: int  # frames of the chain, as stated
    head: bytes  # their running head, as seen here
    evidence: bytes


@dataclass(frozen=True, slots=True, repr=False)
class Forked:
    """A member proved that it follows another log from an epoch on (spec 10.12).

    The server showed the two of them different orders, or one of the logs was made up. `author` and
    `our_author` made the two entries of that epoch. `stopped`: sending is paused.
    """

    group: GroupId
    epoch: int
    account: AccountId
    author: AccountId
    our_author: AccountId
    stopped: bool


@dataclass(frozen=True, slots=True, repr=False)
class ForkSettled:
    """Sending goes on: this log is kept, and whom the other one removed was looked at (10.12)."""

    group: GroupId
    epoch: int


@dataclass(frozen=True, slots=True, repr=False)
class BranchDropped:
    """Another log is kept: this device forgot its own from an epoch on (spec 10.12).

    `member`: it is a member there and asks for a Welcome; then it sends again what it sent here.
    """

    group: GroupId
    epoch: int
    member: bool


@dataclass(frozen=True, slots=True, repr=False)
class Impersonated:
    """A frame in this device's name that it did not make; it heals itself by an `update`."""

    group: GroupId
    epoch: int


@dataclass(frozen=True, slots=True, repr=False)
class RolledBack:
    """This store is an older copy of itself; all sending keys are being replaced."""


@dataclass(frozen=True, slots=True, repr=False)
class ContactSeen:
    """A contact was imported or wrote to us for the first time."""

    account: AccountId


@dataclass(frozen=True, slots=True, repr=False)
class IdentityAlarm:
    """A contact's device list changed in a way its account did not sign for; sending is paused."""

    account: AccountId


@dataclass(frozen=True, slots=True, repr=False)
class DeviceLinked:
    """The own account lists this device now; it may be the one that tells it (spec 12.9)."""

    device: DeviceId


@dataclass(frozen=True, slots=True, repr=False)
class DeviceRevoked:
    """The own account does not list this device any more; it may be this one (spec 12.9)."""

    device: DeviceId


@dataclass(frozen=True, slots=True, repr=False)
class SessionStarted:
    """A pairwise session with a device began; not `proven` if it replaced one without proof."""

    device: DeviceId
    proven: bool


@dataclass(frozen=True, slots=True, repr=False)
class SessionWedged:
    """A pairwise session cannot open; a fresh handshake replaces it."""

    device: DeviceId


@dataclass(frozen=True, slots=True, repr=False)
class UploadRefused:
    """The server refused something for good; `code` is its reason."""

    code: str


Event = (
    MessageReceived
    | DirectReceived
    | DirectSent
    | MessageQueued
    | DirectAccepted
    | DirectFailed
    | Receipt
    | Typing
    | SeenElsewhere
    | MessageSettled
    | MessageFailed
    | GroupJoined
    | MembershipChanged
    | EpochLive
    | Departed
    | FileNotSent
    | ChangeFailed
    | Held
    | Rejected
    | AfterClose
    | Gap
    | Missing
    | Withheld
    | Rewound
    | PeerSilent
    | Diverged
    | Equivocation
    | Forked
    | ForkSettled
    | BranchDropped
    | Impersonated
    | RolledBack
    | ContactSeen
    | IdentityAlarm
    | DeviceLinked
    | DeviceRevoked
    | SessionStarted
    | SessionWedged
    | UploadRefused
)
