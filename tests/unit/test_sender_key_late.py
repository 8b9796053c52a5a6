"""What comes late or not at all: skipped keys, and what the running heads show."""

import pytest

from groupcrypt.errors import (
    Expired,
)
from groupcrypt.protocol import limits, sender_key, wire
from groupcrypt.protocol.sender_key import SkippedBlock
from groupcrypt.testing.vectors.sender_keys_scene import NOW, Scene
from tests.unit.sender_key_talk import accept, enter, receiver, stated, take, unchanged

# --- skipped keys (spec 08.6) ---------------------------------------------------------------------


def test_the_oldest_skipped_keys_are_evicted_one_by_one() -> None:
    scene = Scene("evicted")
    chain = receiver(scene)
    late = [scene.seal(b"%d" % n) for n in range(70)]
    scene.skip(limits.MAX_SKIPPED_PER_CHAIN - 70 - 30)
    chain, _ = take(chain, scene, scene.seal(b"x"))
    assert sender_key.skipped_count(chain.skipped) == limits.MAX_SKIPPED_PER_CHAIN - 30
    scene.skip(100)
    chain, _ = take(chain, scene, scene.seal(b"y"))
    assert sender_key.skipped_count(chain.skipped) == limits.MAX_SKIPPED_PER_CHAIN
    assert chain.core.floor == 70  # 100 more where 30 had room
    for frame in late:
        with unchanged(chain), pytest.raises(Expired):
            take(chain, scene, frame)


def test_exactly_what_is_too_much_is_evicted() -> None:
    scene = Scene("exactly")
    chain = receiver(scene)
    early, kept = scene.seal(b"0"), scene.seal(b"1")
    scene.skip(limits.MAX_SKIPPED_PER_CHAIN - 2)
    chain, _ = take(chain, scene, scene.seal(b"1000"))
    assert (sender_key.skipped_count(chain.skipped), chain.core.floor) == (1000, 0)
    scene.skip(1)
    chain, _ = take(chain, scene, scene.seal(b"1002"))
    assert (sender_key.skipped_count(chain.skipped), chain.core.floor) == (1000, 1)
    with pytest.raises(Expired):
        take(chain, scene, early)
    chain, opened = take(chain, scene, kept)
    assert opened.contents == (b"1",)


def test_blocks_survive_their_encoding() -> None:
    scene = Scene("blocks")
    scene.skip(65)
    chain, _ = take(receiver(scene), scene, scene.seal(b"65"))
    assert [len(block.keys) // 32 for block in chain.skipped.values()] == [64, 1]
    for block in chain.skipped.values():
        assert wire.decode(SkippedBlock, wire.encode(block)) == block


def test_a_jump_past_everything_keeps_the_newest() -> None:
    scene = Scene("past")
    chain = receiver(scene)
    early = scene.seal(b"0")
    scene.skip(1998)
    kept = scene.seal(b"1999")
    chain, _ = take(chain, scene, scene.seal(b"2000"))
    assert sender_key.skipped_count(chain.skipped) == limits.MAX_SKIPPED_PER_CHAIN
    assert chain.core.floor == 1000
    with pytest.raises(Expired):
        take(chain, scene, early)
    take(chain, scene, kept)


def test_skipped_keys_age_by_block() -> None:
    scene = Scene("age")
    chain = receiver(scene)
    early = scene.seal(b"0")
    scene.skip(99)
    chain, _ = take(chain, scene, scene.seal(b"100"))
    assert sender_key.oldest_skipped(chain) == int(NOW)
    assert sender_key.drop_skipped(chain, NOW) is chain
    aged = sender_key.drop_skipped(chain, NOW + 1)
    assert (aged.skipped, aged.core.floor) == ({}, 101)
    assert sender_key.oldest_skipped(aged) is None
    with pytest.raises(Expired):
        take(aged, scene, early)
    scene.skip(199)
    header = scene.header(frame := scene.seal(b"300"))
    later, _ = sender_key.open_frame(chain, scene.context, frame, header, now=NOW + 9)
    kept = sender_key.drop_skipped(later, NOW + 1)
    # Keys 101-127 share a block with older ones and go with them.
    assert (sorted(kept.skipped), kept.core.floor) == ([2, 3, 4], 128)
    assert sender_key.oldest_skipped(kept) == int(NOW + 9)


def test_one_late_frame_rewrites_one_block() -> None:
    scene = Scene("one block")
    chain = receiver(scene)
    scene.skip(70)
    late = scene.seal(b"70")
    scene.skip(128)
    chain, _ = take(chain, scene, scene.seal(b"199"))
    after, _ = take(chain, scene, late)
    changed = [n for n in chain.skipped if after.skipped[n] is not chain.skipped[n]]
    assert changed == [1]
    assert len(after.skipped[1].keys) == 63 * 32


def test_a_block_is_filled_by_several_jumps() -> None:
    scene = Scene("several")
    chain = receiver(scene)
    frames = [scene.seal(b"%d" % n) for n in range(9)]
    chain, _ = take(chain, scene, frames[3])
    chain, _ = take(chain, scene, frames[8])
    assert sender_key.skipped_iterations(chain) == (0, 1, 2, 4, 5, 6, 7)
    for n in (6, 0, 4, 7, 2, 5):
        chain, opened = take(chain, scene, frames[n])
        assert opened.contents == (b"%d" % n,)
    assert sender_key.skipped_iterations(chain) == (1,)
    assert sender_key.oldest_skipped(chain) == int(NOW)
    scene.skip(limits.MAX_SKIPPED_PER_CHAIN + 64 - 8)
    chain, _ = take(chain, scene, scene.seal(b"far"))
    assert sender_key.oldest_skipped(chain) == int(NOW)  # of a block that was cut as well


def test_skipped_iterations_count_over_blocks() -> None:
    scene = Scene("over blocks")
    chain = receiver(scene)
    frames = [scene.seal(b"%d" % n) for n in range(66)]
    for n in (62, 65):
        chain, _ = take(chain, scene, frames[n])
    assert sender_key.skipped_iterations(chain) == (*range(62), 63, 64)


def test_a_new_signing_key_leaves_the_skipped_keys() -> None:
    scene = Scene("leaves")
    chain = receiver(scene)
    frames = [scene.seal(b"%d" % n) for n in range(2)]
    chain, _ = take(chain, scene, frames[1])
    scene.refresh()
    assert scene.chain.vouch is not None
    vouched = sender_key.accept_vouch(chain, scene.context, scene.chain.vouch)
    given = accept(scene, stated(scene), chain)
    for after in (vouched, given):
        assert after is not chain
        _, opened = take(after, scene, frames[0])
        assert opened.contents == (b"0",)


# --- running heads (spec 08.7) --------------------------------------------------------------------


@pytest.mark.spec("08.7-1")
def test_what_was_withheld_is_reported_and_nothing_is_refused() -> None:
    scene = Scene("withheld")
    chain = receiver(scene)
    sealed = [scene.seal(b"%d" % n) for n in range(3)]
    chain, opened = take(chain, scene, sealed[0])
    assert (opened.previous_count, opened.missing, opened.head_matches) == (0, 0, True)
    chain, opened = take(chain, scene, sealed[1])
    assert (opened.previous_count, opened.missing, opened.head_matches) == (None, None, None)
    scene.echoed(*sealed)
    chain = enter(chain, scene, fresh=0)
    chain, opened = take(chain, scene, frame := scene.seal(b"3"))
    assert (opened.previous_count, opened.missing, opened.head_matches) == (3, 1, None)
    scene.echoed(frame)
    chain = enter(chain, scene, fresh=0)
    chain, opened = take(chain, scene, frame := scene.seal(b"4"))
    assert (opened.previous_count, opened.missing, opened.head_matches) == (4, 0, True)
    # The owner has not made what everybody saw: one more than it states.
    chain = enter(chain, scene, fresh=0)
    _, opened = take(chain, scene, scene.seal(b"5"))
    assert (opened.missing, opened.head_matches) == (-1, None)


def test_an_epoch_without_frames_changes_no_head() -> None:
    scene = Scene("quiet")
    chain, _ = take(receiver(scene), scene, frame := scene.seal(b"0"))
    scene.echoed(frame)
    chain = enter(enter(chain, scene, fresh=0), scene, fresh=0)
    _, opened = take(chain, scene, scene.seal(b"1"))
    assert (opened.previous_count, opened.missing, opened.head_matches) == (1, 0, True)


@pytest.mark.spec("08.7-2")
def test_heads_agree_in_topic_order_only() -> None:
    scene = Scene("order of heads")
    sealed = [scene.seal(b"%d" % n) for n in range(3)]
    heads: list[bytes] = []
    for order in ((1, 2, 0), (1, 2, 0), (0, 1, 2)):
        chain = receiver(scene)
        for at in order:
            chain, _ = take(chain, scene, sealed[at])
        heads.append(chain.core.head)
    assert heads[0] == heads[1] != heads[2]


def test_who_came_late_compares_from_the_next_epoch_on() -> None:
    scene = Scene("late")
    sealed = [scene.seal(b"0")]
    raw = sender_key.distribution(scene.context, scene.chain)
    chain = sender_key.accept(raw, context=scene.context, owner=scene.device, known=None)
    sealed.append(scene.seal(b"1"))
    chain, _ = take(chain, scene, sealed[1])
    scene.echoed(*sealed)
    chain = enter(chain, scene, fresh=0)
    chain, opened = take(chain, scene, frame := scene.seal(b"2"))
    assert (opened.previous_count, opened.missing, opened.head_matches) == (2, None, None)
    assert opened.previous_head == scene.chain.previous_head
    scene.echoed(frame)
    chain = enter(chain, scene, fresh=0)
    _, opened = take(chain, scene, scene.seal(b"3"))
    assert (opened.previous_count, opened.missing, opened.head_matches) == (3, 0, True)
