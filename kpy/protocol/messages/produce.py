"""Produce (API 0): append record batches to partitions."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Int16, Int32, Int64, NullableRecords, NullableString, String, Uuid
from kpy.protocol.schema import Request, Response, Struct, field, since, tagged, until


class PartitionProduceData(Struct):
    """One record batch for one partition. Decoded, the records are a view of the request's own bytes."""

    index: Int32
    records: NullableRecords


class TopicProduceData(Struct):
    """A topic, by name until version 12 and by id from 13."""

    name: String = until(12, ignorable=True)
    topic_id: Uuid = since(13, ignorable=True)
    partition_data: Array[PartitionProduceData]


class ProduceRequest(Request, api=ApiKey.PRODUCE, versions="3-13", flexible="9+"):
    """Versions (0 to 2 left Kafka with 4.0, KIP-896, but are still advertised: KAFKA-18659):

    - 3: transactional_id and record batches of format 2 (KIP-98)
    - 4: as 3; KAFKA_STORAGE_ERROR may be answered (KIP-112)
    - 5, 6: as 3
    - 7: as 3; batches may be compressed with zstd (KIP-110)
    - 8: as 7 (KIP-467 changed the response)
    - 9: flexible (KIP-482)
    - 10: as 9 (KIP-951 changed the response)
    - 11: as 9; TRANSACTION_ABORTABLE may be answered (KIP-890)
    - 12: as 9; in a transaction, the broker adds the partition to it by itself (KIP-890)
    - 13: topic ids instead of names (KIP-516)
    """

    transactional_id: NullableString = field(default=None)
    acks: Int16  # 0: no answer at all, 1: the leader has it, -1: all in-sync replicas have it
    timeout_ms: Int32
    topic_data: Array[TopicProduceData]


class BatchIndexAndErrorMessage(Struct):
    """A record, by its place in the batch, that made the broker refuse all of it."""

    batch_index: Int32
    batch_index_error_message: NullableString = field(default=None)


class LeaderIdAndEpoch(Struct):
    """Who leads instead; -1 if that is not known."""

    leader_id: Int32 = field(default=-1)
    leader_epoch: Int32 = field(default=-1)


class PartitionProduceResponse(Struct):
    """What became of one batch; log_append_time_ms is -1 where the producer's timestamps were kept."""

    index: Int32
    error_code: Int16
    base_offset: Int64
    log_append_time_ms: Int64 = field(default=-1, ignorable=True)
    log_start_offset: Int64 = since(5, default=-1, ignorable=True)
    record_errors: Array[BatchIndexAndErrorMessage] = since(8, ignorable=True)
    error_message: NullableString = since(8, default=None, ignorable=True)
    current_leader: LeaderIdAndEpoch = tagged(0, since=10)


class TopicProduceResponse(Struct):
    """A topic, named as in the request."""

    name: String = until(12, ignorable=True)
    topic_id: Uuid = since(13, ignorable=True)
    partition_responses: Array[PartitionProduceResponse]


class NodeEndpoint(Struct):
    """Where a broker listens that current_leader speaks of."""

    node_id: Int32
    host: String
    port: Int32
    rack: NullableString = field(default=None)


class ProduceResponse(Response, api=ApiKey.PRODUCE, versions="3-13", flexible="9+"):
    """Versions:

    - 4: as 3; KAFKA_STORAGE_ERROR (KIP-112)
    - 5: log_start_offset (KAFKA-5793)
    - 6: as 5; sent before the broker throttles (KIP-219)
    - 7: as 5
    - 8: record_errors, error_message (KIP-467)
    - 9: flexible (KIP-482)
    - 10: current_leader, node_endpoints (KIP-951)
    - 11, 12: as 10; TRANSACTION_ABORTABLE (KIP-890)
    - 13: topic ids instead of names; UNKNOWN_TOPIC_ID (KIP-516)
    """

    responses: Array[TopicProduceResponse]
    throttle_time_ms: Int32 = field(default=0, ignorable=True)
    node_endpoints: Array[NodeEndpoint] = tagged(0, since=10)
