"""What the configuration says about consumer groups: of all, and of one."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from kpy.config import BrokerConfig
from kpy.config.broker import UNIFORM
from kpy.config.group import GroupOptions


class MigrationPolicy(StrEnum):
    """Whether a group with members may change its protocol (group.consumer.migration.policy)."""

    BIDIRECTIONAL = "bidirectional"
    UPGRADE = "upgrade"
    DOWNGRADE = "downgrade"
    DISABLED = "disabled"

    @property
    def allows_upgrade(self) -> bool:
        return self in (MigrationPolicy.BIDIRECTIONAL, MigrationPolicy.UPGRADE)

    @property
    def allows_downgrade(self) -> bool:
        return self in (MigrationPolicy.BIDIRECTIONAL, MigrationPolicy.DOWNGRADE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerConfig:
    """What holds for all consumer groups, with Kafka's defaults."""

    max_size: int = 2**31 - 1
    assignors: tuple[str, ...] = (UNIFORM, "range")
    migration_policy: MigrationPolicy = MigrationPolicy.BIDIRECTIONAL
    regex_refresh_interval_ms: int = 600_000
    classic_max_size: int = 2**31 - 1

    @classmethod
    def of(cls, config: BrokerConfig) -> "ConsumerConfig":
        return cls(
            max_size=config.group_consumer_max_size,
            assignors=config.group_consumer_assignors,
            migration_policy=MigrationPolicy(config.group_consumer_migration_policy.lower()),
            regex_refresh_interval_ms=config.group_consumer_regex_refresh_interval_ms,
            classic_max_size=config.group_max_size,
        )


class GroupSettings(NamedTuple):
    """What holds for one group."""

    session_timeout_ms: int = 45_000
    heartbeat_interval_ms: int = 5_000
    assignment_interval_ms: int = 1_000

    @classmethod
    def of(cls, options: GroupOptions) -> "GroupSettings":
        return cls(
            options.consumer_session_timeout_ms,
            options.consumer_heartbeat_interval_ms,
            options.consumer_assignment_interval_ms,
        )


SettingsOf: TypeAlias = Callable[[str], GroupSettings]
"""The settings of a group, by its id; they may change at any time."""


def default_settings(group_id: str) -> GroupSettings:  # noqa: ARG001 - they are the same for all
    """Kafka's defaults."""
    return GroupSettings()
