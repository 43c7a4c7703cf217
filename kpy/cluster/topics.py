"""Decisions about topics: create, delete, add partitions. Each returns the records to append and the response.

Checks, their order and their error codes are those of Kafka's ControllerApis and ReplicationControlManager.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from random import Random
from typing import TypeVar
from uuid import UUID

from kpy.cluster import placement
from kpy.cluster.config_rules import ConfigRules
from kpy.cluster.image import ClusterImage, ResourceType
from kpy.cluster.topic_names import CLUSTER_METADATA, check
from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.protocol.messages.create_partitions import (
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    CreatePartitionsTopic,
    CreatePartitionsTopicResult,
)
from kpy.protocol.messages.create_topics import (
    CreatableTopic,
    CreatableTopicConfigs,
    CreatableTopicResult,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from kpy.protocol.messages.delete_topics import DeletableTopicResult, DeleteTopicsRequest, DeleteTopicsResponse
from kpy.protocol.metadata_records import ConfigRecord, PartitionRecord, RemoveTopicRecord, TopicRecord
from kpy.protocol.schema import Data

MAX_PARTITIONS_PER_REQUEST = 10_000  # ReplicationControlManager.MAX_PARTITIONS_PER_BATCH
ZERO_ID = UUID(int=0)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicRules:
    """What the decisions need besides the request and the image.

    `colliding` finds an existing topic whose name differs from the given one only in '.' and '_'.
    """

    num_partitions: int
    default_replication_factor: int
    delete_topic_enable: bool
    configs: ConfigRules
    colliding: Callable[[str], str | None]
    new_uuid: Callable[[], UUID]
    random: Random


def create_topics(
    image: ClusterImage, request: CreateTopicsRequest, rules: TopicRules
) -> tuple[list[Data], CreateTopicsResponse]:
    """Each topic is created or refused by itself; those named twice are refused."""
    times = Counter(topic.name for topic in request.topics)
    topics = [topic for topic in request.topics if times[topic.name] == 1 and topic.name != CLUSTER_METADATA]
    _check_total(topics, rules.num_partitions)
    records: list[Data] = []
    results = []
    for topic in topics:
        try:
            created, result = _create_topic(image, topic, rules)
        except KafkaError as error:
            result = _not_created(topic.name, error)
        else:
            records += created
        results.append(result)
    for name, count in times.items():
        if count > 1:
            results.append(_not_created(name, _invalid_request("Duplicate topic name.")))
        elif name == CLUSTER_METADATA:
            message = f"Creation of internal topic {CLUSTER_METADATA} is prohibited."
            results.append(_not_created(name, _invalid_request(message)))
    return [] if request.validate_only else records, CreateTopicsResponse(topics=results)


def _check_total(topics: Sequence[CreatableTopic], num_partitions: int) -> None:
    total = 0
    for topic in topics:
        asked = num_partitions if topic.num_partitions == -1 else max(0, topic.num_partitions)
        total += len(topic.assignments) or asked
    if total > MAX_PARTITIONS_PER_REQUEST:
        raise KafkaError(ErrorCode.POLICY_VIOLATION, "Excessively large number of partitions per request.")


def _create_topic(
    image: ClusterImage, topic: CreatableTopic, rules: TopicRules
) -> tuple[list[Data], CreatableTopicResult]:
    name = topic.name
    if name in image.topics:
        raise KafkaError(ErrorCode.TOPIC_ALREADY_EXISTS, f"Topic '{name}' already exists.")
    other = rules.colliding(name)
    if other is not None:
        raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, f"Topic '{name}' collides with existing topic: {other}")
    check(name)
    configs = _creation_configs(topic)
    rules.configs.check(image, (ResourceType.TOPIC, name), configs)
    replicas = _replicas(image, topic, rules)
    topic_id = rules.new_uuid()
    records: list[Data] = [TopicRecord(name=name, topic_id=topic_id)]
    records += [
        ConfigRecord(resource_type=ResourceType.TOPIC, resource_name=name, name=key, value=value)
        for key, value in configs.items()
    ]
    records += [_partition_record(image, topic_id, index, brokers) for index, brokers in enumerate(replicas)]
    return records, CreatableTopicResult(
        name=name,
        topic_id=topic_id,
        error_code=ErrorCode.NONE,
        error_message=None,
        num_partitions=len(replicas),
        replication_factor=len(replicas[0]),
        configs=_effective_configs(image, configs, rules),
    )


def _not_created(name: str, error: KafkaError) -> CreatableTopicResult:
    return CreatableTopicResult(name=name, error_code=error.code, error_message=error.message)


def _creation_configs(topic: CreatableTopic) -> dict[str, str]:
    """The topic's own configs; of a name that is there twice, the last counts."""
    nulls = [config.name for config in topic.configs if config.value is None]
    if nulls:
        raise KafkaError(ErrorCode.INVALID_CONFIG, f"Null value not supported for topic configs: {','.join(nulls)}")
    return {config.name: config.value for config in topic.configs if config.value is not None}


def _effective_configs(
    image: ClusterImage, configs: Mapping[str, str], rules: TopicRules
) -> list[CreatableTopicConfigs]:
    return [
        CreatableTopicConfigs(
            name=entry.name,
            value=entry.value,
            read_only=entry.read_only,
            config_source=entry.source,
            is_sensitive=entry.is_sensitive,
        )
        for entry in sorted(rules.configs.topic_entries(image, configs), key=attrgetter("name"))
    ]


def _replicas(image: ClusterImage, topic: CreatableTopic, rules: TopicRules) -> list[tuple[int, ...]]:
    """The replicas of each partition of a new topic, placed here or by the client."""
    if topic.assignments:
        return _assigned_replicas(image, topic)
    if topic.replication_factor < -1 or topic.replication_factor == 0:
        raise KafkaError(
            ErrorCode.INVALID_REPLICATION_FACTOR,
            "Replication factor must be larger than 0, or -1 to use the default value.",
        )
    if topic.num_partitions < -1 or topic.num_partitions == 0:
        raise KafkaError(ErrorCode.INVALID_PARTITIONS, "Number of partitions was set to an invalid non-positive value.")
    factor = rules.default_replication_factor if topic.replication_factor == -1 else topic.replication_factor
    count = rules.num_partitions if topic.num_partitions == -1 else topic.num_partitions
    return _place(image, partition_count=count, replication_factor=factor, random=rules.random)


def _place(
    image: ClusterImage, *, partition_count: int, replication_factor: int, random: Random
) -> list[tuple[int, ...]]:
    try:
        return placement.place(
            image.brokers.keys(),
            partition_count=partition_count,
            replication_factor=replication_factor,
            random=random,
        )
    except KafkaError as error:
        message = f"Unable to replicate the partition {replication_factor} time(s): {error.message}"
        raise KafkaError(error.code, message) from None


def _assigned_replicas(image: ClusterImage, topic: CreatableTopic) -> list[tuple[int, ...]]:
    for field, value in (("replication factor", topic.replication_factor), ("numPartitions", topic.num_partitions)):
        if value != -1:
            raise KafkaError(
                ErrorCode.INVALID_REQUEST,
                f"A manual partition assignment was specified, but {field} was not set to -1.",
            )
    replicas: dict[int, tuple[int, ...]] = {}
    factor = None
    for assignment in topic.assignments:
        if assignment.partition_index in replicas:
            raise KafkaError(
                ErrorCode.INVALID_REPLICA_ASSIGNMENT,
                f"Found multiple manual partition assignments for partition {assignment.partition_index}",
            )
        placement.check_assignment(assignment.broker_ids, image.brokers.keys(), factor)
        factor = len(assignment.broker_ids)
        replicas[assignment.partition_index] = tuple(assignment.broker_ids)
    if replicas.keys() != set(range(len(replicas))):
        raise KafkaError(
            ErrorCode.INVALID_REPLICA_ASSIGNMENT, "partitions should be a consecutive 0-based integer sequence"
        )
    return [replicas[index] for index in range(len(replicas))]


def _partition_record(image: ClusterImage, topic_id: UUID, index: int, replicas: tuple[int, ...]) -> PartitionRecord:
    return PartitionRecord(
        partition_id=index,
        topic_id=topic_id,
        replicas=list(replicas),
        isr=list(replicas),
        removing_replicas=[],
        adding_replicas=[],
        leader=replicas[0],
        leader_epoch=0,
        partition_epoch=0,
        directories=[image.brokers[broker].log_dirs[0] for broker in replicas],
    )


def delete_topics(
    image: ClusterImage, request: DeleteTopicsRequest, *, version: int, rules: TopicRules
) -> tuple[list[Data], DeleteTopicsResponse]:
    """Topics are named by `topic_names` up to version 5, by `topics` from 6 on."""
    if not rules.delete_topic_enable:
        if version < 3:
            raise KafkaError(ErrorCode.INVALID_REQUEST, "This version does not support topic deletion.")
        raise KafkaError(ErrorCode.TOPIC_DELETION_DISABLED)
    names, ids, results = _places_to_delete(request)
    unique_names, repeated_names = _split_repeated(names)
    unique_ids, repeated_ids = _split_repeated(ids)
    results += [_deletion(name, ZERO_ID, _invalid_request("Duplicate topic name.")) for name in repeated_names]
    results += [_deletion(None, topic_id, _invalid_request("Duplicate topic id.")) for topic_id in repeated_ids]
    doomed: dict[UUID, str] = {}
    for topic_id in unique_ids:
        found = image.topic_by_id(topic_id)
        if found is None:
            results.append(_deletion(None, topic_id, KafkaError(ErrorCode.UNKNOWN_TOPIC_ID)))
        else:
            doomed[topic_id] = found.name
    for name in unique_names:
        found = image.topic(name)
        if found is None:
            results.append(_deletion(name, ZERO_ID, KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)))
        elif found.topic_id in repeated_ids or doomed.pop(found.topic_id, None) is not None:
            error = _invalid_request("The provided topic name maps to an ID that was already supplied.")
            results.append(_deletion(name, found.topic_id, error))
        else:
            doomed[found.topic_id] = name
    results += [_deletion(name, topic_id, None) for topic_id, name in doomed.items()]
    return [RemoveTopicRecord(topic_id=topic_id) for topic_id in doomed], DeleteTopicsResponse(responses=results)


def _places_to_delete(request: DeleteTopicsRequest) -> tuple[list[str], list[UUID], list[DeletableTopicResult]]:
    """Names, ids, and the answers to what is neither or both."""
    names: list[str] = list(request.topic_names)
    ids: list[UUID] = []
    refused: list[DeletableTopicResult] = []
    for topic in request.topics:
        if topic.name is None and topic.topic_id == ZERO_ID:
            error = _invalid_request("Neither topic name nor id were specified.")
            refused.append(_deletion(None, ZERO_ID, error))
        elif topic.name is None:
            ids.append(topic.topic_id)
        elif topic.topic_id == ZERO_ID:
            names.append(topic.name)
        else:
            error = _invalid_request("You may not specify both topic name and topic id.")
            refused.append(_deletion(topic.name, topic.topic_id, error))
    return names, ids, refused


def _deletion(name: str | None, topic_id: UUID, error: KafkaError | None) -> DeletableTopicResult:
    return DeletableTopicResult(
        name=name,
        topic_id=topic_id,
        error_code=ErrorCode.NONE if error is None else error.code,
        error_message=None if error is None else error.message,
    )


def _invalid_request(message: str) -> KafkaError:
    return KafkaError(ErrorCode.INVALID_REQUEST, message)


def _split_repeated(items: Iterable[T]) -> tuple[list[T], list[T]]:
    """Those that are there once, and those that are there more often; both in order of appearance."""
    times = Counter(items)
    return [item for item in times if times[item] == 1], [item for item in times if times[item] > 1]


def create_partitions(
    image: ClusterImage, request: CreatePartitionsRequest, rules: TopicRules
) -> tuple[list[Data], CreatePartitionsResponse]:
    """Each topic grows or is refused by itself; those named twice are refused."""
    unique, repeated = _split_repeated(topic.name for topic in request.topics)
    duplicate = _invalid_request("Duplicate topic name.")
    results = [_partitions_result(name, duplicate) for name in repeated]
    records: list[Data] = []
    for topic in request.topics:
        if topic.name not in unique:
            continue
        try:
            records += _add_partitions(image, topic, rules)
        except KafkaError as error:
            results.append(_partitions_result(topic.name, error))
        else:
            results.append(CreatePartitionsTopicResult(name=topic.name, error_code=ErrorCode.NONE))
    return [] if request.validate_only else records, CreatePartitionsResponse(results=results)


def _partitions_result(name: str, error: KafkaError) -> CreatePartitionsTopicResult:
    return CreatePartitionsTopicResult(name=name, error_code=error.code, error_message=error.message)


def _add_partitions(image: ClusterImage, topic: CreatePartitionsTopic, rules: TopicRules) -> list[Data]:
    found = image.topic(topic.name)
    if found is None:
        raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    now = len(found.partitions)
    added = topic.count - now
    if added == 0:
        raise KafkaError(ErrorCode.INVALID_PARTITIONS, f"Topic already has {now} partition(s).")
    if added < 0:
        raise KafkaError(
            ErrorCode.INVALID_PARTITIONS,
            f"The topic {topic.name} currently has {now} partition(s); {topic.count} would not be an increase.",
        )
    factor = len(found.partitions[0].replicas)
    if topic.assignments is None:
        if added > MAX_PARTITIONS_PER_REQUEST:
            raise KafkaError(ErrorCode.POLICY_VIOLATION, "Excessively large number of partitions per request.")
        replicas = _place(image, partition_count=added, replication_factor=factor, random=rules.random)
    elif len(topic.assignments) != added:
        raise KafkaError(
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
            f"Attempted to add {added} additional partition(s), but only {len(topic.assignments)} "
            "assignment(s) were specified.",
        )
    else:
        for assignment in topic.assignments:
            placement.check_assignment(assignment.broker_ids, image.brokers.keys(), factor)
        replicas = [tuple(assignment.broker_ids) for assignment in topic.assignments]
    return [_partition_record(image, found.topic_id, now + index, brokers) for index, brokers in enumerate(replicas)]
