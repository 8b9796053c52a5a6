"""What people say, and what they do with what they are shown, as values (spec 11).

Rules of this file:
- `place` is a conversation: the label of a group, or the name of another person.
- A message is named by its text, or its file's name; if it is not there, nothing is done.

What each does is in `saying`.
"""

from dataclasses import dataclass

from groupcrypt.testing.world.action import Action


@dataclass(frozen=True, slots=True, repr=False)
class Send(Action):
    """Send a text to a group, for some seconds; None: as its timer has it."""

    who: str
    group: str
    text: str
    expires: int | None = None


@dataclass(frozen=True, slots=True, repr=False)
class SendDirect(Action):
    """Send a text to another account, for some seconds; None: as their timer has it."""

    who: str
    other: str
    text: str
    expires: int | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Reply(Action):
    """Answer a message."""

    who: str
    place: str
    to: str
    text: str


@dataclass(frozen=True, slots=True, repr=False)
class React(Action):
    """Put a sign to a message; an empty one takes it back."""

    who: str
    place: str
    to: str
    sign: str


@dataclass(frozen=True, slots=True, repr=False)
class Edit(Action):
    """Give an own message another text; it is still named by its first one."""

    who: str
    place: str
    to: str
    text: str


@dataclass(frozen=True, slots=True, repr=False)
class Delete(Action):
    """Take an own message away from everybody."""

    who: str
    place: str
    to: str


@dataclass(frozen=True, slots=True, repr=False)
class Custom(Action):
    """Say something that only the application understands."""

    who: str
    place: str
    text: str


@dataclass(frozen=True, slots=True, repr=False)
class Attach(Action):
    """Send a file with this name and so many bytes."""

    who: str
    place: str
    text: str
    size: int = 1_000


@dataclass(frozen=True, slots=True, repr=False)
class Typing(Action):
    """Begin to write to another account."""

    who: str
    other: str


@dataclass(frozen=True, slots=True, repr=False)
class See(Action):
    """Look at all that came in a conversation."""

    who: str
    place: str


@dataclass(frozen=True, slots=True, repr=False)
class Receipts(Action):
    """Let authors know, or not, that their messages arrive and are read."""

    who: str
    place: str
    on: bool = True


@dataclass(frozen=True, slots=True, repr=False)
class Timer(Action):
    """Want another time for which messages are shown; 0: for ever."""

    who: str
    place: str
    seconds: int
