"""kafka-python 3.0.12's own codec as an oracle: our messages as its objects, and its objects as our messages.

It makes its classes from Kafka's message definitions, so that names, versions and types are the same as ours, but for:

- UUIDs: the zero UUID is None.
- Tagged structs: one that is not on the wire is None, and one that is given is written even if it is all defaults.
- Bits of authorized operations: a set of bit numbers, or None for bit 31 alone, which is Kafka's "not asked"; and two
  of the fields have another name.
- An ApiVersions response with an error is read as version 0, whatever its version is. Kafka's answer to a version that
  it does not know is one, but its INVALID_REQUEST to a version that it does know is not.
- Tagged fields that it does not know are lost when a message is written again, and refused in structs that are in a
  tagged field themselves; so the messages here have none.
"""

import uuid
from importlib import import_module
from typing import Any

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import ZERO_UUID
from kpy.protocol.schema import Data, Message

_MODULES = [
    *(f"admin.{name}" for name in ("acl", "client_quotas", "cluster", "configs")),
    *(f"admin.{name}" for name in ("groups", "topics", "transactions", "users")),
    *(f"consumer.{name}" for name in ("fetch", "group", "metadata", "offsets")),
    *(f"metadata.{name}" for name in ("api_versions", "find_coordinator", "metadata")),
    *(f"producer.{name}" for name in ("produce", "transaction")),
    "sasl",
]
_RENAMED = {
    ("MetadataResponse", "authorized_operations"): "cluster_authorized_operations",
    ("MetadataResponseTopic", "authorized_operations"): "topic_authorized_operations",
    ("DescribeClusterResponse", "authorized_operations"): "cluster_authorized_operations",
    ("InitProducerIdRequest", "enable2_pc"): "enable_2pc",
}
_LACKING = frozenset(
    {
        *(ApiKey.CREATE_DELEGATION_TOKEN, ApiKey.RENEW_DELEGATION_TOKEN),
        *(ApiKey.EXPIRE_DELEGATION_TOKEN, ApiKey.DESCRIBE_DELEGATION_TOKEN),
        *(ApiKey.UNREGISTER_BROKER, ApiKey.ADD_RAFT_VOTER, ApiKey.REMOVE_RAFT_VOTER),
        *(ApiKey.CONSUMER_GROUP_HEARTBEAT, ApiKey.CONSUMER_GROUP_DESCRIBE),
        *(ApiKey.GET_TELEMETRY_SUBSCRIPTIONS, ApiKey.PUSH_TELEMETRY),
        *(ApiKey.SHARE_GROUP_HEARTBEAT, ApiKey.SHARE_GROUP_DESCRIBE, ApiKey.SHARE_FETCH, ApiKey.SHARE_ACKNOWLEDGE),
        *(ApiKey.INITIALIZE_SHARE_GROUP_STATE, ApiKey.READ_SHARE_GROUP_STATE, ApiKey.WRITE_SHARE_GROUP_STATE),
        *(ApiKey.DELETE_SHARE_GROUP_STATE, ApiKey.READ_SHARE_GROUP_STATE_SUMMARY),
        *(ApiKey.STREAMS_GROUP_HEARTBEAT, ApiKey.STREAMS_GROUP_DESCRIBE),
        *(ApiKey.DESCRIBE_SHARE_GROUP_OFFSETS, ApiKey.ALTER_SHARE_GROUP_OFFSETS, ApiKey.DELETE_SHARE_GROUP_OFFSETS),
    }
)


def has_codec(declaration: type[Data]) -> bool:
    """Whether kafka-python 3.0.12 has that message: of some APIs it has none."""
    return getattr(declaration, "api", None) not in _LACKING


def codec_of(declaration: type[Data]) -> Any:
    """kafka-python's class of the same name."""
    for name in _MODULES:
        module = import_module(f"kafka.protocol.{name}")
        if hasattr(module, declaration.__name__):
            return getattr(module, declaration.__name__)
    raise LookupError(declaration.__name__)


def encode(codec: Any, message: Message, version: int) -> bytes:
    """The bytes that kafka-python writes for our message."""
    theirs = _to_theirs(codec._struct, codec, message, version)
    encoded: bytes = theirs.encode(version=version) if _is_api(codec) else theirs.encode(version=version, header=False)
    return encoded


def decode(codec: Any, declaration: type[Data], encoded: bytes, version: int) -> Message:
    """What kafka-python reads in these bytes, as our message."""
    theirs = codec.decode(encoded, version=version) if _is_api(codec) else codec.decode(encoded, version, header=False)
    return _to_ours(codec._struct, declaration, theirs, version)


def _is_api(codec: Any) -> bool:
    return hasattr(codec, "API_KEY")


def _our_name(declaration: type[Message], name: str) -> str:
    return _RENAMED.get((declaration.__name__, name), name)


def _to_theirs(struct: Any, data_class: Any, message: Message, version: int) -> Any:
    defaults = {declared.name: declared.default for declared in type(message).fields}
    fields = {}
    for field in struct._fields:
        name = _our_name(type(message), field.name)
        if field.for_version_q(version):
            fields[field.name] = _value_to_theirs(field, getattr(message, name), defaults[name], version)
    return data_class(version=version, **fields)


def _value_to_theirs(field: Any, value: Any, default: Any, version: int) -> Any:
    if value is None:
        return None
    if field.is_struct_array():
        return [_to_theirs(field.array_of, field.data_class, element, version) for element in value]
    if field.is_struct():
        if field.tag is not None and value == default:
            return None
        return _to_theirs(field, field.data_class, value, version)
    if field.type_str == "bitfield":
        bits = {bit for bit in range(32) if value >> bit & 1}
        return None if bits == {31} else bits
    return None if isinstance(value, uuid.UUID) and value == ZERO_UUID else value


def _to_ours(struct: Any, declaration: Any, theirs: Any, version: int) -> Message:
    by_name = {field.name: field for field in declaration.fields}
    values = {}
    for field in struct._fields:
        name = _our_name(declaration, field.name)
        if field.for_version_q(version):
            values[name] = _value_to_ours(field, by_name[name], getattr(theirs, field.name), version)
    absent = {name: declared.default_value() for name, declared in by_name.items() if name not in values}
    message: Message = declaration(**values, **absent)
    return message


def _value_to_ours(field: Any, declared: Any, value: Any, version: int) -> Any:
    if field.type_str == "bitfield":
        unsigned = 1 << 31 if value is None else sum(1 << bit for bit in value)
        return unsigned - (1 << 32) if unsigned >> 31 else unsigned
    if value is None:
        return declared.default if field.type_str == "uuid" or (field.is_struct() and field.tag is not None) else None
    if field.is_struct_array():
        return [_to_ours(field.array_of, declared.type.element.message, element, version) for element in value]
    if field.is_struct():
        struct = declared.type if hasattr(declared.type, "message") else declared.type.struct
        return _to_ours(field, struct.message, value, version)
    if field.is_array() and field.type_str == "[]uuid":
        return [ZERO_UUID if element is None else element for element in value]
    return value
