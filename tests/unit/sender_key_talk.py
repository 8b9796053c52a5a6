"""A receiver beside a `Scene`, for the tests of chapter 08."""

from collections.abc import Iterator
from contextlib import contextmanager

from groupcrypt.protocol import sender_key, wire
from groupcrypt.protocol.sender_key import Distribution, Opened, ReceivingChain
from groupcrypt.testing.vectors.sender_keys_scene import NOW, Scene


def receiver(scene: Scene) -> ReceivingChain:
    """Somebody who was given the scene's chain before its first frame."""
    return sender_key.accept(
        scene.distribution, context=scene.context, owner=scene.device, known=None
    )


def take(chain: ReceivingChain, scene: Scene, frame: bytes) -> tuple[ReceivingChain, Opened]:
    header = sender_key.open_header(scene.keys, scene.context, frame)
    return sender_key.open_frame(chain, scene.context, frame, header, now=NOW)


def enter(chain: ReceivingChain, scene: Scene, *, fresh: int) -> ReceivingChain:
    scene.enter(fresh=fresh)
    return sender_key.carry_receiving(chain, scene.epochs[-1]["salt"], scene.context)


def accept(scene: Scene, found: Distribution, known: ReceivingChain | None) -> ReceivingChain:
    return sender_key.accept(
        wire.encode(found), context=scene.context, owner=scene.device, known=known
    )


def stated(scene: Scene) -> Distribution:
    return sender_key.read_distribution(sender_key.distribution(scene.context, scene.chain))


@contextmanager
def unchanged(chain: ReceivingChain) -> Iterator[None]:
    """Asserts that the chain's records are after the body what they were before it."""
    before = wire.encode(chain.core), dict(chain.skipped)
    yield
    assert (wire.encode(chain.core), dict(chain.skipped)) == before
