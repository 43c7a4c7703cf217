"""Messages taken to pieces, so that a test can tell one lie and leave the rest as it was; and floods of small elements.

`pieces` is a third encoder, slow and obvious: it says of each byte what it is.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from construct import Construct

from kpy.protocol.primitives import (
    MAX_VARINT,
    ArrayType,
    CompactLength,
    NullableStructType,
    TextType,
    UnsignedVarint,
    UuidType,
    WithLength,
    unsigned_varint,
)
from kpy.protocol.schema import Data, Layout, layout
from tests.protocol.strategies import build, full_value

OVERLONG_VARINTS = [b"\xff" * 10, b"\x80" * 5 + b"\x00", b"\xff\xff\xff\xff\x1f"]
"""Without an end, zero in six bytes, 33 bits."""


class Kind(Enum):
    """What a piece is."""

    LENGTH = auto()
    """Of text, bytes or an array; how many tagged fields there are, and how long one is."""
    TEXT = auto()
    OTHER = auto()


@dataclass(frozen=True, slots=True)
class Piece:
    data: bytes
    kind: Kind = Kind.OTHER
    form: Construct | None = None
    """How a length is written."""
    nullable: bool = False


def pieces(tree: Layout, message: Any) -> list[Piece]:
    """What the message is encoded as."""
    return list(_pieces(tree, message))


def _pieces(construct: Construct, value: Any) -> Iterator[Piece]:
    if isinstance(construct, Layout):
        for declared, inner in construct.fields:
            yield from _pieces(inner, getattr(value, declared.name))
        if construct.flexible:
            yield from _tagged_pieces(construct, value)
    elif isinstance(construct, NullableStructType):
        assert value is not None
        yield Piece(b"\1")
        yield from _pieces(construct.struct, value)
    elif isinstance(construct, WithLength):
        content = value.encode() if isinstance(construct, TextType) else value
        yield _length(construct.length, len(content), nullable=construct.nullable)
        if isinstance(construct, ArrayType):
            for element in value:
                yield from _pieces(construct.element, element)
        else:
            yield Piece(bytes(content), Kind.TEXT if isinstance(construct, TextType) else Kind.OTHER)
    else:
        yield Piece(value.bytes if isinstance(construct, UuidType) else construct.build(value))


def _tagged_pieces(tree: Layout, message: Any) -> Iterator[Piece]:
    contents = {tag: [Piece(data)] for tag, data in message.unknown_tagged_fields.items()}
    for tag, (declared, construct) in tree.tagged.items():
        if not declared.is_default(getattr(message, declared.name)):
            contents[tag] = list(_pieces(construct, getattr(message, declared.name)))
    yield _length(UnsignedVarint, len(contents))
    for tag, content in sorted(contents.items()):
        yield Piece(unsigned_varint(tag))
        yield _length(UnsignedVarint, sum(len(piece.data) for piece in content))
        yield from content


def _length(form: Construct, length: int, *, nullable: bool = False) -> Piece:
    data = unsigned_varint(length + 1) if form is CompactLength else form.build(length)
    return Piece(data, Kind.LENGTH, form, nullable)


def lies(piece: Piece, bytes_behind: int) -> list[bytes]:
    """What cannot stand in the place of this length, with so many bytes behind it."""
    form = piece.form
    if form is UnsignedVarint:
        return [*OVERLONG_VARINTS, *(unsigned_varint(length) for length in (bytes_behind + 1, MAX_VARINT))]
    if form is CompactLength:
        null = [] if piece.nullable else [b"\0"]
        return [*OVERLONG_VARINTS, *null, *(unsigned_varint(length) for length in (bytes_behind + 2, MAX_VARINT))]
    assert form is not None
    bits = 8 * form.sizeof()
    negative = [-2, -(1 << bits - 1), *([] if piece.nullable else [-1])]
    largest = (1 << bits - 1) - 1
    return [form.build(length) for length in (*negative, min(bytes_behind + 1, largest), largest)]


def arrays(declaration: type[Data], version: int) -> Iterator[list[str]]:
    """The arrays of a version, each as the names of the fields that lead to it."""
    yield from _arrays(layout(declaration, version))


def _arrays(tree: Layout) -> Iterator[list[str]]:
    for name, construct in _by_name(tree).items():
        inner = construct
        if isinstance(inner, ArrayType):
            yield [name]
            inner = inner.element
        if isinstance(inner, Layout):
            for names in _arrays(inner):
                yield [name, *names]


def _by_name(tree: Layout) -> dict[str, Construct]:
    """The fields of a version; a struct for one that may be null."""
    return {
        declared.name: construct.struct if isinstance(construct, NullableStructType) else construct
        for declared, construct in [*tree.fields, *tree.tagged.values()]
    }


def flood(declaration: type[Data], version: int, path: list[str], inner: int, outer: int = 1) -> Any:
    """A message with nothing in it but the arrays on that path: `inner` elements, as small as can be, in the last one,
    and in those around it `outer`.
    """
    return _flood(layout(declaration, version), path, inner, outer)


def _flood(tree: Layout, path: list[str], inner: int, outer: int) -> Any:
    fields = {declared.name: _smallest(construct) for declared, construct in tree.fields}
    fields |= {declared.name: declared.default_value() for declared, _ in tree.tagged.values()}
    if path:
        name, *rest = path
        construct = _by_name(tree)[name]
        if isinstance(construct, ArrayType):
            element = construct.element
            one = _flood(element, rest, inner, outer) if isinstance(element, Layout) else _smallest(element)
            fields[name] = [one] * (outer if rest else inner)
        else:
            fields[name] = _flood(construct, rest, inner, outer)
    return build(tree, fields, {})


def _smallest(construct: Construct) -> Any:
    if isinstance(construct, Layout):
        return _flood(construct, [], 0, 0)
    if isinstance(construct, NullableStructType):
        return None
    if isinstance(construct, ArrayType):
        return []
    if isinstance(construct, TextType):
        return ""
    return b"" if isinstance(construct, WithLength) else full_value(construct, 0, unknown_tags=False, elements=0)
