"""Signing keys: when a new one is due, and from whom a receiver takes it."""

from dataclasses import replace

import pytest

from groupcrypt.errors import (
    AuthenticationFailed,
    BadKey,
    Exhausted,
    MalformedFrame,
    RemoteError,
    UnknownChain,
)
from groupcrypt.protocol import limits, sender_key
from groupcrypt.protocol.identifiers import GroupId
from groupcrypt.protocol.sender_key import ReceivingChain
from groupcrypt.testing.forgery import Forgery
from groupcrypt.testing.vectors.sender_keys_scene import NOW, Scene
from tests.unit.sender_key_talk import enter, receiver, take

# --- signing keys (spec 08.3) --------------------------------------------------------------------


@pytest.mark.spec("08.3-1")
def test_nothing_is_sealed_while_a_new_key_is_due() -> None:
    scene = Scene("due")
    for _ in range(limits.SIGNING_KEY_MESSAGES):
        scene.seal(b"x")
    with pytest.raises(Exhausted):
        scene.seal(b"the 101st")
    scene.refresh()
    frame = scene.seal(b"the 101st")
    scene.echoed(frame)
    for _ in range(limits.SIGNING_KEY_MESSAGES - 1):
        scene.seal(b"x")
    with pytest.raises(Exhausted):
        scene.seal(b"the 201st")

    scene = Scene("old")
    later = NOW + limits.SIGNING_KEY_SECONDS
    assert not sender_key.needs_refresh(scene.chain, scene.context, later - 1)
    assert sender_key.needs_refresh(scene.chain, scene.context, later)

    scene = Scene("fresh")
    scene.enter(fresh=1)
    assert sender_key.needs_refresh(scene.chain, scene.context, NOW)
    assert not sender_key.needs_distribution(scene.chain, scene.context)
    with pytest.raises(Exhausted):
        scene.seal(b"x")
    scene.enter(fresh=1)
    assert sender_key.needs_distribution(scene.chain, scene.context)
    for act in (scene.refresh, lambda: sender_key.distribution(scene.context, scene.chain)):
        with pytest.raises(Exhausted):
            act()


def test_a_derived_epoch_asks_for_no_new_key() -> None:
    scene = Scene("derived")
    chain = enter(receiver(scene), scene, fresh=0)
    assert not sender_key.needs_refresh(scene.chain, scene.context, NOW)
    take(chain, scene, scene.seal(b"x"))


def test_one_hand_over_at_a_time() -> None:
    scene = Scene("riding")
    scene.refresh()
    # Nothing is echoed: the vouch still rides.
    frames = [scene.seal(b"x") for _ in range(limits.SIGNING_KEY_MESSAGES + 1)]
    with pytest.raises(Exhausted):
        scene.refresh()
    scene.echoed(frames[0])
    assert scene.chain.vouch is None
    with pytest.raises(Exhausted):
        scene.seal(b"x")
    scene.refresh()
    assert sender_key.clear_vouch(scene.chain).vouch is None


def test_a_vouch_nobody_saw_cannot_be_built_on() -> None:
    scene = Scene("unseen")
    scene.refresh()
    scene.enter(fresh=0)
    assert not sender_key.needs_distribution(scene.chain, scene.context)
    scene.enter(fresh=1)
    assert sender_key.needs_distribution(scene.chain, scene.context)


@pytest.mark.spec("08.3-2")
def test_a_vouch_is_taken_from_the_held_key_only() -> None:
    scene = Scene("held key")
    chain = receiver(scene)
    first = scene.chain
    scene.refresh()
    vouch = scene.chain.vouch or b""
    followed = sender_key.accept_vouch(chain, scene.context, vouch)
    assert followed.core.signing == scene.chain.signing.public != first.signing.public
    assert sender_key.accept_vouch(followed, scene.context, vouch) is followed

    thief = replace(first, signing=scene.signing_key())
    forged = sender_key.refresh_signing(thief, scene.context, now=NOW, entropy=scene.entropy)
    with pytest.raises(AuthenticationFailed):
        sender_key.accept_vouch(chain, scene.context, forged.vouch or b"")
    rival = sender_key.refresh_signing(first, scene.context, now=NOW, entropy=scene.entropy)
    with pytest.raises(AuthenticationFailed):
        sender_key.accept_vouch(followed, scene.context, rival.vouch or b"")

    scene.chain = sender_key.clear_vouch(scene.chain)
    scene.refresh()
    second = scene.chain.vouch or b""
    with pytest.raises(UnknownChain):
        sender_key.accept_vouch(chain, scene.context, second)
    both = sender_key.accept_vouch(followed, scene.context, second)
    assert both.core.signing == scene.chain.signing.public
    assert sender_key.accept_vouch(both, scene.context, vouch) is both


def test_a_vouch_is_of_its_group_device_and_generation() -> None:
    scene = Scene("whose")
    chain = receiver(scene)
    scene.refresh()
    vouch = scene.chain.vouch or b""
    context = scene.context
    with pytest.raises(AuthenticationFailed):
        sender_key.accept_vouch(chain, replace(context, group=GroupId(scene.entropy(32))), vouch)
    for changed in ({"device": bytes(16)}, {"generation": 3}):
        core = replace(chain.core, **changed)
        with pytest.raises(AuthenticationFailed):
            sender_key.accept_vouch(ReceivingChain(core, {}), context, vouch)


def test_a_vouched_key_is_checked_like_any_other() -> None:
    scene = Scene("small order")
    chain = receiver(scene)
    scene.refresh()
    vouch = scene.chain.vouch or b""
    with pytest.raises(BadKey):
        sender_key.accept_vouch(chain, scene.context, vouch[:56] + bytes(32) + vouch[88:])
    with pytest.raises(RemoteError):
        sender_key.accept_vouch(chain, scene.context, vouch[:-1])
    with pytest.raises(MalformedFrame):
        sender_key.read_vouch(vouch + b"\0")


@pytest.mark.spec("08.3-3")
def test_a_stolen_old_key_is_worth_one_fresh_epoch() -> None:
    scene = Scene("stolen")
    stolen = scene.chain.signing
    chain = receiver(scene)
    after = enter(enter(chain, scene, fresh=1), scene, fresh=1)
    thief = replace(scene.chain, signing=stolen, fresh=scene.context.fresh)
    forged = sender_key.refresh_signing(thief, scene.context, now=NOW, entropy=scene.entropy)
    with pytest.raises(AuthenticationFailed):
        sender_key.accept_vouch(after, scene.context, forged.vouch or b"")


def test_a_vouch_rides_into_a_derived_epoch() -> None:
    scene = Scene("rides on")
    chain = receiver(scene)
    scene.refresh()
    chain = enter(chain, scene, fresh=0)
    chain, opened = take(chain, scene, scene.seal(b"x"))
    assert opened.new_signing_key
    chain, opened = take(chain, scene, scene.seal(b"y"))
    assert not opened.new_signing_key
    assert chain.core.older == ()


@pytest.mark.spec("08.3-4")
def test_a_frame_under_a_key_that_was_not_renewed_is_refused() -> None:
    scene = Scene("not renewed")
    chain = enter(receiver(scene), scene, fresh=1)
    with pytest.raises(UnknownChain):
        take(chain, scene, scene.forge(Forgery()))
    twice = enter(chain, scene, fresh=1)
    with pytest.raises(AuthenticationFailed):
        take(twice, scene, scene.forge(Forgery()))
    scene = Scene("renewed")
    chain = enter(receiver(scene), scene, fresh=1)
    scene.refresh()
    take(chain, scene, scene.seal(b"x"))


@pytest.mark.spec("08.3-5")
def test_late_frames_are_checked_under_the_key_of_their_iteration() -> None:
    scene = Scene("late")
    chain = receiver(scene)
    frames = [scene.seal(b"0")]
    keys = [scene.chain.signing]
    for n in range(1, 19):
        scene.refresh()
        frames.append(scene.seal(b"%d" % n))
        scene.echoed(frames[-1])
        keys.append(scene.chain.signing)
    old = scene.forge(Forgery(signing=keys[-2]))
    for frame in frames[1:]:
        chain, _ = take(chain, scene, frame)
    assert len(chain.core.older) == 16
    with pytest.raises(AuthenticationFailed):  # an old key at a new iteration
        take(chain, scene, old)
    with pytest.raises(AuthenticationFailed):  # the key of iteration 0 is the 18th from the end
        take(chain, scene, frames[0])

    scene = Scene("later")
    chain = receiver(scene)
    late = [scene.seal(b"0"), scene.seal(b"1")]
    scene.refresh()
    chain, _ = take(chain, scene, scene.seal(b"2"))
    for frame in late:
        chain, _ = take(chain, scene, frame)
    assert chain.core.count == 3


def test_a_vouch_from_before_a_derived_epoch_holds_from_its_first_iteration() -> None:
    scene = Scene("from the first")
    chain = receiver(scene)
    for n in range(3):
        chain, _ = take(chain, scene, scene.seal(b"%d" % n))
    scene.refresh()
    chain = enter(chain, scene, fresh=0)
    chain, _ = take(chain, scene, scene.seal(b"x"))
    assert chain.core.signing_from == scene.chain.signing_from == 0
    assert chain.core.older == ()


@pytest.mark.spec("08.3-1")
def test_a_new_signing_key_begins_its_own_time() -> None:
    scene = Scene("own time")
    scene.seal(b"x")
    then = NOW + limits.SIGNING_KEY_SECONDS
    assert sender_key.needs_refresh(scene.chain, scene.context, then)
    chain = sender_key.refresh_signing(scene.chain, scene.context, now=then, entropy=scene.entropy)
    assert (chain.signing_from, chain.signed) == (1, 0)
    chain = sender_key.clear_vouch(chain)
    assert not sender_key.needs_refresh(chain, scene.context, then + limits.SIGNING_KEY_SECONDS - 1)
    assert sender_key.needs_refresh(chain, scene.context, then + limits.SIGNING_KEY_SECONDS)


def test_an_echo_of_an_earlier_frame_does_not_clear_the_vouch() -> None:
    scene = Scene("earlier")
    before = scene.seal(b"before")
    scene.refresh()
    riding = scene.chain.vouch
    after = scene.seal(b"after")
    scene.echoed(before)
    assert scene.chain.vouch == riding is not None
    scene.echoed(after)
    assert scene.chain.vouch is None
