"""Frames as a dishonest member could make them: right except for what is asked for (spec 08).

Rules of this file:
- A forgery goes through the same steps as `sender_key.seal`, with parts replaced; what depends on a
  replaced part (tags, signature) is made to fit, so that a bad frame has exactly one fault.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from groupcrypt.protocol import primitives
from groupcrypt.protocol.primitives import SigningKey
from groupcrypt.protocol.sender_key import chain as chains
from groupcrypt.protocol.sender_key import frame as frames
from groupcrypt.protocol.sender_key import message as messages
from groupcrypt.protocol.sender_key.chain import Context, FrameKeys, SendingChain
from groupcrypt.protocol.sender_key.frame import FrameProof

Item = tuple[bytes, bytes, bytes]  # opening key, logical id, content


@dataclass(frozen=True, slots=True)
class Forgery:
    """What to replace; None leaves a part as an honest sender would make it."""

    header: bytes | None = None  # 50 bytes
    extension: bytes = b""  # plain fields; the flags are the header's own business
    bundle: bytes | None = None
    padded: bytes | None = None
    commitments: Sequence[bytes] | None = None
    commit_tag: bytes | None = None  # a random one, as control records have
    body_key: bytes | None = None
    signing: SigningKey | None = None
    signature: bytes | None = None


def item(opening: bytes, message: bytes, content: bytes) -> bytes:
    """One content as it stands in a bundle (spec 08.6)."""
    return opening + message + struct.pack(">I", len(content)) + content


def forged_frame(
    chain: SendingChain,
    context: Context,
    keys: FrameKeys,
    items: Sequence[Item],
    *,
    guard: bytes = bytes(16),
    forgery: Forgery = Forgery(),
) -> bytes:
    """The frame at the chain's next iteration with what `forgery` replaces."""
    header = frames.header_bytes(chain, guard, 0) if forgery.header is None else forgery.header
    position = frames.position_of(context, header)
    commitments = forgery.commitments
    if commitments is None:
        commitments = [messages.commitment(*one) for one in items]
    tag = forgery.commit_tag or messages.commit_tag(position, commitments)
    bundle = forgery.bundle
    if bundle is None:
        bundle = b"".join(item(*one) for one in items)
    sealed = frames.seal_extension(keys, tag, forgery.extension)
    padded = forgery.padded or frames.pad_beside(bundle, len(sealed))
    _, message_key = chains.step(chain.chain_key)
    key = forgery.body_key or messages.body_key(message_key, position)
    body = sealed + primitives.seal(key, padded, tag)
    body_hash = frames.hash_body(body)
    signing = forgery.signing or chain.signing
    hashed = frames.frame_hash(position, tag, body_hash)
    signature = forgery.signature or signing.sign(messages.SIGNATURE, hashed)
    return frames.assemble(keys, FrameProof(header, tag, body_hash, signature), body)
