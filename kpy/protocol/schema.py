"""Messages: one typed declaration for all versions of a request, a response, a record or a struct inside one.

    class HeartbeatRequest(Request, api=ApiKey.HEARTBEAT, versions="0-4", flexible="4+"):
        group_id: String
        generation_id: Int32
        member_id: String
        group_instance_id: NullableString = since(3, default=None)

Fields stand in the order of the wire. One without a specifier is in every version and must be given to the constructor;
one with a specifier says which versions have it, and may be left out. A field that a version does not have reads as its
default, and encoding any other value there is an `EncodeError` unless the field is ignorable: Kafka's own rule. Tagged
fields that the declaration does not know are kept in `unknown_tagged_fields` and written back.

`layout()` turns a declaration into constructs, one tree for each version, without a conditional left in it. Run as it
is, that tree is the interpreted codec, the reference. `specialise` makes fast functions out of the same tree, on first
use; `KPY_CODEC=interpreted` in the environment does without them.
"""

import os
import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Self, dataclass_transform

from construct import Construct, ConstructError

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.errors import DecodeError, EncodeError
from kpy.protocol.primitives import (
    ArrayType,
    Buffer,
    MessageInput,
    NullableStructType,
    Part,
    PartsOutput,
    UnsignedVarint,
    WithLength,
    minimum_size,
    zero_value,
)

MAX_DEPTH = 8
"""Structs inside structs. A declaration cannot contain itself, so no message is deeper than its declaration."""

NO_TAGGED_FIELDS: Mapping[int, bytes] = MappingProxyType({})
_HIGHEST_VERSION = 0x7FFF
_REQUIRED: Any = object()
_TYPE_DEFAULT: Any = object()


class VersionRange:
    """Versions from `minimum` to `maximum`, both of them in; "3+", "0-4", "2" or "none" when written."""

    __slots__ = ("maximum", "minimum")

    def __init__(self, minimum: int, maximum: int = _HIGHEST_VERSION) -> None:
        self.minimum = minimum
        self.maximum = maximum

    @classmethod
    def parse(cls, text: str) -> "VersionRange":
        if text == "none":
            return NO_VERSIONS
        if text.endswith("+"):
            return cls(int(text[:-1]))
        first, _, last = text.partition("-")
        return cls(int(first), int(last or first))

    def __contains__(self, version: int) -> bool:
        return self.minimum <= version <= self.maximum

    def __iter__(self) -> Any:
        return iter(range(self.minimum, self.maximum + 1))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, VersionRange) and (self.minimum, self.maximum) == (other.minimum, other.maximum)

    def __hash__(self) -> int:
        return hash((self.minimum, self.maximum))

    def __repr__(self) -> str:
        return f"VersionRange({str(self)!r})"

    def __str__(self) -> str:
        if self.maximum < self.minimum:
            return "none"
        if self.maximum == _HIGHEST_VERSION:
            return f"{self.minimum}+"
        return f"{self.minimum}-{self.maximum}" if self.minimum < self.maximum else str(self.minimum)


NO_VERSIONS = VersionRange(0, -1)
ALL_VERSIONS = VersionRange(0)


class Specifier:
    """What a declaration says about a field besides its type; made by `field` and its short forms."""

    __slots__ = ("default", "flexible", "ignorable", "nullable", "tag", "tagged", "versions")

    def __init__(
        self,
        versions: VersionRange = ALL_VERSIONS,
        default: Any = _TYPE_DEFAULT,
        nullable: str | None = None,
        ignorable: bool = False,
        tag: int | None = None,
        tagged: VersionRange = NO_VERSIONS,
        flexible: str | None = None,
    ) -> None:
        self.versions = versions
        self.default = default
        self.nullable = nullable
        self.ignorable = ignorable
        self.tag = tag
        self.tagged = tagged
        self.flexible = flexible


# These four return Any and are no field specifiers to a type checker, so that it takes the assignment for a default:
# a field with a specifier may be left out of the constructor.


def field(
    *,
    versions: str = "0+",
    default: Any = _TYPE_DEFAULT,
    nullable: str | None = None,
    ignorable: bool = False,
    tag: int | None = None,
    tagged: str = "none",
    flexible: str | None = None,
) -> Any:
    """The general specifier. Ranges are written as in Kafka's message files: "3+", "0-4", "2", "none".

    `default` is Kafka's, and without it the zero of the type. `nullable` says which versions may hold null, if not all
    (the type is a Nullable one then). `flexible="none"` keeps the plain form in flexible versions too.
    """
    return Specifier(
        VersionRange.parse(versions), default, nullable, ignorable, tag, VersionRange.parse(tagged), flexible
    )


def since(
    version: int, /, *, default: Any = _TYPE_DEFAULT, nullable: str | None = None, ignorable: bool = False
) -> Any:
    """The field came with that version."""
    return Specifier(VersionRange(version), default, nullable, ignorable)


def until(
    version: int, /, *, default: Any = _TYPE_DEFAULT, nullable: str | None = None, ignorable: bool = False
) -> Any:
    """That version is the last one with the field."""
    return Specifier(VersionRange(0, version), default, nullable, ignorable)


def between(
    first: int, last: int, /, *, default: Any = _TYPE_DEFAULT, nullable: str | None = None, ignorable: bool = False
) -> Any:
    """The field is in these versions and those between them."""
    return Specifier(VersionRange(first, last), default, nullable, ignorable)


def tagged(
    tag: int,
    /,
    *,
    since: int,
    until: int = _HIGHEST_VERSION,
    default: Any = _TYPE_DEFAULT,
    nullable: str | None = None,
    ignorable: bool = False,
) -> Any:
    """A tagged field (KIP-482): only on the wire when it is not the default."""
    versions = VersionRange(since, until)
    return Specifier(versions, default, nullable, ignorable, tag, versions)


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
        self.type: Construct = _construct_of(annotation)
        self.versions = specifier.versions
        self.ignorable = specifier.ignorable
        self.tag = specifier.tag
        self.tagged_versions = specifier.tagged
        self.flexible = specifier.flexible != "none"
        self.nullable_versions = NO_VERSIONS
        if isinstance(self.type, NullableStructType) or (isinstance(self.type, WithLength) and self.type.nullable):
            self.nullable_versions = (
                self.versions if specifier.nullable is None else VersionRange.parse(specifier.nullable)
            )
        self.default = zero_value(self.type) if specifier.default is _TYPE_DEFAULT else specifier.default

    def __repr__(self) -> str:
        return f"<Field {self.name} {self.versions}>"

    def default_value(self) -> Any:
        """The default, and a list of its own for every message that needs one."""
        return [] if self.default == () else self.default

    def is_default(self, value: Any) -> bool:
        """Whether the wire may leave the value out."""
        return not len(value) if self.default == () and value is not None else bool(value == self.default)

    def at(self, version: int, *, flexible: bool) -> Construct:
        """The construct that reads and writes this field in one version."""
        return _at(self.type, version, flexible and self.flexible, version in self.nullable_versions)


def _construct_of(annotation: Any) -> Construct:
    if isinstance(annotation, MessageMeta):
        return StructType(annotation)
    construct = annotation.__metadata__[0]
    if isinstance(construct, ArrayType):
        array = annotation.__origin__
        element = (array if construct.nullable is False else array.__args__[0]).__args__[0]
        return construct.of(_construct_of(element))
    if isinstance(construct, NullableStructType):
        return construct.of(_construct_of(annotation.__origin__.__args__[0]))
    return construct


def _at(declared: Construct, version: int, flexible: bool, nullable: bool) -> Construct:
    if isinstance(declared, ArrayType):
        element = _at(declared.element, version, flexible, nullable=False)
        return declared.at(flexible=flexible, nullable=nullable).of(element)
    if isinstance(declared, WithLength):
        return declared.at(flexible=flexible, nullable=nullable)
    if isinstance(declared, StructType):
        return layout(declared.message, version, flexible=flexible)
    if isinstance(declared, NullableStructType):
        struct = _at(declared.struct, version, flexible, nullable=False)
        return declared.of(struct) if nullable else struct
    return declared


class StructType(Construct):
    """A struct in a declaration, where its version is not known yet."""

    def __init__(self, message: "MessageMeta") -> None:
        super().__init__()
        self.message = message

    @property
    def zero(self) -> Any:
        return shared_default(self.message)


class Layout(Construct):
    """A message in one version: its fields in order, then, if the version is flexible, its tagged fields.

    A tagged section is a count, and for each field its tag, its size and its value, in ascending order of tags.
    """

    def __init__(self, message: "MessageMeta", version: int, flexible: bool) -> None:
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
            elif declared.tag is not None and version in declared.tagged_versions:
                self.tagged[declared.tag] = (declared, declared.at(version, flexible=flexible))
            else:
                self.fields.append((declared, declared.at(version, flexible=flexible)))
        self.minimum_size: int = sum((minimum_size(construct) for _, construct in self.fields), int(flexible))

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

    def _parse_tagged(self, message: "Message", stream: Any, context: Any, path: str) -> None:
        unknown: dict[int, bytes] = {}
        for _ in range(UnsignedVarint._parse(stream, context, path)):
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
                contents[tag] = join_parts(output.parts)
        UnsignedVarint._build(len(contents), stream, context, path)
        for tag in sorted(contents):
            UnsignedVarint._build(tag, stream, context, path)
            UnsignedVarint._build(len(contents[tag]), stream, context, path)
            stream.write(contents[tag])


def layout(message: "MessageMeta", version: int, *, flexible: bool | None = None) -> Layout:
    """The constructs of one version, made once. `flexible` is the enclosing message's, for a struct inside one."""
    if flexible is None:
        flexible = version >= message.flexible_since
    key = (version, flexible)
    if key not in message.layouts:
        message.layouts[key] = Layout(message, version, flexible)
    return message.layouts[key]


def join_parts(parts: list[Buffer | Part]) -> bytes:
    """The bytes of parts that are all in memory."""
    try:
        return b"".join(parts)  # type: ignore[arg-type]  # a Part is the TypeError below
    except TypeError:
        raise EncodeError("a part that is not in memory only goes into encode_parts()") from None


def _annotations(namespace: dict[str, Any]) -> dict[str, Any]:
    if sys.version_info < (3, 14):
        found: dict[str, Any] = namespace.get("__annotations__", {})
        return found
    import annotationlib  # noqa: PLC0415  # PEP 649: annotations are a function here, called when they are asked for

    annotate = annotationlib.get_annotate_from_class_namespace(namespace)
    if annotate is None:
        return {}
    return annotationlib.call_annotate_function(annotate, annotationlib.Format.VALUE)


@dataclass_transform(kw_only_default=True)
class MessageMeta(type):
    """Makes the fields of a declaration slots. Nothing is compiled here: importing a declaration stays cheap."""

    fields: tuple[Field, ...]
    layouts: dict[tuple[int, bool], Layout]
    depth: int
    flexible_since: int

    def __new__(
        mcs,
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        *,
        api: ApiKey | None = None,
        versions: str | None = None,
        flexible: str = "none",
    ) -> "MessageMeta":
        fields: list[Field] = []
        if bases and "__slots__" not in namespace:
            for field_name, annotation in _annotations(namespace).items():
                fields.append(Field(field_name, annotation, namespace.pop(field_name, None)))
            namespace["__slots__"] = tuple(declared.name for declared in fields)
        cls = super().__new__(mcs, name, bases, namespace)
        cls.fields = tuple(fields)
        cls.layouts = {}
        if api is not None:
            cls.api = api
        if versions is not None:
            cls.versions = VersionRange.parse(versions)
            in_flexible = VersionRange.parse(flexible)
            cls.flexible_since = in_flexible.minimum if in_flexible != NO_VERSIONS else _HIGHEST_VERSION + 1
            cls.decoders = {}
            cls.encoders = {}
        return cls

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **_: Any) -> None:
        super().__init__(name, bases, namespace)


class Message(metaclass=MessageMeta):
    """What all messages share: a keyword-only constructor, comparison field by field, and a readable repr."""

    __slots__ = ("unknown_tagged_fields",)

    fields: ClassVar[tuple[Field, ...]]
    unknown_tagged_fields: Mapping[int, bytes]

    def __init__(self, **values: Any) -> None:
        for declared in type(self).fields:
            if declared.name in values:
                setattr(self, declared.name, values.pop(declared.name))
            elif declared.required:
                raise TypeError(f"{type(self).__name__}() needs {declared.name}")
            else:
                setattr(self, declared.name, declared.default_value())
        if values:
            raise TypeError(f"{type(self).__name__}() has no {', '.join(values)}")
        self.unknown_tagged_fields = NO_TAGGED_FIELDS

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Message) or type(self).fields is not type(other).fields:
            return NotImplemented
        return self.unknown_tagged_fields == other.unknown_tagged_fields and all(
            getattr(self, declared.name) == getattr(other, declared.name) for declared in type(self).fields
        )

    __hash__ = None  # type: ignore[assignment]  # messages can be changed

    def __repr__(self) -> str:
        shown = [f"{declared.name}={getattr(self, declared.name)!r}" for declared in type(self).fields]
        if self.unknown_tagged_fields:
            shown.append(f"unknown_tagged_fields={self.unknown_tagged_fields!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


class Struct(Message):
    """A struct inside a message; its versions are those of the message around it."""

    __slots__ = ()


class Data(Message):
    """A message with versions of its own: it can be encoded and decoded."""

    __slots__ = ()

    versions: ClassVar[VersionRange]
    flexible_since: ClassVar[int]
    decoders: ClassVar[dict[int, Callable[[Buffer, int], tuple[Any, int]]]]
    encoders: ClassVar[dict[int, Callable[[Any], list[Buffer | Part]]]]

    @classmethod
    def decode(cls, buffer: Buffer, version: int, position: int = 0) -> Self:
        """The message that starts at `position`. What follows it is left alone, as Kafka does."""
        return cls.decode_prefix(buffer, version, position)[0]

    @classmethod
    def decode_prefix(cls, buffer: Buffer, version: int, position: int = 0) -> tuple[Self, int]:
        """The message that starts at `position`, and the position behind it."""
        try:
            decoder = cls.decoders[version]
        except KeyError:
            decoder = _make_decoder(cls, version)
        return decoder(buffer, position)

    def encode(self, version: int) -> bytes:
        """The bytes of this message in that version."""
        return join_parts(self.encode_parts(version))

    def encode_parts(self, version: int) -> list[Buffer | Part]:
        """As `encode`, but records stay the buffers and file ranges that they are."""
        try:
            encoder = self.encoders[version]
        except KeyError:
            encoder = _make_encoder(type(self), version)
        return encoder(self)


class Request(Data):
    """The body of a request."""

    __slots__ = ()

    api: ClassVar[ApiKey]

    @classmethod
    def header_version(cls, version: int) -> int:
        """Which RequestHeader goes before it."""
        return 2 if version >= cls.flexible_since else 1


class Response(Data):
    """The body of a response."""

    __slots__ = ()

    api: ClassVar[ApiKey]

    @classmethod
    def header_version(cls, version: int) -> int:
        """Which ResponseHeader goes before it. ApiVersions always has the plain one: its reader does not yet know
        which versions the other side has (KIP-511).
        """
        return int(version >= cls.flexible_since and cls.api != ApiKey.API_VERSIONS)


def shared_default(message: MessageMeta) -> Any:
    """The struct with all fields at their defaults. Everyone gets the same one, so it cannot be changed."""
    if "_shared_default" not in message.__dict__:
        frozen = MessageMeta(message.__name__, (message,), {"__slots__": (), "__setattr__": _refuse_change})
        frozen.fields = message.fields
        default = object.__new__(frozen)
        for declared in message.fields:
            object.__setattr__(default, declared.name, declared.default_value())
        object.__setattr__(default, "unknown_tagged_fields", NO_TAGGED_FIELDS)
        message._shared_default = default
    return message._shared_default


def _refuse_change(self: Message, name: str, _: Any) -> None:
    raise AttributeError(f"this is the default {type(self).__name__}, which all share: set {name} on one of your own")


def _make_decoder(message: type[Data], version: int) -> Callable[[Buffer, int], tuple[Any, int]]:
    if version not in message.versions:
        raise DecodeError(f"{message.__name__} has no version {version}")
    decoder = interpreted_decoder(message, version)
    message.decoders[version] = decoder
    return decoder


def _make_encoder(message: type[Data], version: int) -> Callable[[Any], list[Buffer | Part]]:
    if version not in message.versions:
        raise EncodeError(f"{message.__name__} has no version {version}")
    encoder = interpreted_encoder(message, version)
    message.encoders[version] = encoder
    return encoder


def interpreted_decoder(message: type[Data], version: int) -> Callable[[Buffer, int], tuple[Any, int]]:
    """The reference: constructs over a stream."""
    tree = layout(message, version)

    def decode(buffer: Buffer, position: int) -> tuple[Any, int]:
        stream = MessageInput(memoryview(buffer)[position:])
        try:
            decoded = tree._parsereport(stream, None, message.__name__)
        except (ConstructError, DecodeError, UnicodeDecodeError) as error:
            raise DecodeError(f"{message.__name__} version {version}: {error}") from error
        return decoded, position + stream.tell()

    return decode


def interpreted_encoder(message: type[Data], version: int) -> Callable[[Any], list[Buffer | Part]]:
    """The reference: constructs into a stream."""
    tree = layout(message, version)

    def encode(obj: Any) -> list[Buffer | Part]:
        output = PartsOutput()
        try:
            tree._build(obj, output, None, message.__name__)
        except (ConstructError, EncodeError, AttributeError, TypeError, ValueError) as error:
            raise EncodeError(f"{message.__name__} version {version}: {error}") from error
        return output.parts

    return encode
