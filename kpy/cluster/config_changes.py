"""Decisions about dynamic configs: change single ones of a resource, or replace them all.

A resource is changed as a whole or not at all; others in the same request are not touched by its failure. Checks and
their order are those of Kafka's ConfigAdminManager (on the broker) and ConfigurationControlManager (on the
controller).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from typing import TypeAlias

from kpy.cluster.config_rules import ConfigRules
from kpy.cluster.image import ClusterImage, Resource, ResourceType
from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.protocol.messages import alter_configs as legacy
from kpy.protocol.messages import incremental_alter_configs as incremental
from kpy.protocol.metadata_records import ConfigRecord
from kpy.protocol.schema import Data

ALTERABLE = frozenset({ResourceType.TOPIC, ResourceType.BROKER, ResourceType.CLIENT_METRICS, ResourceType.GROUP})

Changes: TypeAlias = dict[str, str | None]
"""Config name -> new value, None to take it back."""


class Operation(IntEnum):
    """What an incremental change does to a config (AlterConfigOp.OpType)."""

    SET = 0
    DELETE = 1
    APPEND = 2
    SUBTRACT = 3


def incremental_alter_configs(
    image: ClusterImage, request: incremental.IncrementalAlterConfigsRequest, rules: ConfigRules
) -> tuple[list[Data], incremental.IncrementalAlterConfigsResponse]:
    """Set, take back, or change items of single configs."""
    records: list[Data] = []
    results = []
    repeated = _repeated((resource.resource_type, resource.resource_name) for resource in request.resources)
    for asked in request.resources:
        code, message = ErrorCode.NONE, None
        try:
            resource = _alterable(asked.resource_type, asked.resource_name, repeated)
            check_form(asked)
            current = image.config(*resource)
            changes = {config.name: _new_value(config, resource, current, rules) for config in asked.configs}
            records += _records(image, resource, changes, rules)
        except KafkaError as error:
            code, message = error.code, error.message
        results.append(
            incremental.AlterConfigsResourceResponse(
                error_code=code,
                error_message=message,
                resource_type=asked.resource_type,
                resource_name=asked.resource_name,
            )
        )
    return [] if request.validate_only else records, incremental.IncrementalAlterConfigsResponse(responses=results)


def alter_configs(
    image: ClusterImage, request: legacy.AlterConfigsRequest, rules: ConfigRules
) -> tuple[list[Data], legacy.AlterConfigsResponse]:
    """Set what is listed and take back what is not."""
    records: list[Data] = []
    results = []
    repeated = _repeated((resource.resource_type, resource.resource_name) for resource in request.resources)
    for asked in request.resources:
        code, message = ErrorCode.NONE, None
        try:
            resource = _alterable(asked.resource_type, asked.resource_name, repeated)
            _check_keys([config.name for config in asked.configs])
            _check_nulls(config.name for config in asked.configs if config.value is None)
            changes: Changes = dict.fromkeys(image.config(*resource))
            changes.update((config.name, config.value) for config in asked.configs)
            records += _records(image, resource, changes, rules)
        except KafkaError as error:
            code, message = error.code, error.message
        results.append(
            legacy.AlterConfigsResourceResponse(
                error_code=code,
                error_message=message,
                resource_type=asked.resource_type,
                resource_name=asked.resource_name,
            )
        )
    return [] if request.validate_only else records, legacy.AlterConfigsResponse(responses=results)


def check_form(asked: incremental.AlterConfigsResource) -> None:
    """Refuse what cannot mean anything, whatever the resource: a key twice, or no value to set."""
    _check_keys([config.name for config in asked.configs])
    _check_nulls(
        config.name for config in asked.configs if config.value is None and config.config_operation != Operation.DELETE
    )


def _repeated(resources: Iterable[tuple[int, str]]) -> set[tuple[int, str]]:
    return {resource for resource, times in Counter(resources).items() if times > 1}


def _alterable(resource_type: int, name: str, repeated: set[tuple[int, str]]) -> Resource:
    if (resource_type, name) in repeated:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "Each resource must appear at most once.")
    resource = ResourceType(resource_type), name
    if resource[0] not in ALTERABLE:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"Unknown resource type {resource_type}")
    return resource


def _check_keys(names: Sequence[str]) -> None:
    if len(set(names)) < len(names):
        raise KafkaError(ErrorCode.INVALID_REQUEST, "Error due to duplicate config keys")


def _check_nulls(names: Iterable[str]) -> None:
    if listed := ", ".join(names):
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"Null value not supported for : {listed}")


def _new_value(
    config: incremental.AlterableConfig, resource: Resource, current: Mapping[str, str], rules: ConfigRules
) -> str | None:
    """The value that a config has after one incremental change."""
    match config.config_operation:
        case Operation.SET:
            return config.value
        case Operation.DELETE:
            return None
        case Operation.APPEND | Operation.SUBTRACT as number:
            operation = Operation(number)
        case _:
            raise KafkaError(ErrorCode.INVALID_REQUEST, f"Unknown operations type {config.config_operation}")
    kind = resource[0]
    if not rules.is_list(kind, config.name):
        raise KafkaError(
            ErrorCode.INVALID_CONFIG,
            f"Can't {operation.name} to key {config.name} because its type is not LIST.",
        )
    text = current.get(config.name)
    if text is None:
        text = rules.default_text(kind, config.name)
    items = [item for item in text.split(",") if item]
    for item in (config.value or "").split(","):
        if operation is Operation.APPEND and item not in items:
            items.append(item)
        elif operation is Operation.SUBTRACT and item in items:
            items.remove(item)
    return ",".join(items)


def _records(image: ClusterImage, resource: Resource, changes: Changes, rules: ConfigRules) -> list[ConfigRecord]:
    """The records of a change that is allowed.

    There is none for a value that stays, except for brokers: a file that it names may be another now (KAFKA-14136).
    """
    kind, name = resource
    current = image.config(kind, name)
    changes = {key: value for key, value in changes.items() if value != current.get(key) or kind is ResourceType.BROKER}
    rules.check_change(image, resource, changes)
    after = {**current, **{key: value for key, value in changes.items() if value is not None}}
    for key, value in changes.items():
        if value is None:
            after.pop(key, None)
    rules.check(image, resource, after)
    rules.check_exists(image, resource)
    return [
        ConfigRecord(resource_type=kind, resource_name=name, name=key, value=value) for key, value in changes.items()
    ]
