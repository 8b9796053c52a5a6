"""The hybrid agreement that starts a channel: PQXDH-style, with a transcript (spec 05.3-05.6).

Rules of this file:
- The transcript names everything: both certificates, both device lists, every public key, the KEM
  ciphertext, what is replaced and resumed. Two sides that differ in one byte share no secret.
- Nothing is consumed until the caller has opened the first message with what came out.

It does not send: the start rides on the first messages of chapter 07.
"""

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Annotated, Final

from groupcrypt.errors import BadKey, Duplicate, Expired, MalformedFrame, NotAllowed, UnknownPrekey
from groupcrypt.protocol import limits
from groupcrypt.protocol.handshake.prekeys import (
    Bundle,
    OneTimeBody,
    OneTimePrekey,
    Prekeys,
)
from groupcrypt.protocol.identity import DeviceCertificate, DhPublic, LocalIdentity
from groupcrypt.protocol.primitives import (
    KEM_CIPHERTEXT_BYTES,
    ZERO32,
    DhPrivate,
    Entropy,
    digest,
    expand,
    extract,
    framed,
    number,
)
from groupcrypt.protocol.wire import U32, U64, Blob, Bytes8, Bytes32, decode, encode, shape

MAX_HELLO_BYTES: Final = 2_048
MAX_REPLACED: Final = 12  # channels that a start names: current, retired, ended

# The responder's prekeys of one start: signed dh, signed kem, one-time dh, one-time kem; the last
# two are empty where none was used.
_PublicKeys = tuple[bytes, bytes, bytes, bytes]


def _check_ids(ids: bytes) -> bytes:
    if len(ids) % 8:
        raise MalformedFrame("ids of channels have 8 bytes each")
    return ids


@shape
class ListName:
    """A device list by version and hash (spec 02.3)."""

    version: U32
    hash: Bytes32


@shape
class Hello:
    """A start, as it rides on every message until the first reply (spec 05.3).

    `created` is the initiator's clock; `replaces` the ids of the channels it knew before, one
    after the other; `resumed` the name of the resumption secret that is mixed in.
    """

    certificate: DeviceCertificate
    base: DhPublic
    signed_id: U32
    one_time_id: U32 | None
    kem_ciphertext: Annotated[bytes, Blob(KEM_CIPHERTEXT_BYTES)]
    own_list: ListName
    peer_list: ListName
    created: U64
    replaces: Annotated[bytes, Blob(0, 8 * MAX_REPLACED, check=_check_ids)]
    resumed: Bytes8 | None


@dataclass(frozen=True, slots=True, repr=False)
class Agreed:
    """What both sides hold after a start: the ratchet's root, and the channel's public id."""

    root: bytes
    channel: bytes


@dataclass(frozen=True, slots=True, repr=False)
class Start:
    """A start as its initiator made it; `base` is the public base key in it."""

    hello: bytes
    base: bytes
    agreed: Agreed


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """A start as its responder computed it; `prekeys` is to be kept once a message has opened."""

    agreed: Agreed
    ratchet_key: DhPrivate
    prekeys: Prekeys


def resumption_name(secret: bytes) -> bytes:
    """The 8 public bytes by which a start names a resumption secret (spec 05.6)."""
    return digest("resumption name", secret)[:8]


def initiate(
    me: LocalIdentity,
    bundle: Bundle,
    one_time: OneTimeBody | None,
    *,
    lists: tuple[ListName, ListName],
    created: int,
    replaces: bytes,
    resumption: bytes | None,
    entropy: Entropy,
) -> Start:
    """Start towards the owner of `bundle`; `lists` are (ours, theirs) (spec 05.3).

    Raises `NotAllowed` for an own bundle, `BadKey` for keys that are equal and must not be.
    """
    body = bundle.body
    peer = body.certificate
    if peer.device == me.device:
        raise NotAllowed("a start towards this device itself")
    base = DhPrivate.generate(entropy)
    secret, ciphertext = entropy.encapsulate(body.kem if one_time is None else one_time.kem)
    hello = Hello(
        certificate=me.certificate,
        base=base.public,
        signed_id=body.id,
        one_time_id=None if one_time is None else one_time.id,
        kem_ciphertext=ciphertext,
        own_list=lists[0],
        peer_list=lists[1],
        created=created,
        replaces=replaces,
        resumed=None if resumption is None else resumption_name(resumption),
    )
    keys: _PublicKeys = (body.dh, body.kem, b"", b"")
    if one_time is not None:
        keys = (body.dh, body.kem, one_time.dh, one_time.kem)
    _check_distinct(hello, peer, keys)
    secrets = (
        me.dh.exchange(body.dh),
        base.exchange(peer.dh),
        base.exchange(body.dh),
        b"" if one_time is None else base.exchange(one_time.dh),
        secret,
        resumption or b"",
    )
    raw = encode(hello)
    return Start(raw, base.public, _agree(secrets, raw, peer, keys))


def respond(
    me: LocalIdentity, prekeys: Prekeys, raw: bytes, hello: Hello, resumption: bytes | None
) -> Answer:
    """Compute the responder's side of a start whose certificate was checked (spec 05.4).

    `resumption` is the secret that `hello.resumed` names. Raises `Duplicate`, `UnknownPrekey`,
    `Expired` (memory full), `BadKey`, `NotAllowed`.
    """
    if hello.certificate.device == me.device:
        raise NotAllowed("a start from this device itself")
    remembered = _remember(prekeys, hello)
    signed = prekeys.signed(hello.signed_id)
    if signed is None:
        raise UnknownPrekey(f"signed prekey {hello.signed_id} is not held")
    one_time: OneTimePrekey | None = None
    if hello.one_time_id is not None:
        one_time = prekeys.one_time.get(hello.one_time_id)
        if one_time is None:
            raise UnknownPrekey(f"one-time prekey {hello.one_time_id} is not held")
    keys: _PublicKeys = (signed.dh.public, signed.kem.public, b"", b"")
    if one_time is not None:
        keys = (signed.dh.public, signed.kem.public, one_time.dh.public, one_time.kem.public)
    _check_distinct(hello, me.certificate, keys)
    kem = signed.kem if one_time is None else one_time.kem
    secrets = (
        signed.dh.exchange(hello.certificate.dh),
        me.dh.exchange(hello.base),
        signed.dh.exchange(hello.base),
        b"" if one_time is None else one_time.dh.exchange(hello.base),
        kem.decapsulate(hello.kem_ciphertext),
        resumption or b"",
    )
    return Answer(_agree(secrets, raw, me.certificate, keys), signed.dh, remembered)


def read_hello(raw: bytes) -> Hello:
    """Decode a start; raises `MalformedFrame` or `BadKey`. Its certificate is not checked yet."""
    return decode(Hello, raw, MAX_HELLO_BYTES)


def _check_distinct(hello: Hello, responder: DeviceCertificate, keys: _PublicKeys) -> None:
    """Keys with different parts differ, or one exchange could stand for another (spec 05.4)."""
    signed_dh, signed_kem, one_time_dh, one_time_kem = keys
    exchanged = (hello.certificate.dh, responder.dh, hello.base, signed_dh, one_time_dh)
    if len(set(exchanged)) != len(exchanged) or signed_kem == one_time_kem:
        raise BadKey("two keys of a start are equal")


def _agree(
    secrets: tuple[bytes, ...], hello: bytes, responder: DeviceCertificate, keys: _PublicKeys
) -> Agreed:
    transcript = digest("handshake", hello, encode(responder), *keys)
    key = extract(ZERO32, framed("handshake secrets", *secrets))
    return Agreed(expand(key, "handshake root", transcript), transcript[:8])


def _remember(prekeys: Prekeys, hello: Hello) -> Prekeys:
    """The prekeys after this start was accepted (spec 05.5); raises `Duplicate`, `Expired`."""
    one_time = b"" if hello.one_time_id is None else number(hello.one_time_id)
    name = digest("accepted start", number(hello.signed_id), one_time, hello.base)[:16]
    seen = prekeys.accepted.get(hello.signed_id, frozenset())
    if name in seen:
        raise Duplicate("a start that was accepted before")
    if len(seen) < limits.MAX_ACCEPTED_HANDSHAKES:
        seen |= {name}
    elif hello.one_time_id is None:
        raise Expired("the last-resort key has served its number of starts")
    left = {id_: one for id_, one in prekeys.one_time.items() if id_ != hello.one_time_id}
    return replace(
        prekeys,
        one_time=MappingProxyType(left),
        accepted=MappingProxyType({**prekeys.accepted, hello.signed_id: seen}),
    )
