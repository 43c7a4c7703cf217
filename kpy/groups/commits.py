"""OffsetCommit, OffsetDelete and OffsetFetch, for groups of any protocol.

Follows KafkaApis for what a topic or partition may be, then OffsetMetadataManager. Topics and partitions are answered
in the order in which they were asked for.
"""

import sys
from collections.abc import Iterable
from uuid import UUID

from kpy.groups.group import Group
from kpy.groups.offsets import OffsetStore
from kpy.groups.records import offset_record
from kpy.groups.responses import no_offset
from kpy.groups.topics import NO_TOPIC_ID, Topic, Topics
from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.protocol.group_records import OffsetCommitValue
from kpy.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)
from kpy.protocol.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteResponse,
    OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic,
)
from kpy.protocol.messages.offset_fetch import (
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
    OffsetFetchResponseGroup,
    OffsetFetchResponsePartitions,
    OffsetFetchResponseTopics,
)
from kpy.protocol.records import int64
from kpy.state_machine import Record, Timer

TOPIC_IDS_SINCE = 10
BROKER_RETENTION = -1


def check_commit(
    group: Group | None, request: OffsetCommitRequest, version: int, places: Iterable[tuple[UUID, int]]
) -> Timer | None:
    """Raise what the group says against the commit; the session timer that it sets anew.

    A group that is not there is made by a commit that claims no generation.
    """
    if group is not None:
        return group.check_commit(
            request.member_id,
            request.group_instance_id,
            request.generation_id_or_member_epoch,
            version=version,
            places=places,
        )
    if request.generation_id_or_member_epoch >= 0:
        raise KafkaError(ErrorCode.GROUP_ID_NOT_FOUND if version >= 9 else ErrorCode.ILLEGAL_GENERATION)
    return None


def names_a_partition(request: OffsetCommitRequest, topics: Topics, version: int) -> bool:
    """Whether any partition of the commit exists. If none does, KafkaApis answers without asking the group."""
    return any(True for _ in places_of(request, topics, version=version, max_metadata=sys.maxsize))


def places_of(
    request: OffsetCommitRequest, topics: Topics, *, version: int, max_metadata: int
) -> Iterable[tuple[UUID, int]]:
    """The topics and partitions that a commit would be kept for, if the group allows it."""
    for asked in request.topics:
        topic = _find(topics, asked.name, asked.topic_id, version)
        for partition in asked.partitions if topic is not None else ():
            index = partition.partition_index
            if (
                topic is not None
                and 0 <= index < len(topic.partitions)
                and _utf16_length(partition.committed_metadata) <= max_metadata
            ):
                yield topic.topic_id, index


def commit(
    request: OffsetCommitRequest,
    topics: Topics,
    *,
    version: int,
    max_metadata: int,
    now_ms: int,
    refusal: ErrorCode = ErrorCode.NONE,
) -> tuple[list[Record], OffsetCommitResponse]:
    """The records and the answer of a commit that the group allows; `refusal` is what it says if it does not."""
    records: list[Record] = []
    response = OffsetCommitResponse(topics=[])
    no_topic = ErrorCode.UNKNOWN_TOPIC_ID if version >= TOPIC_IDS_SINCE else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    retention_ms = request.retention_time_ms
    expires_ms = -1 if retention_ms == BROKER_RETENTION else int64(now_ms + retention_ms)
    for asked in request.topics:
        topic = _find(topics, asked.name, asked.topic_id, version)
        answered: list[OffsetCommitResponsePartition] = []
        for partition in asked.partitions:
            index = partition.partition_index
            if topic is None:
                code = no_topic
            elif not 0 <= index < len(topic.partitions):
                code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            elif refusal:
                code = refusal
            elif _utf16_length(partition.committed_metadata) > max_metadata:
                code = ErrorCode.OFFSET_METADATA_TOO_LARGE
            else:
                code = ErrorCode.NONE
                value = _committed(partition, topic, now_ms, expires_ms)
                records.append(offset_record(request.group_id, topic.name, index, value))
            answered.append(OffsetCommitResponsePartition(partition_index=index, error_code=code))
        response.topics.append(OffsetCommitResponseTopic(name=asked.name, topic_id=asked.topic_id, partitions=answered))
    return records, response


def _committed(
    partition: OffsetCommitRequestPartition, topic: Topic, now_ms: int, expires_ms: int
) -> OffsetCommitValue:
    """The record's value. Null metadata is stored, and fetched again, as an empty one.

    Only a version without epoch and topic id has room for an end of its own, so these are not kept live either.
    """
    offset, metadata = partition.committed_offset, partition.committed_metadata or ""
    if expires_ms != -1:
        return OffsetCommitValue(offset=offset, metadata=metadata, commit_timestamp=now_ms, expire_timestamp=expires_ms)
    return OffsetCommitValue(
        offset=offset,
        leader_epoch=partition.committed_leader_epoch,
        metadata=metadata,
        commit_timestamp=now_ms,
        topic_id=topic.topic_id,
    )


def _utf16_length(text: str | None) -> int:
    """The length that Kafka compares with offset.metadata.max.bytes: Java's, which is neither bytes nor characters."""
    if not text:
        return 0
    return len(text) if text.isascii() else len(text.encode("utf-16-be", "surrogatepass")) // 2


def _find(topics: Topics, name: str, topic_id: object, version: int) -> Topic | None:
    if version < TOPIC_IDS_SINCE:
        return topics.topic(name)
    return None if topic_id == NO_TOPIC_ID else topics.topic_by_id(topic_id)  # type: ignore[arg-type]


def delete(
    request: OffsetDeleteRequest, group: Group, offsets: OffsetStore, topics: Topics
) -> tuple[list[Record], OffsetDeleteResponse]:
    """Forget offsets, but not of topics that members read."""
    group.check_offset_delete()
    records: list[Record] = []
    response = OffsetDeleteResponse(error_code=ErrorCode.NONE, topics=[])
    for asked in request.topics:
        topic = topics.topic(asked.name)
        partition_count = len(topic.partitions) if topic is not None else 0
        subscribed = group.is_subscribed(asked.name)
        answered: list[OffsetDeleteResponsePartition] = []
        for partition in asked.partitions:
            index = partition.partition_index
            code = ErrorCode.NONE
            if not 0 <= index < partition_count:
                code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            elif subscribed:
                code = ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC
            elif offsets.get(request.group_id, asked.name, index) is not None:
                records.append(offset_record(request.group_id, asked.name, index, None))
            answered.append(OffsetDeleteResponsePartition(partition_index=index, error_code=code))
        response.topics.append(OffsetDeleteResponseTopic(name=asked.name, partitions=answered))
    return records, response


def fetch(
    request: OffsetFetchRequestGroup, offsets: OffsetStore, topics: Topics, version: int
) -> OffsetFetchResponseGroup:
    """What the group has committed: of all topics, or of those asked for. No group is nothing committed.

    There are no transactional commits, so that every offset is stable.
    """
    if request.topics is None:
        answered = _all_topics(request.group_id, offsets, topics, version)
    else:
        answered = [_topic(request.group_id, asked, offsets, topics, version) for asked in request.topics]
    return OffsetFetchResponseGroup(group_id=request.group_id, topics=answered)


def _all_topics(group_id: str, offsets: OffsetStore, topics: Topics, version: int) -> list[OffsetFetchResponseTopics]:
    """A version with ids cannot name a topic that has none any more."""
    answered = []
    for name, committed in offsets.of_group(group_id).items():
        topic_id = NO_TOPIC_ID
        if version >= TOPIC_IDS_SINCE:
            topic = topics.topic(name)
            if topic is None:
                continue
            topic_id = topic.topic_id
        partitions = [_offset(index, value) for index, value in committed.items()]
        answered.append(OffsetFetchResponseTopics(name=name, topic_id=topic_id, partitions=partitions))
    return answered


def _topic(
    group_id: str, asked: OffsetFetchRequestTopics, offsets: OffsetStore, topics: Topics, version: int
) -> OffsetFetchResponseTopics:
    name, code = asked.name, ErrorCode.NONE
    if version >= TOPIC_IDS_SINCE:
        topic = _find(topics, name, asked.topic_id, version)
        if topic is None:
            code = ErrorCode.UNKNOWN_TOPIC_ID
        else:
            name = topic.name
    if code:
        partitions = [no_offset(index, code) for index in asked.partition_indexes]
    else:
        partitions = list(_committed_of(offsets.of_group(group_id).get(name, {}), asked))
    return OffsetFetchResponseTopics(name=name, topic_id=asked.topic_id, partitions=partitions)


def _committed_of(
    committed: dict[int, OffsetCommitValue], asked: OffsetFetchRequestTopics
) -> Iterable[OffsetFetchResponsePartitions]:
    for index in asked.partition_indexes:
        value = committed.get(index)
        if value is None or _is_of_another_topic(value, asked):
            yield no_offset(index)
        else:
            yield _offset(index, value)


def _is_of_another_topic(value: OffsetCommitValue, asked: OffsetFetchRequestTopics) -> bool:
    """Of one that had the name before."""
    return NO_TOPIC_ID not in (value.topic_id, asked.topic_id) and value.topic_id != asked.topic_id


def _offset(index: int, value: OffsetCommitValue) -> OffsetFetchResponsePartitions:
    return OffsetFetchResponsePartitions(
        partition_index=index,
        committed_offset=value.offset,
        committed_leader_epoch=value.leader_epoch,
        metadata=value.metadata,
        error_code=ErrorCode.NONE,
    )
