"""What Kafka's coordinators owe to Java, and clients can see: what is blank, a string's hash, a hash map's order."""

from collections.abc import Collection

SMALLEST_TABLE = 16
TRIMMED = "".join(map(chr, range(ord(" ") + 1)))
"""What `String.trim()` takes away: all control characters, and no space but the common one."""


def java_trim(text: str) -> str:
    """`String.trim()`, which differs from `str.strip` in what it takes for a space."""
    return text.strip(TRIMMED)


def java_hash(text: str) -> int:
    """`String.hashCode()`: over UTF-16 code units, so that an astral character counts as two; 32 bits, signed."""
    units = text.encode("utf-16-be", "surrogatepass")
    result = 0
    for position in range(0, len(units), 2):
        result = (31 * result + (units[position] << 8 | units[position + 1])) & 0xFFFFFFFF
    return result - (1 << 32) if result >> 31 else result


def hash_map_order(keys: Collection[str]) -> list[str]:
    """The keys as a `java.util.HashMap` lists them that they were put into in this order.

    By place in its table, which is the least power of two that they fill to at most three quarters; keys of one place
    stay in the order in which they came, as long as they are few.
    """
    table = SMALLEST_TABLE
    while len(keys) * 4 > table * 3:
        table *= 2
    return sorted(keys, key=lambda key: _spread(java_hash(key)) & (table - 1))


def _spread(hashed: int) -> int:
    return hashed ^ (hashed & 0xFFFFFFFF) >> 16
