"""UpdateFeatures: what the handler adds to the controller's decisions."""

import pytest

from kpy.cluster.features import ELIGIBLE_LEADER_REPLICAS
from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.update_features import FeatureUpdateKey, UpdateFeaturesRequest
from kpy.server.handlers.update_features import update_features
from tests.server.handlers.handler_context import HandlerContext


def lowered(version: int) -> FeatureUpdateKey:
    if version == 0:
        return FeatureUpdateKey(feature=ELIGIBLE_LEADER_REPLICAS, max_version_level=0, allow_downgrade=True)
    return FeatureUpdateKey(feature=ELIGIBLE_LEADER_REPLICAS, max_version_level=0, upgrade_type=2)


@pytest.mark.parametrize("version", range(3))
def test_every_version(broker: HandlerContext, version: int) -> None:
    """From version 1 on a level can be lowered; version 2 has no result for each feature."""
    request = UpdateFeaturesRequest(feature_updates=[lowered(version)])
    response = broker.call(update_features, UpdateFeaturesRequest.decode(request.encode(version), version), version)
    if version == 0:
        assert response.error_code == ErrorCode.INVALID_UPDATE_VERSION
        assert response.error_message
        assert ELIGIBLE_LEADER_REPLICAS in broker.image.features
    else:
        assert (response.error_code, response.error_message) == (ErrorCode.NONE, None)
        assert ELIGIBLE_LEADER_REPLICAS not in broker.image.features
    results = [(result.feature, result.error_code, result.error_message) for result in response.results]
    assert results == ([(ELIGIBLE_LEADER_REPLICAS, 0, "NONE")] if version == 1 else [])
