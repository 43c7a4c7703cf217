"""UnregisterBroker (64): a broker that is down for good is forgotten (KIP-631). The only one never is.

Apache Kafka forgets a broker that runs, too: the only broker then leads nothing until it is started again.
"""

from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.unregister_broker import UnregisterBrokerRequest, UnregisterBrokerResponse
from kpy.server.context import RequestContext
from kpy.server.handlers import handles


@handles(UnregisterBrokerRequest)
def unregister_broker(request: UnregisterBrokerRequest, context: RequestContext) -> UnregisterBrokerResponse:
    """Say why nothing is done."""
    number = request.broker_id
    if number in context.services.cluster.image.brokers:
        code, message = ErrorCode.INVALID_REQUEST, f"Broker {number} is running, and there is no other."
    else:
        code, message = ErrorCode.BROKER_ID_NOT_REGISTERED, f"Broker ID {number} is not currently registered"
    return UnregisterBrokerResponse(error_code=code, error_message=message)
