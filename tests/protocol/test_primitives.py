"""Wire types, each with its bytes written out."""

import uuid
from typing import Any

import pytest
from construct import Construct, ConstructError

from kpy.protocol import primitives
from kpy.protocol.errors import DecodeError, EncodeError
from kpy.protocol.primitives import (
    MAX_VARINT,
    MessageInput,
    PartsOutput,
    UnsignedVarint,
    join_parts,
    read_unsigned_varint,
    unsigned_varint,
    zero_value,
)

VARINTS = [
    (0, "00"),
    (1, "01"),
    (127, "7f"),
    (128, "8001"),
    (300, "ac02"),
    (16383, "ff7f"),
    (16384, "808001"),
    (2097151, "ffff7f"),
    (2097152, "80808001"),
    (268435455, "ffffff7f"),
    (268435456, "8080808001"),
    (MAX_VARINT, "ffffffff0f"),
]


def construct(name: str, *, flexible: bool = False, nullable: bool | None = None) -> Any:
    """The construct behind a declared type, in one of its forms."""
    declared = getattr(primitives, name).__metadata__[0]
    if not hasattr(declared, "at"):
        return declared
    return declared.at(flexible=flexible, nullable=declared.nullable if nullable is None else nullable)


def parse(type_: Construct, data: bytes) -> Any:
    stream = MessageInput(data)
    value = type_._parsereport(stream, None, "")
    assert stream.remaining == 0
    return value


def build(type_: Construct, value: Any) -> bytes:
    output = PartsOutput()
    type_._build(value, output, None, "")
    return join_parts(output.parts())


@pytest.mark.parametrize(("value", "data"), VARINTS)
def test_varints(value: int, data: str) -> None:
    """Seven bits a byte, the lowest first; the construct and the functions are the same."""
    raw = bytes.fromhex(data)
    assert unsigned_varint(value) == raw == build(UnsignedVarint, value)
    assert read_unsigned_varint(b"x" + raw, 1) == (value, 1 + len(raw))
    assert parse(UnsignedVarint, raw) == value


@pytest.mark.parametrize("data", ["808080808001", "ffffffff1f", "ffffffffff", "ff" * 100_000])
def test_overlong_varints(data: str) -> None:
    """More than five bytes, or more than 32 bits, is refused at once."""
    raw = bytes.fromhex(data)
    with pytest.raises(DecodeError):
        read_unsigned_varint(raw, 0)
    with pytest.raises(DecodeError):
        parse(UnsignedVarint, raw)


@pytest.mark.parametrize("data", ["", "80", "8080808080"])
def test_truncated_varints(data: str) -> None:
    """A varint that does not end is an error."""
    raw = bytes.fromhex(data)
    with pytest.raises((IndexError, DecodeError)):
        read_unsigned_varint(raw, 0)
    with pytest.raises((ConstructError, DecodeError)):
        parse(UnsignedVarint, raw)


@pytest.mark.parametrize("value", [-1, MAX_VARINT + 1])
def test_varints_out_of_range(value: int) -> None:
    """Only 32 bits without a sign can be written."""
    with pytest.raises(EncodeError):
        unsigned_varint(value)


@pytest.mark.parametrize(
    ("name", "value", "plain", "compact"),
    [
        ("Bool", True, "01", None),
        ("Bool", False, "00", None),
        ("Int8", -2, "fe", None),
        ("Int16", -2, "fffe", None),
        ("UInt16", 65535, "ffff", None),
        ("Int32", -2, "fffffffe", None),
        ("UInt32", 2**32 - 1, "ffffffff", None),
        ("Int64", -2, "fffffffffffffffe", None),
        ("Float64", 1.5, "3ff8000000000000", None),
        ("Uuid", uuid.UUID(int=1), "00" * 15 + "01", None),
        ("String", "", "0000", "01"),
        ("String", "ñ", "0002c3b1", "03c3b1"),
        ("NullableString", None, "ffff", "00"),
        ("Bytes", b"ab", "000000026162", "036162"),
        ("NullableBytes", None, "ffffffff", "00"),
        ("Records", b"ab", "000000026162", "036162"),
        ("NullableRecords", None, "ffffffff", "00"),
    ],
)
def test_types(name: str, value: Any, plain: str, compact: str | None) -> None:
    """The bytes of the protocol guide, in the plain form and in the compact one."""
    for flexible, data in ((False, plain), (True, plain if compact is None else compact)):
        form = construct(name, flexible=flexible)
        assert build(form, value) == bytes.fromhex(data)
        assert parse(form, bytes.fromhex(data)) == value


@pytest.mark.parametrize(("flexible", "data"), [(False, "00000002 0001 0002"), (True, "03 0001 0002")])
def test_arrays(flexible: bool, data: str) -> None:
    """A count and the elements."""
    declared = primitives.Array[primitives.Int16]  # type: ignore[misc]
    form = declared.__metadata__[0].at(flexible=flexible, nullable=False).of(construct("Int16"))
    assert build(form, [1, 2]) == bytes.fromhex(data)
    assert parse(form, bytes.fromhex(data)) == [1, 2]


def test_any_byte_but_zero_is_true() -> None:
    """Kafka reads a boolean as what is not zero."""
    assert parse(construct("Bool"), b"\x02") is True


@pytest.mark.parametrize(
    ("name", "flexible", "data"),
    [
        ("String", False, "ffff"),
        ("String", False, "fffe"),
        ("NullableString", False, "fffe"),
        ("String", True, "00"),
        ("String", False, "000261"),
        ("String", True, "0361"),
        ("String", False, "0001ff"),
        ("Bytes", False, "7fffffff61"),
        ("NullableBytes", True, "ffffffff0f61"),
        ("Records", True, "0361"),
    ],
)
def test_malformed(name: str, flexible: bool, data: str) -> None:
    """Nulls where none can be, negative and lying lengths, and what is not UTF-8."""
    with pytest.raises((DecodeError, UnicodeDecodeError)):
        parse(construct(name, flexible=flexible), bytes.fromhex(data))


def test_text_too_long() -> None:
    """A plain string has at most 32767 bytes."""
    assert build(construct("String"), "x" * 32767)
    with pytest.raises(ConstructError):
        build(construct("String"), "x" * 32768)


def test_records_are_a_view() -> None:
    """Records are read without copying them, and can be written to in place."""
    data = bytearray(b"\0\0\0\2ab")
    view = parse(construct("Records"), data)  # type: ignore[arg-type]
    view[0] = ord("X")
    assert data == b"\0\0\0\2Xb"


@pytest.mark.parametrize(
    ("name", "zero"), [("Bool", False), ("Int32", 0), ("String", ""), ("NullableString", ""), ("Bytes", b"")]
)
def test_zeros(name: str, zero: Any) -> None:
    """Without a default a field holds the zero of its type, also when it may be null: Kafka's rule."""
    assert zero_value(construct(name)) == zero
