"""What a log has to know of its topic's configuration, under Kafka's names with underscores."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from kpy.protocol.compression import Codec

INT64_MAX: Final = (1 << 63) - 1


class TimestampType(StrEnum):
    """Whose clock a record's timestamp is read from (message.timestamp.type)."""

    CREATE_TIME = "CreateTime"
    LOG_APPEND_TIME = "LogAppendTime"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig:
    """One topic's settings; the defaults are Kafka's."""

    segment_bytes: int = 1024 * 1024 * 1024
    segment_ms: int = 7 * 24 * 3600 * 1000
    segment_jitter_ms: int = 0
    segment_index_bytes: int = 10 * 1024 * 1024
    index_interval_bytes: int = 4096
    max_message_bytes: int = 1024 * 1024 + 12
    message_timestamp_type: TimestampType = TimestampType.CREATE_TIME
    message_timestamp_before_max_ms: int = INT64_MAX
    message_timestamp_after_max_ms: int = 3600 * 1000
    compression_type: str = "producer"
    compression_gzip_level: int = -1
    compression_lz4_level: int = 9
    compression_zstd_level: int = 3
    cleanup_policy: frozenset[str] = frozenset({"delete"})
    retention_bytes: int = -1
    retention_ms: int = 7 * 24 * 3600 * 1000
    file_delete_delay_ms: int = 60 * 1000
    flush_messages: int = INT64_MAX
    flush_ms: int = INT64_MAX
    delete_retention_ms: int = 24 * 3600 * 1000
    min_cleanable_dirty_ratio: float = 0.5
    min_compaction_lag_ms: int = 0
    max_compaction_lag_ms: int = INT64_MAX

    @property
    def compacted(self) -> bool:
        return "compact" in self.cleanup_policy

    @property
    def is_flushed(self) -> bool:
        """Whether it is forced to the disk by number or by time."""
        return self.flush_messages != INT64_MAX or self.flush_ms != INT64_MAX

    @property
    def roll_ms(self) -> int:
        """The age at which a segment is rolled: on a compacted topic also that which max.compaction.lag.ms needs."""
        return min(self.segment_ms, self.max_compaction_lag_ms) if self.compacted else self.segment_ms

    @property
    def target_codec(self) -> Codec | None:
        """The codec that every batch is stored with, None for the producer's own."""
        return _TARGET_CODECS[self.compression_type]

    @property
    def keeps_plain_batches(self) -> bool:
        """Whether an uncompressed batch with create times is stored as it is."""
        return not self.target_codec and self.message_timestamp_type is TimestampType.CREATE_TIME

    def compression_level(self, codec: Codec) -> int | None:
        return _LEVELS[codec](self) if codec in _LEVELS else None


_TARGET_CODECS: Final = {
    "producer": None,
    "uncompressed": Codec.NONE,
    "gzip": Codec.GZIP,
    "snappy": Codec.SNAPPY,
    "lz4": Codec.LZ4,
    "zstd": Codec.ZSTD,
}
_LEVELS: Final = {
    Codec.GZIP: lambda config: config.compression_gzip_level,
    Codec.LZ4: lambda config: config.compression_lz4_level,
    Codec.ZSTD: lambda config: config.compression_zstd_level,
}
