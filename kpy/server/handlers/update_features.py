"""UpdateFeatures (57): see `kpy.cluster.feature_changes` (KIP-584).

Versions: 0 can only raise a level, whatever it says about downgrades; 1 can lower one, and try without effect
(KIP-778); 2 answers without a result for each feature (KIP-1022).
"""

from kpy.protocol.errors import KafkaError
from kpy.protocol.messages.update_features import UpdateFeaturesRequest, UpdateFeaturesResponse
from kpy.server.context import RequestContext
from kpy.server.handlers import handles


@handles(UpdateFeaturesRequest)
def update_features(request: UpdateFeaturesRequest, context: RequestContext) -> UpdateFeaturesResponse:
    """Ask the controller."""

    def failed(error: KafkaError) -> UpdateFeaturesResponse:
        return UpdateFeaturesResponse(error_code=error.code, error_message=error.message, results=[])

    return context.services.cluster.change(lambda controller, to: controller.update_features(request, to), failed)
