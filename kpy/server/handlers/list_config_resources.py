"""ListConfigResources (74): the names of what has configs, or could have.

Version 0 knows client metrics only (KIP-714); 1 takes types, none of which means all (KIP-1142). Topics and brokers
are listed whether or not they have configs, the others if they have.
"""

from kpy.cluster.image import ClusterImage, ResourceType
from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.list_config_resources import (
    ConfigResource,
    ListConfigResourcesRequest,
    ListConfigResourcesResponse,
)
from kpy.server.context import RequestContext
from kpy.server.handlers import handles

LISTED = (
    ResourceType.GROUP,
    ResourceType.CLIENT_METRICS,
    ResourceType.BROKER_LOGGER,
    ResourceType.BROKER,
    ResourceType.TOPIC,
)


@handles(ListConfigResourcesRequest)
def list_config_resources(request: ListConfigResourcesRequest, context: RequestContext) -> ListConfigResourcesResponse:
    """Answer from the image."""
    listed = LISTED if context.version >= 1 else (ResourceType.CLIENT_METRICS,)
    asked = set(request.resource_types) or set(listed)
    if not asked.issubset(listed):
        return ListConfigResourcesResponse(error_code=ErrorCode.UNSUPPORTED_VERSION, config_resources=[])
    image = context.services.cluster.image
    return ListConfigResourcesResponse(
        error_code=ErrorCode.NONE,
        config_resources=[
            ConfigResource(resource_name=name, resource_type=kind)
            for kind in listed
            if kind in asked
            for name in _names(image, kind)
        ],
    )


def _names(image: ClusterImage, kind: ResourceType) -> list[str]:
    if kind is ResourceType.TOPIC:
        return list(image.topics)
    if kind in {ResourceType.BROKER, ResourceType.BROKER_LOGGER}:
        return [str(broker) for broker in image.brokers]
    return [name for owner, name in image.configs if owner is kind]
