"""Messages: contents sealed as one frame, and a frame opened (spec 08.6).

Rules of this file:
- `seal` and `open_frame` return the next chain beside their result; on an error nothing changed.
- Checks go from cheap to dear and from outside in, in the order of spec 08.6.
- Every content has a commitment under a key of its own, so that it can be reported alone.
"""

import hmac
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from groupcrypt.errors import (
    AuthenticationFailed,
    ChainFork,
    ContentTooLarge,
    Duplicate,
    Exhausted,
    Expired,
    MalformedFrame,
    StaleEpoch,
    TooFarAhead,
    UnknownChain,
)
from groupcrypt.protocol import limits
from groupcrypt.protocol.identifiers import MessageId
from groupcrypt.protocol.primitives import Entropy, equal, framed, mac, unseal, verify
from groupcrypt.protocol.primitives import seal as seal_bytes
from groupcrypt.protocol.sender_key import chain as chains
from groupcrypt.protocol.sender_key import frame as frames
from groupcrypt.protocol.sender_key import skipped as skips
from groupcrypt.protocol.sender_key.chain import (
    RECENT,
    RECENT_BYTES,
    Context,
    FrameKeys,
    ReceivingChain,
    ReceivingCore,
    SendingChain,
)
from groupcrypt.protocol.sender_key.frame import FrameProof, Header
from groupcrypt.protocol.sender_key.vouch import follow, key_at, needs_refresh, read_vouch

SIGNATURE: Final = "frame signature"
_ITEM: Final = struct.Struct(">32s16sI")  # opening key, logical id, length of the content
# An item without its opening key is, after this, exactly the framed parts (id, content).
_COMMITMENT: Final = framed("content commitment") + struct.pack(">I", 16)
_GUARD_BYTES: Final = 16


@dataclass(frozen=True, slots=True, repr=False)
class Opened:
    """What one frame carried, in order, and what its sender said about the epoch before."""

    contents: tuple[bytes, ...]
    ids: tuple[MessageId, ...]
    openings: tuple[bytes, ...]  # the opening key of each content, for a report
    commitments: tuple[bytes, ...]
    previous_count: int | None  # stated in the sender's first frame of an epoch
    previous_head: bytes | None
    missing: int | None  # frames stated but not seen before this epoch; negative: seen, not stated
    head_matches: bool | None  # None if the counts differ or there is nothing to compare
    new_signing_key: bool


def seal(
    chain: SendingChain,
    context: Context,
    keys: FrameKeys,
    contents: Sequence[tuple[MessageId, bytes]],
    *,
    now: float,
    entropy: Entropy,
) -> tuple[SendingChain, bytes]:
    """Seal one to 64 contents as one frame (spec 08.6).

    Raises `ContentTooLarge`, `Exhausted` (a new signing key or chain is due first), `StaleEpoch`.
    """
    _check_sendable(chain, context, contents, now)
    first = chain.iteration == 0
    previous = (chain.previous_count, chain.previous_head) if first else None
    flags, fields = frames.extension(chain.vouch, previous)
    random = entropy(_GUARD_BYTES + 32 * len(contents))
    header = frames.header_bytes(chain, random[:_GUARD_BYTES], flags)
    position = frames.position_of(context, header)
    bundle, commitments = _bundle(contents, random[_GUARD_BYTES:])
    tag = commit_tag(position, commitments)
    sealed = frames.seal_extension(keys, tag, fields)
    chain_key, message_key = chains.step(chain.chain_key)
    padded = frames.pad_beside(bundle, len(sealed))
    body = sealed + seal_bytes(body_key(message_key, position), padded, tag)
    body_hash = frames.hash_body(body)
    signed = frames.frame_hash(position, tag, body_hash)
    proof = FrameProof(header, tag, body_hash, chain.signing.sign(SIGNATURE, signed))
    following = replace(
        chain, iteration=chain.iteration + 1, chain_key=chain_key, signed=chain.signed + 1
    )
    return following, frames.assemble(keys, proof, body)


def open_frame(
    chain: ReceivingChain, context: Context, frame: bytes, header: Header, *, now: float
) -> tuple[ReceivingChain, Opened]:
    """Open a message whose head was opened with `open_header` (spec 08.6, from step 6 on).

    Raises `UnknownChain`, `StaleEpoch`, `TooFarAhead`, `Expired`, `Duplicate`, `ChainFork` (another
    message under a used iteration, verified: `header.proof` is the evidence),
    `AuthenticationFailed`, `MalformedFrame`.
    """
    core = chain.core
    _check_chain(core, context, header)
    held = _check_window(chain, header)
    core = _check_signature(core, context, header)
    if header.iteration < core.iteration and held is None:
        raise ChainFork("a second message under a used iteration")
    if held is None:
        chain_key, message_key, floor, rest = skips.advance(chain, header.iteration, now)
        iteration = header.iteration + 1
    else:
        message_key, chain_key, iteration = held, core.chain_key, core.iteration
        floor, rest = core.floor, skips.without_key(chain.skipped, header.iteration)
    padded = unseal(
        body_key(message_key, header.position),
        frames.ciphertext_of(frame, header),
        header.proof.commit_tag,
    )
    items, commitments = _read_bundle(frames.unpad_beside(padded, header.extension_bytes))
    if not equal(commit_tag(header.position, commitments), header.proof.commit_tag):
        raise AuthenticationFailed("a message that is not what it commits to")
    _check_items(items)
    opened = _opened(core, chain.core, header, items, commitments)
    previous = header.previous or (core.previous_count, core.previous_head)
    following = replace(
        core,
        iteration=iteration,
        chain_key=chain_key,
        floor=floor,
        recent=_remembered(core.recent, header, iteration),
        count=core.count + 1,
        head=chains.next_head(core.head, header.hash),
        previous_known=core.previous_known or header.previous is not None,
        previous_count=previous[0],
        previous_head=previous[1],
    )
    return ReceivingChain(following, rest), opened


def echo(chain: SendingChain, header: Header) -> SendingChain:
    """The own chain after an own frame was seen back, before the close of its epoch (spec 08.7).

    Once for each frame. A vouch that rode on it has now been shown to everybody and is cleared.
    """
    vouch = None if header.vouch == chain.vouch else chain.vouch
    head = chains.next_head(chain.head, header.hash)
    return replace(chain, vouch=vouch, count=chain.count + 1, head=head)


def body_key(message_key: bytes, position: bytes) -> bytes:
    """The key of one ciphertext: message key, guard and the whole context (spec 08.6)."""
    return mac(message_key, "body key", position)


def commit_tag(position: bytes, commitments: Sequence[bytes]) -> bytes:
    """What the ciphertext can mean: one list of contents, at one position (spec 08.6)."""
    return mac(position, "commit tag", b"".join(commitments))


def commitment(opening: bytes, message: bytes, content: bytes) -> bytes:
    """The commitment to one content under its opening key (spec 08.6)."""
    return mac(opening, "content commitment", message, content)


def _check_sendable(
    chain: SendingChain,
    context: Context,
    contents: Sequence[tuple[MessageId, bytes]],
    now: float,
) -> None:
    if chain.epoch != context.epoch:
        raise StaleEpoch("a chain sends in its own epoch only")
    if chain.iteration >= limits.MAX_ITERATION:
        raise Exhausted("the chain has no iteration left")
    if needs_refresh(chain, context, now):
        raise Exhausted("a new signing key is due")
    if not 1 <= len(contents) <= limits.MAX_BUNDLE_CONTENTS:
        raise ContentTooLarge(f"{len(contents)} contents in one frame")
    # Local invariants: logical ids are drawn by us, 16 bytes each.
    assert {len(message) for message, _ in contents} == {16}
    assert len({message for message, _ in contents}) == len(contents)
    sizes = [len(content) for _, content in contents]
    total = sum(sizes) + _ITEM.size * len(sizes)
    if max(sizes) > limits.MAX_CONTENT_BYTES or total > limits.MAX_BUNDLE_BYTES:
        raise ContentTooLarge(f"{total} bytes in one frame")


def _bundle(
    contents: Sequence[tuple[MessageId, bytes]], openings: bytes
) -> tuple[bytes, list[bytes]]:
    items: list[bytes] = []
    commitments: list[bytes] = []
    at = 0
    for message, content in contents:
        opening = openings[at : at + 32]
        at += 32
        item = _ITEM.pack(opening, message, len(content)) + content
        items.append(item)
        commitments.append(hmac.digest(opening, _COMMITMENT + item[32:], "sha256"))
    return b"".join(items), commitments


def _read_bundle(bundle: bytes) -> tuple[list[tuple[bytes, bytes, bytes]], list[bytes]]:
    items: list[tuple[bytes, bytes, bytes]] = []
    commitments: list[bytes] = []
    at, end = 0, len(bundle)
    while at < end:
        start = at + _ITEM.size
        if start > end or len(items) == limits.MAX_BUNDLE_CONTENTS:
            raise MalformedFrame("a bundle with a broken or superfluous item")
        opening, message, length = _ITEM.unpack_from(bundle, at)
        if length > end - start:
            raise MalformedFrame("a content that ends after its bundle")
        item = bundle[at + 32 : start + length]
        commitments.append(hmac.digest(opening, _COMMITMENT + item, "sha256"))
        items.append((opening, message, item[20:]))
        at = start + length
    return items, commitments


def _check_items(items: list[tuple[bytes, bytes, bytes]]) -> None:
    if not items:
        raise MalformedFrame("a bundle without a content")
    if len({message for _, message, _ in items}) != len(items):
        raise MalformedFrame("a bundle that has one logical id twice")
    if max(len(content) for _, _, content in items) > limits.MAX_CONTENT_BYTES:
        raise MalformedFrame("a content over its limit")


def _check_chain(core: ReceivingCore, context: Context, header: Header) -> None:
    if header.kind != frames.MESSAGE:
        raise MalformedFrame("a control record where a message is expected")
    if core.epoch != context.epoch:
        raise StaleEpoch("a chain opens frames of its own epoch only")
    named = (header.device, header.generation, header.distribution)
    if named != (core.device, core.generation, core.distribution):
        raise UnknownChain("a frame of another chain")


def _check_window(chain: ReceivingChain, header: Header) -> bytes | None:
    """The held key of a skipped iteration; None if the iteration is ahead, or is a suspected fork.

    Raises without any derivation if the iteration cannot be opened.
    """
    core, iteration = chain.core, header.iteration
    if iteration >= core.iteration:
        if iteration - core.iteration > limits.MAX_FORWARD_JUMP:
            raise TooFarAhead("an iteration beyond the forward window")
        if iteration == limits.MAX_ITERATION:
            raise TooFarAhead("the iteration that no frame may have")
        return None
    held = skips.skipped_key(chain, iteration)
    if held is not None:
        return held
    if iteration < core.floor:
        raise Expired("the key of this iteration was erased")
    if iteration < core.iteration - RECENT or _recalled(core, iteration) == _short(header):
        raise Duplicate("this iteration was used before")
    return None  # other bytes at a used iteration: the signature decides whether it is a fork


def _check_signature(core: ReceivingCore, context: Context, header: Header) -> ReceivingCore:
    if header.vouch is not None:
        vouch = read_vouch(header.vouch)
        if vouch.epoch == context.epoch and header.iteration < vouch.iteration:
            raise MalformedFrame("a vouch on a frame before its own key")
        core = follow(core, context, vouch)
    public = key_at(core, context, header.iteration)
    verify(public, header.proof.signature, SIGNATURE, header.hash)
    return core


def _opened(
    core: ReceivingCore,
    before: ReceivingCore,
    header: Header,
    items: list[tuple[bytes, bytes, bytes]],
    commitments: list[bytes],
) -> Opened:
    missing: int | None = None
    head_matches: bool | None = None
    if header.previous is not None and core.previous_known:
        missing = header.previous[0] - core.previous_count
        if missing == 0:
            head_matches = equal(header.previous[1], core.previous_head)
    return Opened(
        contents=tuple([content for _, _, content in items]),
        ids=tuple([MessageId(message) for _, message, _ in items]),
        openings=tuple([opening for opening, _, _ in items]),
        commitments=tuple(commitments),
        previous_count=None if header.previous is None else header.previous[0],
        previous_head=None if header.previous is None else header.previous[1],
        missing=missing,
        head_matches=head_matches,
        new_signing_key=core is not before,
    )


def _short(header: Header) -> bytes:
    return header.hash[:RECENT_BYTES]


def _recalled(core: ReceivingCore, iteration: int) -> bytes:
    at = iteration % RECENT * RECENT_BYTES
    return core.recent[at : at + RECENT_BYTES]


def _remembered(recent: bytes, header: Header, next_iteration: int) -> bytes:
    if header.iteration < next_iteration - RECENT:
        return recent  # its place belongs to a newer iteration
    at = header.iteration % RECENT * RECENT_BYTES
    return recent[:at] + _short(header) + recent[at + RECENT_BYTES :]
