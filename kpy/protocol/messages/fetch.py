"""Fetch (API 1): read record batches from partitions, waiting for more if there are too few."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import (
    Array,
    Int8,
    Int16,
    Int32,
    Int64,
    NullableArray,
    NullableRecords,
    NullableString,
    String,
    Uuid,
)
from kpy.protocol.schema import Request, Response, Struct, field, since, tagged, until


class ReplicaState(Struct):
    """Which follower asks, if it is one."""

    replica_id: Int32 = field(default=-1)
    replica_epoch: Int64 = field(default=-1)


class FetchPartition(Struct):
    """Where to read in one partition, and at most how much."""

    partition: Int32
    current_leader_epoch: Int32 = since(9, default=-1, ignorable=True)
    fetch_offset: Int64
    last_fetched_epoch: Int32 = since(12, default=-1)
    log_start_offset: Int64 = since(5, default=-1, ignorable=True)  # the follower's own
    partition_max_bytes: Int32
    replica_directory_id: Uuid = tagged(0, since=17, ignorable=True)
    high_watermark: Int64 = tagged(1, since=18, default=9223372036854775807, ignorable=True)  # as the follower knows it


class FetchTopic(Struct):
    """A topic, by name until version 12 and by id from 13."""

    topic: String = until(12, ignorable=True)
    topic_id: Uuid = since(13, ignorable=True)
    partitions: Array[FetchPartition]


class ForgottenTopic(Struct):
    """Partitions that leave the fetch session."""

    topic: String = until(12, ignorable=True)
    topic_id: Uuid = since(13, ignorable=True)
    partitions: Array[Int32]


class FetchRequest(Request, api=ApiKey.FETCH, versions="4-18", flexible="12+"):
    """Versions (0 to 3 left Kafka with 4.0, KIP-896):

    - 4: isolation_level (KIP-98)
    - 5: log_start_offset (KIP-107)
    - 6: as 5; KAFKA_STORAGE_ERROR may be answered (KIP-112)
    - 7: fetch sessions: session_id, session_epoch, forgotten_topics_data (KIP-227)
    - 8: as 7
    - 9: current_leader_epoch (KIP-320)
    - 10: as 9; the answer may be compressed with zstd (KIP-110)
    - 11: rack_id, to be sent to a replica nearby (KIP-392)
    - 12: flexible (KIP-482); last_fetched_epoch and cluster_id (KIP-595)
    - 13: topic ids instead of names (KIP-516)
    - 14: as 13; OFFSET_MOVED_TO_TIERED_STORAGE may be answered (KIP-405)
    - 15: replica_state instead of replica_id (KIP-903)
    - 16: as 15 (KIP-951 changed the response)
    - 17: replica_directory_id (KIP-853)
    - 18: high_watermark (KIP-1166)
    """

    cluster_id: NullableString = tagged(0, since=12, default=None, ignorable=True)
    replica_id: Int32 = until(14, default=-1)  # -1: a consumer
    replica_state: ReplicaState = tagged(1, since=15)
    max_wait_ms: Int32
    min_bytes: Int32
    max_bytes: Int32 = field(default=2147483647, ignorable=True)
    isolation_level: Int8 = field(default=0, ignorable=True)  # 1: committed transactions only
    session_id: Int32 = since(7, default=0, ignorable=True)
    session_epoch: Int32 = since(7, default=-1, ignorable=True)  # -1: without a session, 0: a new one
    topics: Array[FetchTopic]
    forgotten_topics_data: Array[ForgottenTopic] = since(7)
    rack_id: String = since(11, default="", ignorable=True)


class EpochEndOffset(Struct):
    """Where the leader's log left the follower's: the last epoch that both have, and its end."""

    epoch: Int32 = field(default=-1)
    end_offset: Int64 = field(default=-1)


class LeaderIdAndEpoch(Struct):
    """Who leads instead; -1 if that is not known."""

    leader_id: Int32 = field(default=-1)
    leader_epoch: Int32 = field(default=-1)


class SnapshotId(Struct):
    """The snapshot that a follower has to fetch instead."""

    end_offset: Int64 = field(default=-1)
    epoch: Int32 = field(default=-1)


class AbortedTransaction(Struct):
    """A transaction in the range of the answer whose records the consumer drops."""

    producer_id: Int64
    first_offset: Int64


class PartitionData(Struct):
    """What was read of one partition. Decoded, the records are a view of the response's own bytes."""

    partition_index: Int32
    error_code: Int16
    high_watermark: Int64
    last_stable_offset: Int64 = field(default=-1, ignorable=True)
    log_start_offset: Int64 = since(5, default=-1, ignorable=True)
    diverging_epoch: EpochEndOffset = tagged(0, since=12)
    current_leader: LeaderIdAndEpoch = tagged(1, since=12)
    snapshot_id: SnapshotId = tagged(2, since=12)
    aborted_transactions: NullableArray[AbortedTransaction] = field(ignorable=True)  # null unless read committed
    preferred_read_replica: Int32 = since(11, default=-1)
    records: NullableRecords


class FetchableTopicResponse(Struct):
    """A topic, named as in the request."""

    topic: String = until(12, ignorable=True)
    topic_id: Uuid = since(13, ignorable=True)
    partitions: Array[PartitionData]


class NodeEndpoint(Struct):
    """Where a broker listens that current_leader speaks of."""

    node_id: Int32
    host: String
    port: Int32
    rack: NullableString = field(default=None)


class FetchResponse(Response, api=ApiKey.FETCH, versions="4-18", flexible="12+"):
    """Versions:

    - 4: last_stable_offset, aborted_transactions (KIP-98)
    - 5: log_start_offset (KIP-107)
    - 6: as 5; KAFKA_STORAGE_ERROR (KIP-112)
    - 7: error_code at the top, session_id (KIP-227)
    - 8: as 7; sent before the broker throttles (KIP-219)
    - 9: as 7
    - 10: as 7; batches may be compressed with zstd (KIP-110)
    - 11: preferred_read_replica (KIP-392)
    - 12: flexible (KIP-482); diverging_epoch, current_leader (KIP-595), snapshot_id (KIP-630)
    - 13: topic ids instead of names (KIP-516)
    - 14: as 13; OFFSET_MOVED_TO_TIERED_STORAGE (KIP-405)
    - 15: as 13
    - 16: node_endpoints (KIP-951)
    - 17, 18: as 16
    """

    throttle_time_ms: Int32 = field(default=0, ignorable=True)
    error_code: Int16 = since(7, ignorable=True)
    session_id: Int32 = since(7, default=0)
    responses: Array[FetchableTopicResponse]
    node_endpoints: Array[NodeEndpoint] = tagged(0, since=16)
