"""AlterConfigs (33): see `kpy.cluster.config_changes`; superseded by IncrementalAlterConfigs. Loggers it has not."""

from kpy.protocol.errors import KafkaError
from kpy.protocol.messages.alter_configs import (
    AlterConfigsRequest,
    AlterConfigsResourceResponse,
    AlterConfigsResponse,
)
from kpy.server.context import RequestContext
from kpy.server.handlers import handles


@handles(AlterConfigsRequest)
def alter_configs(request: AlterConfigsRequest, context: RequestContext) -> AlterConfigsResponse:
    """Ask the controller."""

    def failed(error: KafkaError) -> AlterConfigsResponse:
        return AlterConfigsResponse(
            responses=[
                AlterConfigsResourceResponse(
                    error_code=error.code,
                    error_message=error.message,
                    resource_type=resource.resource_type,
                    resource_name=resource.resource_name,
                )
                for resource in request.resources
            ]
        )

    return context.services.cluster.change(lambda controller, to: controller.alter_configs(request, to), failed)
