"""The broker's loggers as a resource whose configs are levels (KIP-412).

kpy's own loggers are shown, the topmost of them as `root`; those of a program that has a broker in it are its own
affair. Levels are not kept across restarts.
"""

import logging
from collections.abc import Sequence

from kpy.cluster.config_changes import Operation, check_form
from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.protocol.messages.incremental_alter_configs import AlterableConfig, AlterConfigsResource

ROOT = "root"
LEVELS = {"FATAL": logging.CRITICAL, "ERROR": logging.ERROR, "WARN": logging.WARNING, "INFO": logging.INFO}
LEVELS |= {"DEBUG": logging.DEBUG, "TRACE": 5}

_PACKAGE = "kpy"


def levels() -> dict[str, str]:
    """The level that each logger has, its own or inherited."""
    names = [name for name in logging.root.manager.loggerDict if name.startswith(f"{_PACKAGE}.")]
    return {ROOT: _level(_PACKAGE)} | {name: _level(name) for name in sorted(names)}


def alter(resource: AlterConfigsResource, *, node_id: int, validate_only: bool) -> None:
    """Change levels, all or none. Raises KafkaError for what RuntimeLoggerManager refuses."""
    check_form(resource)
    check_node(resource.resource_name, node_id)
    _check(resource.configs)
    if not validate_only:
        for config in resource.configs:
            level = LEVELS[config.value or ""] if config.config_operation == Operation.SET else logging.NOTSET
            _logger(config.name).setLevel(level)


def check_node(name: str, node_id: int) -> None:
    """Refuse a resource name that is not this broker's id."""
    try:
        number = int(name)
    except ValueError:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"Node id must be an integer, but it is: {name}") from None
    if number != node_id:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"Unexpected broker id, expected {node_id}, but received {name}")


def _check(changes: Sequence[AlterableConfig]) -> None:
    known = levels()
    for change in changes:
        if change.config_operation not in {Operation.SET, Operation.DELETE}:
            raise KafkaError(
                ErrorCode.INVALID_REQUEST, f"operation {change.config_operation} is not allowed for loggers"
            )
        if change.name not in known:
            raise KafkaError(ErrorCode.INVALID_CONFIG, f"Logger {change.name} does not exist!")
        if change.config_operation == Operation.DELETE and change.name == ROOT:
            raise KafkaError(ErrorCode.INVALID_REQUEST, "Removing the log level of the root logger is not allowed")
        if change.config_operation == Operation.SET and change.value not in LEVELS:
            raise KafkaError(
                ErrorCode.INVALID_CONFIG,
                f"Cannot set the log level of {change.name} to {change.value}; valid are {', '.join(sorted(LEVELS))}",
            )


def _logger(name: str) -> logging.Logger:
    return logging.getLogger(_PACKAGE if name == ROOT else name)


def _level(name: str) -> str:
    number = logging.getLogger(name).getEffectiveLevel()
    return next((text for text, level in LEVELS.items() if number >= level), "TRACE")
