"""Chains and distributions: what carries on, what is kept, what stays out."""

from dataclasses import replace
from typing import Any

import pytest

from groupcrypt.errors import (
    AuthenticationFailed,
    ChainFork,
    Duplicate,
    Exhausted,
    MalformedFrame,
    NotAllowed,
    RemoteError,
    StaleEpoch,
)
from groupcrypt.protocol import limits, sender_key, wire
from groupcrypt.protocol.identifiers import DeviceId, GroupId, LogHash
from groupcrypt.protocol.primitives import SigningKey
from groupcrypt.protocol.sender_key import ReceivingChain
from groupcrypt.protocol.sender_key.chain import step
from groupcrypt.testing.forgery import Forgery
from groupcrypt.testing.vectors.sender_keys_scene import NOW, Scene
from tests.unit.sender_key_talk import accept, enter, receiver, stated, take

# --- chains (spec 08.1, 08.2) --------------------------------------------------------------------


@pytest.mark.spec("08.1-1")
def test_generations_rise_even_after_a_restore() -> None:
    assert sender_key.next_generation(None, 1_700_000_000.9) == 1_700_000_000
    assert sender_key.next_generation(1_700_000_000, 1_700_000_000.9) == 1_700_000_001
    assert sender_key.next_generation(1_900_000_000, 5.0) == 1_900_000_001
    assert sender_key.next_generation(None, 0.0) == 0
    assert sender_key.next_generation(limits.MAX_GENERATION - 1, 5.0) == limits.MAX_GENERATION
    with pytest.raises(Exhausted):
        sender_key.next_generation(limits.MAX_GENERATION, 5.0)


@pytest.mark.spec("08.2-1")
def test_a_chain_is_carried_forward_only() -> None:
    scene = Scene("forward")
    chain, salt = receiver(scene), scene.entropy(32)
    for epoch in (scene.context.epoch, scene.context.epoch - 1):
        context = replace(scene.context, epoch=epoch)
        with pytest.raises(StaleEpoch):
            sender_key.carry_sending(scene.chain, salt, context)
        with pytest.raises(StaleEpoch):
            sender_key.carry_receiving(chain, salt, context)


@pytest.mark.spec("08.2-2")
def test_the_carry_alone_decides_the_next_epochs_chain() -> None:
    scene = Scene("carry alone")
    chain = receiver(scene)
    ahead = replace(chain.core, iteration=9, chain_key=scene.entropy(32))
    other = ReceivingChain(ahead, chain.skipped)
    salt = scene.entropy(32)
    context = replace(scene.context, epoch=scene.context.epoch + 1)
    one = sender_key.carry_receiving(chain, salt, context)
    assert wire.encode(one.core) == wire.encode(
        sender_key.carry_receiving(other, salt, context).core
    )
    assert (one.device, one.generation) == (scene.device, scene.chain.generation)
    assert (one.epoch, one.iteration) == (context.epoch, 0)
    sending = sender_key.carry_sending(scene.chain, salt, context)
    assert (sending.chain_key, sending.carry) == (one.core.chain_key, one.core.carry)


def test_each_part_of_the_place_changes_the_carried_chain() -> None:
    scene = Scene("bound")
    salt = scene.entropy(32)
    context = replace(scene.context, epoch=6)
    chain = scene.chain
    group, log_hash = GroupId(scene.entropy(32)), LogHash(scene.entropy(32))
    made = [
        sender_key.carry_sending(chain, salt, context),
        sender_key.carry_sending(chain, scene.entropy(32), context),
        sender_key.carry_sending(chain, salt, replace(context, epoch=7)),
        sender_key.carry_sending(chain, salt, replace(context, group=group)),
        sender_key.carry_sending(chain, salt, replace(context, log_hash=log_hash)),
        sender_key.carry_sending(replace(chain, device=bytes(16)), salt, context),
        sender_key.carry_sending(replace(chain, generation=1), salt, context),
        sender_key.carry_sending(replace(chain, carry=bytes(32)), salt, context),
    ]
    assert len({one.chain_key for one in made}) == len({one.carry for one in made}) == len(made)
    assert {one.chain_key for one in made}.isdisjoint({one.carry for one in made})


@pytest.mark.spec("08.2-3")
def test_used_keys_are_gone_from_both_states() -> None:
    scene = Scene("erased")
    chain, before = receiver(scene), scene.chain
    following, message_key = step(before.chain_key)
    chain, _ = take(chain, scene, scene.seal(b"x"))
    for state in (wire.encode(scene.chain), wire.encode(chain.core)):
        assert before.chain_key not in state
        assert message_key not in state
        assert following in state


def test_a_state_survives_its_encoding() -> None:
    scene = Scene("encoded")
    chain, _ = take(receiver(scene), scene, scene.seal(b"x"))
    assert wire.decode(type(scene.chain), wire.encode(scene.chain)) == scene.chain
    assert wire.decode(type(chain.core), wire.encode(chain.core)) == chain.core
    chain = enter(chain, scene, fresh=0)
    assert wire.decode(type(chain.core), wire.encode(chain.core)) == chain.core
    assert "chain_key" not in repr((scene.chain, chain, scene.keys))


# --- distributions (spec 08.5) -------------------------------------------------------------------


@pytest.mark.spec("08.5-1")
def test_only_the_owner_distributes() -> None:
    scene = Scene("owner")
    with pytest.raises(NotAllowed):
        sender_key.accept(
            scene.distribution,
            context=scene.context,
            owner=DeviceId(scene.entropy(16)),
            known=None,
        )


@pytest.mark.spec("08.5-2")
def test_a_distribution_is_for_one_place_in_one_log() -> None:
    scene = Scene("place")
    elsewhere: tuple[dict[str, Any], ...] = ({"epoch": 6}, {"group": bytes(32)})
    for changed in (*elsewhere, {"log_hash": bytes(32)}):
        context = replace(scene.context, **changed)
        with pytest.raises(StaleEpoch):
            sender_key.accept(scene.distribution, context=context, owner=scene.device, known=None)
        with pytest.raises(StaleEpoch):
            sender_key.distribution(replace(scene.context, epoch=6), scene.chain)


@pytest.mark.spec("08.5-3")
@pytest.mark.parametrize(("fresh", "fits"), [(1, False), (2, True), (3, True), (4, False)])
def test_a_distribution_brings_a_key_that_can_sign(fresh: int, fits: bool) -> None:  # noqa: FBT001
    scene = Scene("can sign")
    found = replace(stated(scene), fresh=fresh)
    if fits:
        assert accept(scene, found, None).core.fresh == fresh
    else:
        with pytest.raises(NotAllowed):
            accept(scene, found, None)


@pytest.mark.spec("08.5-4")
def test_a_held_chain_is_never_rewound_or_overwritten() -> None:
    scene = Scene("held")
    early = stated(scene)
    chain, _ = take(receiver(scene), scene, scene.seal(b"0"))
    assert accept(scene, early, chain) is chain
    same = stated(scene)
    assert accept(scene, same, chain) is chain
    scene.skip(3)
    later = stated(scene)
    assert accept(scene, later, chain) is chain  # it can be derived: nothing is lost
    scene.skip(limits.MAX_FORWARD_JUMP)
    far = stated(scene)
    assert accept(scene, far, chain) is chain
    assert accept(scene, replace(far, chain_key=bytes(32)), chain) is chain  # cannot be judged
    for found in (early, same, later, far):
        with pytest.raises(ChainFork):
            accept(scene, replace(found, carry=bytes(32)), chain)
        with pytest.raises(ChainFork):
            accept(scene, replace(found, distribution=bytes(8)), chain)
    for found in (same, later):
        with pytest.raises(ChainFork):
            accept(scene, replace(found, chain_key=bytes(32)), chain)


@pytest.mark.spec("08.5-5")
def test_a_distribution_replaces_a_vouched_key_and_no_other() -> None:
    scene = Scene("override")
    chain = receiver(scene)
    honest = stated(scene)
    thief = sender_key.refresh_signing(scene.chain, scene.context, now=NOW, entropy=scene.entropy)
    vouched = sender_key.accept_vouch(chain, scene.context, thief.vouch or b"")
    assert accept(scene, honest, vouched) is vouched  # an earlier key: no news
    scene.refresh()
    owned = accept(scene, stated(scene), vouched)
    assert owned.core.signing == scene.chain.signing.public
    assert owned.core.vouch is None
    assert accept(scene, stated(scene), owned) is owned
    with pytest.raises(ChainFork):
        accept(scene, replace(stated(scene), signing=thief.signing.public), owned)
    scene.chain = sender_key.clear_vouch(scene.chain)
    scene.refresh()
    assert accept(scene, stated(scene), owned).core.signing == scene.chain.signing.public


def test_a_replaced_vouched_key_loses_its_earlier_iterations() -> None:
    scene = Scene("replaced")
    chain, first = receiver(scene), scene.chain
    thief = sender_key.refresh_signing(first, scene.context, now=NOW, entropy=scene.entropy)
    scene.skip(2)
    chain = sender_key.accept_vouch(chain, scene.context, thief.vouch or b"")
    scene.refresh()
    chain = accept(scene, stated(scene), chain)
    assert chain.core.older == ()
    scene.chain = replace(scene.chain, iteration=0, chain_key=first.chain_key)
    with pytest.raises(AuthenticationFailed):
        take(chain, scene, scene.forge(Forgery(signing=thief.signing)))


def test_who_is_given_a_running_chain_reads_from_there_on() -> None:
    scene = Scene("running")
    early = scene.seal(b"0")
    scene.refresh()
    chain = accept(scene, stated(scene), None)
    with pytest.raises(RemoteError) as refused:
        take(chain, scene, early)
    assert refused.value.code == "expired"
    frame = scene.seal(b"1")
    chain, opened = take(chain, scene, frame)
    assert (opened.contents, opened.new_signing_key) == ((b"1",), False)
    with pytest.raises(Duplicate):
        take(chain, scene, frame)


def test_fresh_chains_have_nothing_in_common() -> None:
    scene = Scene("independent")
    chains = [
        sender_key.new_chain(scene.device, n, scene.context, now=NOW, entropy=scene.entropy)
        for n in range(3)
    ]
    for field in ("chain_key", "carry", "distribution"):
        assert len({getattr(one, field) for one in chains}) == 3
    assert len({one.signing.public for one in chains}) == 3
    assert SigningKey.from_bytes(chains[0].signing.to_bytes()) == chains[0].signing


def test_a_carried_chain_starts_over_but_for_its_keys() -> None:
    scene = Scene("starts over")
    chain = receiver(scene)
    take(chain, scene, scene.seal(b"0"))
    scene.refresh()
    scene.skip(limits.MAX_SKIPPED_PER_CHAIN + 1)
    chain, _ = take(chain, scene, scene.seal(b"far"))
    core = chain.core
    assert core.signing_from and core.older and core.floor and any(core.recent)
    carried = enter(chain, scene, fresh=0)
    core = carried.core
    assert (core.signing_from, core.older, core.floor, core.iteration) == (0, (), 0, 0)
    assert not any(core.recent)
    assert carried.skipped == {}
    assert scene.chain.signing_from == 0


def test_a_held_chain_is_compared_as_far_as_one_may_jump() -> None:
    scene = Scene("compared")
    chain = receiver(scene)
    scene.skip(limits.MAX_FORWARD_JUMP)
    found = stated(scene)
    assert accept(scene, found, chain) is chain
    with pytest.raises(ChainFork):
        accept(scene, replace(found, chain_key=bytes(32)), chain)


def test_a_distribution_reaches_to_the_last_iteration() -> None:
    scene = Scene("reaches")
    last = replace(stated(scene), iteration=limits.MAX_ITERATION - 1)
    assert accept(scene, last, None).iteration == limits.MAX_ITERATION - 1
    with pytest.raises(MalformedFrame):
        accept(scene, replace(last, iteration=limits.MAX_ITERATION), None)
