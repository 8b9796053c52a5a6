"""What happened, as a line for people.

Rules of this file:
- Whoever is gone is named, and what that means is said. What needs a decision is red and says
  what to type.
- What only tells how the protocol works is not shown.
"""

from examples.chat.people import label, title
from examples.chat.reasons import why_not_sent
from groupcrypt import (
    Connected,
    Departed,
    Disconnected,
    Group,
    GroupJoined,
    Node,
    Reason,
    Skipped,
)
from groupcrypt.node import Happening
from groupcrypt.protocol import events
from groupcrypt.protocol.identifiers import short

Line = tuple[str, str]  # text, colour


def line_of(node: Node, event: Happening) -> Line | None:
    """The line for an event; None if there is none."""
    match event:
        case Connected():
            return "connected", "dim"
        case Disconnected(_, reason):
            return f"no connection: {reason}; what you write is kept and sent later", "yellow"
        case Skipped(count):
            return f"{count} events were too many to show; no message is lost", "yellow"
        case GroupJoined(group, by=by, continues=continues) if by != node.account:
            name = title(node, Group(node, group))
            past = "" if continues is None else ", which says it goes on from an older group"
            return f"{label(node, by)} added you to {name}{past}", "green"
        case Departed(group):
            name = title(node, Group(node, group))
            return f"you are out of {name}, and cannot read what is sent from now on", "yellow"
        case events.MembershipChanged():
            return _changed(node, event)
        case events.IdentityAlarm(account):
            who = label(node, account)
            text = f"THE KEYS OF {who} CHANGED: nothing is sent to {who}."
            return f"{text} Compare numbers (/verify {who}), then /accept {who}", "red"
        case _:
            return _trouble(node, event)


def _changed(node: Node, event: events.MembershipChanged) -> Line | None:
    name = title(node, Group(node, event.group))
    author = _who(node, event.author)
    gone = ", ".join(_who(node, account) for account in event.removed)
    lost = ""  # to this account, `Departed` says it
    if node.account not in event.removed:
        lost = f": {gone} cannot read what is sent from now on"
    match event.operation:
        case "add":
            new = ", ".join(_who(node, account) for account in event.added)
            return f"{author} added {new} to {name}, to read what is sent from now on", "green"
        case "remove":
            return f"{author} removed {gone} from {name}{lost}", "yellow"
        case "leave_commit":
            return f"{gone} left {name}{lost}", "yellow"
        case "role":
            admins = ", ".join(_who(node, one.account) for one in Group(node, event.group).admins)
            return f"{author} changed who is admin of {name}: {admins}", "dim"
        case "policy":
            return f"{author} changed the title or settings of {name}", "dim"
        case "update":
            return f"{author} renewed all keys in {name}", "dim"
        case "device_add" | "device_remove":
            return f"{author} changed the devices in {name}", "yellow"
        case _:
            return None


def _device(node: Node, event: events.DeviceLinked | events.DeviceRevoked) -> Line:
    this, name = event.device == node.state.device, short(event.device)
    if isinstance(event, events.DeviceLinked):
        mine = "this device is linked: it reads what is sent from now on"
        return mine if this else f"the device {name} is one of yours now", "green"
    if this:
        return "THIS DEVICE WAS REVOKED: it reads and writes nothing new", "red"
    return f"the device {name} is none of yours any more", "yellow"


def _trouble(node: Node, event: Happening) -> Line | None:  # noqa: PLR0911  # one for each kind
    match event:
        case events.MessageFailed() | events.DirectFailed() | events.FileNotSent():
            return _not_sent(node, event)
        case events.Gap(group, first, last):
            name = title(node, Group(node, group))
            why = f"(epochs {first} to {last}): {Reason.PASSED_OVER.text}"
            return f"a part of {name} cannot be read here {why}", "yellow"
        case events.Missing(group, _, count):
            name = title(node, Group(node, group))
            return (
                f"{count} messages to {name} never arrived: {Reason.NEVER_ARRIVED.text}",
                "yellow",
            )
        case events.DeviceLinked() | events.DeviceRevoked():
            return _device(node, event)
        case events.Forked() | events.ForkSettled() | events.BranchDropped():
            return _fork(node, event)
        case events.Equivocation(group):
            name = title(node, Group(node, group))
            return f"SOMEBODY WAS SHOWN ANOTHER {name}: ask each other", "red"
        case events.Impersonated():
            return "SOMEBODY WROTE IN THIS DEVICE'S NAME: its keys are being renewed", "red"
        case events.RolledBack():
            return "this folder is an older copy of itself: its keys are being replaced", "yellow"
        case events.UploadRefused(code):
            return f"the server refused something of ours: {code}", "yellow"
        case _:
            return None


def _not_sent(
    node: Node, event: events.MessageFailed | events.DirectFailed | events.FileNotSent
) -> Line:
    why = why_not_sent(event.code)
    match event:
        case events.MessageFailed(group=group):
            return f"a message to {title(node, Group(node, group))} was not sent: {why}", "red"
        case events.DirectFailed(to=to):
            return f"a message to {_who(node, to)} was not sent: {why}", "red"
        case events.FileNotSent():
            return f"a file was not sent: {why}", "red"


def _fork(node: Node, event: events.Forked | events.ForkSettled | events.BranchDropped) -> Line:
    name = title(node, Group(node, event.group))
    match event:
        case events.Forked(account=account, stopped=stopped):
            text = f"{_who(node, account)} WAS SHOWN ANOTHER {name}, or lies"
            if stopped:
                text += (
                    ": sending is paused. An admin may /remove, then /keep who is left; or /anew"
                )
            return text, "red"
        case events.ForkSettled():
            return f"all of {name} is one again: what waits is sent", "green"
        case events.BranchDropped(member=member):
            back = "you are let in again, and what you wrote is sent again" if member else ""
            return f"you were shown another {name} than most: it is dropped. {back}".rstrip(), "red"


def _who(node: Node, account: bytes) -> str:
    return "you" if account == node.account else label(node, account)
