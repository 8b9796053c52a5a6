"""Blobs as a plain in-memory model: what every engine must do with them (spec 13.12).

Rules of this file:
- `judged` says what a part means to what is held; engines ask it too, so there is one rule.
- One call is one atomic step; a refusal changes nothing.
"""

from dataclasses import dataclass, field
from enum import Enum, auto

from groupcrypt.protocol.broadcast.bounds import Limits
from groupcrypt.protocol.broadcast.replies import BlobHeld, BlobPart, Code, Done, Refused, Reply
from groupcrypt.protocol.broadcast.requests import (
    BlobDrop,
    BlobGet,
    BlobNew,
    BlobPut,
    BlobRequest,
    BlobSeal,
)

MIB = 1024 * 1024


class Judged(Enum):
    """What a part is to a blob."""

    NEXT = auto()  # to be appended
    KNOWN = auto()  # held already
    CONFLICT = auto()


def judged(put: BlobPut, *, held: int, length: int) -> Judged:
    """Whether a part follows what is held, is held, or neither (spec 13.12)."""
    end = put.offset + len(put.data)
    if end <= held:
        return Judged.KNOWN
    return Judged.NEXT if put.offset == held and end <= length else Judged.CONFLICT


def life_of(ttl: int, limits: Limits) -> int:
    """Seconds from the seal of a blob until it goes (spec 13.12)."""
    return min(max(ttl, limits.ttl_least), limits.blob_seconds)


@dataclass(slots=True, repr=False)
class _Blob:
    length: int
    life: int
    due: int
    sealed: bool = False
    data: bytearray = field(default_factory=bytearray)

    @property
    def held(self) -> BlobHeld:
        return BlobHeld(len(self.data), self.length, self.sealed)


class Blobs:
    """The blobs of one server, in memory (spec 13.12)."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._blobs: dict[bytes, _Blob] = {}

    def answer(self, request: BlobRequest, *, now: int, name: bytes | None = None) -> Reply:
        """Carry out one request; `name` may be passed where it is known already."""
        name = request.blob if name is None else name
        blob = self._blobs.get(name)
        if blob is not None and blob.due <= now:
            del self._blobs[name]
            blob = None
        if isinstance(request, BlobNew):
            return self._new(name, blob, request, now)
        if blob is None or (isinstance(request, BlobGet) and not blob.sealed):
            return Refused(Code.AUTH, 0)
        match request:
            case BlobPut():
                return self._put(blob, request, now)
            case BlobSeal():
                return _seal(blob, now)
            case BlobDrop():
                del self._blobs[name]
                return Done()
            case BlobGet(offset=offset, limit=limit):
                return BlobPart(blob.length, bytes(blob.data[offset : offset + limit]))

    def expire(self, *, now: int) -> int:
        """Forget the blobs whose time is over; how many."""
        over = [name for name, blob in self._blobs.items() if blob.due <= now]
        for name in over:
            del self._blobs[name]
        return len(over)

    @property
    def _used(self) -> int:
        return sum(len(blob.data) for blob in self._blobs.values())

    def _room(self, size: int) -> bool:
        return self._used + size <= self.limits.blob_space * MIB

    def _new(self, name: bytes, blob: _Blob | None, request: BlobNew, now: int) -> Reply:
        if request.length > self.limits.blob_bytes:
            return Refused(Code.TOO_BIG, 0)
        if blob is None:
            if not self._room(request.length):
                return Refused(Code.QUOTA, 0)
            life = life_of(request.ttl, self.limits)
            blob = self._blobs[name] = _Blob(request.length, life, now)
        elif blob.length != request.length:
            return Refused(Code.CONFLICT, 0)
        self._touch(blob, now)
        return blob.held

    def _put(self, blob: _Blob, request: BlobPut, now: int) -> Reply:
        match judged(request, held=len(blob.data), length=blob.length):
            case Judged.CONFLICT:
                return Refused(Code.CONFLICT, 0)
            case Judged.KNOWN:
                return blob.held
            case Judged.NEXT:
                if not self._room(len(request.data)):
                    return Refused(Code.QUOTA, 0)
                blob.data += request.data
                self._touch(blob, now)
                return blob.held

    def _touch(self, blob: _Blob, now: int) -> None:
        if not blob.sealed:
            blob.due = now + self.limits.blob_idle_seconds


def _seal(blob: _Blob, now: int) -> Reply:
    if len(blob.data) < blob.length:
        return Refused(Code.CONFLICT, 0)
    if not blob.sealed:
        blob.sealed = True
        blob.due = now + blob.life
    return blob.held
