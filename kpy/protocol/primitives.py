"""Kafka's wire types as constructs, and the names under which message declarations use them.

A declared type is `Annotated[<Python type>, <construct>]`: a type checker reads the first, the codecs the second. The
fixed-width types are construct's own. Types with a length have two forms: a fixed-width length, and in flexible
versions (KIP-482) a compact one, an unsigned varint of the length plus one, where zero is null. `at()` gives the form
that a version uses, so that declarations never say which it is.

Reading is safe on hostile bytes: a length or count is compared with the bytes that are there before anything is
allocated, varints end after five bytes, text is valid UTF-8, and the array elements and tagged fields of one message
are limited. What is wrong raises `DecodeError`, or a `ConstructError` from construct itself.
"""

import io
import uuid
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Any, Protocol, Self, TypeAlias, TypeVar, cast

from construct import (
    Construct,
    Flag,
    Float64b,
    Int8sb,
    Int16sb,
    Int16ub,
    Int32sb,
    Int32ub,
    Int64sb,
    stream_read,
    stream_write,
)

from kpy.protocol.errors import DecodeError, EncodeError

MAX_ELEMENTS = 1 << 20
"""Array elements and tagged fields of one message, all of them together: three bytes can become 200 in memory."""

MAX_REQUEST_ELEMENTS = 1 << 17
"""The same of a request: its handler takes some microseconds for each, in which nobody else is served."""

MAX_VARINT_BYTES = 5
MAX_VARINT = 0xFFFFFFFF
ZERO_UUID = uuid.UUID(int=0)
_KNOWN_UUIDS = 1024
_BYTES_LIKE = (bytes, bytearray, memoryview)

T = TypeVar("T")


class Part(Protocol):
    """Bytes that are not in memory, such as a range of a file: kept whole by `encode_parts`, for sendfile."""

    @property
    def size_bytes(self) -> int: ...


Buffer: TypeAlias = bytes | bytearray | memoryview
RecordsValue: TypeAlias = Buffer | Part | Sequence[Buffer | Part]


class MessageInput(io.BytesIO):
    """The stream that the interpreted codec reads: it knows what is left, of bytes and of array elements."""

    def __init__(self, data: Buffer, max_elements: int = MAX_ELEMENTS) -> None:
        super().__init__(data)
        self._data = memoryview(data)
        self.size_bytes = len(data)
        self.elements_left = max_elements

    @property
    def remaining(self) -> int:
        return self.size_bytes - self.tell()

    def read_view(self, size: int) -> memoryview:
        """As read, without copying: a view of what this stream reads from."""
        position = self.tell()
        self.seek(size, io.SEEK_CUR)
        return self._data[position : position + size]

    def take_elements(self, count: int, minimum_size: int) -> None:
        """Refuse a count that the bytes left cannot hold, or that is more than a message may have."""
        self.elements_left -= count
        if count * minimum_size > self.remaining or self.elements_left < 0:
            raise DecodeError(f"array of {count} elements, which is more than the message holds")


class PartsOutput:
    """The stream that the interpreted codec writes: like a file, and it takes parts that are not bytes."""

    def __init__(self) -> None:
        self._parts: list[Buffer | Part] = []
        self._bytes = bytearray()

    def write(self, data: Buffer) -> int:
        self._bytes += data
        return len(data)

    def write_part(self, part: Buffer | Part) -> None:
        self._flush()
        self._parts.append(part)

    def parts(self) -> list[Buffer | Part]:
        """All that was written. What was written as bytes is one part between others, and the first part always."""
        self._flush()
        return self._parts

    def _flush(self) -> None:
        if self._bytes or not self._parts:
            self._parts.append(bytes(self._bytes))
            self._bytes.clear()


def join_parts(parts: list[Buffer | Part]) -> bytes:
    """The bytes of parts that are all in memory."""
    if len(parts) == 1 and isinstance(parts[0], bytes):
        return parts[0]
    for part in parts:
        if not isinstance(part, _BYTES_LIKE):
            raise EncodeError(f"{part!r} is not in memory: only encode_parts() takes it")
    return b"".join(parts)  # type: ignore[arg-type]  # as just checked


def read_unsigned_varint(buffer: Buffer, position: int) -> tuple[int, int]:
    """The value at that position and the position behind it; IndexError at the end of the buffer."""
    first = buffer[position]
    if first < 0x80:
        return first, position + 1
    second = buffer[position + 1]
    if second < 0x80:
        return (first & 0x7F) | second << 7, position + 2
    value = (first & 0x7F) | (second & 0x7F) << 7
    for count in range(2, MAX_VARINT_BYTES):
        byte = buffer[position + count]
        value |= (byte & 0x7F) << 7 * count
        if byte < 0x80 and value <= MAX_VARINT:
            return value, position + count + 1
    raise DecodeError("a varint does not fit into 32 bits")


def unsigned_varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first, the top bit saying that more follow."""
    if 0 <= value < 0x80:
        return _ONE_BYTE[value]
    if 0x80 <= value < 0x4000:
        return bytes(((value & 0x7F) | 0x80, value >> 7))
    if not 0 <= value <= MAX_VARINT:
        raise EncodeError(f"{value} does not fit into 32 bits without a sign")
    out = bytearray()
    while value >= 0x80:
        out.append((value & 0x7F) | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


_ONE_BYTE = tuple(bytes((value,)) for value in range(0x80))


class UnsignedVarintType(Construct):
    """Lengths, counts and tags of flexible versions."""

    minimum_size = 1

    def _parse(self, stream: Any, context: Any, path: str) -> int:
        raw = b""
        while not raw or raw[-1] >= 0x80:
            if len(raw) == MAX_VARINT_BYTES:
                raise DecodeError(f"a varint of more than {MAX_VARINT_BYTES} bytes at {path}")
            raw += stream_read(stream, 1, path)
        return read_unsigned_varint(raw, 0)[0]

    def _build(self, obj: int, stream: Any, context: Any, path: str) -> int:
        data = unsigned_varint(obj)
        stream_write(stream, data, len(data), path)
        return obj


class CompactLengthType(UnsignedVarintType):
    """A length in flexible versions: one more than it says, so that zero can stand for null, read as -1."""

    def _parse(self, stream: Any, context: Any, path: str) -> int:
        return super()._parse(stream, context, path) - 1

    def _build(self, obj: int, stream: Any, context: Any, path: str) -> int:
        super()._build(obj + 1, stream, context, path)
        return obj


UnsignedVarint = UnsignedVarintType()
CompactLength = CompactLengthType()


class WithLength(Construct, ABC):
    """What follows a length: text, bytes, records or the elements of an array. A length of -1 means null."""

    zero: Any = None

    def __init__(self, length: Construct, *, nullable: bool = False) -> None:
        super().__init__()
        self.length = length
        self.nullable = nullable

    @property
    def minimum_size(self) -> int:
        return minimum_size(self.length)

    def at(self, *, flexible: bool, nullable: bool) -> Self:
        """This type in the form of one version."""
        return type(self)(CompactLength if flexible else self.length, nullable=nullable)

    def _parse(self, stream: Any, context: Any, path: str) -> Any:
        length = self.length._parsereport(stream, context, path)
        if length < 0:
            if length == -1 and self.nullable:
                return None
            raise DecodeError(f"length {length} at {path}")
        return self._parse_content(length, stream, context, path)

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        if obj is None:
            if not self.nullable:
                raise EncodeError(f"null at {path}")
            self.length._build(-1, stream, context, path)
        else:
            self._build_content(obj, stream, context, path)
        return obj

    @abstractmethod
    def _parse_content(self, length: int, stream: Any, context: Any, path: str) -> Any:
        """What has that length."""

    @abstractmethod
    def _build_content(self, obj: Any, stream: Any, context: Any, path: str) -> None:
        """Write the length, and what has it."""

    def _check(self, length: int, stream: Any, path: str) -> None:
        if length > stream.remaining:
            raise DecodeError(f"{length} bytes at {path}, of which {stream.remaining} are there")


class TextType(WithLength):
    """A string, as UTF-8."""

    zero = ""

    def _parse_content(self, length: int, stream: Any, context: Any, path: str) -> str:
        self._check(length, stream, path)
        text: str = stream_read(stream, length, path).decode()
        return text

    def _build_content(self, obj: str, stream: Any, context: Any, path: str) -> None:
        data = obj.encode()
        self.length._build(len(data), stream, context, path)
        stream_write(stream, data, len(data), path)


class BytesType(WithLength):
    """Opaque bytes."""

    zero = b""

    def _parse_content(self, length: int, stream: Any, context: Any, path: str) -> bytes:
        self._check(length, stream, path)
        data: bytes = stream_read(stream, length, path)
        return data

    def _build_content(self, obj: Buffer, stream: Any, context: Any, path: str) -> None:
        if not isinstance(obj, _BYTES_LIKE):
            raise EncodeError(f"{type(obj).__name__} instead of bytes at {path}")
        self.length._build(len(obj), stream, context, path)
        stream_write(stream, obj, len(obj), path)


class RecordsType(WithLength):
    """Record batches: read as a view of the message, written from buffers and parts without copying any of them."""

    def _parse_content(self, length: int, stream: Any, context: Any, path: str) -> memoryview:
        self._check(length, stream, path)
        records: memoryview = stream.read_view(length)
        return records

    def _build_content(self, obj: RecordsValue, stream: Any, context: Any, path: str) -> None:
        parts, size_bytes = record_parts(obj)
        self.length._build(size_bytes, stream, context, path)
        for part in parts:
            stream.write_part(part)


def record_parts(value: RecordsValue) -> tuple[Sequence[Buffer | Part], int]:
    """The parts of a records field and their size together."""
    if isinstance(value, _BYTES_LIKE):
        return (value,), len(value)
    if not isinstance(value, (list, tuple)):
        part = cast("Part", value)
        return (part,), part.size_bytes
    return value, sum(len(part) if isinstance(part, _BYTES_LIKE) else part.size_bytes for part in value)


class ArrayType(WithLength):
    """A count and that many elements. Declarations name the element in brackets, `of()` puts it in."""

    element: Construct
    zero: Any = ()

    def of(self, element: Construct) -> Self:
        """An array in this form, of these elements."""
        array = type(self)(self.length, nullable=self.nullable)
        array.element = element
        return array

    def _parse_content(self, length: int, stream: Any, context: Any, path: str) -> list[Any]:
        stream.take_elements(length, max(1, minimum_size(self.element)))
        return [self.element._parsereport(stream, context, path) for _ in range(length)]

    def _build_content(self, obj: Sequence[Any], stream: Any, context: Any, path: str) -> None:
        self.length._build(len(obj), stream, context, path)
        for index, element in enumerate(obj):
            self.element._build(element, stream, context, f"{path}[{index}]")


class UuidType(Construct):
    """A topic id: 16 bytes, all zero for none."""

    minimum_size = 16
    zero = ZERO_UUID

    def _parse(self, stream: Any, context: Any, path: str) -> uuid.UUID:
        return uuid_of(stream_read(stream, 16, path))

    def _build(self, obj: uuid.UUID, stream: Any, context: Any, path: str) -> uuid.UUID:
        stream_write(stream, obj.bytes, 16, path)
        return obj


@lru_cache(_KNOWN_UUIDS)
def uuid_of(data: bytes) -> uuid.UUID:
    """The same few topic ids come with every request, and making a UUID costs a microsecond."""
    return uuid.UUID(bytes=data)


class NullableStructType(Construct):
    """A struct behind one byte: 1 if it is there, -1 for null. In a tagged field, an unsigned varint: 1 or 0.

    `of()` puts the struct in.
    """

    minimum_size = 1
    nullable = True
    tagged = False
    struct: Construct

    def of(self, struct: Construct, *, tagged: bool = False) -> "NullableStructType":
        nullable = NullableStructType()
        nullable.struct = struct
        nullable.tagged = tagged
        return nullable

    @property
    def zero(self) -> Any:
        """As with all types that may be null, null is the default of those fields only that say so."""
        return zero_value(self.struct)

    def _parse(self, stream: Any, context: Any, path: str) -> Any:
        if self.tagged:
            is_null = not UnsignedVarint._parse(stream, context, path)
        else:
            is_null = Int8sb._parse(stream, context, path) < 0
        return None if is_null else self.struct._parsereport(stream, context, path)

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        if self.tagged:
            UnsignedVarint._build(int(obj is not None), stream, context, path)
        else:
            Int8sb._build(-1 if obj is None else 1, stream, context, path)
        if obj is not None:
            self.struct._build(obj, stream, context, path)
        return obj


def minimum_size(construct: Construct) -> int:
    """The fewest bytes that a value takes: what a claimed count is checked with."""
    declared = getattr(construct, "minimum_size", None)
    size: int = construct.sizeof() if declared is None else declared
    return size


def zero_value(construct: Construct) -> Any:
    """What a field of this type holds when neither the wire nor the declaration gives it a value."""
    if construct is Flag:
        return False
    if construct is Float64b:
        return 0.0
    return getattr(construct, "zero", 0)


Bool = Annotated[bool, Flag]
Int8 = Annotated[int, Int8sb]
Int16 = Annotated[int, Int16sb]
UInt16 = Annotated[int, Int16ub]
Int32 = Annotated[int, Int32sb]
UInt32 = Annotated[int, Int32ub]
Int64 = Annotated[int, Int64sb]
Float64 = Annotated[float, Float64b]
Uuid = Annotated[uuid.UUID, UuidType()]
String = Annotated[str, TextType(Int16sb)]
NullableString = Annotated[str | None, TextType(Int16sb, nullable=True)]
Bytes = Annotated[bytes, BytesType(Int32sb)]
NullableBytes = Annotated[bytes | None, BytesType(Int32sb, nullable=True)]
Records = Annotated[RecordsValue, RecordsType(Int32sb)]
NullableRecords = Annotated[RecordsValue | None, RecordsType(Int32sb, nullable=True)]
Array = Annotated[list[T], ArrayType(Int32sb)]
NullableArray = Annotated[list[T] | None, ArrayType(Int32sb, nullable=True)]
NullableStruct = Annotated[T | None, NullableStructType()]
