"""The records of `__cluster_metadata` that a single-broker controller needs, in KRaft's own layout.

A record has no key. Its value is three unsigned varints, frame version 1, the record's type and its version, and then
the message. `encode_record` and `decode_record` go between the two forms. All these records are flexible from version
0 on, and a tagged field that is absent means "unchanged" in the two change records.
"""

from kpy.protocol.errors import DecodeError
from kpy.protocol.primitives import (
    Array,
    Bool,
    Int8,
    Int16,
    Int32,
    Int64,
    NullableArray,
    NullableString,
    String,
    UInt16,
    Uuid,
    read_unsigned_varint,
    unsigned_varint,
)
from kpy.protocol.schema import Data, Struct, field, since, tagged

FRAME_VERSION = 1


class BrokerEndpoint(Struct):
    """A listener of a broker."""

    name: String
    host: String
    port: UInt16
    security_protocol: Int16


class BrokerFeature(Struct):
    """A feature and the levels that a broker supports."""

    name: String
    min_supported_version: Int16
    max_supported_version: Int16


class RegisterBrokerRecord(Data, versions="0-4", flexible="0+"):
    """A broker started; its epoch is the offset of this record. Versions:

    - 1: in_controlled_shutdown (KIP-841)
    - 2: is_migrating_zk_broker (KIP-866)
    - 3: log_dirs (KIP-858)
    - 4: cordoned_log_dirs (KIP-1066)
    """

    broker_id: Int32
    is_migrating_zk_broker: Bool = since(2, default=False)
    incarnation_id: Uuid
    broker_epoch: Int64
    end_points: Array[BrokerEndpoint]
    features: Array[BrokerFeature]
    rack: NullableString
    fenced: Bool = field(default=True)
    in_controlled_shutdown: Bool = since(1, default=False)
    log_dirs: Array[Uuid] = tagged(0, since=3)
    cordoned_log_dirs: NullableArray[Uuid] = tagged(1, since=4, default=None)


class UnregisterBrokerRecord(Data, versions="0", flexible="0+"):
    """A broker is gone for good."""

    broker_id: Int32
    broker_epoch: Int64


class BrokerRegistrationChangeRecord(Data, versions="0-3", flexible="0+"):
    """A registered broker changed; 0 leaves `fenced` and `in_controlled_shutdown`, 1 sets them, -1 clears `fenced`.

    Versions:

    - 1: in_controlled_shutdown (KIP-841)
    - 2: log_dirs (KIP-858)
    - 3: cordoned_log_dirs (KIP-1066)
    """

    broker_id: Int32
    broker_epoch: Int64
    fenced: Int8 = tagged(0, since=0)
    in_controlled_shutdown: Int8 = tagged(1, since=1)
    log_dirs: Array[Uuid] = tagged(2, since=2)
    cordoned_log_dirs: NullableArray[Uuid] = tagged(3, since=3, default=None)


class TopicRecord(Data, versions="0", flexible="0+"):
    """A topic was created; its partitions follow."""

    name: String
    topic_id: Uuid


class PartitionRecord(Data, versions="0-2", flexible="0+"):
    """A partition with all that is known of it. Versions:

    - 1: directories, one per replica (KIP-858)
    - 2: eligible_leader_replicas and last_known_elr (KIP-966)
    """

    partition_id: Int32 = field(default=-1)
    topic_id: Uuid
    replicas: Array[Int32]
    isr: Array[Int32]
    removing_replicas: Array[Int32]
    adding_replicas: Array[Int32]
    leader: Int32 = field(default=-1)
    leader_recovery_state: Int8 = tagged(0, since=0, default=0)  # 1: recovering from an unclean election (KIP-704)
    leader_epoch: Int32 = field(default=-1)
    partition_epoch: Int32 = field(default=-1)
    directories: Array[Uuid] = since(1)
    eligible_leader_replicas: NullableArray[Int32] = tagged(1, since=2, default=None)
    last_known_elr: NullableArray[Int32] = tagged(2, since=2, default=None)


class PartitionChangeRecord(Data, versions="0-2", flexible="0+"):
    """What changed of a partition: null, leader -2 and recovery state -1 mean no change. A leader that is given, even
    the same, bumps the leader epoch; every change bumps the partition epoch. Versions:

    - 1: directories (KIP-858)
    - 2: eligible_leader_replicas and last_known_elr (KIP-966)
    """

    partition_id: Int32 = field(default=-1)
    topic_id: Uuid
    isr: NullableArray[Int32] = tagged(0, since=0, default=None)
    leader: Int32 = tagged(1, since=0, default=-2)
    replicas: NullableArray[Int32] = tagged(2, since=0, default=None)
    removing_replicas: NullableArray[Int32] = tagged(3, since=0, default=None)
    adding_replicas: NullableArray[Int32] = tagged(4, since=0, default=None)
    leader_recovery_state: Int8 = tagged(5, since=0, default=-1)
    directories: NullableArray[Uuid] = tagged(8, since=1, default=None)
    eligible_leader_replicas: NullableArray[Int32] = tagged(6, since=2, default=None)
    last_known_elr: NullableArray[Int32] = tagged(7, since=2, default=None)


class RemoveTopicRecord(Data, versions="0", flexible="0+"):
    """A topic was deleted, with its partitions and its configs."""

    topic_id: Uuid


class ConfigRecord(Data, versions="0", flexible="0+"):
    """One dynamic config; value None takes it back."""

    resource_type: Int8  # as in DescribeConfigs: 2 topic, 4 broker
    resource_name: String  # empty for the cluster-wide default of all brokers
    name: String
    value: NullableString


class ProducerIdsRecord(Data, versions="0", flexible="0+"):
    """A block of producer ids was handed to a broker; the next block begins at next_producer_id."""

    broker_id: Int32
    broker_epoch: Int64 = field(default=-1)
    next_producer_id: Int64


class FenceBrokerRecord(Data, versions="0", flexible="0+"):
    """A broker may no longer lead."""

    id: Int32
    epoch: Int64


class UnfenceBrokerRecord(Data, versions="0", flexible="0+"):
    """A broker may lead."""

    id: Int32
    epoch: Int64


class FeatureLevelRecord(Data, versions="0", flexible="0+"):
    """The finalized level of a feature; level 0 takes it back (KIP-778)."""

    name: String
    feature_level: Int16


class NoOpRecord(Data, versions="0", flexible="0+"):
    """Nothing; it only moves the log's end (KIP-835)."""


class BeginTransactionRecord(Data, versions="0", flexible="0+"):
    """What follows counts only once EndTransactionRecord is seen (KIP-868)."""

    name: NullableString = tagged(0, since=0, default=None)


class EndTransactionRecord(Data, versions="0", flexible="0+"):
    """The records since BeginTransactionRecord count."""


class AbortTransactionRecord(Data, versions="0", flexible="0+"):
    """The records since BeginTransactionRecord never were."""

    reason: NullableString = tagged(0, since=0, default=None)


RECORD_TYPES: dict[int, type[Data]] = {
    0: RegisterBrokerRecord,
    1: UnregisterBrokerRecord,
    2: TopicRecord,
    3: PartitionRecord,
    4: ConfigRecord,
    5: PartitionChangeRecord,
    7: FenceBrokerRecord,
    8: UnfenceBrokerRecord,
    9: RemoveTopicRecord,
    12: FeatureLevelRecord,
    15: ProducerIdsRecord,
    17: BrokerRegistrationChangeRecord,
    20: NoOpRecord,
    23: BeginTransactionRecord,
    24: EndTransactionRecord,
    25: AbortTransactionRecord,
}
_NUMBERS: dict[type[Data], int] = {schema: number for number, schema in RECORD_TYPES.items()}


def encode_record(record: Data, version: int | None = None) -> bytes:
    """A record's value as it stands in the log, in the newest version unless another is asked for."""
    if version is None:
        version = type(record).versions.maximum
    header = (unsigned_varint(number) for number in (FRAME_VERSION, _NUMBERS[type(record)], version))
    return b"".join(header) + record.encode(version)


def decode_record(value: bytes | memoryview) -> Data | None:
    """The inverse of `encode_record`; None if the record is of a type that is not declared here."""
    try:
        frame_version, position = read_unsigned_varint(value, 0)
        number, position = read_unsigned_varint(value, position)
        version, position = read_unsigned_varint(value, position)
    except IndexError:
        raise DecodeError("metadata record that ends within its header") from None
    if frame_version != FRAME_VERSION:
        raise DecodeError(f"metadata record with frame version {frame_version}, expected {FRAME_VERSION}")
    schema = RECORD_TYPES.get(number)
    if schema is None:
        return None
    record, end = schema.decode_prefix(value, version, position)
    if end != len(value):
        raise DecodeError(f"{schema.__name__}: {len(value) - end} bytes too many")
    return record
