"""From a declaration to constructs: what one version of a message is on the wire, and the codec that interprets it.

A `Field` is what was declared, for all versions. A `Layout` is a message in one version: a tree of constructs without a
conditional left in it, plain or compact, nullable or not, as that version has it. Parsing and building with this tree
is the reference for the generated codecs, which are made by walking it.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

from construct import Construct, ConstructError

from kpy.protocol.errors import DecodeError, EncodeError
from kpy.protocol.fields import NO_VERSIONS, TYPE_DEFAULT, Specifier, VersionRange
from kpy.protocol.primitives import (
    ArrayType,
    Buffer,
    MessageInput,
    NullableStructType,
    Part,
    PartsOutput,
    UnsignedVarint,
    WithLength,
    join_parts,
    minimum_size,
    zero_value,
)

MAX_DEPTH = 8
"""Structs inside structs. No message is deeper than its declaration, which cannot contain itself."""

MINIMUM_TAGGED_BYTES = 2
"""A tag and a size: the least that a tagged field takes."""

NO_TAGGED_FIELDS: Mapping[int, bytes] = MappingProxyType({})
"""What `unknown_tagged_fields` is nearly always, shared by all."""

Decoder: TypeAlias = Callable[[Buffer, int], tuple[Any, int]]
Encoder: TypeAlias = Callable[[Any], list[Buffer | Part]]


class Field:
    """One field of a message, as declared."""

    __slots__ = (
        "default",
        "flexible",
        "ignorable",
        "name",
        "nullable_versions",
        "required",
        "tag",
        "tagged_versions",
        "type",
        "versions",
    )

    def __init__(self, name: str, annotation: Any, specifier: Specifier | None) -> None:
        self.required = specifier is None
        specifier = specifier or Specifier()
        self.name = name
        self.type = _construct_of(annotation)
        self.versions = specifier.versions
        self.ignorable = specifier.ignorable
        self.tag = specifier.tag
        self.tagged_versions = specifier.tagged
        self.flexible = specifier.flexible != "none"
        self.default = zero_value(self.type) if specifier.default is TYPE_DEFAULT else specifier.default
        if not getattr(self.type, "nullable", False):
            self.nullable_versions = NO_VERSIONS
        elif specifier.nullable is None:
            self.nullable_versions = self.versions
        else:
            self.nullable_versions = VersionRange.parse(specifier.nullable)

    def __repr__(self) -> str:
        return f"<Field {self.name} {self.versions}>"

    @property
    def is_list(self) -> bool:
        """Whether the default is an empty list, of which every message gets one of its own."""
        return isinstance(self.default, tuple)

    def default_value(self) -> Any:
        return [] if self.is_list else self.default

    def is_default(self, value: Any) -> bool:
        """Whether the wire may leave the value out."""
        if self.is_list and value is not None:
            return not len(value)
        return bool(value == self.default)

    def at(self, version: int, *, flexible: bool) -> Construct:
        """The construct that reads and writes this field in one version."""
        nullable, tagged = version in self.nullable_versions, version in self.tagged_versions
        return _at(self.type, version, flexible=flexible and self.flexible, nullable=nullable, tagged=tagged)


class StructType(Construct):
    """A struct in a declaration, where its version is not known yet."""

    def __init__(self, message: Any) -> None:
        super().__init__()
        self.message = message

    @property
    def zero(self) -> Any:
        return self.message.shared_default()


class Layout(Construct):
    """A message in one version: its fields in order, then, if the version is flexible, its tagged fields.

    A tagged section is a count, and for each field its tag, its size and its value, in ascending order of tags.
    """

    def __init__(self, message: Any, version: int, flexible: bool) -> None:
        super().__init__()
        self.message = message
        self.version = version
        self.flexible = flexible
        self.fields: list[tuple[Field, Construct]] = []
        self.tagged: dict[int, tuple[Field, Construct]] = {}
        self.absent: list[Field] = []
        for declared in message.fields:
            if version not in declared.versions:
                self.absent.append(declared)
                continue
            construct = declared.at(version, flexible=flexible)
            if declared.tag is not None and version in declared.tagged_versions:
                self.tagged[declared.tag] = (declared, construct)
            else:
                self.fields.append((declared, construct))
        self.minimum_size: int = sum((minimum_size(construct) for _, construct in self.fields), int(flexible))
        inner = [*self.fields, *self.tagged.values()]
        self.depth: int = 1 + max((_depth(construct) for _, construct in inner), default=0)
        if self.depth > MAX_DEPTH:
            raise TypeError(f"{message.__name__} has structs {self.depth} deep, and {MAX_DEPTH} is the limit")

    def _parse(self, stream: Any, context: Any, path: str) -> Any:
        message = object.__new__(self.message)
        for declared, construct in self.fields:
            value = construct._parsereport(stream, context, f"{path} -> {declared.name}")
            setattr(message, declared.name, value)
        for declared in self.absent:
            setattr(message, declared.name, declared.default_value())
        message.unknown_tagged_fields = NO_TAGGED_FIELDS
        if self.flexible:
            for declared, _ in self.tagged.values():
                setattr(message, declared.name, declared.default_value())
            self._parse_tagged(message, stream, context, path)
        return message

    def _parse_tagged(self, message: Any, stream: Any, context: Any, path: str) -> None:
        count = UnsignedVarint._parse(stream, context, path)
        stream.take_elements(count, MINIMUM_TAGGED_BYTES)
        unknown: dict[int, bytes] = {}
        for _ in range(count):
            tag = UnsignedVarint._parse(stream, context, path)
            size = UnsignedVarint._parse(stream, context, path)
            if size > stream.remaining:
                raise DecodeError(f"tagged field {tag} of {size} bytes at {path}")
            if tag not in self.tagged:
                unknown[tag] = stream.read(size)
                continue
            declared, construct = self.tagged[tag]
            end = stream.tell() + size
            setattr(message, declared.name, construct._parsereport(stream, context, f"{path} -> {declared.name}"))
            if stream.tell() != end:
                raise DecodeError(f"tagged field {tag} at {path} is not of the {size} bytes it claims")
        if unknown:
            message.unknown_tagged_fields = unknown

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        for declared in self.absent:
            if not declared.ignorable and not declared.is_default(getattr(obj, declared.name)):
                raise EncodeError(f"{path} -> {declared.name}: version {self.version} has no place for it")
        for declared, construct in self.fields:
            construct._build(getattr(obj, declared.name), stream, context, f"{path} -> {declared.name}")
        if self.flexible:
            self._build_tagged(obj, stream, context, path)
        elif obj.unknown_tagged_fields:
            raise EncodeError(f"{path}: version {self.version} has no tagged fields")
        return obj

    def _build_tagged(self, obj: Any, stream: Any, context: Any, path: str) -> None:
        contents = dict(obj.unknown_tagged_fields)
        for tag, (declared, construct) in self.tagged.items():
            if tag in contents:
                raise EncodeError(f"{path}: unknown tagged field {tag} is {declared.name}")
            value = getattr(obj, declared.name)
            if not declared.is_default(value):
                output = PartsOutput()
                construct._build(value, output, context, f"{path} -> {declared.name}")
                contents[tag] = join_parts(output.parts())
        UnsignedVarint._build(len(contents), stream, context, path)
        for tag in sorted(contents):
            UnsignedVarint._build(tag, stream, context, path)
            UnsignedVarint._build(len(contents[tag]), stream, context, path)
            stream.write(contents[tag])


def layout(message: Any, version: int, *, flexible: bool | None = None) -> Layout:
    """The constructs of one version, made once. `flexible` is the enclosing message's, for a struct inside one."""
    if flexible is None:
        flexible = version >= message.flexible_since
    layouts: dict[tuple[int, bool], Layout] = message.layouts
    if (version, flexible) not in layouts:
        layouts[version, flexible] = Layout(message, version, flexible)
    return layouts[version, flexible]


def interpreted_decoder(tree: Layout) -> Decoder:
    """The reference: constructs over a stream."""
    name = tree.message.__name__

    def decode(buffer: Buffer, position: int) -> tuple[Any, int]:
        stream = MessageInput(memoryview(buffer)[position:], tree.message.max_elements)
        try:
            decoded = tree._parsereport(stream, None, name)
        except (ConstructError, DecodeError, UnicodeDecodeError) as error:
            raise DecodeError(f"{name} version {tree.version}: {error}") from error
        return decoded, position + stream.tell()

    return decode


def interpreted_encoder(tree: Layout) -> Encoder:
    """The reference: constructs into a stream. Its errors name the field."""
    name = tree.message.__name__

    def encode(message: Any) -> list[Buffer | Part]:
        output = PartsOutput()
        try:
            tree._build(message, output, None, name)
        except (ConstructError, EncodeError, AttributeError, TypeError, ValueError) as error:
            raise EncodeError(f"{name} version {tree.version}: {error}") from error
        return output.parts()

    return encode


def _construct_of(annotation: Any) -> Construct:
    if isinstance(annotation, type):
        return StructType(annotation)
    construct = annotation.__metadata__[0]
    if isinstance(construct, ArrayType):
        array = annotation.__origin__.__args__[0] if construct.nullable else annotation.__origin__
        return construct.of(_construct_of(array.__args__[0]))
    if isinstance(construct, NullableStructType):
        return construct.of(_construct_of(annotation.__origin__.__args__[0]))
    return construct


def _at(declared: Construct, version: int, *, flexible: bool, nullable: bool, tagged: bool = False) -> Construct:
    if isinstance(declared, ArrayType):
        element = _at(declared.element, version, flexible=flexible, nullable=False)
        return declared.at(flexible=flexible, nullable=nullable).of(element)
    if isinstance(declared, WithLength):
        return declared.at(flexible=flexible, nullable=nullable)
    if isinstance(declared, StructType):
        return layout(declared.message, version, flexible=flexible)
    if isinstance(declared, NullableStructType):
        struct = _at(declared.struct, version, flexible=flexible, nullable=False)
        return declared.of(struct, tagged=tagged) if nullable else struct
    return declared


def _depth(construct: Construct) -> int:
    inner = getattr(construct, "element", None) or getattr(construct, "struct", None) or construct
    return inner.depth if isinstance(inner, Layout) else 0
