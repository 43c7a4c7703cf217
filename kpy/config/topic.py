"""The topics' options: all of Kafka's, each with the broker options that its default comes from (LogConfig).

A topic's settings are kept as the strings that were given and are checked before they are kept. Some have no effect
yet (`without_effect`): they are kept and described as Kafka does.
"""

from collections.abc import Mapping

from kpy.config.broker import (
    CLEANUP_POLICIES,
    CODECS,
    GZIP_LEVELS,
    INT64_MAX,
    LZ4_LEVELS,
    NO_TIERS,
    ONE_REPLICA,
    TIMESTAMP_TYPES,
    ZSTD_LEVELS,
    BrokerConfig,
)
from kpy.config.options import (
    Between,
    ConfigError,
    Matching,
    Options,
    Synonym,
    Value,
    at_least,
    boolean,
    double,
    integer,
    listing,
    long,
    string,
)

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
THROTTLED_REPLICAS = Matching(
    r"\*|([0-9]+:[0-9]+)?",
    "the literal '*' or a list of replicas: [partitionId]:[brokerId],[partitionId]:[brokerId],...",
)


def default_of(*names: str) -> tuple[Synonym, ...]:
    """The broker options behind a topic option; those in minutes and hours are for options in milliseconds."""
    factors = {"minutes": MINUTE_MS, "hours": HOUR_MS}
    return tuple(Synonym(name=name, factor=factors.get(name.rpartition(".")[2], 1)) for name in names)


class TopicConfig(Options):
    """The values of one topic's options, its own and the broker's defaults."""

    cleanup_policy: tuple[str, ...] = listing(
        ("delete",),
        CLEANUP_POLICIES,
        "how old data goes: delete drops old segments, compact keeps each key's last record; both, or none",
        synonyms=default_of("log.cleanup.policy"),
    )
    compression_type: str = string(
        "producer",
        CODECS,
        "the codec that batches are stored with; producer keeps what the producer chose",
        synonyms=default_of("compression.type"),
    )
    compression_gzip_level: int = integer(
        -1, GZIP_LEVELS, "how hard gzip tries", synonyms=default_of("compression.gzip.level")
    )
    compression_lz4_level: int = integer(
        9, LZ4_LEVELS, "how hard lz4 tries", synonyms=default_of("compression.lz4.level")
    )
    compression_zstd_level: int = integer(
        3, ZSTD_LEVELS, "how hard zstd tries", synonyms=default_of("compression.zstd.level")
    )
    delete_retention_ms: int = long(
        86400000,
        at_least(0),
        "how long compaction keeps the marks of deleted keys",
        synonyms=default_of("log.cleaner.delete.retention.ms"),
    )
    file_delete_delay_ms: int = long(
        60000,
        at_least(0),
        "how long the files of a deleted segment stay",
        synonyms=default_of("log.segment.delete.delay.ms"),
    )
    flush_messages: int = long(
        INT64_MAX,
        at_least(1),
        "how many records may be written before the log is forced to disk",
        synonyms=default_of("log.flush.interval.messages"),
    )
    flush_ms: int = long(
        INT64_MAX,
        at_least(0),
        "how long a record may be written before it is forced to disk",
        synonyms=default_of("log.flush.interval.ms", "log.flush.scheduler.interval.ms"),
    )
    follower_replication_throttled_replicas: tuple[str, ...] = listing(
        (), THROTTLED_REPLICAS, "replicas whose fetching is throttled", without_effect=ONE_REPLICA
    )
    index_interval_bytes: int = integer(
        4096,
        at_least(0),
        "how many bytes of log lie between two entries of its index",
        synonyms=default_of("log.index.interval.bytes"),
    )
    internal_segment_bytes: int | None = integer(
        None, "segment.bytes without its lower bound, for tests", internal=True
    )
    leader_replication_throttled_replicas: tuple[str, ...] = listing(
        (), THROTTLED_REPLICAS, "replicas whose leader throttles what it sends them", without_effect=ONE_REPLICA
    )
    local_retention_bytes: int = long(
        -2,
        at_least(-2),
        "retention.bytes of the local tier; -2 is retention.bytes",
        synonyms=default_of("log.local.retention.bytes"),
        without_effect=NO_TIERS,
    )
    local_retention_ms: int = long(
        -2,
        at_least(-2),
        "retention.ms of the local tier; -2 is retention.ms",
        synonyms=default_of("log.local.retention.ms"),
        without_effect=NO_TIERS,
    )
    max_compaction_lag_ms: int = long(
        INT64_MAX,
        at_least(1),
        "how long a record stays uncompacted at most",
        synonyms=default_of("log.cleaner.max.compaction.lag.ms"),
    )
    max_message_bytes: int = integer(
        1048588, at_least(0), "the largest record batch, compressed", synonyms=default_of("message.max.bytes")
    )
    message_timestamp_after_max_ms: int = long(
        3600000,
        at_least(0),
        "how far a producer's timestamp may lie in the future",
        synonyms=default_of("log.message.timestamp.after.max.ms"),
    )
    message_timestamp_before_max_ms: int = long(
        INT64_MAX,
        at_least(0),
        "how far a producer's timestamp may lie in the past",
        synonyms=default_of("log.message.timestamp.before.max.ms"),
    )
    message_timestamp_type: str = string(
        "CreateTime",
        TIMESTAMP_TYPES,
        "whose clock stamps a record: its producer's or the broker's",
        synonyms=default_of("log.message.timestamp.type"),
    )
    min_cleanable_dirty_ratio: float = double(
        0.5,
        Between(0, 1),
        "how much of a log has to be new before it is compacted",
        synonyms=default_of("log.cleaner.min.cleanable.ratio"),
    )
    min_compaction_lag_ms: int = long(
        0,
        at_least(0),
        "how long a record stays uncompacted at least",
        synonyms=default_of("log.cleaner.min.compaction.lag.ms"),
    )
    min_insync_replicas: int = integer(
        1,
        at_least(1),
        "replicas in sync that a write with acks=all needs; of fewer replicas, all",
        synonyms=default_of("min.insync.replicas"),
        without_effect=ONE_REPLICA,
    )
    preallocate: bool = boolean(
        False,
        "whether a segment's file has its full size from the start. Refused if true: files grow as they are written",
        synonyms=default_of("log.preallocate"),
    )
    remote_log_copy_disable: bool = boolean(
        False, "whether nothing more goes to the remote tier", without_effect=NO_TIERS
    )
    remote_log_delete_on_disable: bool = boolean(
        False, "whether leaving tiered storage deletes what is there", without_effect=NO_TIERS
    )
    remote_storage_enable: bool = boolean(False, "whether the topic uses tiered storage")
    retention_bytes: int = long(
        -1,
        "how much of a partition is kept; -1 is all",
        synonyms=default_of("log.retention.bytes"),
    )
    retention_ms: int = long(
        604800000,
        at_least(-1),
        "how long data is kept; -1 is for ever",
        synonyms=default_of("log.retention.ms", "log.retention.minutes", "log.retention.hours"),
    )
    segment_bytes: int = integer(
        1073741824,
        at_least(1048576),
        "the size at which a log starts a new segment",
        synonyms=default_of("log.segment.bytes"),
    )
    segment_index_bytes: int = integer(
        10485760,
        at_least(4),
        "the largest index; a full one starts a new segment",
        synonyms=default_of("log.index.size.max.bytes"),
    )
    segment_jitter_ms: int = long(
        0,
        at_least(0),
        "how much earlier than segment.ms a segment may be rolled, at random, at the most",
        synonyms=default_of("log.roll.jitter.ms", "log.roll.jitter.hours"),
    )
    segment_ms: int = long(
        604800000,
        at_least(1),
        "the age at which a log starts a new segment",
        synonyms=default_of("log.roll.ms", "log.roll.hours"),
    )
    unclean_leader_election_enable: bool = boolean(
        False,
        "whether a replica that is not in sync may lead",
        synonyms=default_of("unclean.leader.election.enable"),
        without_effect=ONE_REPLICA,
    )

    def __init__(self, settings: Mapping[str, str], broker: BrokerConfig) -> None:
        """A topic with these settings of its own on this broker. Raises ConfigError for any that Kafka refuses."""
        super().__init__(broker_defaults(broker) | self.parse_values(settings))
        self._check_together()

    @classmethod
    def unknown_name(cls, name: str) -> str:
        return f"Unknown topic config name: {name}"

    def _check_together(self) -> None:
        """LogConfig.validateValues, validateTopicLogConfigValues."""
        if self.min_compaction_lag_ms > self.max_compaction_lag_ms:
            message = (
                f"conflict topic config setting min.compaction.lag.ms ({self.min_compaction_lag_ms})"
                f" > max.compaction.lag.ms ({self.max_compaction_lag_ms})"
            )
            raise ConfigError("min.compaction.lag.ms", str(self.min_compaction_lag_ms), message)
        if self.remote_storage_enable:
            message = "Tiered storage is disabled in the broker: a topic cannot have remote.storage.enable=true"
            raise ConfigError("remote.storage.enable", "true", message)
        if self.preallocate:
            message = "a topic cannot have preallocate=true: files grow as they are written"
            raise ConfigError("preallocate", "true", message)


def broker_defaults(broker: BrokerConfig) -> dict[str, Value]:
    """The values of the topics' options where a topic has none of its own."""
    values: dict[str, Value] = {}
    for name, option in TopicConfig.options.items():
        for synonym in option.synonyms:
            value = broker.get(synonym.name)
            if value is not None:
                values[name] = value * synonym.factor if isinstance(value, int) and synonym.factor > 1 else value
                break
    return values
