"""Names of topics: which are legal, which collide, which are internal (Kafka's common.internals.Topic)."""

import re

from kpy.protocol.errors import ErrorCode, KafkaError

CONSUMER_OFFSETS = "__consumer_offsets"
TRANSACTION_STATE = "__transaction_state"
SHARE_GROUP_STATE = "__share_group_state"
CLUSTER_METADATA = "__cluster_metadata"

MAX_LENGTH = 249  # with "-" and a partition number it still is a file name

_INTERNAL = frozenset({CONSUMER_OFFSETS, TRANSACTION_STATE, SHARE_GROUP_STATE})
_LEGAL = re.compile(r"[a-zA-Z0-9._-]+")


def is_internal(name: str) -> bool:
    """Whether it is a topic that brokers keep their own records in."""
    return name in _INTERNAL


def why_invalid(name: str) -> str | None:
    """What is wrong with a topic name, or None."""
    if not name:
        return "it is empty"
    if name in {".", ".."}:
        return f"'{name}' names a directory"
    if len(name) > MAX_LENGTH:
        return f"it has {len(name)} characters and at most {MAX_LENGTH} are allowed"
    if _LEGAL.fullmatch(name) is None:
        return f"'{name}' has characters other than ASCII letters, digits, '.', '_' and '-'"
    return None


def is_valid(name: str) -> bool:
    """Whether a topic can have this name."""
    return why_invalid(name) is None


def check(name: str) -> None:
    """Raise INVALID_TOPIC_EXCEPTION for a name that a topic cannot have."""
    reason = why_invalid(name)
    if reason is not None:
        raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, f"Topic name is invalid: {reason}")


def collision_key(name: str) -> str:
    """Two topics whose keys are equal have the same metric names, where '.' becomes '_': only one of them may exist."""
    return name.replace(".", "_")
