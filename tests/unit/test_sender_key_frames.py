"""Frames: what is refused before what, and what one frame can mean."""

from dataclasses import replace

import pytest

from groupcrypt.errors import (
    AuthenticationFailed,
    ChainFork,
    ContentTooLarge,
    Duplicate,
    Exhausted,
    MalformedFrame,
    RemoteError,
    StaleEpoch,
    TooFarAhead,
    UnknownChain,
    UnsupportedVersion,
)
from groupcrypt.protocol import limits, primitives, sender_key
from groupcrypt.protocol.sender_key import ReceivingChain, skipped
from groupcrypt.protocol.sender_key import frame as frames
from groupcrypt.protocol.sender_key import message as messages
from groupcrypt.testing.forgery import Forgery, item
from groupcrypt.testing.vectors.sender_keys_scene import NOW, Scene
from tests.unit.sender_key_talk import receiver, take, unchanged

# --- the frame (spec 08.4, 08.8) ------------------------------------------------------------------


@pytest.mark.spec("08.4-1")
def test_size_and_version_come_first() -> None:
    scene = Scene("size")
    garbage = scene.entropy(limits.MAX_RECORD_BYTES + 1)
    for size in (0, 1, 450, 452, len(garbage)):
        with pytest.raises(MalformedFrame):
            scene.header(garbage[:size])
    assert frames.MIN_FRAME_BYTES == 451
    with pytest.raises(MalformedFrame, match="too long"):
        scene.header(bytes(195 + primitives.padded_length(limits.MAX_RECORD_BYTES)))
    with pytest.raises(UnsupportedVersion):
        scene.header(b"\2" + garbage[:450])
    with pytest.raises(AuthenticationFailed):
        scene.header(b"\1" + garbage[:450])


@pytest.mark.spec("08.4-2")
def test_nothing_is_opened_before_the_membership_tag(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene("tag first")
    frame = scene.seal(b"x")
    monkeypatch.delattr(frames, "unseal")
    with pytest.raises(AuthenticationFailed, match="no member"):
        scene.header(frame[:-1] + bytes((frame[-1] ^ 1,)))
    with pytest.raises(NameError):
        scene.header(frame)


@pytest.mark.spec("08.4-3")
@pytest.mark.parametrize(("at", "value"), [(0, 3), (0, 255), (1, 4), (1, 128)])
def test_unknown_kinds_and_flags_are_refused(at: int, value: int) -> None:
    scene = Scene("unknown")
    honest = frames.header_bytes(scene.chain, bytes(16), 0)
    altered = honest[:at] + bytes((value,)) + honest[at + 1 :]
    frame = scene.forge(Forgery(header=altered))
    with pytest.raises(MalformedFrame):
        scene.header(frame)


@pytest.mark.spec("08.4-4")
def test_any_changed_bit_makes_a_frame_refused() -> None:
    scene = Scene("bits")
    chain = receiver(scene)
    frame = scene.seal(b"x")
    for bit in range(8 * len(frame)):
        altered = bytearray(frame)
        altered[bit // 8] ^= 1 << bit % 8
        with pytest.raises(RemoteError):
            take(chain, scene, bytes(altered))
    take(chain, scene, frame)


def test_a_frame_shows_no_sender_no_kind_and_no_place() -> None:
    scene = Scene("hidden")
    frame = scene.seal(b"x")
    chain = scene.chain
    for visible in (chain.device, chain.distribution, chain.generation.to_bytes(4, "big")):
        assert visible not in frame
    assert bytes(scene.context.group) not in frame


@pytest.mark.spec("08.8-2")
@pytest.mark.parametrize("size", [0, 1, 150, 152, 153, 200, 204, 205, 1000, 60_000])
def test_sizes_do_not_tell_what_a_frame_is(size: int) -> None:
    scene = Scene("sizes")
    first = scene.seal(bytes(size))  # with the head before
    later = scene.seal(bytes(size))
    scene.refresh()
    vouched = scene.seal(bytes(size))
    entry = sender_key.seal_control(
        sender_key.ENTRY, bytes(size + 52), bytes(32), scene.keys, entropy=scene.entropy
    )
    assert len(entry) == len(later)
    for frame, riding in ((first, 56), (later, 0), (vouched, 232)):
        assert len(frame) == 195 + primitives.padded_length(4 + riding + 52 + size)


@pytest.mark.spec("08.8-1")
def test_a_control_record_says_nothing_but_its_kind() -> None:
    scene = Scene("control")
    header = bytes((sender_key.ENTRY,)) + bytes(49)
    plain = scene.forge(Forgery(header=header, signature=bytes(64)))
    assert scene.header(plain).kind == sender_key.ENTRY
    for at in range(1, 50):
        altered = header[:at] + b"\1" + header[at + 1 :]
        with pytest.raises(MalformedFrame):
            scene.header(scene.forge(Forgery(header=altered, signature=bytes(64))))
    with pytest.raises(MalformedFrame):
        scene.header(scene.forge(Forgery(header=header, signature=bytes(63) + b"\1")))


def test_control_records_open_under_their_own_key_and_kind_only() -> None:
    scene = Scene("kinds")
    key = scene.entropy(32)
    for kind in (sender_key.ENTRY, sender_key.CONFIRM):
        frame = sender_key.seal_control(kind, b"e", key, scene.keys, entropy=scene.entropy)
        header = scene.header(frame)
        assert header.kind == kind
        assert sender_key.open_control(header, key, frame) == b"e"
        with pytest.raises(AuthenticationFailed):
            sender_key.open_control(header, bytes(32), frame)
        with pytest.raises(AuthenticationFailed):
            sender_key.open_control(replace(header, kind=3 - kind), key, frame)
        with pytest.raises(MalformedFrame):
            take(receiver(scene), scene, frame)


# --- messages (spec 08.6) -------------------------------------------------------------------------


@pytest.mark.spec("08.6-1")
def test_cheap_checks_come_before_dear_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene("order")
    chain = receiver(scene)
    bad = scene.signing_key()
    scene.skip(2000)
    unsigned = scene.forge(Forgery(signing=bad))
    scene.skip(1)
    far = scene.forge(Forgery(signing=bad))
    header = frames.header_bytes(scene.chain, bytes(16), 0)
    stranger = scene.forge(Forgery(header=header[:2] + bytes(16) + header[18:]))
    derived: list[int] = []

    def advance(chain: ReceivingChain, iteration: int, now: float) -> object:
        derived.append(iteration)
        raise AssertionError

    monkeypatch.setattr(skipped, "advance", advance)
    for frame, error in (
        (stranger, UnknownChain),  # though too far ahead
        (far, TooFarAhead),  # though not signed
        (unsigned, AuthenticationFailed),  # though nothing was derived
    ):
        with unchanged(chain), pytest.raises(error):
            take(chain, scene, frame)
    assert derived == []


@pytest.mark.spec("08.6-2")
def test_one_ciphertext_has_one_meaning() -> None:
    scene = Scene("commit")
    chain = receiver(scene)
    items = scene.items(b"shown")
    other = scene.items(b"reported")
    lying = [messages.commitment(*one) for one in other]
    for forgery in (
        Forgery(commitments=lying),
        Forgery(commitments=[*lying, messages.commitment(*items[0])]),
        Forgery(commit_tag=scene.entropy(32)),
    ):
        with unchanged(chain), pytest.raises(AuthenticationFailed, match="commits"):
            take(chain, scene, scene.forge(forgery))


@pytest.mark.spec("08.6-3")
def test_an_iteration_opens_once() -> None:
    scene = Scene("once")
    chain = receiver(scene)
    sealed = [scene.seal(b"%d" % n) for n in range(70)]
    order = [69, *range(60), *range(65, 69), *range(60, 65)]
    for at in order:
        chain, opened = take(chain, scene, sealed[at])
        assert opened.contents == (b"%d" % at,)
    assert not chain.skipped
    for frame in sealed:
        with unchanged(chain), pytest.raises(Duplicate):
            take(chain, scene, frame)


@pytest.mark.spec("08.6-4")
def test_the_last_iteration_is_not_used_and_bundles_have_limits() -> None:
    scene = Scene("last")
    scene.chain = replace(scene.chain, iteration=limits.MAX_ITERATION - 1)
    scene.seal(b"x")
    with pytest.raises(Exhausted):
        scene.seal(b"x")

    scene = Scene("limits")
    most = bytes(limits.MAX_CONTENT_BYTES)
    scene.seal(most)
    scene.seal(most, bytes(limits.MAX_BUNDLE_BYTES - len(most) - 2 * 52))
    scene.seal(*[b""] * limits.MAX_BUNDLE_CONTENTS)
    for texts in (
        (),
        (most + b"\0",),
        (most, bytes(limits.MAX_BUNDLE_BYTES - len(most) - 2 * 52 + 1)),
        [b""] * (limits.MAX_BUNDLE_CONTENTS + 1),
    ):
        with pytest.raises(ContentTooLarge):
            scene.seal(*texts)


def test_a_receiver_holds_a_sender_to_the_limit_of_a_content() -> None:
    scene = Scene("too large")
    chain = receiver(scene)
    with unchanged(chain), pytest.raises(MalformedFrame, match="over its limit"):
        take(chain, scene, scene.forge(Forgery(), bytes(limits.MAX_CONTENT_BYTES + 1)))


def test_a_receiver_takes_the_largest_content_and_the_empty_one() -> None:
    scene = Scene("largest")
    chain = receiver(scene)
    most = bytes(limits.MAX_CONTENT_BYTES)
    for texts in ((most,), (b"",), (b"first", b"")):
        chain, opened = take(chain, scene, scene.seal(*texts))
        assert opened.contents == texts


def test_the_last_iteration_is_refused_even_within_the_window() -> None:
    scene = Scene("maximum")
    scene.chain = replace(scene.chain, iteration=limits.MAX_ITERATION - 1)
    chain = receiver(scene)
    core = replace(chain.core, iteration=limits.MAX_ITERATION - 1)
    chain, _ = take(ReceivingChain(core, {}), scene, scene.seal(b"x"))
    with pytest.raises(TooFarAhead):
        take(chain, scene, scene.forge(Forgery()))


def test_the_window_moves_with_the_chain() -> None:
    scene = Scene("window")
    chain, _ = take(receiver(scene), scene, scene.seal(b"0"))
    scene.skip(limits.MAX_FORWARD_JUMP)
    edge = scene.chain
    scene.skip(1)
    with unchanged(chain), pytest.raises(TooFarAhead):
        take(chain, scene, scene.forge(Forgery()))
    scene.chain = edge
    chain, _ = take(chain, scene, scene.forge(Forgery()))
    assert chain.iteration == limits.MAX_FORWARD_JUMP + 2


@pytest.mark.spec("08.6-5")
def test_a_second_message_under_one_iteration_is_a_fork() -> None:
    scene = Scene("fork")
    chain = receiver(scene)
    others: list[bytes] = []
    for n in range(40):
        others.append(scene.forge(Forgery(), b"to others"))
        chain, _ = take(chain, scene, scene.seal(b"%d" % n))
    for n, other in enumerate(others):
        with unchanged(chain), pytest.raises(ChainFork if n >= 8 else Duplicate):
            take(chain, scene, other)


def test_a_forks_second_message_may_come_late() -> None:
    scene = Scene("late fork")
    chain = receiver(scene)
    other = scene.forge(Forgery(), b"to others")
    sealed = [scene.seal(b"%d" % n) for n in range(3)]
    for at in (2, 0):
        chain, _ = take(chain, scene, sealed[at])
    with unchanged(chain), pytest.raises(ChainFork):
        take(chain, scene, other)
    with pytest.raises(Duplicate):
        take(chain, scene, sealed[0])
    take(chain, scene, sealed[1])


def test_a_frame_is_opened_in_the_epoch_of_its_chain() -> None:
    scene = Scene("epoch")
    chain = receiver(scene)
    frame = scene.seal(b"x")
    header = scene.header(frame)
    later = replace(scene.context, epoch=6)
    with pytest.raises(StaleEpoch):
        sender_key.open_frame(chain, later, frame, header, now=NOW)
    with pytest.raises(StaleEpoch):
        sender_key.seal(
            scene.chain, later, scene.keys, scene.contents(b"x"), now=NOW, entropy=scene.entropy
        )


def test_a_restored_sender_repeats_no_key() -> None:
    scene = Scene("restored")
    before = scene.chain
    one = scene.header(scene.seal(b"x"))
    scene.chain = before
    two = scene.header(scene.seal(b"y"))
    assert one.iteration == two.iteration
    assert one.position != two.position
    assert one.proof.commit_tag != two.proof.commit_tag


def test_a_bundle_keeps_its_order_and_its_ids() -> None:
    scene = Scene("bundle")
    contents = scene.contents(b"a", b"", b"c" * 300)
    _, frame = sender_key.seal(
        scene.chain, scene.context, scene.keys, contents, now=NOW, entropy=scene.entropy
    )
    _, opened = take(receiver(scene), scene, frame)
    assert list(zip(opened.ids, opened.contents, strict=True)) == contents


def test_a_broken_bundle_changes_nothing() -> None:
    scene = Scene("broken")
    chain = receiver(scene)
    whole = b"".join(item(*one) for one in scene.items(b"a", b"bc"))
    for size in range(len(whole)):
        with unchanged(chain), pytest.raises(RemoteError):
            take(chain, scene, scene.forge(Forgery(bundle=whole[:size])))
