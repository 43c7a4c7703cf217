"""The small text files of a data directory, as Kafka writes them.

- Checkpoints: a version line (0), the number of entries, one line of blank-separated columns per entry.
- `meta.properties` and `partition.metadata`: `key=value` and `key: value` lines.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from typing import Final
from uuid import UUID

RECOVERY_POINT: Final = "recovery-point-offset-checkpoint"
LOG_START_OFFSET: Final = "log-start-offset-checkpoint"
REPLICATION_OFFSET: Final = "replication-offset-checkpoint"
CLEANER_OFFSET: Final = "cleaner-offset-checkpoint"

_VERSION: Final = "0"


class CheckpointCorrupt(Exception):
    """The file is not a checkpoint."""


TopicPartition = tuple[str, int]


def encode(rows: Iterable[str]) -> bytes:
    """A checkpoint of these entries."""
    lines = list(rows)
    return "\n".join((_VERSION, str(len(lines)), *lines, "")).encode()


def decode(data: bytes, *, columns: int) -> list[list[str]]:
    """The columns of each entry. CheckpointCorrupt for what is not whole, as a file that a power cut left empty."""
    try:
        *whole, rest = data.decode().split("\n")
        version, count, *lines = whole
        size = int(count)
    except ValueError as error:
        raise CheckpointCorrupt(f"the head is not a version and a count: {error}") from None
    rows = [line.split() for line in lines]
    if rest or version != _VERSION or len(rows) != size or any(len(row) != columns for row in rows):
        raise CheckpointCorrupt(f"version {version}, {size} entries announced, {len(rows)} found")
    return rows


def encode_offsets(offsets: Mapping[TopicPartition, int]) -> bytes:
    """A checkpoint of one offset per partition."""
    return encode(f"{topic} {partition} {offset}" for (topic, partition), offset in offsets.items())


def decode_offsets(data: bytes) -> dict[TopicPartition, int]:
    """Inverse of `encode_offsets`. CheckpointCorrupt if it is not one."""
    try:
        return {(row[0], int(row[1])): int(row[2]) for row in decode(data, columns=3)}
    except ValueError as error:
        raise CheckpointCorrupt(str(error)) from None


def encode_properties(properties: Mapping[str, str], separator: str = "=") -> bytes:
    """One line per property."""
    return "".join(f"{key}{separator}{value}\n" for key, value in properties.items()).encode()


def decode_properties(data: bytes, separator: str = "=") -> dict[str, str]:
    """The properties; blank lines and `#` comments are skipped."""
    pairs = (
        line.partition(separator) for line in data.decode(errors="replace").splitlines() if line[:1] not in ("", "#")
    )
    return {key.strip(): value.strip() for key, found, value in pairs if found}


def uuid_text(value: UUID) -> str:
    """A UUID as Kafka writes it: 22 characters of base64."""
    return urlsafe_b64encode(value.bytes).decode().rstrip("=")


def parse_uuid(text: str) -> UUID:
    """Inverse of `uuid_text`; ValueError for anything else."""
    return UUID(bytes=urlsafe_b64decode(f"{text}=="))
