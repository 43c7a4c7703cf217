"""Decides about the finalized levels of features (KIP-584, KIP-778), with the checks of Kafka's FeatureControlManager.

All updates of a request are made or none. What a level stands for is in the modules that look it up in the image.
"""

from kpy.cluster import features
from kpy.cluster.config_rules import MIN_INSYNC_REPLICAS
from kpy.cluster.image import ClusterImage, ResourceType
from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.protocol.messages.update_features import (
    FeatureUpdateKey,
    UpdatableFeatureResult,
    UpdateFeaturesRequest,
    UpdateFeaturesResponse,
)
from kpy.protocol.metadata_records import ConfigRecord, FeatureLevelRecord
from kpy.protocol.schema import Data

UPGRADE, SAFE_DOWNGRADE, UNSAFE_DOWNGRADE = 1, 2, 3  # FeatureUpdate.UpgradeType


def update_features(
    image: ClusterImage, request: UpdateFeaturesRequest, *, node_id: int, min_insync_replicas: int
) -> tuple[list[Data], UpdateFeaturesResponse]:
    """The records that change the levels. Of a feature that is named twice, the last update counts.

    Version 0 says `allow_downgrade` instead of an upgrade type, to which Kafka's controller pays no attention.
    """
    records: list[Data] = []
    updates = {update.feature: update for update in request.feature_updates}
    for update in updates.values():
        try:
            _check(image, update, node_id)
        except KafkaError as error:
            message = f"The update failed for all features since the following feature had an error: {error.message}"
            return [], UpdateFeaturesResponse(error_code=error.code, error_message=message, results=[])
        name, level = update.feature, update.max_version_level
        if level == image.features.get(name, 0):
            continue
        if name == features.ELIGIBLE_LEADER_REPLICAS and level:
            records += _elr_safety_records(image, min_insync_replicas)
        records.append(FeatureLevelRecord(name=name, feature_level=level))
    results = [
        UpdatableFeatureResult(feature=update.feature, error_code=ErrorCode.NONE, error_message=ErrorCode.NONE.name)
        for update in request.feature_updates
    ]
    response = UpdateFeaturesResponse(error_code=ErrorCode.NONE, error_message=None, results=results)
    return [] if request.validate_only else records, response


def cluster_min_insync_replicas(value: int) -> ConfigRecord:
    """Eligible leader replicas need to know of one number for the whole cluster, which is therefore recorded."""
    return ConfigRecord(resource_type=ResourceType.BROKER, resource_name="", name=MIN_INSYNC_REPLICAS, value=str(value))


def _check(image: ClusterImage, update: FeatureUpdateKey, node_id: int) -> None:
    name, level = update.feature, update.max_version_level
    if update.upgrade_type not in {UPGRADE, SAFE_DOWNGRADE, UNSAFE_DOWNGRADE}:
        raise _invalid(update, "The controller does not support the given upgrade type.")
    if level < 0:
        raise _invalid(update, "A feature version cannot be less than 0.")
    low, high = features.SUPPORTED.get(name, (0, 0))
    if not low <= level <= high:
        reason = f"only supports versions {low}-{high}" if high else "does not support this feature."
        raise _invalid(update, f"Local controller {node_id} {reason}")
    if name not in features.SUPPORTED and name not in features.KAFKAS_OTHERS:
        raise _invalid(update, f"Feature {name} not found.")
    current = image.features.get(name, 0)
    if level < current and update.upgrade_type == UPGRADE:
        raise _invalid(
            update,
            "Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe "
            "downgrade.",
        )
    if level > current and update.upgrade_type != UPGRADE:
        raise _invalid(update, "Can't downgrade to a newer version.")
    if name == features.METADATA_VERSION and level < current:
        # 4.3-IV0, in which clusters are formatted, brought fields that every earlier version would lose (KIP-1066).
        reason = (
            "Unsafe metadata downgrade is not supported in this version."
            if update.upgrade_type == UNSAFE_DOWNGRADE
            else "Refusing to perform the requested downgrade because it might delete metadata information."
        )
        message = f"Unsupported metadata.version downgrade from {current} to {level}. {reason}"
        raise KafkaError(ErrorCode.INVALID_UPDATE_VERSION, message)


def _elr_safety_records(image: ClusterImage, min_insync_replicas: int) -> list[ConfigRecord]:
    """One number for the whole cluster, and none for a single broker (maybeGenerateElrSafetyRecords)."""
    records = []
    if MIN_INSYNC_REPLICAS not in image.config(ResourceType.BROKER, ""):
        records.append(cluster_min_insync_replicas(min_insync_replicas))
    for (kind, name), configs in image.configs.items():
        if kind is ResourceType.BROKER and name and MIN_INSYNC_REPLICAS in configs:
            records.append(ConfigRecord(resource_type=kind, resource_name=name, name=MIN_INSYNC_REPLICAS, value=None))
    return records


def _invalid(update: FeatureUpdateKey, reason: str) -> KafkaError:
    return KafkaError(
        ErrorCode.INVALID_UPDATE_VERSION,
        f"Invalid update version {update.max_version_level} for feature {update.feature}. {reason}",
    )
