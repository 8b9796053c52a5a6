"""A sender and what its receivers are shown, as the vectors of chapter 08 give it, and replayed.

Rules of this file:
- A scene is built by sending; it records epochs and frames, never a receiver's state.
- `replay` is a receiver that knows nothing but the record.
- What a dishonest sender does goes through `groupcrypt.testing.forgery`.
"""

from dataclasses import replace
from typing import Any

from groupcrypt.protocol import sender_key, wire
from groupcrypt.protocol.identifiers import DeviceId, GroupId, LogHash, MessageId
from groupcrypt.protocol.primitives import SigningKey
from groupcrypt.protocol.sender_key import (
    Context,
    FrameKeys,
    Header,
    ReceivingChain,
    SendingChain,
)
from groupcrypt.protocol.sender_key.chain import step
from groupcrypt.testing.entropy import SeededEntropy
from groupcrypt.testing.forgery import Forgery, Item, forged_frame

NOW = 1_700_000_000.0


class Scene:
    """One sender in one group, from its first epoch on."""

    def __init__(self, name: str) -> None:
        self.entropy = SeededEntropy(b"08 sender keys").fork(name)
        self.context = Context(
            group=GroupId(self.entropy(32)),
            epoch=5,
            log_hash=LogHash(self.entropy(32)),
            fresh=3,
        )
        self.keys = self._keys()
        self.device = DeviceId(self.entropy(16))
        self.chain = sender_key.new_chain(
            self.device, 1_700_000_000, self.context, now=NOW, entropy=self.entropy
        )
        self.distribution = sender_key.distribution(self.context, self.chain)
        self._frames: list[bytes] = []
        self.epochs: list[dict[str, Any]] = [
            {"salt": None, **place(self.context, self.keys), "frames": self._frames}
        ]

    def _keys(self) -> FrameKeys:
        return FrameKeys(header=self.entropy(32), membership=self.entropy(32))

    @property
    def given(self) -> dict[str, Any]:
        """What a receiver starts from and is shown, in order."""
        return {"distribution": self.distribution, "epochs": self.epochs}

    def contents(self, *texts: bytes) -> list[tuple[MessageId, bytes]]:
        """The texts under new logical ids."""
        return [(MessageId(self.entropy(16)), text) for text in texts]

    def items(self, *texts: bytes) -> list[Item]:
        """The texts as a forgery takes them."""
        return [(self.entropy(32), self.entropy(16), text) for text in texts]

    def seal(self, *texts: bytes) -> bytes:
        """Seal honestly; the frame is made, not shown."""
        self.chain, frame = sender_key.seal(
            self.chain,
            self.context,
            self.keys,
            self.contents(*texts),
            now=NOW,
            entropy=self.entropy,
        )
        return frame

    def forge(self, forgery: Forgery, *texts: bytes) -> bytes:
        """A dishonest frame at the next iteration; the chain stays where it is."""
        return forged_frame(
            self.chain,
            self.context,
            self.keys,
            self.items(*(texts or (b"forged",))),
            guard=self.entropy(16),
            forgery=forgery,
        )

    def show(self, *frames: bytes) -> "Scene":
        """Show frames to the receiver, in this order."""
        self._frames += frames
        return self

    def skip(self, iterations: int) -> None:
        """Pass over iterations without sealing."""
        chain_key = self.chain.chain_key
        for _ in range(iterations):
            chain_key, _unused = step(chain_key)
        self.chain = replace(
            self.chain, iteration=self.chain.iteration + iterations, chain_key=chain_key
        )

    def header(self, frame: bytes) -> Header:
        return sender_key.open_header(self.keys, self.context, frame)

    def echoed(self, *frames: bytes) -> None:
        """The sender sees its own frames back before the close."""
        for frame in frames:
            self.chain = sender_key.echo(self.chain, self.header(frame))

    def enter(self, *, fresh: int) -> None:
        """The next epoch, with `fresh` fresh secrets more."""
        salt = self.entropy(32)
        self.context = Context(
            group=self.context.group,
            epoch=self.context.epoch + 1,
            log_hash=LogHash(self.entropy(32)),
            fresh=self.context.fresh + fresh,
        )
        self.keys = self._keys()
        self.chain = sender_key.carry_sending(self.chain, salt, self.context)
        self._frames = []
        self.epochs.append({"salt": salt, **place(self.context, self.keys), "frames": self._frames})

    def refresh(self) -> None:
        """A new signing key, with its vouch riding."""
        self.chain = sender_key.refresh_signing(
            self.chain, self.context, now=NOW, entropy=self.entropy
        )

    def signing_key(self) -> SigningKey:
        """A key that nobody vouched for."""
        return SigningKey.generate(self.entropy)


def place(context: Context, keys: FrameKeys | None = None) -> dict[str, Any]:
    """A context, and the epoch's frame secrets, as vectors give them."""
    fields: dict[str, Any] = {
        "group": context.group,
        "epoch": context.epoch,
        "log_hash": context.log_hash,
        "fresh": context.fresh,
    }
    if keys is not None:
        fields |= {"header_secret": keys.header, "membership_secret": keys.membership}
    return fields


def read_place(fields: dict[str, Any]) -> tuple[Context, FrameKeys]:
    """Undo `place`; without secrets the keys are empty."""
    context = Context(
        group=GroupId(bytes.fromhex(fields["group"])),
        epoch=fields["epoch"],
        log_hash=LogHash(bytes.fromhex(fields["log_hash"])),
        fresh=fields["fresh"],
    )
    header = bytes.fromhex(fields.get("header_secret", ""))
    return context, FrameKeys(header, bytes.fromhex(fields.get("membership_secret", "")))


def chain_given(chain: SendingChain, random: bytes) -> dict[str, Any]:
    """What a fresh chain is made from."""
    return {"device": chain.device, "generation": chain.generation, "random": random}


# --- the receiver -----------------------------------------------------------------------------


def accepted(raw: bytes, context: Context) -> ReceivingChain:
    """The chain of a first distribution."""
    owner = DeviceId(sender_key.read_distribution(raw).device)
    return sender_key.accept(raw, context=context, owner=owner, known=None)


def replay(given: dict[str, Any]) -> dict[str, Any]:
    """Open every frame in order; in a bad vector the last one is the one to refuse."""
    chain: ReceivingChain | None = None
    opened: list[dict[str, Any]] = []
    shown = sum(len(epoch["frames"]) for epoch in given["epochs"])
    for epoch in given["epochs"]:
        context, keys = read_place(epoch)
        if chain is None:
            chain = accepted(bytes.fromhex(given["distribution"]), context)
        else:
            chain = sender_key.carry_receiving(chain, bytes.fromhex(epoch["salt"]), context)
        for text in epoch["frames"]:
            last = len(opened) == shown - 1
            chain, result = _open_one(chain, context, keys, bytes.fromhex(text), last=last)
            opened.append(result)
    assert chain is not None
    core = chain.core
    return {
        "opened": opened,
        "next_iteration": core.iteration,
        "skipped": sender_key.skipped_count(chain.skipped),
        "chain_key": core.chain_key.hex(),
        "carry": core.carry.hex(),
        "count": core.count,
        "head": core.head.hex(),
    }


def _open_one(
    chain: ReceivingChain, context: Context, keys: FrameKeys, frame: bytes, *, last: bool
) -> tuple[ReceivingChain, dict[str, Any]]:
    before = wire.encode(chain.core), dict(chain.skipped)
    try:
        header = sender_key.open_header(keys, context, frame)
        following, opened = sender_key.open_frame(chain, context, frame, header, now=NOW)
    except Exception:
        assert last, "a frame before the one in question does not open"
        assert (wire.encode(chain.core), dict(chain.skipped)) == before
        raise
    contents = zip(opened.ids, opened.contents, strict=True)
    return following, {
        "iteration": header.iteration,
        "hash": header.hash.hex(),
        "contents": [{"id": name.hex(), "content": text.hex()} for name, text in contents],
        "previous_count": opened.previous_count,
        "missing": opened.missing,
        "head_matches": opened.head_matches,
        "new_signing_key": opened.new_signing_key,
    }
