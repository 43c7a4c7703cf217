"""The blobs that consumers put into JoinGroup and SyncGroup, which the broker stores without looking inside.

Each blob is a two-byte version and the message in that version. A reader that meets a newer version reads it by the
newest it knows, since later versions only append: `decode_blob` does so, and therefore tolerates what follows.
"""

import struct
from typing import TypeVar

from kpy.protocol.errors import DecodeError
from kpy.protocol.primitives import Array, Int32, NullableBytes, NullableString, String
from kpy.protocol.schema import Data, Struct, field, since

_VERSION = struct.Struct(">h")

BlobT = TypeVar("BlobT", bound=Data)


class TopicPartition(Struct):
    """Some partitions of one topic."""

    topic: String
    partitions: Array[Int32]


class ConsumerProtocolSubscription(Data, versions="0-3", flexible="none"):
    """What a consumer tells the leader of its group, in JoinGroup. Versions:

    - 1: owned_partitions, for cooperative rebalancing (KIP-429)
    - 2: generation_id, in which those were owned (KIP-792)
    - 3: rack_id (KIP-881)
    """

    topics: Array[String]
    user_data: NullableBytes = field(default=None)
    owned_partitions: Array[TopicPartition] = since(1, ignorable=True)
    generation_id: Int32 = since(2, default=-1, ignorable=True)
    rack_id: NullableString = since(3, default=None, ignorable=True)


class ConsumerProtocolAssignment(Data, versions="0-3", flexible="none"):
    """What the leader decided for a consumer, in SyncGroup. All versions are the same."""

    assigned_partitions: Array[TopicPartition]
    user_data: NullableBytes = field(default=None)


def encode_blob(message: Data, version: int) -> bytes:
    """The message with its version in front."""
    return _VERSION.pack(version) + message.encode(version)


def decode_blob(schema: type[BlobT], blob: bytes | memoryview) -> BlobT:
    """The message in a blob."""
    if len(blob) < _VERSION.size:
        raise DecodeError(f"{schema.__name__}: {len(blob)} bytes have no room for a version")
    version: int = _VERSION.unpack_from(blob)[0]
    message, _ = schema.decode_prefix(blob, min(version, schema.versions.maximum), _VERSION.size)
    return message
