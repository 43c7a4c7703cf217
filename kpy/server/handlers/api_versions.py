"""ApiVersions (18): the APIs, versions and features of this broker, derived from what it has handlers for.

Versions: 0 to 2 the table; 3 the client names its software (KIP-511) and learns the features (KIP-584); from 4 on,
features whose lowest level is 0 are listed too, which older clients could not read (KAFKA-17492).
"""

import re
from functools import cache

from kpy.cluster import features
from kpy.cluster.image import ClusterImage
from kpy.protocol.api_keys import ApiKey
from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.api_versions import (
    ApiVersion,
    ApiVersionsRequest,
    ApiVersionsResponse,
    FinalizedFeatureKey,
    SupportedFeatureKey,
)
from kpy.server.context import RequestContext
from kpy.server.handlers import all_handlers, handles

_SOFTWARE = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?")


@handles(ApiVersionsRequest)
def api_versions(request: ApiVersionsRequest, context: RequestContext) -> ApiVersionsResponse:
    """Answer with the table; the software must have a decent name."""
    version = context.version
    if version >= 3 and not (
        _SOFTWARE.fullmatch(request.client_software_name) and _SOFTWARE.fullmatch(request.client_software_version)
    ):
        return ApiVersionsResponse(error_code=ErrorCode.INVALID_REQUEST, api_keys=[])
    if version < 3:
        return ApiVersionsResponse(error_code=ErrorCode.NONE, api_keys=_table())
    image = context.services.cluster.image
    return ApiVersionsResponse(
        error_code=ErrorCode.NONE,
        api_keys=_table(),
        supported_features=_supported_features(with_level_0=version >= 4),
        finalized_features_epoch=image.offset,
        finalized_features=_finalized_features(image),
    )


def unsupported_version_response() -> ApiVersionsResponse:
    """The answer, in version 0, to an ApiVersions request at a version that is not served (KIP-511)."""
    return ApiVersionsResponse(
        error_code=ErrorCode.UNSUPPORTED_VERSION,
        api_keys=[entry for entry in _table() if entry.api_key == ApiKey.API_VERSIONS],
    )


@cache
def _table() -> list[ApiVersion]:
    return [
        ApiVersion(api_key=key, min_version=handler.advertised.minimum, max_version=handler.advertised.maximum)
        for key, handler in all_handlers().items()
    ]


@cache
def _supported_features(*, with_level_0: bool) -> list[SupportedFeatureKey]:
    return [
        SupportedFeatureKey(name=name, min_version=low, max_version=high)
        for name, (low, high) in features.SUPPORTED.items()
        if low > 0 or with_level_0
    ]


def _finalized_features(image: ClusterImage) -> list[FinalizedFeatureKey]:
    return [
        FinalizedFeatureKey(name=name, max_version_level=level, min_version_level=level)
        for name, level in image.features.items()
    ]
