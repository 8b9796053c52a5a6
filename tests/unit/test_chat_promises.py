"""Each promise of a chat has a way to be broken, and is silent about what is none."""

from dataclasses import replace

import pytest

from groupcrypt.testing.party.journal import Change, Journal, Said, Shown
from groupcrypt.testing.party.promises import PROMISES, complaints

ALL = frozenset(("alice", "bob", "carol"))


def chat() -> Journal:
    """Alice said two things, and everybody read them."""
    journal = Journal()
    journal.said += [
        Said(1, "alice", "one", ALL, done=True),
        Said(2, "alice", "two", ALL, done=True),
    ]
    journal.shown = {
        name: [Shown(1.5, 1, "alice", "one"), Shown(2.5, 1, "alice", "two")]
        for name in ("bob", "carol")
    }
    return journal


def test_a_good_chat_breaks_no_promise() -> None:
    assert complaints(chat()) == []
    assert len({promise.name for promise in PROMISES}) == len(PROMISES) == 5


def test_who_is_shown_as_the_sender_has_said_it() -> None:
    journal = chat()
    journal.shown["bob"].append(Shown(3, 1, "carol", "one"))
    assert complaints(journal) == [
        "authorship: bob was shown something as of carol, who never said it"
    ]


def test_who_was_outside_reads_nothing() -> None:
    journal = chat()
    journal.said.append(Said(4, "alice", "secret", ALL - {"carol"}, done=True))
    for name in ("bob", "carol"):
        journal.shown[name].append(Shown(5, 1, "alice", "secret"))
    expected = "exclusion: carol read m1 of alice at 5.0 s, said to alice bob at 4.0 s"
    assert complaints(journal) == [expected]
    journal.changes.append(Change(3, "alice", "add", ("carol",), 3.5))  # before it was said
    assert complaints(journal) == [expected]
    journal.changes[-1] = Change(4.5, "bob", "add", ("carol",), 6)  # it may have been sealed later
    assert complaints(journal) == []


@pytest.mark.parametrize("until", [float("inf"), 6.0])
def test_who_stayed_a_member_reads_it(until: float) -> None:
    journal = chat()
    del journal.shown["bob"][1]
    assert complaints(journal) == ["delivery: bob never read m1 of alice"]
    journal.changes.append(Change(0.1, "alice", "remove", ("bob",), 0.5))  # and added again
    assert complaints(journal) == ["delivery: bob never read m1 of alice"]
    journal.changes.append(Change(1.9, "alice", "remove", ("bob",), until))
    assert complaints(journal) == []


def test_a_sender_that_was_removed_promised_nothing() -> None:
    journal = chat()
    journal.shown.clear()
    assert len(complaints(journal)) == 4
    journal.changes.append(Change(3, "bob", "remove", ("alice",), 4))
    assert complaints(journal) == []


def test_what_a_client_did_not_promise_may_come_or_not() -> None:
    journal = chat()
    del journal.shown["carol"][1]
    journal.said[1].done = False
    assert complaints(journal) == []


def test_nothing_is_read_twice() -> None:
    journal = chat()
    journal.shown["bob"].append(replace(journal.shown["bob"][1], at=9))
    assert complaints(journal) == ["once: bob read m1 of alice 2 times"]
    journal.shown["bob"][-1] = replace(journal.shown["bob"][-1], life=2)  # not acknowledged before
    assert complaints(journal) == []
    journal.shown["bob"].append(Shown(10, 2, "alice", "one"))
    assert complaints(journal) == ["once: bob read m2 of alice 2 times"]


def test_the_order_of_one_sender_is_kept() -> None:
    journal = chat()
    journal.shown["bob"].reverse()
    assert complaints(journal) == ["order: bob read m1 of alice too late"]
