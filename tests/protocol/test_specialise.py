"""The generated codecs against the constructs that they are generated from."""

import contextlib
import tracemalloc
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpy.protocol import specialise
from kpy.protocol.errors import DecodeError, EncodeError
from kpy.protocol.layout import interpreted_decoder, interpreted_encoder
from kpy.protocol.messages.list_groups import ListGroupsRequest
from kpy.protocol.primitives import (
    MAX_ELEMENTS,
    MAX_REQUEST_ELEMENTS,
    Array,
    Bool,
    Bytes,
    Float64,
    Int8,
    Int16,
    Int32,
    Int64,
    NullableArray,
    NullableBytes,
    NullableRecords,
    NullableString,
    NullableStruct,
    Records,
    String,
    UInt16,
    UInt32,
    Uuid,
)
from kpy.protocol.schema import Data, Message, Struct, between, field, layout, since, tagged
from kpy.protocol.specialise.source import SMALL_ARRAY
from tests.protocol.declarations import DECLARATIONS, every_version, name_of
from tests.protocol.fuzz import check_message, damage, sound_message
from tests.protocol.strategies import full_message, messages
from tests.sweeps import examples


class Point(Struct):
    x: Int32
    y: Int32 = since(1, default=-1)


class Place(Struct):
    name: String
    points: Array[Point]
    ids: NullableArray[Uuid]
    note: NullableString = tagged(1, since=2, default=None)


class Everything(Data, versions="0-3", flexible="2+"):
    """Every type, in both forms, nullable and not, tagged and not."""

    yes: Bool
    tiny: Int8
    small: Int16
    port: UInt16
    number: Int32
    size: UInt32
    large: Int64
    ratio: Float64
    topic_id: Uuid
    text: String
    maybe_text: NullableString
    plain_text: NullableString = field(flexible="none")
    later_null: NullableString = field(nullable="1+")
    data: Bytes
    maybe_data: NullableBytes
    point: Point
    maybe_point: NullableStruct[Point]
    later_point: NullableStruct[Point] = field(nullable="1+", default=Point(x=0))
    places: Array[Place]
    maybe_places: NullableArray[Place]
    numbers: Array[Int32]
    more_numbers: NullableArray[Int16]
    ratios: Array[Float64]
    bits: Array[Bool]
    names: Array[String]
    middle: Int64 = between(1, 2, default=7)
    ignored: Int64 = between(1, 2, default=7, ignorable=True)
    records: Records
    maybe_records: NullableRecords
    last: Int16
    tagged_point: Point = tagged(0, since=2)
    tagged_number: Int32 = tagged(1, since=2, default=-1)
    tagged_numbers: Array[Int32] = tagged(2, since=3)
    tagged_places: NullableArray[Place] = tagged(3, since=3, default=None)
    tagged_struct: NullableStruct[Point] = tagged(4, since=3, default=None)
    tagged_null: NullableStruct[Point] = tagged(5, since=3)


ALL: list[type[Data]] = [Everything, *DECLARATIONS]
generated_decoder = cache(specialise.decoder)
generated_encoder = cache(specialise.encoder)


def decoded(declaration: type[Data], version: int, data: bytes) -> list[Any]:
    """What both decoders make of the same bytes; None stands for a DecodeError."""
    tree = layout(declaration, version)
    results: list[Any] = []
    for decode in (interpreted_decoder(tree), generated_decoder(tree)):
        try:
            results.append(decode(data, 0))
        except DecodeError:
            results.append(None)
    return results


def encoded(message: Data, version: int) -> list[bytes | None]:
    """What both encoders make of the same message; None stands for an EncodeError."""
    tree = layout(type(message), version)
    results: list[bytes | None] = []
    for encode in (interpreted_encoder(tree), generated_encoder(tree)):
        try:
            results.append(b"".join(encode(message)))
        except EncodeError:
            results.append(None)
    return results


@pytest.mark.parametrize("declaration", ALL, ids=name_of)
@settings(max_examples=examples(10))
@given(data=st.data())
def test_same_as_interpreted(declaration: type[Data], data: st.DataObject) -> None:
    """Any message of any version is the same bytes through both encoders, and these the same message through both
    decoders.
    """
    version = data.draw(st.sampled_from(list(declaration.versions)))
    message = data.draw(messages(declaration, version, unknown_tags=True))
    reference, generated = encoded(message, version)
    assert reference is not None
    assert generated == reference
    assert decoded(declaration, version, reference) == [(message, len(reference))] * 2


@pytest.mark.parametrize("version", list(Everything.versions))
@settings(max_examples=examples(50))
@given(orders=st.binary(min_size=4, max_size=12))
def test_same_as_interpreted_on_damage(version: int, orders: bytes) -> None:
    """Damaged messages are the same message by chance, or a DecodeError, to both decoders; `test_fuzz` damages those
    of the protocol.
    """
    check_message(Everything, version, damage(sound_message(Everything, version), orders))


WRONG: list[Any] = [None, "", "x" * 40_000, "\ud800", b"", b"x", 5, -(2**70), 2**16 - 1, 2.5, [], [None], {}, object()]


@pytest.mark.parametrize(("declaration", "version"), list(every_version([Everything])), ids=name_of)
@pytest.mark.parametrize("declared", Everything.fields, ids=lambda declared: declared.name)
def test_same_refusals(declaration: type[Data], version: int, declared: Any) -> None:
    """A value that does not fit its field, or has no place in the version, is an EncodeError to both encoders."""
    for wrong in WRONG:
        message = full_message(declaration, version)
        setattr(message, declared.name, wrong)
        reference, generated = encoded(message, version)
        assert generated == reference


@pytest.mark.parametrize(("declaration", "version"), list(every_version(ALL)), ids=name_of)
def test_refusals_inside(declaration: type[Data], version: int) -> None:
    """The same holds for each field of the structs inside."""
    message = full_message(declaration, version)
    for struct, declared in fields_inside(message):
        right = getattr(struct, declared.name)
        for wrong in (None, "\ud800", 2**70):
            setattr(struct, declared.name, wrong)
            reference, generated = encoded(message, version)
            assert generated == reference
        setattr(struct, declared.name, right)
    assert None not in encoded(message, version)


def fields_inside(message: Message) -> Any:
    for declared in message.fields:
        value = getattr(message, declared.name)
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, Message):
                with contextlib.suppress(AttributeError):  # raised by a shared default, which cannot be changed
                    inner.unknown_tagged_fields = inner.unknown_tagged_fields
                    yield from ((inner, each) for each in inner.fields)
                    yield from fields_inside(inner)


@pytest.mark.parametrize("length", [0, 1, 126, 127, 128, 16382, 16383, 16384, 2**15 - 1])
@pytest.mark.parametrize("version", list(Everything.versions))
def test_lengths(version: int, length: int) -> None:
    """Lengths on both sides of where their varint gets longer."""
    message = full_message(Everything, version)
    message.text = message.maybe_text = "t" * length
    message.data = message.maybe_data = message.records = bytes(length)
    message.names = [""] * length
    message.places = [Place(name="", points=[], ids=None) for _ in range(min(length, 200))]
    reference, generated = encoded(message, version)
    assert reference == generated
    assert reference is not None
    assert decoded(Everything, version, reference) == [(message, len(reference))] * 2


@pytest.mark.parametrize("count", [0, 1, SMALL_ARRAY - 1, SMALL_ARRAY, 126, 127, 128, 1000])
@pytest.mark.parametrize("version", list(Everything.versions))
def test_counts_of_numbers(version: int, count: int) -> None:
    """Arrays of numbers on both sides of where the way of reading and writing them changes."""
    message = full_message(Everything, version)
    message.numbers = list(range(-count, 0))
    message.more_numbers = list(range(count))
    message.bits = [True] * count
    reference, generated = encoded(message, version)
    assert reference == generated
    assert reference is not None
    assert decoded(Everything, version, reference) == [(message, len(reference))] * 2


def test_any_buffer() -> None:
    """bytes, bytearray and memoryview are read alike, at any position; records are views of a view."""
    message = full_message(Everything, 3)
    padded = b"before" + message.encode(3) + b"behind"
    for buffer in (padded, bytearray(padded), memoryview(padded), memoryview(bytearray(padded))):
        found, end = Everything.decode_prefix(buffer, 3, 6)
        assert found == message
        assert end == len(padded) - 6
        assert isinstance(found.records, memoryview)
    assert found.records.obj is buffer.obj


class Flood(Data, versions="0-1", flexible="1+"):
    numbers: Array[Int8]
    structs: Array[Point]
    names: Array[String]
    point: Point = tagged(0, since=1)


def decoders(version: int) -> list[Any]:
    tree = layout(Flood, version)
    return [interpreted_decoder(tree), specialise.decoder(tree)]


@pytest.mark.parametrize("decode", decoders(0))
@pytest.mark.parametrize("count", [2**31 - 1, 2**20, 1000, -1, -(2**31)])
def test_lying_counts(decode: Any, count: int) -> None:
    """A count that the bytes cannot hold is refused before anything is allocated for it."""
    for data in (
        count.to_bytes(4, "big", signed=True) + bytes(20),
        bytes(4) + count.to_bytes(4, "big", signed=True) + bytes(20),
        bytes(8) + count.to_bytes(4, "big", signed=True) + bytes(20),
    ):
        tracemalloc.start()
        with pytest.raises(DecodeError):
            decode(data, 0)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 50_000


@pytest.mark.parametrize("decode", decoders(1))
@pytest.mark.parametrize(
    "data",
    [
        b"\xff" * 200_000,
        b"\x80" * 200_000,
        b"\xff\xff\xff\xff\x1f" + bytes(20),
        b"\x01\x01\x01\xff\xff\xff\xff\x0f",
        b"\x01\x01\x01\x01\x00\xff\xff\xff\xff\x0f" + bytes(20),
        b"\x01\x01\x01\x01\x00\x0a" + bytes(20),
        b"\x01\x01\x00",
        b"\x01\x01\x02\x00\x00",
        b"\x01\x01\x02\x02\xff\x00",
    ],
    ids=[
        "endless varint", "endless zeros", "33 bits", "tagged fields", "tagged size", "tagged size too large",
        "null array", "null string", "not UTF-8",
    ],
)  # fmt: skip
def test_hostile_flexible(decode: Any, data: bytes) -> None:
    """Overlong varints, lying sizes and nulls where none can be."""
    with pytest.raises(DecodeError):
        decode(data, 0)


@pytest.mark.parametrize("decode", [specialise.decoder(layout(Flood, 0))])
def test_limit_of_elements(decode: Any) -> None:
    """A message may have MAX_ELEMENTS array elements, all arrays together, and not one more."""
    count = MAX_ELEMENTS - 2
    data = count.to_bytes(4, "big") + bytes(count) + b"\0\0\0\2" + bytes(8)
    assert len(decode(data + bytes(4), 0)[0].structs) == 2
    with pytest.raises(DecodeError):
        decode(data + b"\0\0\0\1" + bytes(2), 0)


@pytest.mark.parametrize("decoder", [specialise.decoder, interpreted_decoder])
def test_limit_of_elements_of_a_request(decoder: Any) -> None:
    """What a client asks for has a lower limit, for there is work to do for each."""
    decode = decoder(layout(ListGroupsRequest, 4))
    most = encode_count(MAX_REQUEST_ELEMENTS) + b"\1" * MAX_REQUEST_ELEMENTS + b"\0"
    assert len(decode(most, 0)[0].states_filter) == MAX_REQUEST_ELEMENTS
    with pytest.raises(DecodeError):
        decode(encode_count(MAX_REQUEST_ELEMENTS + 1) + b"\1" * (MAX_REQUEST_ELEMENTS + 1) + b"\0", 0)


def encode_count(count: int) -> bytes:
    """Of a compact array."""
    return bytes(((count + 1) & 0x7F | 0x80, (count + 1) >> 7 & 0x7F | 0x80, (count + 1) >> 14))


def test_limit_of_unknown_tags() -> None:
    """Unknown tagged fields count as elements, so that two bytes of each do not become a hundred without end."""
    count = MAX_ELEMENTS + 1
    varint = bytes((count & 0x7F | 0x80, count >> 7 & 0x7F | 0x80, count >> 14))
    with pytest.raises(DecodeError):
        Flood.decode(b"\1\1\1" + varint + bytes(2 * count), 1)


class Nullable(Data, versions="0", flexible="0+"):
    text: NullableString
    data: NullableBytes
    numbers: NullableArray[Int8]
    points: NullableArray[Point]
    records: NullableRecords


@pytest.mark.parametrize("null", ["00", "8000", "8080808000"])
def test_nulls_in_more_bytes(null: str) -> None:
    """Null is a length of zero, in however many bytes it is written: so Kafka reads it."""
    data = bytes.fromhex(null) * 5 + b"\0"
    message = Nullable(text=None, data=None, numbers=None, points=None, records=None)
    assert decoded(Nullable, 0, data) == [(message, len(data))] * 2


@pytest.mark.parametrize("length", ["83 00", "83 80 80 80 00"])
def test_lengths_in_more_bytes(length: str) -> None:
    """So is any other length."""
    content = [b"ab", b"ab", b"\1\2", bytes(10), b"ab"]
    data = b"".join(bytes.fromhex(length) + piece for piece in content) + b"\0"
    message = Nullable(text="ab", data=b"ab", numbers=[1, 2], points=[Point(x=0), Point(x=0)], records=b"ab")
    assert decoded(Nullable, 0, data) == [(message, len(data))] * 2


def test_float() -> None:
    """Float64 is a double."""

    class Ratio(Data, versions="0"):
        value: Float64

    assert Ratio(value=0.1).encode(0) == bytes.fromhex("3fb999999999999a")
    assert Ratio.decode(bytes.fromhex("3fb999999999999a"), 0) == Ratio(value=0.1)


class Optional(Data, versions="0-1", flexible="1+"):
    point: NullableStruct[Point] = field()
    tagged_point: NullableStruct[Point] = tagged(0, since=1)


@pytest.mark.parametrize(
    ("message", "wire"),
    [
        (Optional(), "01 00000000 ffffffff 00 00"),
        (Optional(point=None), "ff 00"),
        (Optional(point=None, tagged_point=None), "ff 01 00 01 00"),
        (Optional(point=None, tagged_point=Point(x=7)), "ff 01 00 0a 01 00000007 ffffffff 00"),
    ],
)
def test_null_structs(message: Optional, wire: str) -> None:
    """Null is one byte: -1, or 0 in a tagged field. It is the default of no struct that does not say so."""
    data = bytes.fromhex(wire)
    assert encoded(message, 1) == [data, data]
    assert decoded(Optional, 1, data) == [(message, len(data))] * 2


@pytest.mark.parametrize(
    ("marker", "point"), [("8000", None), ("8080808000", None), ("8100", Point(x=7)), ("05", Point(x=7))]
)
def test_unusual_markers(marker: str, point: Point | None) -> None:
    """In a tagged field, any varint but 0 says that the struct is there, however long it is written."""
    content = bytes.fromhex(marker) + (b"" if point is None else bytes.fromhex("00000007 ffffffff 00"))
    data = b"\xff\x01\x00" + bytes((len(content),)) + content
    assert decoded(Optional, 1, data) == [(Optional(point=None, tagged_point=point), len(data))] * 2
    assert decoded(Optional, 1, data[:-1]) == [None, None]


@pytest.mark.parametrize("marker", ["", "80", "ffffffffff00", "ffffffff1f"])
def test_broken_markers(marker: str) -> None:
    """One that is cut short or too long is an error."""
    content = bytes.fromhex(marker)
    assert decoded(Optional, 1, b"\xff\x01\x00" + bytes((len(content),)) + content) == [None, None]


def test_source_is_readable() -> None:
    """The generated text can be looked at."""
    tree = layout(Flood, 1)
    assert specialise.decoder_source(tree).startswith("def decode(b, p):\n")
    assert specialise.encoder_source(tree).startswith("def encode(m):\n")
