"""Which partition of `__consumer_offsets` a group lives in: by Java's hash of its id, as in every Kafka broker."""

from functools import lru_cache

CACHED_GROUPS = 4096
"""Group ids whose partition is remembered: the hash is a loop in Python, and each heartbeat asks for it."""


def java_hash(text: str) -> int:
    """`String.hashCode()`: over UTF-16 code units, so that an astral character counts as two; 32 bits, signed."""
    units = text.encode("utf-16-be", "surrogatepass")
    result = 0
    for position in range(0, len(units), 2):
        result = (31 * result + (units[position] << 8 | units[position + 1])) & 0xFFFFFFFF
    return result - (1 << 32) if result >> 31 else result


@lru_cache(maxsize=CACHED_GROUPS)
def partition_for(group_id: str, partition_count: int) -> int:
    """The partition of a group. The absolute value of the least integer is 0 (Utils.abs), since it has no positive."""
    hashed = java_hash(group_id)
    return 0 if hashed == -(2**31) else abs(hashed) % partition_count
