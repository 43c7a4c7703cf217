"""Which partition of `__consumer_offsets` a group lives in: by Java's hash of its id, as in every Kafka broker."""

from kpy.groups.java import java_hash


def partition_for(group_id: str, partition_count: int) -> int:
    """The partition of a group. The absolute value of the least integer is 0 (Utils.abs), since it has no positive."""
    hashed = java_hash(group_id)
    return 0 if hashed == -(2**31) else abs(hashed) % partition_count
