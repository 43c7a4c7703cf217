"""ApiVersions (API 18): which APIs the broker serves, at which versions, and which features are on (KIP-35).

The header of the response is version 0 in every version, since a client that asks may know nothing yet (KIP-511).
"""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Bool, Int16, Int32, Int64, String
from kpy.protocol.schema import Request, Response, Struct, since, tagged


class ApiVersionsRequest(Request, api=ApiKey.API_VERSIONS, versions="0-4", flexible="3+"):
    """Versions:

    - 1, 2: as 0
    - 3: flexible (KIP-482); the client's name and version (KIP-511)
    - 4: as 3; the client can read a supported feature whose minimum is 0 (KAFKA-17011)
    """

    client_software_name: String = since(3, ignorable=True)
    client_software_version: String = since(3, ignorable=True)


class ApiVersion(Struct):
    """The versions of one API, both inclusive."""

    api_key: Int16
    min_version: Int16
    max_version: Int16


class SupportedFeatureKey(Struct):
    """The levels of a feature that this broker could run at."""

    name: String
    min_version: Int16
    max_version: Int16


class FinalizedFeatureKey(Struct):
    """The level of a feature that the cluster runs at."""

    name: String
    max_version_level: Int16
    min_version_level: Int16


class ApiVersionsResponse(Response, api=ApiKey.API_VERSIONS, versions="0-4", flexible="3+"):
    """Versions:

    - 0: also the answer, with UNSUPPORTED_VERSION, to a version that the broker does not know (KIP-511)
    - 1: throttle_time_ms (KIP-124)
    - 2: as 1; sent before the broker throttles (KIP-219)
    - 3: flexible (KIP-482); the features (KIP-584)
    - 4: as 3; features whose minimum is 0 are listed too (KAFKA-17011)
    """

    error_code: Int16
    api_keys: Array[ApiVersion]
    throttle_time_ms: Int32 = since(1, ignorable=True)
    supported_features: Array[SupportedFeatureKey] = tagged(0, since=3, ignorable=True)
    finalized_features_epoch: Int64 = tagged(1, since=3, default=-1, ignorable=True)  # -1: not known
    finalized_features: Array[FinalizedFeatureKey] = tagged(2, since=3, ignorable=True)
    zk_migration_ready: Bool = tagged(3, since=3, default=False, ignorable=True)  # KIP-866
