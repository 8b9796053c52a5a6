"""One list of reasons why messages are not read: specification, code and command say the same."""

import re
from pathlib import Path
from typing import get_args

import pytest

from groupcrypt.cli.telling import unread_of
from groupcrypt.errors import Duplicate, Expired, GroupcryptError, MalformedFrame, UnknownChain
from groupcrypt.node import Connected, Forgotten, Happening, Skipped, reason_of
from groupcrypt.protocol import events
from groupcrypt.protocol.identifiers import AccountId, DeviceId, GroupId, LogHash, MessageId
from groupcrypt.protocol.reasons import Outlook, Reason

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| `([a-z-]+)` \| `(\w+)`([^|]*) \| (\w+) \| ([^|]+) \|$", re.MULTILINE)
GROUP, ACCOUNT, DEVICE = GroupId(bytes(32)), AccountId(bytes(32)), DeviceId(bytes(16))
HASH, MESSAGE = LogHash(bytes(32)), MessageId(bytes(16))


def rejected(kind: type[GroupcryptError], group: GroupId | None = GROUP) -> events.Rejected:
    return events.Rejected(kind.code, group, "")


def joined(epoch: int) -> events.GroupJoined:
    return events.GroupJoined(GROUP, epoch, HASH, "", ACCOUNT)


TOLD: dict[Reason, list[Happening]] = {
    Reason.NO_SENDER_KEY: [events.Held(GROUP, 1, DEVICE)],
    Reason.AFTER_CLOSE: [events.AfterClose(GROUP, 1, own=False)],
    Reason.BEFORE_YOU_JOINED: [joined(1)],
    Reason.AFTER_YOU_LEFT: [events.Departed(GROUP, 1, ACCOUNT)],
    Reason.EXPIRED: [Forgotten(())],
    Reason.PASSED_OVER: [events.Gap(GROUP, 1, 2)],
    Reason.NEVER_ARRIVED: [events.Missing(GROUP, DEVICE, 1)],
    Reason.WITHHELD: [events.Withheld(GROUP, 1, 1)],
    Reason.KEY_GONE: [rejected(Expired), rejected(UnknownChain)],
    Reason.REFUSED: [rejected(MalformedFrame)],
}
OTHERS: list[Happening] = [
    *(joined(0), events.AfterClose(GROUP, 1, own=True), events.MessageSettled(GROUP, 1, MESSAGE)),
    *(rejected(Duplicate), rejected(MalformedFrame, None), Connected(), Skipped(1)),
]


def section() -> str:
    text = (ROOT / "spec" / "12-device-history.md").read_text("utf-8")
    return text.split("\n## 12.16 ")[1].split("\n## ")[0]


@pytest.mark.spec("12.16-1")
def test_the_table_of_the_specification_is_the_enumeration() -> None:
    rows = ROW.findall(section())
    assert [(code, outlook, text) for code, _, _, outlook, text in rows] == [
        (reason.value, reason.outlook.value, reason.text) for reason in Reason
    ]
    for code, kind, _, _, _ in rows:
        assert {type(event).__name__ for event in TOLD[Reason(code)]} == {kind}


@pytest.mark.spec("12.16-1")
def test_each_event_gives_its_reason_and_others_none() -> None:
    for reason, told in TOLD.items():
        assert [reason_of(event) for event in told] == [reason] * len(told)
    assert [reason_of(event) for event in OTHERS] == [None] * len(OTHERS)
    assert set(TOLD) == set(Reason)


def test_the_command_says_it_in_the_same_words() -> None:
    for reason, told in TOLD.items():
        for event in told:
            said = unread_of(event)
            assert said == {"unread": reason, "outlook": reason.outlook, "why": reason.text}
    assert [unread_of(event) for event in OTHERS] == [{}] * len(OTHERS)


@pytest.mark.spec("12.16-2")
def test_what_was_never_ours_to_read_is_no_error() -> None:
    expected = {reason for reason in Reason if reason.outlook is Outlook.EXPECTED}
    assert expected == {Reason.BEFORE_YOU_JOINED, Reason.AFTER_YOU_LEFT, Reason.EXPIRED}


def test_every_event_named_for_what_is_not_read_is_in_the_list() -> None:
    """As `spec 12.4` has them in one row; what is only told of a chain's owner is no message."""
    text = (ROOT / "spec" / "12-device.md").read_text("utf-8")
    (row,) = re.findall(r"^\| ([A-Z][^|]*) \| what could not be read", text, re.MULTILINE)
    named = {type(event).__name__ for told in TOLD.values() for event in told}
    assert set(row.split(", ")) - named == {"Diverged"}
    assert named - {kind.__name__ for kind in get_args(events.Event)} == {"Forgotten"}
