"""Generated decoders. As strict as the constructs that they are made from, in fewer words:

A fixed-width read behind the end fails by itself. A slice behind the end is short, which does no harm: the position
only grows, so that whatever is read next fails, and the function ends by comparing position and size. Every length is
checked for its sign before it moves the position, and every count against the bytes and the elements that are left
before its loop begins.
"""

from collections.abc import Callable, Mapping
from itertools import repeat
from struct import calcsize, unpack_from
from struct import error as struct_error
from typing import Any, NoReturn, TypeAlias

from construct import Construct

from kpy.protocol.errors import DecodeError
from kpy.protocol.layout import MINIMUM_TAGGED_BYTES, NO_TAGGED_FIELDS, Decoder, Field, Layout
from kpy.protocol.primitives import (
    ArrayType,
    BytesType,
    CompactLength,
    NullableStructType,
    RecordsType,
    TextType,
    WithLength,
    minimum_size,
    read_unsigned_varint,
    uuid_of,
)
from kpy.protocol.specialise.source import SMALL_ARRAY, Source, fixed_format, rows_unpacker, small_unpackers, unpacker

TaggedDecoder: TypeAlias = Callable[[Any, Any, int, int, int], tuple[int, int]]


def decoder(tree: Layout) -> Decoder:
    """A function of a buffer and a position that returns the message and the position behind it."""
    function: Decoder = _write(tree).function("decode")
    return function


def decoder_source(tree: Layout) -> str:
    """The text of that function."""
    return _write(tree).text


def read_long_length(buffer: Any, position: int) -> tuple[int, int]:
    """A compact length, as it stands, whose first byte was read and is not all of it, or is null without leave."""
    length, position = read_unsigned_varint(buffer, position - 1)
    if not length:
        raise DecodeError("null in a field that cannot be")
    return length, position


def refuse_length(length: int) -> NoReturn:
    raise DecodeError(f"length {length}")


def refuse_count(count: int) -> NoReturn:
    raise DecodeError(f"array of {count} elements, which is more than the message holds")


def read_tagged(
    message: Any, buffer: Any, position: int, size: int, left: int, known: Mapping[int, TaggedDecoder]
) -> tuple[int, int]:
    """A tagged section that is not empty. Returns the position behind it and the elements still left."""
    count, position = read_unsigned_varint(buffer, position)
    left -= count
    if left < 0 or count * MINIMUM_TAGGED_BYTES > size - position:
        refuse_count(count)
    unknown: dict[int, bytes] = {}
    for _ in range(count):
        tag, length = buffer[position], buffer[position + 1]
        if tag < 0x80 and length < 0x80:  # nearly always
            position += 2
        else:
            tag, position = read_unsigned_varint(buffer, position)
            length, position = read_unsigned_varint(buffer, position)
        end = position + length
        if end > size:
            raise DecodeError(f"tagged field {tag} of {length} bytes")
        if tag in known:
            position, left = known[tag](message, buffer, position, size, left)
            if position != end:
                raise DecodeError(f"tagged field {tag} is not of the {length} bytes it claims")
        else:
            unknown[tag] = bytes(buffer[position:end])
            position = end
    if unknown:
        message.unknown_tagged_fields = unknown
    return position, left


_RUNTIME: dict[str, Any] = {
    "DecodeError": DecodeError,
    "NO_TAGGED_FIELDS": NO_TAGGED_FIELDS,
    "malformed": (IndexError, UnicodeDecodeError, struct_error),
    "new": object.__new__,
    "read_long_length": read_long_length,
    "read_tagged": read_tagged,
    "read_unsigned_varint": read_unsigned_varint,
    "refuse_count": refuse_count,
    "refuse_length": refuse_length,
    "repeat": repeat,
    "unpack_from": unpack_from,
    "uuid_of": uuid_of,
}


def _write(tree: Layout) -> Source:
    title = f"{tree.message.__name__} version {tree.version}"
    source = Source(f"decoder of {title}")
    source.namespace.update(_RUNTIME)
    in_place = tree.message.read_in_place or _has_records(tree)
    with source.block("def decode(b, p):"):
        wanted = "memoryview" if in_place else "bytes"
        source.line(f"if type(b) is not {wanted}: b = {wanted}(b)")
        source.line(f"size = len(b); left = {tree.message.max_elements}")
        writer = _DecoderWriter(source, in_place=in_place)
        with source.block("try:"):
            writer.struct(tree, "m")
            writer.flush()
        with source.block("except malformed as error:"):
            source.line(f"raise DecodeError(f'{title}, at byte {{p}}: {{error}}') from error")
        with source.block("except DecodeError as error:"):
            source.line(f"raise DecodeError(f'{title}, at byte {{p}}: {{error}}') from None")
        source.line(f"if p > size: raise DecodeError(f'{title}: the last {{p - size}} bytes are missing')")
        source.line("return m, p")
    return source


def _has_records(construct: Construct) -> bool:
    if isinstance(construct, Layout):
        return any(_has_records(inner) for _, inner in [*construct.fields, *construct.tagged.values()])
    if isinstance(construct, ArrayType):
        return _has_records(construct.element)
    if isinstance(construct, NullableStructType):
        return _has_records(construct.struct)
    return isinstance(construct, RecordsType)


class _DecoderWriter:
    """Writes the statements that read constructs. In them `b` is the buffer, `p` the position in it.

    Fixed-width reads are put off in `_run` until something needs their values or the position behind them.
    """

    def __init__(self, source: Source, *, in_place: bool) -> None:
        self._source = source
        self._in_place = in_place
        self._run: list[tuple[str, str]] = []
        self._after_run: list[str] = []

    def flush(self) -> None:
        """Do the reads that were put off."""
        if not self._run:
            return
        codes = "".join(code for code, _ in self._run)
        targets = ", ".join(target for _, target in self._run)
        if codes == "B":
            self._source.line(f"{targets} = b[p]; p += 1")
        else:
            comma = "," if len(self._run) == 1 else ""
            unpack = self._source.constant("unpack", unpacker(codes))
            self._source.line(f"{targets}{comma} = {unpack}(b, p); p += {_size_of(codes)}")
        for line in self._after_run:
            self._source.line(line)
        self._run.clear()
        self._after_run.clear()

    def value(self, construct: Construct, target: str) -> None:
        """Read one value into `target`, a variable or an attribute."""
        code = fixed_format(construct)
        if code == "16s":
            raw = self._source.name("u")
            self._run.append((code, raw))
            self._after_run.append(f"{target} = uuid_of({raw})")
        elif code is not None:
            self._run.append((code, target))
        elif isinstance(construct, Layout):
            inner = self._source.name("m")
            self.struct(construct, inner)
            self._source.line(f"{target} = {inner}")
        elif isinstance(construct, NullableStructType):
            self._nullable_struct(construct, target)
        elif isinstance(construct, WithLength):
            self._with_length(construct, target)
        else:
            raise TypeError(f"no decoder can be written for {construct!r}")

    def struct(self, tree: Layout, target: str) -> None:
        """Read a struct into a new object in the variable `target`."""
        line = self._source.line
        line(f"{target} = new({self._source.constant(tree.message.__name__, tree.message)})")
        for field, construct in tree.fields:
            self.value(construct, f"{target}.{field.name}")
        for field in [*tree.absent, *(field for field, _ in tree.tagged.values())]:
            line(f"{target}.{field.name} = {self._default(field)}")
        line(f"{target}.unknown_tagged_fields = NO_TAGGED_FIELDS")
        if tree.flexible:
            count = self._source.name("t")
            self._run.append(("B", count))
            self.flush()
            known = {tag: _tagged_decoder(*tree.tagged[tag], in_place=self._in_place) for tag in tree.tagged}
            line(
                f"if {count}: p, left = read_tagged({target}, b, p - 1, size, left,"
                f" {self._source.constant('known', known)})"
            )

    def _default(self, field: Field) -> str:
        return "[]" if field.is_list else self._source.constant("default", field.default)

    def _nullable_struct(self, construct: NullableStructType, target: str) -> None:
        marker = self._source.name("k")
        self._run.append(("B" if construct.tagged else "b", marker))
        self.flush()
        if construct.tagged:
            self._source.line(f"if {marker} > 127: {marker}, p = read_unsigned_varint(b, p - 1)")
        with self._source.block(f"if not {marker}:" if construct.tagged else f"if {marker} < 0:"):
            self._source.line(f"{target} = None")
        with self._source.block("else:"):
            self.value(construct.struct, target)
            self.flush()

    def _with_length(self, construct: WithLength, target: str) -> None:
        """Read the length and handle null; then what it is the length of, as the type has it."""
        line, length = self._source.line, self._source.name("n")
        compact = construct.length is CompactLength
        self._run.append(("B" if compact else fixed_format(construct.length) or "", length))
        self.flush()
        if compact and construct.nullable:
            line(f"if {length} > 127: {length}, p = read_unsigned_varint(b, p - 1)")
            with self._source.block(f"if {length}:"):
                self._content(construct, target, length, f"{length} - 1")
            line(f"else: {target} = None")
        elif compact:
            line(f"if not 0 < {length} < 128: {length}, p = read_long_length(b, p)")
            self._content(construct, target, length, f"{length} - 1")
        elif construct.nullable:
            with self._source.block(f"if {length} >= 0:"):
                self._content(construct, target, length, length)
            line(f"elif {length} == -1: {target} = None")
            line(f"else: refuse_length({length})")
        else:
            line(f"if {length} < 0: refuse_length({length})")
            self._content(construct, target, length, length)

    def _content(self, construct: WithLength, target: str, length: str, actual: str) -> None:
        """`length` is the variable that was read, `actual` the expression of the length that it stands for."""
        piece = f"b[p:(p := p + {actual})]"
        if isinstance(construct, TextType):
            self._source.line(f"{target} = " + (f"str({piece}, 'utf-8')" if self._in_place else f"{piece}.decode()"))
        elif isinstance(construct, RecordsType):
            self._source.line(f"{target} = {piece}")
        elif isinstance(construct, BytesType):
            self._source.line(f"{target} = " + (f"bytes({piece})" if self._in_place else piece))
        elif isinstance(construct, ArrayType):
            if actual != length:
                self._source.line(f"{length} = {actual}")
            self._array(construct, target, length)
        else:
            raise TypeError(f"no decoder can be written for {construct!r}")

    def _array(self, construct: ArrayType, target: str, count: str) -> None:
        line = self._source.line
        code = fixed_format(construct.element)
        if code is not None and len(code) == 1:
            line(f"left -= {count}")
            line(f"if left < 0: refuse_count({count})")
            small = self._source.constant("unpack_small", small_unpackers(code))
            large = f"unpack_from(f'>{{{count}}}{code}', b, p)"
            line(f"{target} = list({small}[{count}](b, p) if {count} < {SMALL_ARRAY} else {large})")
            line(f"p += {count} * {_size_of(code)}" if _size_of(code) > 1 else f"p += {count}")
            return
        elements, element = self._source.name("a"), self._source.name("e")
        line(f"{target} = {elements} = []")
        with self._source.block(f"if {count}:"):
            line(f"left -= {count}")
            smallest = max(1, minimum_size(construct.element))
            line(f"if left < 0 or {count} * {smallest} > size - p: refuse_count({count})")
            if isinstance(construct.element, Layout) and (codes := _fixed_formats(construct.element)):
                self._fixed_structs(construct.element, codes, elements, count)
                return
            with self._source.block(f"for _ in repeat(None, {count}):"):
                if isinstance(construct.element, Layout):
                    self.struct(construct.element, element)
                else:
                    self.value(construct.element, element)
                self.flush()
                line(f"{elements}.append({element})")

    def _fixed_structs(self, tree: Layout, codes: str, elements: str, count: str) -> None:
        """Structs that all take the same bytes are unpacked by one iterator."""
        line, element, row = self._source.line, self._source.name("e"), self._source.name("r")
        rows = self._source.constant("rows", rows_unpacker(codes))
        with self._source.block(f"for {row} in {rows}(b[p:(p := p + {count} * {_size_of(codes)})]):"):
            self.struct(tree, element)
            line(f"{', '.join(target for _, target in self._run)}, = {row}")
            for conversion in self._after_run:
                line(conversion)
            self._run.clear()
            self._after_run.clear()
            line(f"{elements}.append({element})")


def _fixed_formats(tree: Layout) -> str:
    """The `struct` codes of a struct without anything of a varying size, and nothing for any other."""
    codes = [fixed_format(construct) for _, construct in tree.fields]
    return "" if tree.flexible or None in codes else "".join(code for code in codes if code)


def _tagged_decoder(field: Field, construct: Construct, *, in_place: bool) -> TaggedDecoder:
    source = Source(f"decoder of tagged field {field.name}")
    source.namespace.update(_RUNTIME)
    with source.block("def decode_tagged(m, b, p, size, left):"):
        writer = _DecoderWriter(source, in_place=in_place)
        writer.value(construct, f"m.{field.name}")
        writer.flush()
        source.line("return p, left")
    function: TaggedDecoder = source.function("decode_tagged")
    return function


def _size_of(codes: str) -> int:
    return calcsize(">" + codes)
