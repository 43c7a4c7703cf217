"""OffsetForLeaderEpoch (API 23): where an epoch ended, to find out whether a log was truncated (KIP-101, KIP-320)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Int16, Int32, Int64, String
from kpy.protocol.schema import Request, Response, Struct, field, since


class OffsetForLeaderPartition(Struct):
    """The end of leader_epoch is asked for; current_leader_epoch is what the asker knows of the present."""

    partition: Int32
    current_leader_epoch: Int32 = field(default=-1, ignorable=True)
    leader_epoch: Int32


class OffsetForLeaderTopic(Struct):
    """A topic and its partitions."""

    topic: String
    partitions: Array[OffsetForLeaderPartition]


class OffsetForLeaderEpochRequest(Request, api=ApiKey.OFFSET_FOR_LEADER_EPOCH, versions="2-4", flexible="4+"):
    """Versions (0 and 1 left Kafka with 4.0, KIP-896):

    - 2: current_leader_epoch (KIP-320)
    - 3: replica_id (KIP-392)
    - 4: flexible (KIP-482)
    """

    # -1: a consumer, -2: one that may see beyond the high watermark
    replica_id: Int32 = since(3, default=-2, ignorable=True)
    topics: Array[OffsetForLeaderTopic]


class EpochEndOffset(Struct):
    """The greatest epoch up to the one asked for, and where it ends; -1 if there is none."""

    error_code: Int16
    partition: Int32
    leader_epoch: Int32 = field(default=-1, ignorable=True)
    end_offset: Int64 = field(default=-1)


class OffsetForLeaderTopicResult(Struct):
    """A topic and its partitions."""

    topic: String
    partitions: Array[EpochEndOffset]


class OffsetForLeaderEpochResponse(Response, api=ApiKey.OFFSET_FOR_LEADER_EPOCH, versions="2-4", flexible="4+"):
    """Versions:

    - 2: throttle_time_ms (KIP-124)
    - 3: as 2
    - 4: flexible (KIP-482)
    """

    throttle_time_ms: Int32 = field(default=0, ignorable=True)
    topics: Array[OffsetForLeaderTopicResult]
