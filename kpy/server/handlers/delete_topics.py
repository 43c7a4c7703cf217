"""DeleteTopics (20): see `kpy.cluster.topics`. Version 6 names topics by id too (KIP-516)."""

from kpy.cluster.topics import ZERO_ID
from kpy.protocol.errors import KafkaError
from kpy.protocol.messages.delete_topics import (
    DeletableTopicResult,
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    DeleteTopicState,
)
from kpy.server.context import RequestContext
from kpy.server.handlers import handles


@handles(DeleteTopicsRequest)
def delete_topics(request: DeleteTopicsRequest, context: RequestContext) -> DeleteTopicsResponse:
    """Ask the controller."""

    def failed(error: KafkaError) -> DeleteTopicsResponse:
        named = [DeleteTopicState(name=name, topic_id=ZERO_ID) for name in request.topic_names]
        return DeleteTopicsResponse(
            responses=[
                DeletableTopicResult(
                    name=topic.name,
                    topic_id=topic.topic_id,
                    error_code=error.code,
                    error_message=error.message,
                )
                for topic in (*named, *request.topics)
            ]
        )

    return context.services.cluster.change(
        lambda controller, to: controller.delete_topics(request, context.version, to), failed
    )
