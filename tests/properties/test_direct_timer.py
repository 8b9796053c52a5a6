"""The timer of a conversation converges, in whatever order its words are heard (spec 12.12)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groupcrypt.protocol.content import TimerContent
from groupcrypt.protocol.conversation import NO_TIMER, agreed, changed

SECONDS = st.sampled_from((0, 5, 60, 3_600))
DEVICES = 4  # two accounts with two devices each: all hear all


@pytest.mark.spec("12.12-4")
@given(st.data())
def test_four_devices_agree_once_they_heard_the_same(data: st.DataObject) -> None:
    """Each step: a device says a timer, or hears any word it has not heard."""
    held = [NO_TIMER] * DEVICES
    unheard: list[list[TimerContent]] = [[] for _ in range(DEVICES)]
    for _ in range(data.draw(st.integers(0, 12))):
        device = data.draw(st.integers(0, DEVICES - 1))
        hears: bool = data.draw(st.booleans())
        if unheard[device] and hears:
            at = data.draw(st.integers(0, len(unheard[device]) - 1))
            held[device] = agreed(held[device], unheard[device].pop(at))
        else:
            held[device] = said = changed(held[device], data.draw(SECONDS))
            for other in range(DEVICES):
                if other != device:
                    unheard[other].append(said)
    for device, left in enumerate(unheard):
        for word in data.draw(st.permutations(left)):
            held[device] = agreed(held[device], word)
    assert len(set(held)) == 1


@given(st.lists(st.builds(TimerContent, SECONDS, st.integers(0, 3)), min_size=1), st.data())
def test_hearing_a_word_again_changes_nothing(
    words: list[TimerContent], data: st.DataObject
) -> None:
    def heard(order: list[TimerContent]) -> TimerContent:
        timer = NO_TIMER
        for word in order:
            timer = agreed(timer, word)
        return timer

    assert heard(data.draw(st.permutations(words + words))) == heard(words)
