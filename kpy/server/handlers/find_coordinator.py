"""FindCoordinator (10): the broker that a group belongs to, or a transactional id: the leader of its partition.

Versions: 0 knows groups only; from 4 on many keys at once (KIP-699); 6 has share groups, which are not served yet.
For a transactional id the answer is this broker, though it serves no transactions: InitProducerId says so in an error
that clients take as final, where no coordinator would keep them asking.
"""

from enum import IntEnum

from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.protocol.messages.find_coordinator import Coordinator, FindCoordinatorRequest, FindCoordinatorResponse
from kpy.server.context import RequestContext
from kpy.server.handlers import handles
from kpy.server.handlers.metadata import reachable_brokers

MANY_KEYS_SINCE = 4
NOT_FOUND = (-1, "", -1)
NO_ERROR_TEXT = "NONE"  # what Kafka sends, instead of null, where one key is asked for


class CoordinatorType(IntEnum):
    """What a key names."""

    GROUP = 0
    TRANSACTION = 1
    SHARE = 2


@handles(FindCoordinatorRequest)
def find_coordinator(request: FindCoordinatorRequest, context: RequestContext) -> FindCoordinatorResponse:
    """Look each key up; `__consumer_offsets` is created when first needed."""
    if context.version >= MANY_KEYS_SINCE:
        return FindCoordinatorResponse(
            coordinators=[_coordinator(key, request, context) for key in request.coordinator_keys]
        )
    found = _coordinator(request.key, request, context)
    return FindCoordinatorResponse(
        error_code=found.error_code,
        error_message=found.error_message or ErrorCode(found.error_code).message or NO_ERROR_TEXT,
        node_id=found.node_id,
        host=found.host,
        port=found.port,
    )


def _coordinator(key: str, request: FindCoordinatorRequest, context: RequestContext) -> Coordinator:
    code, message = ErrorCode.NONE, ""
    node_id, host, port = NOT_FOUND
    try:
        node_id, host, port = _locate(key, request.key_type, context)
    except KafkaError as error:
        code, message = error.code, error.message
    return Coordinator(key=key, node_id=node_id, host=host, port=port, error_code=code, error_message=message)


def _locate(key: str, key_type: int, context: RequestContext) -> tuple[int, str, int]:
    brokers = reachable_brokers(context.services.cluster.image, context.listener)
    if key_type == CoordinatorType.GROUP:
        leader = context.services.groups.leader_of(key)
        for broker, host, port in brokers:
            if broker.broker_id == leader:
                return leader, host, port
    elif key_type == CoordinatorType.TRANSACTION:
        for broker, host, port in brokers[:1]:
            return broker.broker_id, host, port
    elif key_type == CoordinatorType.SHARE:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "")  # Kafka has no words for it
    else:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"there are no coordinators of type {key_type}")
    raise KafkaError(ErrorCode.COORDINATOR_NOT_AVAILABLE)
