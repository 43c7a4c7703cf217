"""CreatePartitions (37): see `kpy.cluster.topics`. All versions mean the same."""

from kpy.protocol.errors import KafkaError
from kpy.protocol.messages.create_partitions import (
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    CreatePartitionsTopicResult,
)
from kpy.server.context import RequestContext
from kpy.server.handlers import handles


@handles(CreatePartitionsRequest)
def create_partitions(request: CreatePartitionsRequest, context: RequestContext) -> CreatePartitionsResponse:
    """Ask the controller."""

    def failed(error: KafkaError) -> CreatePartitionsResponse:
        return CreatePartitionsResponse(
            results=[
                CreatePartitionsTopicResult(name=topic.name, error_code=error.code, error_message=error.message)
                for topic in request.topics
            ]
        )

    return context.services.cluster.change(lambda controller, to: controller.create_partitions(request, to), failed)
