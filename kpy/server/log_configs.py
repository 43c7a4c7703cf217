"""From a topic's own configs and the broker's to what the topic's log is told."""

from collections.abc import Mapping
from dataclasses import fields

from kpy.config import BrokerConfig, TopicConfig
from kpy.storage.log_config import LogConfig, TimestampType


def log_config(broker: BrokerConfig, overrides: Mapping[str, str]) -> LogConfig:
    """The effective configuration of one topic's logs."""
    topic = TopicConfig(overrides, broker)
    values = {field.name: getattr(topic, field.name) for field in fields(LogConfig)}
    values["message_timestamp_type"] = TimestampType(topic.message_timestamp_type)
    values["segment_bytes"] = topic.internal_segment_bytes or topic.segment_bytes
    values["cleanup_policy"] = frozenset(topic.cleanup_policy)
    return LogConfig(**values)
