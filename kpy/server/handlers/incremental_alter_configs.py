"""IncrementalAlterConfigs (44): see `kpy.cluster.config_changes`; levels of loggers are changed here and now."""

from kpy.cluster.image import ResourceType
from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.protocol.messages.incremental_alter_configs import (
    AlterConfigsResource,
    AlterConfigsResourceResponse,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from kpy.server import broker_loggers
from kpy.server.context import RequestContext
from kpy.server.handlers import handles


@handles(IncrementalAlterConfigsRequest)
def incremental_alter_configs(
    request: IncrementalAlterConfigsRequest, context: RequestContext
) -> IncrementalAlterConfigsResponse:
    """Ask the controller for all but loggers, and put the answers in the order of the request."""
    cluster = context.services.cluster
    # A logger that is named twice goes with the rest, to be refused as any resource is.
    loggers = [resource for resource in request.resources if _is_sole_logger(resource, request)]
    others = [resource for resource in request.resources if not _is_sole_logger(resource, request)]
    remaining = IncrementalAlterConfigsRequest(resources=others, validate_only=request.validate_only)

    def failed(error: KafkaError) -> IncrementalAlterConfigsResponse:
        return IncrementalAlterConfigsResponse(responses=[_result(resource, error) for resource in others])

    answers = cluster.change(lambda controller, to: controller.incremental_alter_configs(remaining, to), failed)
    if not loggers:
        return answers
    answered = iter(answers.responses)
    return IncrementalAlterConfigsResponse(
        responses=[
            _alter_logger(resource, request, context) if resource in loggers else next(answered)
            for resource in request.resources
        ]
    )


def _is_sole_logger(resource: AlterConfigsResource, request: IncrementalAlterConfigsRequest) -> bool:
    return (
        resource.resource_type == ResourceType.BROKER_LOGGER
        and sum(
            other.resource_type == resource.resource_type and other.resource_name == resource.resource_name
            for other in request.resources
        )
        == 1
    )


def _alter_logger(
    resource: AlterConfigsResource, request: IncrementalAlterConfigsRequest, context: RequestContext
) -> AlterConfigsResourceResponse:
    try:
        broker_loggers.alter(resource, node_id=context.services.config.node_id, validate_only=request.validate_only)
    except KafkaError as error:
        return _result(resource, error)
    return _result(resource, None)


def _result(resource: AlterConfigsResource, error: KafkaError | None) -> AlterConfigsResourceResponse:
    return AlterConfigsResourceResponse(
        error_code=ErrorCode.NONE if error is None else error.code,
        error_message=None if error is None else error.message,
        resource_type=resource.resource_type,
        resource_name=resource.resource_name,
    )
