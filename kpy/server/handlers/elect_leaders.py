"""ElectLeaders (43): which partitions would need another leader. With one broker none does, or none can have one.

Versions: 1 can ask for an unclean election (KIP-460); before, the preferred leader is meant.
"""

from kpy.cluster.image import ClusterImage
from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.elect_leaders import (
    ElectLeadersRequest,
    ElectLeadersResponse,
    PartitionResult,
    ReplicaElectionResult,
)
from kpy.server.context import RequestContext
from kpy.server.handlers import handles

PREFERRED, UNCLEAN = 0, 1


@handles(ElectLeadersRequest)
def elect_leaders(request: ElectLeadersRequest, context: RequestContext) -> ElectLeadersResponse:
    """Say of each partition why its leader stays."""
    image, kind = context.services.cluster.image, request.election_type
    if request.topic_partitions is None:
        # Asked for all partitions, Kafka leaves out those that need no election.
        places = {
            topic.name: [
                index
                for index in range(len(topic.partitions))
                if _outcome(image, topic.name, index, kind)[0] is not ErrorCode.ELECTION_NOT_NEEDED
            ]
            for topic in image.topics.values()
        }
        asked = list(places.items())
    else:
        asked = [(topic.topic, topic.partitions) for topic in request.topic_partitions]
    results = []
    for name, indexes in asked:
        partitions = []
        for index in indexes:
            code, message = _outcome(image, name, index, kind)
            partitions.append(PartitionResult(partition_id=index, error_code=code, error_message=message))
        results.append(ReplicaElectionResult(topic=name, partition_result=partitions))
    code = ErrorCode.NONE if kind in {PREFERRED, UNCLEAN} else ErrorCode.INVALID_REQUEST
    return ElectLeadersResponse(error_code=code, replica_election_results=results)


def _outcome(image: ClusterImage, topic: str, index: int, kind: int) -> tuple[ErrorCode, str]:
    """The checks of ReplicationControlManager.electLeader."""
    if kind not in {PREFERRED, UNCLEAN}:
        return ErrorCode.INVALID_REQUEST, f"Unknown election type {kind}"
    if image.topic(topic) is None:
        return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"No such topic as {topic}"
    partition = image.partition(topic, index)
    if partition is None:
        return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"No such partition as {topic}-{index}"
    if partition.leader == partition.replicas[0] or (kind == UNCLEAN and partition.leader != -1):
        return ErrorCode.ELECTION_NOT_NEEDED, ErrorCode.ELECTION_NOT_NEEDED.message
    code = ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE if kind == PREFERRED else ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE
    return code, code.message
