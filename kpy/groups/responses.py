"""Error answers, shaped as each API has them; also what becomes of an error that is not the coordinator's own.

Handlers use them when the coordinator cannot be asked or its records cannot be appended.
"""

from collections.abc import Sequence

from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.delete_groups import DeletableGroupResult, DeleteGroupsResponse
from kpy.protocol.messages.describe_groups import DescribedGroup
from kpy.protocol.messages.heartbeat import HeartbeatResponse
from kpy.protocol.messages.join_group import JoinGroupResponse
from kpy.protocol.messages.leave_group import LeaveGroupResponse
from kpy.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)
from kpy.protocol.messages.offset_delete import OffsetDeleteResponse
from kpy.protocol.messages.offset_fetch import (
    OffsetFetchRequestGroup,
    OffsetFetchResponseGroup,
    OffsetFetchResponsePartitions,
    OffsetFetchResponseTopics,
)
from kpy.protocol.messages.sync_group import SyncGroupResponse

UNKNOWN_OFFSET = -1

_COORDINATOR_ERRORS = {
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.NOT_ENOUGH_REPLICAS: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.REQUEST_TIMED_OUT: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.NOT_LEADER_OR_FOLLOWER: ErrorCode.NOT_COORDINATOR,
    ErrorCode.KAFKA_STORAGE_ERROR: ErrorCode.NOT_COORDINATOR,
    ErrorCode.MESSAGE_TOO_LARGE: ErrorCode.UNKNOWN_SERVER_ERROR,
    ErrorCode.RECORD_LIST_TOO_LARGE: ErrorCode.UNKNOWN_SERVER_ERROR,
    ErrorCode.INVALID_FETCH_SIZE: ErrorCode.UNKNOWN_SERVER_ERROR,
}
_RETRIED_BY_OLD_CONSUMERS = {ErrorCode.COORDINATOR_NOT_AVAILABLE: ErrorCode.NOT_COORDINATOR}


def coordinator_error(code: ErrorCode) -> ErrorCode:
    """What clients of a coordinator are told of an error of its log (CoordinatorOperationExceptionHelper)."""
    return _COORDINATOR_ERRORS.get(code, code)


def join_group_error(code: ErrorCode, *, member_id: str, version: int) -> JoinGroupResponse:
    """The protocol name of a failed join is empty, and null where the version has null (JoinGroupResponse)."""
    return JoinGroupResponse(
        error_code=code,
        protocol_name=None if version >= 7 else "",
        leader="",
        member_id=member_id,
        members=[],
    )


def sync_group_error(code: ErrorCode) -> SyncGroupResponse:
    return SyncGroupResponse(error_code=code, assignment=b"")


def heartbeat_error(code: ErrorCode) -> HeartbeatResponse:
    return HeartbeatResponse(error_code=code)


def leave_group_error(code: ErrorCode) -> LeaveGroupResponse:
    return LeaveGroupResponse(error_code=code)


def offset_commit_error(request: OffsetCommitRequest, code: ErrorCode) -> OffsetCommitResponse:
    """The same error for every partition: the response has no other place for one."""
    return OffsetCommitResponse(
        topics=[
            OffsetCommitResponseTopic(
                name=topic.name,
                topic_id=topic.topic_id,
                partitions=[
                    OffsetCommitResponsePartition(partition_index=partition.partition_index, error_code=code)
                    for partition in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )


def offset_delete_error(code: ErrorCode) -> OffsetDeleteResponse:
    return OffsetDeleteResponse(error_code=code, topics=[])


def delete_groups_error(group_ids: Sequence[str], code: ErrorCode) -> DeleteGroupsResponse:
    return DeleteGroupsResponse(
        results=[DeletableGroupResult(group_id=group_id, error_code=code) for group_id in group_ids]
    )


def described_group_error(group_id: str, code: ErrorCode) -> DescribedGroup:
    return DescribedGroup(
        error_code=code, group_id=group_id, group_state="", protocol_type="", protocol_data="", members=[]
    )


def offset_fetch_error(request: OffsetFetchRequestGroup, code: ErrorCode, *, version: int) -> OffsetFetchResponseGroup:
    """Version 1 has no place but the partitions. No consumer before 3.9 retries COORDINATOR_NOT_AVAILABLE here."""
    code = _RETRIED_BY_OLD_CONSUMERS.get(code, code)
    if version >= 2:
        return OffsetFetchResponseGroup(group_id=request.group_id, topics=[], error_code=code)
    return OffsetFetchResponseGroup(
        group_id=request.group_id,
        topics=[
            OffsetFetchResponseTopics(
                name=topic.name, partitions=[no_offset(index, code) for index in topic.partition_indexes]
            )
            for topic in request.topics or ()
        ],
    )


def no_offset(partition: int, code: ErrorCode = ErrorCode.NONE) -> OffsetFetchResponsePartitions:
    """Nothing is committed for the partition, or nothing can be said of it."""
    return OffsetFetchResponsePartitions(
        partition_index=partition, committed_offset=UNKNOWN_OFFSET, metadata="", error_code=code
    )
