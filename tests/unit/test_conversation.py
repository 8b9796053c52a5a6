"""What a conversation shows, and what may be done to it (spec 11.7, 11.8, 11.11)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groupcrypt.protocol import limits
from groupcrypt.protocol.content import (
    Content,
    CustomContent,
    DeleteContent,
    EditContent,
    ReactionContent,
    ReceiptContent,
    ReceiptKind,
    Reference,
    ReplyContent,
    Said,
    TextContent,
    TimerContent,
    TypingContent,
    Unknown,
)
from groupcrypt.protocol.conversation import (
    Line,
    Spoken,
    State,
    Verdict,
    concerns,
    excerpt_of,
    lay,
    may_delete,
    may_edit,
    may_react,
    quoted,
    quoting,
)
from groupcrypt.protocol.identifiers import AccountId, MessageId

ALICE, BOB, CAROL = (AccountId(bytes([number]) * 32) for number in range(3))
FIRST = MessageId(b"m" * 16)
TARGET = Reference(ALICE, FIRST)


def spoken(
    content: Content, *, by: AccountId = ALICE, name: bytes = FIRST, time: int = 0, expires: int = 0
) -> Spoken:
    return Spoken(by, MessageId(name), Said(content, time, expires))


def laid(*contents: Spoken) -> Line:
    line = Line()
    for one in contents:
        assert concerns(one, ALICE) == (TARGET,)
        line = lay(line, one)
    return line


HELLO = spoken(TextContent("hello"), expires=60)


def edit(text: str, *, time: int = 1, name: bytes = b"e" * 16) -> Spoken:
    return spoken(EditContent(FIRST, text), name=name, time=time)


def sign(emoji: str, *, by: AccountId = BOB, time: int = 1, name: bytes = b"r" * 16) -> Spoken:
    return spoken(ReactionContent(TARGET, emoji), by=by, name=name, time=time)


def receipt(kind: ReceiptKind, by: AccountId) -> Spoken:
    return spoken(ReceiptContent(kind, None, (FIRST,)), by=by, name=b"c" * 16)


def test_a_line_says_what_was_sent() -> None:
    for content in (TextContent("a"), CustomContent("n", b""), Unknown(99, b"")):
        assert laid(spoken(content)).content == content
    assert laid(HELLO).text == "hello"
    assert not laid(HELLO).edited
    assert laid(spoken(ReplyContent(TARGET, "", "yes"))).text == "yes"
    assert laid(HELLO, spoken(TextContent("another under the same id"))).text == "hello"
    assert Line().content is None
    assert Line().text is None


@pytest.mark.spec("11.11-4")
def test_an_edit_leaves_only_the_newest_text_and_no_new_timer() -> None:
    line = laid(HELLO, edit("hallo", time=5), edit("older", time=4))
    assert (line.text, line.edited) == ("hallo", True)
    assert line.spoken is HELLO
    assert HELLO.said.expires == 60
    assert laid(edit("hallo", time=5), HELLO) == laid(HELLO, edit("hallo", time=5))
    one, other = edit("one", name=b"a" * 16), edit("other", name=b"b" * 16)
    assert laid(HELLO, one, other).text == laid(HELLO, other, one).text == "other"


@pytest.mark.spec("11.11-4")
def test_only_texts_are_edited() -> None:
    line = laid(spoken(CustomContent("n", b"")), edit("hallo"))
    assert line.content == CustomContent("n", b"")
    assert line.text is None
    assert not line.edited


def test_who_edits_or_deletes_means_an_own_message() -> None:
    for content in (EditContent(FIRST, "not hers"), DeleteContent(FIRST)):
        (named,) = concerns(spoken(content, by=BOB), ALICE)
        assert named == Reference(BOB, FIRST) != TARGET


def test_an_account_has_one_sign() -> None:
    line = laid(HELLO, sign("+1"), sign("-1", time=2), sign("old", time=0), sign("!", by=CAROL))
    assert line.reactions == {BOB: "-1", CAROL: "!"}
    assert lay(line, sign("", time=3)).reactions == {CAROL: "!"}
    assert laid(sign("+1")).reactions == {}, "its message is not there"


@pytest.mark.spec("11.11-1")
def test_what_comes_before_its_message_waits_for_it() -> None:
    early = [edit("hallo"), sign("+1"), receipt(ReceiptKind.READ, BOB)]
    assert laid(*early, HELLO) == laid(HELLO, *early)
    assert laid(*early, HELLO).text == "hallo"


@pytest.mark.spec("11.11-3")
def test_a_deletion_is_the_end() -> None:
    gone = spoken(DeleteContent(FIRST), name=b"d" * 16, time=9)
    tomb = laid(gone)
    others = [HELLO, edit("hallo", time=99), sign("+1", time=99), receipt(ReceiptKind.READ, BOB)]
    assert laid(*others, gone) == laid(gone, *others) == tomb
    assert tomb == Line(deleted=True)


@pytest.mark.spec("11.11-5")
def test_a_message_is_as_far_as_for_the_last_of_those_it_went_to() -> None:
    both = (BOB, CAROL)
    assert laid(HELLO).state(both) is State.QUEUED
    assert Line(accepted=True).state(both) is State.ACCEPTED
    line = laid(HELLO, receipt(ReceiptKind.READ, BOB))
    assert line.state((BOB,)) is State.READ
    assert line.state(both) is State.QUEUED
    line = laid(HELLO, receipt(ReceiptKind.READ, BOB), receipt(ReceiptKind.DELIVERED, CAROL))
    assert line.state(both) is State.DELIVERED
    again = lay(line, receipt(ReceiptKind.DELIVERED, BOB))
    assert again.state((BOB,)) is State.READ, "never back"
    assert laid(HELLO, receipt(ReceiptKind.READ, ALICE)).state((BOB,)) is State.QUEUED


def test_receipts_mean_messages_of_whom_they_are_sent_to() -> None:
    assert concerns(receipt(ReceiptKind.READ, BOB), CAROL) == (Reference(CAROL, FIRST),)
    for content in (TypingContent(typing=True), TimerContent(5, 1)):
        assert concerns(spoken(content), ALICE) == ()


def test_verdicts() -> None:
    tomb, reply = Line(deleted=True), laid(spoken(ReplyContent(TARGET, "", "yes")))
    custom = laid(spoken(CustomContent("n", b"")))
    for judge in (may_edit, may_delete):
        assert judge(laid(HELLO), ALICE) is judge(reply, ALICE) is Verdict.ALLOWED
        assert judge(laid(HELLO), BOB) is Verdict.NOT_YOURS
        assert judge(tomb, ALICE) is Verdict.DELETED
        assert judge(None, ALICE) is judge(laid(edit("x")), ALICE) is Verdict.UNKNOWN
    assert may_edit(custom, ALICE) is Verdict.NOT_TEXT
    assert may_delete(custom, ALICE) is Verdict.ALLOWED
    assert may_react(custom) is Verdict.ALLOWED
    assert may_react(tomb) is Verdict.DELETED
    assert may_react(None) is may_react(laid(sign("+1"))) is Verdict.UNKNOWN


@pytest.mark.spec("11.7-1")
def test_an_excerpt_does_not_outlive_what_it_quotes() -> None:
    assert quoting("a", expires=0, remaining=None) == ("a", 0)
    assert quoting("a", expires=0, remaining=90) == ("a", 90)
    assert quoting("a", expires=60, remaining=90) == ("a", 60)
    assert quoting("a", expires=600, remaining=90) == ("a", 90)
    assert quoting("a", expires=600, remaining=limits.MIN_TIMER_SECONDS - 1) == ("", 600)
    assert quoting("", expires=600, remaining=90) == ("", 600)


@pytest.mark.spec("11.11-6")
def test_nothing_of_a_deleted_message_is_quoted() -> None:
    reply = ReplyContent(TARGET, "hel", "yes")
    assert quoted(reply, None) == quoted(reply, Line()) == "hel"
    assert quoted(reply, laid(HELLO, edit("hallo"))) == "hallo"
    assert quoted(reply, Line(deleted=True)) is None
    assert quoted(ReplyContent(TARGET, "", "yes"), None) is None


@given(st.text(max_size=3 * limits.MAX_EXCERPT_BYTES))
def test_an_excerpt_is_a_beginning_that_fits(text: str) -> None:
    excerpt = excerpt_of(text)
    assert text.startswith(excerpt)
    size = len(excerpt.encode())
    assert size <= limits.MAX_EXCERPT_BYTES
    assert excerpt == text or size > limits.MAX_EXCERPT_BYTES - 4
