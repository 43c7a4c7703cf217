"""Generated encoders: a list of bytes, joined at the end, or between records if the message has any.

Nothing is checked here that `struct` and Python do not check by themselves. When anything fails, the interpreted
encoder runs over the same message to say which field it was.
"""

from collections.abc import Callable, Iterable
from struct import calcsize, pack
from typing import Any, NamedTuple
from uuid import UUID

from construct import Construct

from kpy.protocol.errors import EncodeError
from kpy.protocol.layout import Encoder, Field, Layout, interpreted_encoder
from kpy.protocol.primitives import (
    ArrayType,
    BytesType,
    CompactLength,
    NullableStructType,
    RecordsType,
    TextType,
    WithLength,
    record_parts,
    unsigned_varint,
)
from kpy.protocol.schema import Message
from kpy.protocol.specialise.source import SMALL_ARRAY, Source, fixed_format, packer, small_packers


def encoder(tree: Layout) -> Encoder:
    """A function of a message that returns the parts of its encoding."""
    function: Encoder = _write(tree).function("encode")
    return function


def encoder_source(tree: Layout) -> str:
    """The text of that function."""
    return _write(tree).text


class TaggedEncoder(NamedTuple):
    """A tagged field that the version has, and what writes its value."""

    tag: int
    field: Field
    encode: Callable[[Any], bytes]


def write_all_tagged(message: Any, known: Iterable[TaggedEncoder]) -> bytes:
    """The tagged section of a message that has tagged fields which nobody knows."""
    contents = dict(message.unknown_tagged_fields)
    for tag, field, encode in known:
        if tag in contents:
            raise EncodeError(f"unknown tagged field {tag} is {field.name}")
        if not field.is_default(getattr(message, field.name)):
            contents[tag] = encode(message)
    out = [unsigned_varint(len(contents))]
    for tag in sorted(contents):
        out += (unsigned_varint(tag), unsigned_varint(len(contents[tag])), contents[tag])
    return b"".join(out)


def with_length(data: bytes) -> bytes:
    return unsigned_varint(len(data)) + data


def refuse() -> None:
    raise EncodeError("a value that the version has no place for")


_RUNTIME: dict[str, Any] = {
    "pack": pack,
    "record_parts": record_parts,
    "refuse": refuse,
    "unsigned_varint": unsigned_varint,
    "with_length": with_length,
    "write_all_tagged": write_all_tagged,
}


def _write(tree: Layout) -> Source:
    source = Source(f"encoder of {tree.message.__name__} version {tree.version}")
    source.namespace.update(_RUNTIME, explain=interpreted_encoder(tree))
    with source.block("def encode(m):"):
        writer = _EncoderWriter(source)
        with source.block("try:"):
            source.line("out = []; parts = []")
            writer.struct(tree, "m")
            writer.flush()
            source.line("if out or not parts: parts.append(b''.join(out))")
            source.line("return parts")
        with source.block("except Exception:"):
            source.line("explain(m)")
            source.line("raise")
    return source


class _EncoderWriter:
    """Writes the statements that write constructs. In them `out` is what is to be joined, `parts` what was.

    Fixed-width writes are put off in `_run`, as pairs of a `struct` code and an expression, until something of another
    kind follows.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._run: list[tuple[str, str]] = []

    def flush(self) -> None:
        """Do the writes that were put off."""
        if self._run:
            self._source.line(f"out.append({self._packed()})")
            self._run.clear()

    def take(self) -> str:
        """The expression of the writes that were put off; they are no longer to be done."""
        packed = self._packed()
        self._run.clear()
        return packed

    def _packed(self, *more: tuple[str, str]) -> str:
        """The expression that packs the run and something behind it."""
        run = [*self._run, *more]
        if not run:
            return "b''"
        codes = "".join(code for code, _ in run)
        if codes.strip("x") == "":
            return repr(bytes(len(codes)))
        if codes == "16s":
            return run[0][1]
        arguments = ", ".join(expression for code, expression in run if code != "x")
        return f"{self._source.constant('pack', packer(codes))}({arguments})"

    def value(self, construct: Construct, value: str) -> None:
        """Write one value, given as an expression."""
        code = fixed_format(construct)
        if code == "16s":
            self._run.append((code, f"{value}.int.to_bytes(16)"))
        elif code is not None:
            self._run.append((code, value))
        elif isinstance(construct, Layout):
            inner = self._source.name("m")
            self._source.line(f"{inner} = {value}")
            self.struct(construct, inner)
        elif isinstance(construct, NullableStructType):
            self._nullable_struct(construct, value)
        elif isinstance(construct, ArrayType):
            self._array(construct, value)
        elif isinstance(construct, WithLength):
            self._text_or_bytes(construct, value)
        else:
            raise TypeError(f"no encoder can be written for {construct!r}")

    def struct(self, tree: Layout, value: str) -> None:
        """Write the struct in the variable `value`."""
        misplaced = [self.is_set(field, value) for field in tree.absent if not field.ignorable]
        if not tree.flexible:
            misplaced.append(f"{value}.unknown_tagged_fields")
        if misplaced:
            self._source.line(f"if {' or '.join(misplaced)}: refuse()")
        for field, construct in tree.fields:
            self.value(construct, f"{value}.{field.name}")
        if tree.flexible:
            self._tagged_section(tree, value)

    def is_set(self, field: Field, value: str) -> str:
        """An expression that is true if the field does not have its default."""
        attribute, default = f"{value}.{field.name}", field.default
        if default is None:
            return f"{attribute} is not None"
        if field.is_list:
            return f"{attribute} is None or {attribute}"
        if isinstance(default, UUID) and not default.int:
            return f"{attribute}.int"
        name = self._source.constant("default", default)
        if isinstance(default, Message):
            differs = [self.is_set(inner, attribute) for inner in default.fields]
            differs = [f"{attribute} is None", f"{attribute}.unknown_tagged_fields", *differs]
            return f"{attribute} is not {name} and ({' or '.join(differs)})"
        return f"{attribute} != {name}"

    def _tagged_section(self, tree: Layout, value: str) -> None:
        """One zero byte, which joins the run, or the section written by a function."""
        set_fields = [f"({self.is_set(field, value)})" for field, _ in tree.tagged.values()]
        if set_fields:
            section = f"{self._source.constant('write_tagged', _tagged_section(tree))}({value})"
        else:
            section = f"write_all_tagged({value}, ())"
        rest = f"{self._packed()} + {section}" if self._run else section
        condition = " or ".join([f"{value}.unknown_tagged_fields", *set_fields])
        self._source.line(f"out.append({rest} if {condition} else {self._packed(('x', ''))})")
        self._run.clear()

    def _nullable_struct(self, construct: NullableStructType, value: str) -> None:
        inner = self._source.name("m")
        self.flush()
        self._source.line(f"{inner} = {value}")
        with self._source.block(f"if {inner} is None:"):
            null = b"\0" if construct.tagged else b"\xff"
            self._source.line(f"out.append({null!r})")
        with self._source.block("else:"):
            self._run.append(("b", "1"))
            self.value(construct.struct, inner)
            self.flush()

    def _length(self, construct: WithLength, length: str) -> None:
        """Write the length in that variable: in compact form it already is the varint, one more than the length."""
        if construct.length is not CompactLength:
            self._run.append((fixed_format(construct.length) or "", length))
            self.flush()
            return
        small = self._packed(("B", length))
        large = f"{self._packed()} + unsigned_varint({length})" if self._run else f"unsigned_varint({length})"
        self._source.line(f"out.append({small} if {length} < 128 else {large})")
        self._run.clear()

    def _text_or_bytes(self, construct: WithLength, value: str) -> None:
        line, data, length = self._source.line, self._source.name("d"), self._source.name("n")
        compact = construct.length is CompactLength
        null, one = ("0", " + 1") if compact else ("-1", "")
        if isinstance(construct, RecordsType):
            extract = f"{data}, {length} = record_parts({data})" + (f"; {length} += 1" if compact else "")
            nothing = "()"
        elif isinstance(construct, TextType):
            extract, nothing = f"{data} = {data}.encode(); {length} = len({data}){one}", "b''"
        elif isinstance(construct, BytesType):
            extract, nothing = f"{length} = len({data}){one}", "b''"
        else:
            raise TypeError(f"no encoder can be written for {construct!r}")
        line(f"{data} = {value}")
        if construct.nullable:
            line(f"if {data} is None: {data} = {nothing}; {length} = {null}")
            line(f"else: {extract}")
        else:
            line(extract)
        self._length(construct, length)
        if isinstance(construct, RecordsType):
            line("parts.append(b''.join(out)); out = []")
            line(f"parts += {data}")
        else:
            line(f"out.append({data})")

    def _array(self, construct: ArrayType, value: str) -> None:
        line, array, count = self._source.line, self._source.name("a"), self._source.name("n")
        compact = construct.length is CompactLength
        null = "0" if compact else "-1"
        line(f"{array} = {value}")
        if construct.nullable:
            self.flush()
            line(f"if {array} is None: {array} = (); {count} = {null}")
            line(f"else: {count} = len({array})" + (" + 1" if compact else ""))
        else:
            line(f"{count} = len({array})" + (" + 1" if compact else ""))
        code = fixed_format(construct.element)
        if code is not None and len(code) == 1:
            self._numbers(construct, array, count, code)
            return
        self._length(construct, count)
        element = self._source.name("e")
        with self._source.block(f"for {element} in {array}:"):
            if isinstance(construct.element, Layout):
                self.struct(construct.element, element)
            else:
                self.value(construct.element, element)
            self.flush()

    def _numbers(self, construct: ArrayType, array: str, count: str, code: str) -> None:
        compact = construct.length is CompactLength
        count_code = "B" if compact else fixed_format(construct.length) or ""
        self.flush()
        small = self._source.constant("pack_small", small_packers(count_code, code))
        length = f"len({array})"
        with self._source.block(f"if {length} < {SMALL_ARRAY}:"):
            self._source.line(f"out.append({small}[{length}]({count}, *{array}))")
        with self._source.block("else:"):
            self._length(construct, count)
            self._source.line(f"out.append(pack(f'>{{{length}}}{code}', *{array}))")


def _tagged_section(tree: Layout) -> Callable[[Any], bytes]:
    """A function that writes the tagged section of a struct that has something in it."""
    source = Source(f"encoder of the tagged fields of {tree.message.__name__}")
    writer = _EncoderWriter(source)
    known = [
        TaggedEncoder(tag, field, _tagged_encoder(field, construct))
        for tag, (field, construct) in sorted(tree.tagged.items())
    ]
    source.namespace.update(_RUNTIME)
    written = {}
    for tag, field, encode in known:
        construct = tree.tagged[tag][1]
        code = fixed_format(construct)
        if code is None:
            head, content = unsigned_varint(tag), f"with_length({source.constant('encode', encode)}(m))"
        else:
            head = unsigned_varint(tag) + unsigned_varint(calcsize(f">{code}"))
            writer.value(construct, f"m.{field.name}")
            content = writer.take()
        written[field] = f"{head!r} + {content}"
    with source.block("def write_tagged(m):"):
        source.line(f"if m.unknown_tagged_fields: return write_all_tagged(m, {source.constant('known', known)})")
        if len(written) == 1:  # or there would be nothing to write
            source.line(f"return {unsigned_varint(1)!r} + {''.join(written.values())}")
        else:
            source.line("out = []")
            for field, section in written.items():
                source.line(f"if {writer.is_set(field, 'm')}: out.append({section})")
            source.line("return unsigned_varint(len(out)) + b''.join(out)")
    function: Callable[[Any], bytes] = source.function("write_tagged")
    return function


def _tagged_encoder(field: Field, construct: Construct) -> Callable[[Any], bytes]:
    source = Source(f"encoder of tagged field {field.name}")
    source.namespace.update(_RUNTIME)
    with source.block("def encode_tagged(m):"):
        writer = _EncoderWriter(source)
        source.line("out = []")
        writer.value(construct, f"m.{field.name}")
        writer.flush()
        source.line("return b''.join(out)")
    function: Callable[[Any], bytes] = source.function("encode_tagged")
    return function
