"""Metadata (3): brokers, topics and who leads their partitions; unknown topics are created on the way.

Unlike Apache Kafka, which answers UNKNOWN_TOPIC_OR_PARTITION for a topic whose creation it has only begun, the topic
is there when the answer goes out: some old clients give up on that error.

Versions: in 0 an empty list asks for all topics, from 1 on null does; 4 lets the client forbid the creation; topic
ids count from 12 on, and where one request has any, its names do not count.
"""

from collections.abc import Iterable, Sequence

from kpy.cluster.image import BrokerImage, ClusterImage, PartitionImage, TopicImage
from kpy.cluster.internal_topics import creatable_topic
from kpy.cluster.topic_names import is_internal, is_valid
from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.protocol.messages.create_topics import CreateTopicsRequest
from kpy.protocol.messages.metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
    MetadataResponseBroker,
    MetadataResponsePartition,
    MetadataResponseTopic,
)
from kpy.server import authorized_operations
from kpy.server.context import RequestContext
from kpy.server.handlers import handles
from kpy.server.handlers.create_topics import execute_create_topics

FIRST_VERSION_WITH_IDS = 12


@handles(MetadataRequest)
def metadata(request: MetadataRequest, context: RequestContext) -> MetadataResponse:
    """Answer from the image, after it has the topics that were asked for."""
    try:
        topics = _topics(request, context)
    except KafkaError as error:
        return _error_response(request, error)
    image = context.services.cluster.image
    brokers = reachable_brokers(image, context.listener)
    return MetadataResponse(
        brokers=[
            MetadataResponseBroker(node_id=broker.broker_id, host=host, port=port, rack=broker.rack)
            for broker, host, port in brokers
        ],
        cluster_id=image.cluster_id,
        controller_id=brokers[0][0].broker_id if brokers else -1,
        topics=topics,
        cluster_authorized_operations=(
            authorized_operations.CLUSTER
            if request.include_cluster_authorized_operations
            else authorized_operations.NOT_ASKED
        ),
    )


def reachable_brokers(image: ClusterImage, listener: str) -> list[tuple[BrokerImage, str, int]]:
    """The brokers that are up, with host and port as advertised on the listener that the client came by."""
    return [
        (broker, endpoint.host, endpoint.port)
        for broker in image.brokers.values()
        if not broker.fenced and (endpoint := broker.endpoints.get(listener)) is not None
    ]


def offline_replicas(image: ClusterImage, partition: PartitionImage) -> list[int]:
    """Replicas on brokers that are not there."""
    return [
        replica for replica in partition.replicas if (broker := image.brokers.get(replica)) is None or broker.fenced
    ]


def _topics(request: MetadataRequest, context: RequestContext) -> list[MetadataResponseTopic]:
    cluster = context.services.cluster
    asked = request.topics
    if asked is None or (not asked and context.version == 0):
        described = [_known_topic(cluster.image, topic) for topic in cluster.image.topics.values()]
    else:
        _check_places(asked, context.version)
        ids = dict.fromkeys(topic.topic_id for topic in asked if topic.topic_id.int)
        if ids:
            known = [topic for topic_id in ids if (topic := cluster.image.topic_by_id(topic_id)) is not None]
            unknown = ids.keys() - {topic.topic_id for topic in known}
            described = [_known_topic(cluster.image, topic) for topic in known]
            return _with_operations(request, described) + [
                MetadataResponseTopic(
                    error_code=ErrorCode.UNKNOWN_TOPIC_ID, name=None, topic_id=topic_id, partitions=[]
                )
                for topic_id in unknown
            ]
        names = dict.fromkeys(topic.name for topic in asked if topic.name is not None)
        if request.allow_auto_topic_creation and context.services.config.auto_create_topics_enable:
            _create_missing(names, context)
        described = [_topic_by_name(cluster.image, name) for name in names]
    return _with_operations(request, described)


def _check_places(asked: Sequence[MetadataRequestTopic], version: int) -> None:
    for topic in asked:
        if topic.name is None and (version < FIRST_VERSION_WITH_IDS or not topic.topic_id.int):
            raise KafkaError(ErrorCode.INVALID_REQUEST, "a topic with neither name nor id")
        if topic.topic_id.int and version < FIRST_VERSION_WITH_IDS:
            raise KafkaError(ErrorCode.INVALID_REQUEST, f"topic ids do not count in version {version}")


def _create_missing(names: Iterable[str], context: RequestContext) -> None:
    """Create what can be created; what cannot stays unknown in the answer, as in Kafka."""
    services = context.services
    missing = [name for name in names if name not in services.cluster.image.topics and is_valid(name)]
    if missing:
        topics = [creatable_topic(name, services.config) for name in missing]
        execute_create_topics(CreateTopicsRequest(topics=topics), services.cluster)


def _topic_by_name(image: ClusterImage, name: str) -> MetadataResponseTopic:
    topic = image.topic(name)
    if topic is not None:
        return _known_topic(image, topic)
    return MetadataResponseTopic(
        error_code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION if is_valid(name) else ErrorCode.INVALID_TOPIC_EXCEPTION,
        name=name,
        is_internal=is_internal(name),
        partitions=[],
    )


def _known_topic(image: ClusterImage, topic: TopicImage) -> MetadataResponseTopic:
    return MetadataResponseTopic(
        error_code=ErrorCode.NONE,
        name=topic.name,
        topic_id=topic.topic_id,
        is_internal=topic.is_internal,
        partitions=[
            MetadataResponsePartition(
                error_code=ErrorCode.NONE if partition.leader in image.brokers else ErrorCode.LEADER_NOT_AVAILABLE,
                partition_index=index,
                leader_id=partition.leader if partition.leader in image.brokers else -1,
                leader_epoch=partition.leader_epoch,
                replica_nodes=list(partition.replicas),
                isr_nodes=list(partition.isr),
                offline_replicas=offline_replicas(image, partition),
            )
            for index, partition in enumerate(topic.partitions)
        ],
    )


def _with_operations(request: MetadataRequest, topics: list[MetadataResponseTopic]) -> list[MetadataResponseTopic]:
    if request.include_topic_authorized_operations:
        for topic in topics:
            topic.topic_authorized_operations = authorized_operations.TOPIC
    return topics


def _error_response(request: MetadataRequest, error: KafkaError) -> MetadataResponse:
    return MetadataResponse(
        brokers=[],
        topics=[
            MetadataResponseTopic(error_code=error.code, name=topic.name or "", topic_id=topic.topic_id, partitions=[])
            for topic in request.topics or ()
        ],
        error_code=error.code,
    )
