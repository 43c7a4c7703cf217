"""UpdateFeatures (API 57): the finalized levels of features (KIP-584)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Bool, Int8, Int16, Int32, NullableString, String
from kpy.protocol.schema import Request, Response, Struct, field, since, until


class FeatureUpdateKey(Struct):
    """A feature and the level that it shall have; below 1 it is taken back."""

    feature: String
    max_version_level: Int16
    allow_downgrade: Bool = until(0)
    upgrade_type: Int8 = since(1, default=1)  # 1: only upwards, 2: downwards if nothing is lost, 3: downwards anyway


class UpdateFeaturesRequest(Request, api=ApiKey.UPDATE_FEATURES, versions="0-2", flexible="0+"):
    """Versions:

    - 1: validate_only, and upgrade_type instead of allow_downgrade (KIP-778)
    - 2: as 1 (KIP-1022 changed the response)
    """

    timeout_ms: Int32 = field(default=60000)
    feature_updates: Array[FeatureUpdateKey]
    validate_only: Bool = since(1, default=False)


class UpdatableFeatureResult(Struct):
    """The result for one feature."""

    feature: String
    error_code: Int16
    error_message: NullableString


class UpdateFeaturesResponse(Response, api=ApiKey.UPDATE_FEATURES, versions="0-2", flexible="0+"):
    """Versions:

    - 1: as 0
    - 2: without results: all updates are made or none (KIP-1022)
    """

    throttle_time_ms: Int32 = field(default=0)
    error_code: Int16
    error_message: NullableString
    results: Array[UpdatableFeatureResult] = until(1, ignorable=True)
