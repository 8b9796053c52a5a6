"""The strict codec: how every shape that crosses a boundary becomes bytes (spec 04).

Rules of this file:
- The only importer of `msgpack`. A shape is a frozen dataclass; on the wire it is an array by
  position of unsigned integers, byte strings, short texts, nil (where optional), arrays and shapes.
- One value has one encoding: what decodes but would be encoded otherwise raises `NonCanonical`.
- Exact types: `True` is not 1, a text is not bytes. Every field has a bound.
- Nothing but `MalformedFrame` (or what a field's own check raises) leaves `decode`.

Shapes are declared in the chapter that uses them, not here; what is signed is the received bytes.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import (
    Annotated,
    Any,
    Final,
    Protocol,
    TypeGuard,
    TypeVar,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
    runtime_checkable,
)

import msgpack  # pyright: ignore[reportMissingTypeStubs]

from groupcrypt.errors import MalformedFrame, NonCanonical
from groupcrypt.protocol import limits

T = TypeVar("T")

_msgpack: Final[Any] = msgpack  # it ships no types; every value it returns is checked below


@dataclass(frozen=True, slots=True)
class Uint:
    """An integer from 0 to `most`."""

    most: int


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes: exactly `least`, or `least` to `most`; then `check`, which returns them or raises."""

    least: int
    most: int | None = None
    check: Callable[[bytes], bytes] | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """A UTF-8 text of at most `most` bytes."""

    most: int


@dataclass(frozen=True, slots=True)
class Many:
    """An array of at most `most` items."""

    most: int


U8 = Annotated[int, Uint(2**8 - 1)]
U16 = Annotated[int, Uint(2**16 - 1)]
U32 = Annotated[int, Uint(2**32 - 1)]
U64 = Annotated[int, Uint(2**64 - 1)]
Bytes8 = Annotated[bytes, Blob(8)]
Bytes16 = Annotated[bytes, Blob(16)]
Bytes32 = Annotated[bytes, Blob(32)]
Bytes64 = Annotated[bytes, Blob(64)]


@runtime_checkable
class BytesLike(Protocol):
    """A field type of our own that is written as bytes, such as a private key."""

    @classmethod
    def from_bytes(cls, raw: bytes) -> Any: ...
    def to_bytes(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class _Codec:
    """How one field becomes a msgpack value (`pack`; None: it is one) and is read back (`read`)."""

    pack: Callable[[Any], Any] | None
    read: Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class _Plan:
    """A shape's codecs, laid out so that encoding and decoding do nothing but what is needed."""

    values: Callable[[Any], tuple[Any, ...]]
    packs: tuple[tuple[int, Callable[[Any], Any]], ...]  # of the fields that are no msgpack value
    reads: tuple[Callable[[Any], Any], ...]


_SHAPES: Final[dict[type, _Plan]] = {}


@dataclass_transform(frozen_default=True)
def shape(cls: type[T]) -> type[T]:
    """Make `cls` a frozen dataclass that `encode` and `decode` know; its repr shows no values."""
    made = dataclass(frozen=True, slots=True, repr=False)(cls)
    hints = get_type_hints(made, include_extras=True)
    names = [field.name for field in fields(made)]  # type: ignore[arg-type]  # a dataclass
    codecs = [_codec_of(hints[name]) for name in names]
    packs = [(place, codec.pack) for place, codec in enumerate(codecs) if codec.pack is not None]
    _SHAPES[made] = _Plan(_values_of(names), tuple(packs), tuple(codec.read for codec in codecs))
    return made


def _values_of(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    if len(names) > 1:
        return attrgetter(*names)
    return lambda value: tuple(getattr(value, name) for name in names)


def encode(value: object) -> bytes:
    """The canonical bytes of a shape."""
    packed: bytes = _msgpack.packb(_pack_shape(value), use_bin_type=True)
    return packed


def decode(cls: type[T], data: bytes, limit: int = limits.MAX_RECORD_BYTES) -> T:
    """Read one `cls` from exactly `data`, or raise `MalformedFrame`/`NonCanonical` (spec 04.2)."""
    value = _unpack(data, limit)
    result = _read_shape(cls, value)
    if _msgpack.packb(value, use_bin_type=True) != data:
        raise NonCanonical(f"{cls.__name__}: not the canonical encoding")
    return result


def appended(data: bytes, *values: object, inside: tuple[int, ...] = ()) -> bytes:
    """An encoded shape with more fields: integers, bytes, texts, nil or arrays of them.

    `inside`: the places of the shape that grows, from the outside in; none: `data` itself does. For
    stored rows of an earlier version. Raises `MalformedFrame` if there is no array.
    """
    value = _unpack(data, len(data))
    grows = value
    for place in inside:
        grows = grows[place] if _is_array(grows) and place < len(grows) else None
    if not _is_array(grows):
        raise MalformedFrame("not an array")
    grows += values
    packed: bytes = _msgpack.packb(value, use_bin_type=True)
    return packed


def _unpack(data: bytes, limit: int) -> Any:
    if len(data) > limit:
        raise MalformedFrame(f"{len(data)} bytes where at most {limit} are allowed")
    try:
        return _msgpack.unpackb(
            data,
            raw=False,
            use_list=True,
            strict_map_key=True,
            max_map_len=0,
            max_ext_len=0,
        )
    except (ValueError, RecursionError, MemoryError, _msgpack.exceptions.UnpackException) as error:
        # The library's texts may echo input, so they are not passed on.
        raise MalformedFrame(f"not msgpack ({type(error).__name__})") from None


def _pack_shape(value: object) -> list[Any]:
    plan = _SHAPES[type(value)]
    values = list(plan.values(value))
    for place, pack in plan.packs:
        values[place] = pack(values[place])
    return values


def _read_shape(cls: type[T], value: Any) -> T:
    reads = _SHAPES[cls].reads
    if not _is_array(value) or len(value) != len(reads):
        raise MalformedFrame(f"{cls.__name__}: not an array of {len(reads)} fields")
    try:
        return cls(*[read(item) for read, item in zip(reads, value, strict=True)])
    except MalformedFrame as error:
        raise type(error)(f"{cls.__name__}: {error}") from None


def _codec_of(hint: Any) -> _Codec:
    origin, args = get_origin(hint), get_args(hint)
    if hint is bool:
        return _Codec(int, _read_bool)
    if origin is Annotated:
        return _annotated(args[0], args[1])
    if type(None) in args:  # X | None
        (inner_hint,) = (arg for arg in args if arg is not type(None))
        return _optional(_codec_of(inner_hint))
    if origin is tuple:  # a fixed tuple of parts
        return _fixed(tuple(_codec_of(arg) for arg in args))
    supertype = getattr(hint, "__supertype__", None)
    if supertype is not None:
        raise TypeError(f"{hint} needs a bound: Annotated[{hint.__name__}, Blob(...)]")
    if isinstance(hint, type) and hint in _SHAPES:
        known: type[Any] = hint
        return _Codec(_pack_shape, lambda value: _read_shape(known, value))
    if isinstance(hint, type) and isinstance(hint, BytesLike):
        return _Codec(lambda value: value.to_bytes(), lambda value: hint.from_bytes(_bytes(value)))
    raise TypeError(f"no codec for a field of type {hint!r}")


def _annotated(base: Any, bound: Any) -> _Codec:
    match bound:
        case Uint(greatest):
            return _Codec(None, _uint_reader(greatest))
        case Blob(least, most, check):
            return _Codec(bytes, _blob_reader(least, least if most is None else most, check))
        case Text(size):
            return _Codec(None, lambda value: _read_text(value, size))
        case Many(count):
            item = _codec_of(get_args(base)[0])
            pack = item.pack
            return _Codec(
                list if pack is None else lambda value: [pack(part) for part in value],
                lambda value: _read_many(value, count, item.read),
            )
        case _:
            raise TypeError(f"no codec for {bound!r}")


def _optional(inner: _Codec) -> _Codec:
    pack, read = inner.pack, inner.read
    return _Codec(
        None if pack is None else lambda value: None if value is None else pack(value),
        lambda value: None if value is None else read(value),
    )


def _fixed(parts: tuple[_Codec, ...]) -> _Codec:
    def pack(value: Any) -> list[Any]:
        return [
            item if part.pack is None else part.pack(item)
            for part, item in zip(parts, value, strict=True)
        ]

    def read(value: Any) -> tuple[Any, ...]:
        if not _is_array(value) or len(value) != len(parts):
            raise MalformedFrame(f"not an array of {len(parts)}")
        return tuple(part.read(item) for part, item in zip(parts, value, strict=True))

    return _Codec(pack, read)


def _is_array(value: Any) -> TypeGuard[list[Any]]:
    return type(value) is list


def _uint_reader(most: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if type(value) is not int or not 0 <= value <= most:
            raise MalformedFrame(f"not an integer from 0 to {most}")
        return value

    return read


_read_bit: Final = _uint_reader(1)


def _read_bool(value: Any) -> bool:
    return bool(_read_bit(value))


def _bytes(value: Any) -> bytes:
    if type(value) is not bytes:
        raise MalformedFrame("not bytes")
    return value


def _blob_reader(
    least: int, most: int, check: Callable[[bytes], bytes] | None
) -> Callable[[Any], bytes]:
    def read(value: Any) -> bytes:
        if type(value) is not bytes:
            raise MalformedFrame("not bytes")
        if not least <= len(value) <= most:
            raise MalformedFrame(f"{len(value)} bytes where {least} to {most} are allowed")
        return value if check is None else check(value)

    return read


def _read_text(value: Any, most: int) -> str:
    if type(value) is not str or len(value) > most or len(value.encode()) > most:
        raise MalformedFrame(f"not a text of at most {most} bytes")
    return value


def _read_many(value: Any, most: int, read: Callable[[Any], Any]) -> tuple[Any, ...]:
    if not _is_array(value) or len(value) > most:
        raise MalformedFrame(f"not an array of at most {most}")
    return tuple(read(item) for item in value)
