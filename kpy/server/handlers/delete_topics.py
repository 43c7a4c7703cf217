"""DeleteTopics (20): see `kpy.cluster.topics`. Version 6 names topics by id too (KIP-516)."""

from collections.abc import Awaitable

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
from kpy.server.maintenance import Checkpoints


@handles(DeleteTopicsRequest)
def delete_topics(
    request: DeleteTopicsRequest, context: RequestContext
) -> DeleteTopicsResponse | Awaitable[DeleteTopicsResponse]:
    """Ask the controller. Who hears of a deletion may have topics of those names made: nothing is left to wait for."""

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

    response = context.services.cluster.change(
        lambda controller, to: controller.delete_topics(request, context.version, to), failed
    )
    checkpoints = context.services.checkpoints
    return _when_forgotten(response, checkpoints) if checkpoints.must_forget else response


async def _when_forgotten(response: DeleteTopicsResponse, checkpoints: Checkpoints) -> DeleteTopicsResponse:
    await checkpoints.forget_deleted()
    return response
