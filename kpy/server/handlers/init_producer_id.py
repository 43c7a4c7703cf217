"""InitProducerId: an id for an idempotent producer (KIP-98, KIP-360).

Transactions are not served yet. Kafka has no error code for that; UNSUPPORTED_VERSION is one that every client takes
as final and reports, where a retriable one would keep it trying until its timeout.
"""

from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.protocol.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from kpy.server.context import RequestContext
from kpy.server.handlers import handles


@handles(InitProducerIdRequest, served="0-5")  # Kafka marks version 6 unstable
def init_producer_id(request: InitProducerIdRequest, context: RequestContext) -> InitProducerIdResponse:
    """A new id with epoch 0, whatever id the producer had."""
    try:
        _check(request)
        producer_id = context.services.cluster.new_producer_id()
    except KafkaError as error:
        return InitProducerIdResponse(error_code=error.code, producer_id=-1, producer_epoch=-1)
    return InitProducerIdResponse(error_code=0, producer_id=producer_id, producer_epoch=0)


def _check(request: InitProducerIdRequest) -> None:
    if request.transactional_id == "":
        raise KafkaError(ErrorCode.INVALID_REQUEST, "the transactional id is empty")
    if (request.producer_id == -1) != (request.producer_epoch == -1):
        raise KafkaError(ErrorCode.INVALID_REQUEST, "a producer id and its epoch come together")
    if request.transactional_id is not None:
        raise KafkaError(ErrorCode.UNSUPPORTED_VERSION, "transactions are not supported")
