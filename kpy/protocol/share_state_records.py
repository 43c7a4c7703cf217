"""The records of `__share_group_state`: how far share groups are with each partition (KIP-932), in Kafka's own layout.

A snapshot has the whole state of a share-partition, the updates after it what changed.
"""

from kpy.protocol.coordinator_records import CoordinatorRecords
from kpy.protocol.primitives import Array, Int8, Int16, Int32, Int64, String, Uuid
from kpy.protocol.schema import Data, Struct, tagged


class ShareSnapshotKey(Data, versions="0", flexible="none"):
    """Which share-partition this is; a null value forgets it."""

    group_id: String
    topic_id: Uuid
    partition: Int32


class StateBatch(Struct):
    """The state that the records from first_offset to last_offset are in."""

    first_offset: Int64
    last_offset: Int64
    delivery_state: Int8  # 0: available, 2: acknowledged, 4: archived
    delivery_count: Int16


class ShareSnapshotValue(Data, versions="0", flexible="0+"):
    """All of its state."""

    snapshot_epoch: Int32
    state_epoch: Int32
    leader_epoch: Int32
    start_offset: Int64
    # records from start_offset on that are done with (KIP-1226)
    delivery_complete_count: Int32 = tagged(0, since=0, default=-1)
    create_timestamp: Int64
    write_timestamp: Int64
    state_batches: Array[StateBatch]


class ShareUpdateKey(Data, versions="0", flexible="none"):
    """Which share-partition this is."""

    group_id: String
    topic_id: Uuid
    partition: Int32


class ShareUpdateValue(Data, versions="0", flexible="0+"):
    """What changed since the snapshot of that epoch."""

    snapshot_epoch: Int32
    leader_epoch: Int32
    start_offset: Int64  # -1: unchanged
    # records from start_offset on that are done with (KIP-1226)
    delivery_complete_count: Int32 = tagged(0, since=0, default=-1)
    state_batches: Array[StateBatch]


RECORDS = CoordinatorRecords(
    {
        0: (ShareSnapshotKey, ShareSnapshotValue),
        1: (ShareUpdateKey, ShareUpdateValue),
    }
)
