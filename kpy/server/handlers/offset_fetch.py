"""OffsetFetch (9): see `kpy.groups.commits`.

Version 8 asks for several groups at once (KIP-709), and the answer is shaped by group; the versions before it are the
case of one group. From version 10 on topics are named by their ids.
"""

from kpy.groups.responses import coordinator_error, offset_fetch_error
from kpy.protocol.errors import KafkaError
from kpy.protocol.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
    OffsetFetchResponse,
    OffsetFetchResponseGroup,
    OffsetFetchResponsePartition,
    OffsetFetchResponseTopic,
)
from kpy.server.context import RequestContext
from kpy.server.handlers import handles

GROUPS_SINCE = 8


@handles(OffsetFetchRequest)
def offset_fetch(request: OffsetFetchRequest, context: RequestContext) -> OffsetFetchResponse:
    """Ask the coordinators of the groups."""
    if context.version >= GROUPS_SINCE:
        return OffsetFetchResponse(groups=[_fetch(group, context) for group in request.groups])
    topics = None
    if request.topics is not None:
        topics = [
            OffsetFetchRequestTopics(name=topic.name, partition_indexes=topic.partition_indexes)
            for topic in request.topics
        ]
    return _single(_fetch(OffsetFetchRequestGroup(group_id=request.group_id, topics=topics), context))


def _fetch(group: OffsetFetchRequestGroup, context: RequestContext) -> OffsetFetchResponseGroup:
    try:
        coordinator = context.services.groups.runtime_for(group.group_id).machine
    except KafkaError as error:
        return offset_fetch_error(group, coordinator_error(error.code), version=context.version)
    return coordinator.offset_fetch(group, version=context.version, topics=context.services.cluster.image)


def _single(group: OffsetFetchResponseGroup) -> OffsetFetchResponse:
    return OffsetFetchResponse(
        error_code=group.error_code,
        topics=[
            OffsetFetchResponseTopic(
                name=topic.name,
                partitions=[
                    OffsetFetchResponsePartition(
                        partition_index=partition.partition_index,
                        committed_offset=partition.committed_offset,
                        committed_leader_epoch=partition.committed_leader_epoch,
                        metadata=partition.metadata,
                        error_code=partition.error_code,
                    )
                    for partition in topic.partitions
                ],
            )
            for topic in group.topics
        ],
    )
