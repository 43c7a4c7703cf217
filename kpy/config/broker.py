"""The broker's options: one table under Kafka's own names.

What stands here is honoured. What Kafka has and kpy does not is in `kpy.config.kafka_names`. Defaults are Kafka's
unless `kafka_default` says otherwise.
"""

from collections.abc import Mapping
from functools import cached_property

from kpy.config.listeners import Listener, client_listeners
from kpy.config.options import (
    Between,
    BetweenOr,
    ConfigError,
    OneOf,
    Options,
    UpdateMode,
    Value,
    at_least,
    boolean,
    double,
    integer,
    listing,
    long,
    short,
    string,
)

INT32_MAX = 2**31 - 1
INT64_MAX = 2**63 - 1
MIB = 1024 * 1024
DOUBLE_MAX = 1.7976931348623157e308
CLUSTER_WIDE = UpdateMode.CLUSTER_WIDE
PER_BROKER = UpdateMode.PER_BROKER

NO_TIERS = "there is no tiered storage"
ONE_REPLICA = "a partition has one replica, which is never out of sync"

CODECS = OneOf(("uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"))
TIMESTAMP_TYPES = OneOf(("CreateTime", "LogAppendTime"))
CLEANUP_POLICIES = OneOf(("compact", "delete"))
GZIP_LEVELS = BetweenOr(1, 9, -1)
LZ4_LEVELS = Between(1, 17)
ZSTD_LEVELS = Between(-131072, 22)
UNIFORM, RANGE = "uniform", "range"
ASSIGNORS = OneOf((UNIFORM, RANGE))
MIGRATION_POLICIES = OneOf(("bidirectional", "upgrade", "downgrade", "disabled"), any_case=True)


class BrokerConfig(Options):
    """The values of one broker's options."""

    # The node and where it is reached

    node_id: int = integer(1, at_least(0), "this broker's id in the cluster", kafka_default="required")
    broker_id: int = integer(1, at_least(0), "another name of node.id", kafka_default="-1")
    broker_rack: str | None = string(None, "the rack that this broker says it stands in")
    listeners: tuple[str, ...] = listing(
        ("PLAINTEXT://localhost:9092",),
        "where to listen, NAME://HOST:PORT each; no host is every interface, port 0 a free port,"
        " localhost both loopback addresses",
        kafka_default="PLAINTEXT://:9092",
        update_mode=PER_BROKER,
    )
    advertised_listeners: tuple[str, ...] | None = listing(
        None, "the addresses that clients are told to use, by listener name, where they differ from listeners"
    )
    listener_security_protocol_map: str = string(
        "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT",
        "which security protocol each listener name speaks; kpy speaks PLAINTEXT",
        update_mode=PER_BROKER,
    )
    controller_listener_names: tuple[str, ...] = listing(
        (),
        "names of listeners for controllers, which kpy does not open: its controller is in the same process",
        kafka_default="required",
    )
    log_dir: str | None = string(
        None,
        "the data directory; without one everything is kept in memory",
        kafka_default="/tmp/kafka-logs",  # noqa: S108 - said, not used
    )
    log_dirs: tuple[str, ...] | None = listing(None, "the data directory, before log.dir; kpy keeps one")

    # Connections and requests

    socket_listen_backlog_size: int = integer(50, at_least(1), "connections that may wait to be accepted")
    socket_request_max_bytes: int = integer(104857600, at_least(1), "the largest request")
    queued_max_request_bytes: int = long(
        134217728,
        "how many bytes of requests may be under way in all connections together; -1 is no limit",
        kafka_default="-1",
    )
    max_connections: int = integer(
        10000, at_least(0), "open connections", kafka_default=str(INT32_MAX), update_mode=CLUSTER_WIDE
    )
    max_connections_per_ip: int = integer(
        INT32_MAX, at_least(0), "open connections of one client address", update_mode=CLUSTER_WIDE
    )
    connections_max_idle_ms: int = long(600000, at_least(1), "after how long a connection without progress is closed")
    fetch_max_bytes: int = integer(57671680, at_least(1024), "the most that one fetch is answered with")
    max_incremental_fetch_session_cache_slots: int = integer(
        1000, at_least(0), "fetch sessions that are kept (KIP-227)"
    )
    max_request_partition_size_limit: int = integer(
        2000, at_least(1), "the most partitions that DescribeTopicPartitions answers with at once"
    )

    # Topics

    num_partitions: int = integer(1, at_least(1), "partitions of a topic that is created without a number of them")
    default_replication_factor: int = integer(1, "replicas of a topic that is created without a number of them")
    auto_create_topics_enable: bool = boolean(True, "whether asking for a topic's metadata creates it")
    delete_topic_enable: bool = boolean(True, "whether topics can be deleted")
    min_insync_replicas: int = integer(
        1, at_least(1), "replicas in sync that a write with acks=all needs", update_mode=CLUSTER_WIDE
    )
    unclean_leader_election_enable: bool = boolean(
        False,
        "whether a replica that is not in sync may lead",
        update_mode=CLUSTER_WIDE,
        without_effect=ONE_REPLICA,
    )

    # Groups

    group_initial_rebalance_delay_ms: int = integer(
        0, at_least(0), "how long a new group waits for more members before it first assigns", kafka_default="3000"
    )
    group_min_session_timeout_ms: int = integer(6000, at_least(0), "the shortest session timeout of a member")
    group_max_session_timeout_ms: int = integer(1800000, at_least(0), "the longest session timeout of a member")
    group_max_size: int = integer(INT32_MAX, at_least(1), "members of one group of the classic protocol")
    group_consumer_session_timeout_ms: int = integer(
        45000, at_least(1), "the session timeout of members of the consumer protocol"
    )
    group_consumer_min_session_timeout_ms: int = integer(
        45000, at_least(1), "the least that consumer.session.timeout.ms of a group may be"
    )
    group_consumer_max_session_timeout_ms: int = integer(
        60000, at_least(1), "the most that consumer.session.timeout.ms of a group may be"
    )
    group_consumer_heartbeat_interval_ms: int = integer(
        5000, at_least(1), "how often members of the consumer protocol are told to send heartbeats"
    )
    group_consumer_min_heartbeat_interval_ms: int = integer(
        5000, at_least(1), "the least that consumer.heartbeat.interval.ms of a group may be"
    )
    group_consumer_max_heartbeat_interval_ms: int = integer(
        15000, at_least(1), "the most that consumer.heartbeat.interval.ms of a group may be"
    )
    group_consumer_assignment_interval_ms: int = integer(
        1000,
        at_least(0),
        "how long a group of the consumer protocol keeps an assignment before it makes another",
        update_mode=CLUSTER_WIDE,
    )
    group_consumer_min_assignment_interval_ms: int = integer(
        0, at_least(0), "the least that consumer.assignment.interval.ms of a group may be"
    )
    group_consumer_max_assignment_interval_ms: int = integer(
        15000, at_least(0), "the most that consumer.assignment.interval.ms of a group may be"
    )
    group_consumer_max_size: int = integer(INT32_MAX, at_least(1), "members of one group of the consumer protocol")
    group_consumer_assignors: tuple[str, ...] = listing(
        (UNIFORM, RANGE), ASSIGNORS, "the assignors that members may choose; the first is that of those who do not"
    )
    group_consumer_migration_policy: str = string(
        "bidirectional",
        MIGRATION_POLICIES,
        "whether groups with members go over to the consumer protocol when its first member joins (upgrade), and back"
        " when its last one leaves (downgrade)",
    )
    group_consumer_regex_refresh_interval_ms: int = integer(
        600000,
        at_least(10000),
        "how often the topics are looked through for those that match subscriptions by regular expression, if no topic"
        " is created before",
        internal=True,
    )
    offset_metadata_max_bytes: int = integer(4096, at_least(0), "the longest note that goes with a committed offset")
    offsets_topic_num_partitions: int = integer(50, at_least(1), "partitions of __consumer_offsets")
    offsets_topic_replication_factor: int = short(1, at_least(1), "replicas of __consumer_offsets", kafka_default="3")
    offsets_topic_segment_bytes: int = integer(104857600, at_least(1), "segment.bytes of __consumer_offsets")
    offsets_retention_minutes: int = integer(
        10080, at_least(1), "how long the offsets of a group without members are kept"
    )
    offsets_retention_check_interval_ms: int = long(600000, at_least(1), "how often expired offsets are looked for")

    # Logs: what a topic has where its own configuration says nothing

    message_max_bytes: int = integer(
        1048588, at_least(0), "the largest record batch, compressed", update_mode=CLUSTER_WIDE
    )
    compression_type: str = string(
        "producer",
        CODECS,
        "the codec that batches are stored with; producer keeps what the producer chose",
        update_mode=CLUSTER_WIDE,
    )
    compression_gzip_level: int = integer(-1, GZIP_LEVELS, "how hard gzip tries", update_mode=CLUSTER_WIDE)
    compression_lz4_level: int = integer(9, LZ4_LEVELS, "how hard lz4 tries", update_mode=CLUSTER_WIDE)
    compression_zstd_level: int = integer(3, ZSTD_LEVELS, "how hard zstd tries", update_mode=CLUSTER_WIDE)
    log_segment_bytes: int = integer(
        1073741824, at_least(1048576), "the size at which a log starts a new segment", update_mode=CLUSTER_WIDE
    )
    log_roll_ms: int | None = long(
        None, at_least(1), "the age at which a log starts a new segment", update_mode=CLUSTER_WIDE
    )
    log_roll_hours: int = integer(168, at_least(1), "log.roll.ms in hours, if that is not set")
    log_roll_jitter_ms: int | None = long(
        None, at_least(0), "how much earlier than log.roll.ms, at random, at the most", update_mode=CLUSTER_WIDE
    )
    log_roll_jitter_hours: int = integer(0, at_least(0), "log.roll.jitter.ms in hours, if that is not set")
    log_index_interval_bytes: int = integer(
        4096, at_least(0), "how many bytes of log lie between two entries of its index", update_mode=CLUSTER_WIDE
    )
    log_index_size_max_bytes: int = integer(
        10485760, at_least(4), "the largest index; a full one starts a new segment", update_mode=CLUSTER_WIDE
    )
    log_message_timestamp_type: str = string(
        "CreateTime",
        TIMESTAMP_TYPES,
        "whose clock stamps a record: its producer's or the broker's",
        update_mode=CLUSTER_WIDE,
    )
    log_message_timestamp_before_max_ms: int = long(
        INT64_MAX, at_least(0), "how far a producer's timestamp may lie in the past", update_mode=CLUSTER_WIDE
    )
    log_message_timestamp_after_max_ms: int = long(
        3600000, at_least(0), "how far a producer's timestamp may lie in the future", update_mode=CLUSTER_WIDE
    )
    log_flush_interval_messages: int = long(
        INT64_MAX,
        at_least(1),
        "how many records may be written before the log is forced to disk",
        update_mode=CLUSTER_WIDE,
    )
    log_flush_interval_ms: int | None = long(
        None,
        "how long a record may be written before it is forced to disk",
        update_mode=CLUSTER_WIDE,
    )
    log_flush_scheduler_interval_ms: int = long(
        INT64_MAX, "log.flush.interval.ms, if that is not set; each log is forced to disk in its own time"
    )
    log_flush_offset_checkpoint_interval_ms: int = integer(
        60000, at_least(1), "how often a data directory notes how far its logs are on the disk, and where they start"
    )
    producer_id_expiration_ms: int = integer(
        86400000,
        at_least(1),
        "how long a producer may be silent before its sequence numbers are forgotten",
        update_mode=CLUSTER_WIDE,
    )
    producer_id_expiration_check_interval_ms: int = integer(
        600000, at_least(1), "how often such producers are looked for"
    )
    log_cleanup_policy: tuple[str, ...] = listing(
        ("delete",),
        CLEANUP_POLICIES,
        "how old data goes: by deleting segments, by compaction, both, or not at all",
        update_mode=CLUSTER_WIDE,
    )
    log_retention_ms: int | None = long(None, "how long data is kept; -1 is for ever", update_mode=CLUSTER_WIDE)
    log_retention_minutes: int | None = integer(None, "log.retention.ms in minutes, if that is not set")
    log_retention_hours: int = integer(168, "log.retention.ms in hours, if neither that nor the minutes are set")
    log_retention_bytes: int = long(-1, "how much of a partition is kept; -1 is all", update_mode=CLUSTER_WIDE)
    log_retention_check_interval_ms: int = long(
        300000, at_least(1), "how often old data is looked for; that of a topic also when it is altered"
    )
    log_initial_task_delay_ms: int = long(
        30000, at_least(0), "how long after its start the broker first looks for old data", internal=True
    )
    log_local_retention_ms: int = long(
        -2, at_least(-2), "log.retention.ms of the local tier", update_mode=CLUSTER_WIDE, without_effect=NO_TIERS
    )
    log_local_retention_bytes: int = long(
        -2, at_least(-2), "log.retention.bytes of the local tier", update_mode=CLUSTER_WIDE, without_effect=NO_TIERS
    )
    log_segment_delete_delay_ms: int = long(
        60000,
        at_least(0),
        "how long the files of a deleted segment stay",
        update_mode=CLUSTER_WIDE,
    )
    log_cleaner_enable: bool = boolean(True, "whether logs with cleanup.policy=compact are compacted")
    log_cleaner_threads: int = integer(
        1, at_least(0), "how many logs are compacted at the same time, at least one", update_mode=CLUSTER_WIDE
    )
    log_cleaner_backoff_ms: int = long(
        15000,
        at_least(0),
        "how often logs to compact are looked for, if there were none; also when a topic is altered",
        update_mode=CLUSTER_WIDE,
    )
    log_cleaner_dedupe_buffer_size: int = long(
        134217728,
        "the memory for the keys of all logs that are being compacted, at 192 bytes for each key",
        update_mode=CLUSTER_WIDE,
    )
    log_cleaner_io_buffer_load_factor: float = double(
        0.9, "how full the memory for keys may get", update_mode=CLUSTER_WIDE
    )
    log_cleaner_io_buffer_size: int = integer(
        524288,
        at_least(0),
        "how much is read or written at once: for each log that is being compacted, half of its part",
        update_mode=CLUSTER_WIDE,
    )
    log_cleaner_io_max_bytes_per_second: float = double(
        DOUBLE_MAX, "how much all compaction together may read and write", update_mode=CLUSTER_WIDE
    )
    log_cleaner_delete_retention_ms: int = long(
        86400000,
        at_least(0),
        "how long compaction keeps the marks of deleted keys",
        update_mode=CLUSTER_WIDE,
    )
    log_cleaner_min_cleanable_ratio: float = double(
        0.5,
        Between(0, 1),
        "how much of a log has to be new before it is compacted",
        update_mode=CLUSTER_WIDE,
    )
    log_cleaner_min_compaction_lag_ms: int = long(
        0,
        at_least(0),
        "how long a record stays uncompacted at least",
        update_mode=CLUSTER_WIDE,
    )
    log_cleaner_max_compaction_lag_ms: int = long(
        INT64_MAX,
        at_least(1),
        "how long a record stays uncompacted at most",
        update_mode=CLUSTER_WIDE,
    )
    kpy_memory_max_bytes: int = long(
        -1,
        BetweenOr(1048576, INT64_MAX, -1),
        "how many bytes data may take where it is kept in memory; what would go beyond is refused. -1 is half of what"
        " the machine, or the container, has",
    )
    kpy_open_files_max: int = integer(
        -1,
        BetweenOr(16, INT32_MAX, -1),
        "how many files of logs stay open while nobody uses them; -1 is a quarter of what the process may open"
        " (ulimit -n), at the most 8192",
    )
    log_preallocate: bool = boolean(
        False,
        "whether a segment's file has its full size from the start. Refused if true: files grow as they are written",
        update_mode=CLUSTER_WIDE,
    )

    def __init__(
        self,
        settings: Mapping[str, str] | None = None,
        *,
        dynamic_defaults: Mapping[str, str] | None = None,
        dynamic: Mapping[str, str] | None = None,
    ) -> None:
        """`settings` are static; `dynamic_defaults` hold for every broker, `dynamic` for this one.

        Raises ConfigError. Dynamic settings of names that are not in the table are kept, as Kafka does.
        """
        self.__dict__.update(
            settings=dict(settings or {}), dynamic_defaults=dict(dynamic_defaults or {}), dynamic=dict(dynamic or {})
        )
        values = self.parse_values(self.settings)
        for given in (self.dynamic_defaults, self.dynamic):
            values |= self.parse_values({name: text for name, text in given.items() if name in self.options})
        _settle_node_id(values)
        super().__init__(values)
        if "queued.max.request.bytes" not in values:
            self.__dict__["queued_max_request_bytes"] = max(
                self.queued_max_request_bytes, self.socket_request_max_bytes
            )
        self._check_together()

    settings: dict[str, str]
    dynamic_defaults: dict[str, str]
    dynamic: dict[str, str]

    def with_dynamic(self, defaults: Mapping[str, str], own: Mapping[str, str]) -> "BrokerConfig":
        """The same static settings with these dynamic ones over them."""
        return BrokerConfig(self.settings, dynamic_defaults=defaults, dynamic=own)

    @cached_property
    def client_listeners(self) -> tuple[Listener, ...]:
        """The listeners to open, with what each advertises."""
        return client_listeners(
            self.listeners,
            self.advertised_listeners,
            self.listener_security_protocol_map,
            self.controller_listener_names,
        )

    @cached_property
    def data_dir(self) -> str | None:
        """The directory that everything is kept in, None for memory."""
        directories = self.log_dirs or ((self.log_dir,) if self.log_dir else ())
        return directories[0] if directories else None

    def _check_together(self) -> None:
        if len(self.log_dirs or ()) > 1:
            text = ",".join(self.log_dirs or ())
            raise self.options["log.dirs"].error(text, "kpy keeps one data directory")
        if 0 < self.queued_max_request_bytes < self.socket_request_max_bytes:
            option = self.options["queued.max.request.bytes"]
            problem = f"must be at least socket.request.max.bytes ({self.socket_request_max_bytes})"
            raise option.error(str(self.queued_max_request_bytes), problem)
        if self.group_min_session_timeout_ms > self.group_max_session_timeout_ms:
            option = self.options["group.min.session.timeout.ms"]
            problem = f"must not exceed group.max.session.timeout.ms ({self.group_max_session_timeout_ms})"
            raise option.error(str(self.group_min_session_timeout_ms), problem)
        if self.log_preallocate:
            raise self.options["log.preallocate"].error("true", "kpy's files grow as they are written")
        self._check_consumer_groups()
        self._check_cleaning()
        assert self.client_listeners

    def _check_consumer_groups(self) -> None:
        """The default of each setting of a group lies within its bounds (GroupCoordinatorConfig)."""
        for name in ("heartbeat.interval.ms", "session.timeout.ms", "assignment.interval.ms"):
            least, value, most = (self.options[f"group.consumer.{bound}{name}"] for bound in ("min.", "", "max."))
            low, high = self.get(least.name), self.get(most.name)
            assert isinstance(low, int)
            assert isinstance(high, int)
            if low > high:
                raise most.error(str(high), f"must be greater than or equal to {least.name} ({low})")
            found = self.get(value.name)
            assert isinstance(found, int)
            if not low <= found <= high:
                raise value.error(str(found), f"must be between {least.name} ({low}) and {most.name} ({high})")
        if self.group_consumer_heartbeat_interval_ms >= self.group_consumer_session_timeout_ms:
            option = self.options["group.consumer.heartbeat.interval.ms"]
            problem = f"must be less than group.consumer.session.timeout.ms ({self.group_consumer_session_timeout_ms})"
            raise option.error(str(self.group_consumer_heartbeat_interval_ms), problem)
        if not self.group_consumer_assignors:
            raise self.options["group.consumer.assignors"].error("", "must name an assignor")

    def _check_cleaning(self) -> None:
        """KafkaConfig.validateValues, of what concerns old data."""
        if self.log_cleaner_threads < 1:
            raise self.options["log.cleaner.threads"].error(str(self.log_cleaner_threads), "Value must be at least 1")
        if self.log_cleaner_dedupe_buffer_size // self.log_cleaner_threads <= MIB:
            option = self.options["log.cleaner.dedupe.buffer.size"]
            problem = "must be more than 1 MiB for each of log.cleaner.threads"
            raise option.error(str(self.log_cleaner_dedupe_buffer_size), problem)
        for name in ("log.retention.ms", "log.retention.minutes", "log.retention.hours"):
            value = self.get(name)
            if value == 0:
                raise self.options[name].error("0", "must be unlimited (-1) or, greater than or equal to 1")
            if value is not None:
                break


def _settle_node_id(values: dict[str, Value]) -> None:
    """node.id and broker.id are two names of one thing (AbstractKafkaConfig.populateSynonyms)."""
    node_id = values.get("node.id", values.get("broker.id"))
    if node_id is None:
        return
    if values.setdefault("broker.id", node_id) != node_id:
        message = f"node.id={node_id} and broker.id={values['broker.id']} must be the same"
        raise ConfigError("broker.id", str(values["broker.id"]), message)
    values["node.id"] = node_id
