"""A conversation shows the same in whatever order its senders are heard (spec 11.11)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
)
from groupcrypt.protocol.conversation import Line, Spoken, concerns, lay
from groupcrypt.protocol.identifiers import AccountId, MessageId

PEOPLE = tuple(AccountId(bytes([number]) * 32) for number in range(3))
IDS = tuple(bytes([number]) * 16 for number in range(4))
people, ids = st.sampled_from(PEOPLE), st.sampled_from(IDS)
targets = st.builds(Reference, people, ids)
words = st.text(max_size=3)
contents: st.SearchStrategy[Content] = st.one_of(
    st.builds(TextContent, words),
    st.builds(ReplyContent, targets, words, words),
    st.builds(CustomContent, words, st.just(b"")),
    st.builds(ReactionContent, targets, words),
    st.builds(EditContent, ids, words),
    st.builds(DeleteContent, ids),
    st.builds(
        ReceiptContent,
        st.sampled_from(ReceiptKind),
        st.none(),
        st.lists(ids, max_size=2).map(tuple),
    ),
)
said = st.builds(Said, contents, st.integers(0, 2), st.just(0))
# What one sender says, each under an id: that of a message is new, or the sender lies.
speeches = st.lists(st.tuples(ids, said), max_size=8)


def interleaved(queues: list[list[Spoken]], choose: st.DataObject) -> list[Spoken]:
    left, order = [list(queue) for queue in queues], list[Spoken]()
    while any(left):
        queue = choose.draw(st.sampled_from([queue for queue in left if queue]))
        order.append(queue.pop(0))
    return order


def shown(order: list[Spoken]) -> dict[Reference, Line]:
    lines = dict[Reference, Line]()
    for spoken in order:
        for reference in concerns(spoken, PEOPLE[0]):
            lines[reference] = lay(lines.get(reference, Line()), spoken)
    return lines


@pytest.mark.spec("11.11-2")
@given(st.tuples(speeches, speeches, speeches), st.data())
def test_every_order_that_keeps_each_senders_shows_the_same(
    speech: tuple[list[tuple[bytes, Said]], ...], choose: st.DataObject
) -> None:
    queues = [
        [Spoken(sender, MessageId(message), what) for message, what in words]
        for sender, words in zip(PEOPLE, speech, strict=True)
    ]
    one = shown(interleaved(queues, choose))
    assert shown(interleaved(queues, choose)) == one
    twice = [spoken for queue in queues for spoken in (*queue, *queue)]
    assert shown(twice) == one, "what is heard again changes nothing"
