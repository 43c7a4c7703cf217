"""What a group coordinator takes from the broker's configuration."""

from dataclasses import dataclass, field

from kpy.config import BrokerConfig
from kpy.groups.consumer.settings import ConsumerConfig

NEW_MEMBER_JOIN_TIMEOUT_MS = 5 * 60 * 1000
"""How long the first JoinGroup of a member may be held (GroupCoordinatorConfig, not configurable in Kafka either).

A member that does not know its id yet cannot send heartbeats, and one that gave up waiting leaves no trace.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupConfig:
    """Limits and delays of groups, with Kafka's defaults."""

    min_session_timeout_ms: int = 6_000
    max_session_timeout_ms: int = 1_800_000
    initial_rebalance_delay_ms: int = 3_000
    max_size: int = 2**31 - 1
    offset_metadata_max_bytes: int = 4_096
    offsets_retention_ms: int = 7 * 24 * 60 * 60 * 1000
    offsets_retention_check_interval_ms: int = 600_000
    consumer: ConsumerConfig = field(default_factory=ConsumerConfig)

    @classmethod
    def of(cls, config: BrokerConfig) -> "GroupConfig":
        """The part of a broker's configuration that groups live by."""
        return cls(
            min_session_timeout_ms=config.group_min_session_timeout_ms,
            max_session_timeout_ms=config.group_max_session_timeout_ms,
            initial_rebalance_delay_ms=config.group_initial_rebalance_delay_ms,
            max_size=config.group_max_size,
            offset_metadata_max_bytes=config.offset_metadata_max_bytes,
            offsets_retention_ms=config.offsets_retention_minutes * 60 * 1000,
            offsets_retention_check_interval_ms=config.offsets_retention_check_interval_ms,
            consumer=ConsumerConfig.of(config),
        )
