"""CRC-32C over any buffer, without a copy: the checksum of record batches (format 2) and of producer snapshots.

The values are those of Java's `CRC32C` and of RFC 3720.
"""

from typing import TypeAlias

from crc32c import crc32c as _crc32c

Buffer: TypeAlias = bytes | bytearray | memoryview


def crc32c(data: Buffer, value: int = 0) -> int:
    """The checksum of `data`; `value` continues that of the bytes before it."""
    result: int = _crc32c(data, value)
    return result
