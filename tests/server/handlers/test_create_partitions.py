"""CreatePartitions: what the handler adds to the controller's decisions."""

import pytest

from kpy.protocol.messages.create_partitions import CreatePartitionsRequest
from kpy.server.handlers.create_partitions import create_partitions
from tests.cluster.controller_context import more_partitions
from tests.server.handlers.handler_context import HandlerContext


@pytest.mark.parametrize("version", range(4))
def test_every_version(broker: HandlerContext, version: int) -> None:
    """Every version can carry the answer."""
    broker.created("t")
    request = CreatePartitionsRequest(
        topics=[more_partitions("t", 2), more_partitions("nope", 2)], timeout_ms=0, validate_only=False
    )
    results = broker.call(create_partitions, request, version).results
    assert [(result.name, result.error_code) for result in results] == [("t", 0), ("nope", 3)]
    assert len(broker.topic("t").partitions) == 2
