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

Codecs are generated on first use, for each message and version (`kpy.protocol.specialise`). With
`KPY_CODEC=interpreted` in the environment the constructs that they are generated from do the work themselves.
"""

import os
import sys
from collections.abc import Mapping
from typing import Any, ClassVar, Self, dataclass_transform

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.errors import DecodeError, EncodeError
from kpy.protocol.fields import (
    HIGHEST_VERSION,
    NO_VERSIONS,
    VersionRange,
    between,
    field,
    since,
    tagged,
    until,
)
from kpy.protocol.layout import (
    MAX_DEPTH,
    NO_TAGGED_FIELDS,
    Decoder,
    Encoder,
    Field,
    Layout,
    StructType,
    interpreted_decoder,
    interpreted_encoder,
    layout,
)
from kpy.protocol.primitives import MAX_ELEMENTS, MAX_REQUEST_ELEMENTS, Buffer, Part, join_parts

__all__ = [
    "MAX_DEPTH",
    "NO_TAGGED_FIELDS",
    "NO_VERSIONS",
    "Data",
    "Field",
    "Layout",
    "Message",
    "MessageMeta",
    "Request",
    "Response",
    "Struct",
    "StructType",
    "VersionRange",
    "between",
    "field",
    "layout",
    "since",
    "tagged",
    "until",
]

INTERPRETED = os.environ.get("KPY_CODEC") == "interpreted"


def _annotations(namespace: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] | None = namespace.get("__annotations__")
    if found is None and sys.version_info >= (3, 14):
        import annotationlib  # noqa: PLC0415  # PEP 649: annotations are a function here, called when they are wanted

        annotate = annotationlib.get_annotate_from_class_namespace(namespace)
        if annotate is not None:
            found = annotationlib.call_annotate_function(annotate, annotationlib.Format.VALUE)
    return found or {}


@dataclass_transform(kw_only_default=True)
class MessageMeta(type):
    """Makes the fields of a declaration slots. Nothing is generated here: importing a declaration stays cheap."""

    fields: tuple[Field, ...]
    layouts: dict[tuple[int, bool], Layout]
    kafka_name: str
    """The name of the class, unless it is `named` otherwise in Kafka, where structs of two messages may share one."""

    def __new__(
        mcs,
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        *,
        api: ApiKey | None = None,
        versions: str | None = None,
        flexible: str = "none",
        named: str | None = None,
    ) -> Any:
        fields: list[Field] = []
        if "__slots__" not in namespace:
            for field_name, annotation in _annotations(namespace).items():
                fields.append(Field(field_name, annotation, namespace.pop(field_name, None)))
            namespace["__slots__"] = tuple(declared.name for declared in fields)
        if api is not None:
            namespace["api"] = api
        if versions is not None:
            in_flexible = VersionRange.parse(flexible)
            namespace["versions"] = VersionRange.parse(versions)
            namespace["flexible_since"] = HIGHEST_VERSION + 1 if in_flexible == NO_VERSIONS else in_flexible.minimum
            namespace["decoders"] = {}
            namespace["encoders"] = {}
        cls = super().__new__(mcs, name, bases, namespace)
        cls.fields = tuple(fields)
        cls.layouts = {}
        cls.kafka_name = named or name
        return cls

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **_: Any) -> None:
        super().__init__(name, bases, namespace)

    def shared_default(cls) -> Any:
        """The message with every field at its default: one for all, so nobody can change it."""
        if "_default" not in cls.__dict__:
            frozen: Any = MessageMeta(cls.__name__, (cls,), {"__slots__": (), "__setattr__": _refuse_change})
            frozen.fields = cls.fields
            cls._default = object.__new__(frozen)
            for declared in cls.fields:
                object.__setattr__(cls._default, declared.name, declared.default_value())
            object.__setattr__(cls._default, "unknown_tagged_fields", NO_TAGGED_FIELDS)
        return cls._default


def _refuse_change(self: "Message", name: str, _: Any) -> None:
    raise AttributeError(f"this is the default {type(self).__name__}, which all share: set {name} on one of your own")


class Message(metaclass=MessageMeta):
    """What all messages share: a keyword-only constructor, comparison field by field, and a readable repr."""

    __slots__ = ("unknown_tagged_fields",)

    fields: ClassVar[tuple[Field, ...]]

    def __init__(self, **values: Any) -> None:
        if INTERPRETED:
            self._set(values)
            return
        from kpy.protocol.specialise import constructor  # noqa: PLC0415  # on first use, as all generated code

        setattr(type(self), "__init__", constructor(type(self)))  # noqa: B010  # a checker knows no second constructor
        self.__init__(**values)  # type: ignore[misc]

    def _set(self, values: dict[str, Any]) -> None:
        for declared in self.fields:
            if declared.name in values:
                setattr(self, declared.name, values.pop(declared.name))
            elif declared.required:
                raise TypeError(f"{type(self).__name__}() needs {declared.name}")
            else:
                setattr(self, declared.name, declared.default_value())
        if values:
            raise TypeError(f"{type(self).__name__}() has no {', '.join(values)}")
        self.unknown_tagged_fields: Mapping[int, bytes] = NO_TAGGED_FIELDS  # declared here, so that it is no argument

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Message) or self.fields is not other.fields:
            return NotImplemented
        return self.unknown_tagged_fields == other.unknown_tagged_fields and all(
            getattr(self, declared.name) == getattr(other, declared.name) for declared in self.fields
        )

    __hash__ = None  # type: ignore[assignment]  # messages can be changed

    def __repr__(self) -> str:
        shown = [f"{declared.name}={getattr(self, declared.name)!r}" for declared in self.fields]
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
    read_in_place: ClassVar[bool] = True
    """Whether what follows the message in a buffer may be large, so that decoding does not copy the buffer first."""
    max_elements: ClassVar[int] = MAX_ELEMENTS

    decoders: ClassVar[dict[int, Decoder]]
    encoders: ClassVar[dict[int, Encoder]]

    @classmethod
    def decode(cls, buffer: Buffer, version: int, position: int = 0) -> Self:
        """The message that starts at `position`. What follows it is left alone, as Kafka does."""
        return cls.decode_prefix(buffer, version, position)[0]

    @classmethod
    def decode_prefix(cls, buffer: Buffer, version: int, position: int = 0) -> tuple[Self, int]:
        """The message that starts at `position`, and the position behind it."""
        return cls.decoder(version)(buffer, position)

    @classmethod
    def decoder(cls, version: int) -> Decoder:
        """The function behind `decode_prefix`, for who decodes that version again and again."""
        try:
            return cls.decoders[version]
        except KeyError:
            return _make_decoder(cls, version)

    def encode(self, version: int) -> bytes:
        """The bytes of this message in that version."""
        return join_parts(self.encoder(version)(self))

    def encode_parts(self, version: int) -> list[Buffer | Part]:
        """As `encode`, but records stay the buffers and file ranges that they are. The first part is bytes."""
        return self.encoder(version)(self)

    @classmethod
    def encoder(cls, version: int) -> Encoder:
        """The function behind `encode_parts`, for who encodes that version again and again."""
        try:
            return cls.encoders[version]
        except KeyError:
            return _make_encoder(cls, version)


class Request(Data):
    """The body of a request."""

    __slots__ = ()

    api: ClassVar[ApiKey]
    read_in_place = False
    max_elements = MAX_REQUEST_ELEMENTS

    @classmethod
    def header_version(cls, version: int) -> int:
        """Which RequestHeader goes before it."""
        return 2 if version >= cls.flexible_since else 1


class Response(Data):
    """The body of a response."""

    __slots__ = ()

    api: ClassVar[ApiKey]
    read_in_place = False

    @classmethod
    def header_version(cls, version: int) -> int:
        """Which ResponseHeader goes before it. ApiVersions always has the plain one: its reader does not yet know
        which versions the other side has (KIP-511).
        """
        return int(version >= cls.flexible_since and cls.api != ApiKey.API_VERSIONS)


def _make_decoder(message: type[Data], version: int) -> Decoder:
    if version not in message.versions:
        raise DecodeError(f"{message.__name__} has no version {version}")
    if INTERPRETED:
        decoder = interpreted_decoder(layout(message, version))
    else:
        from kpy.protocol import specialise  # noqa: PLC0415  # on first use

        decoder = specialise.decoder(layout(message, version))
    message.decoders[version] = decoder
    return decoder


def _make_encoder(message: type[Data], version: int) -> Encoder:
    if version not in message.versions:
        raise EncodeError(f"{message.__name__} has no version {version}")
    if INTERPRETED:
        encoder = interpreted_encoder(layout(message, version))
    else:
        from kpy.protocol import specialise  # noqa: PLC0415  # on first use

        encoder = specialise.encoder(layout(message, version))
    message.encoders[version] = encoder
    return encoder
