"""AlterConfigs: what the handler adds to the controller's decisions."""

import pytest

from kpy.cluster.image import ResourceType
from kpy.protocol.messages.alter_configs import AlterableConfig, AlterConfigsRequest, AlterConfigsResource
from kpy.server.handlers.alter_configs import alter_configs
from tests.server.handlers.handler_context import HandlerContext


@pytest.mark.parametrize("version", range(3))
def test_every_version(broker: HandlerContext, version: int) -> None:
    """Every version can carry the answer, resource by resource."""
    broker.created("t")
    request = AlterConfigsRequest(
        resources=[
            AlterConfigsResource(
                resource_type=ResourceType.TOPIC,
                resource_name=name,
                configs=[AlterableConfig(name="retention.ms", value="5")],
            )
            for name in ("t", "nope")
        ],
        validate_only=False,
    )
    responses = broker.call(alter_configs, request, version).responses
    assert [(response.resource_name, response.error_code) for response in responses] == [("t", 0), ("nope", 3)]
    assert broker.image.config(ResourceType.TOPIC, "t") == {"retention.ms": "5"}
