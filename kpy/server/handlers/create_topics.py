"""CreateTopics (19): see `kpy.cluster.topics`. Versions from 5 on are told the new topic's configs (KIP-525)."""

from kpy.protocol.errors import KafkaError
from kpy.protocol.messages.create_topics import CreatableTopicResult, CreateTopicsRequest, CreateTopicsResponse
from kpy.server.cluster_metadata import ClusterMetadata
from kpy.server.context import RequestContext
from kpy.server.handlers import handles


@handles(CreateTopicsRequest)
def create_topics(request: CreateTopicsRequest, context: RequestContext) -> CreateTopicsResponse:
    """Ask the controller."""
    return execute_create_topics(request, context.services.cluster)


def execute_create_topics(request: CreateTopicsRequest, cluster: ClusterMetadata) -> CreateTopicsResponse:
    """For clients, and for topics that come into being on demand."""

    def failed(error: KafkaError) -> CreateTopicsResponse:
        return CreateTopicsResponse(
            topics=[
                CreatableTopicResult(name=topic.name, error_code=error.code, error_message=error.message, configs=[])
                for topic in request.topics
            ]
        )

    return cluster.change(lambda controller, to: controller.create_topics(request, to), failed)
