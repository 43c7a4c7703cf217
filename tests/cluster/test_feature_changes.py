"""Levels of features: what may be set, and what it changes."""

import pytest

from kpy.cluster.config_changes import Operation
from kpy.cluster.features import AT_FORMAT, ELIGIBLE_LEADER_REPLICAS, METADATA_VERSION
from kpy.cluster.image import ResourceType
from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.update_features import FeatureUpdateKey, UpdateFeaturesRequest, UpdateFeaturesResponse
from tests.cluster.controller_context import NODE, ControllerContext, changes

UPGRADE, SAFE, UNSAFE = 1, 2, 3
BROKER = ResourceType.BROKER


def update(
    cluster: ControllerContext, *updates: tuple[str, int, int], validate_only: bool = False
) -> UpdateFeaturesResponse:
    request = UpdateFeaturesRequest(
        feature_updates=[
            FeatureUpdateKey(feature=name, max_version_level=level, upgrade_type=kind) for name, level, kind in updates
        ],
        validate_only=validate_only,
    )
    return cluster.ask(lambda to: cluster.controller.update_features(request, to), UpdateFeaturesResponse)


def min_insync_replicas(cluster: ControllerContext, name: str, operation: Operation, value: str | None) -> int:
    ((code, _),) = cluster.alter(changes(BROKER, name, ("min.insync.replicas", operation, value)))
    return code


@pytest.mark.parametrize(
    ("name", "level", "kind", "reason"),
    [
        ("no.such", 1, UPGRADE, "does not support this feature"),
        ("no.such", 0, SAFE, "not found"),
        ("transaction.version", 2, UPGRADE, "does not support this feature"),
        (METADATA_VERSION, 31, UPGRADE, "only supports versions 7-30"),
        (METADATA_VERSION, 6, UNSAFE, "only supports versions 7-30"),
        (METADATA_VERSION, 29, UPGRADE, "without setting the upgrade type"),
        (METADATA_VERSION, 29, SAFE, "Refusing"),
        (METADATA_VERSION, 29, UNSAFE, "not supported in this version"),
        (METADATA_VERSION, 30, 0, "the given upgrade type"),
        (METADATA_VERSION, 30, 9, "the given upgrade type"),
        (METADATA_VERSION, -1, SAFE, "less than 0"),
        (ELIGIBLE_LEADER_REPLICAS, 0, UPGRADE, "without setting the upgrade type"),
        (ELIGIBLE_LEADER_REPLICAS, 2, UPGRADE, "only supports versions 0-1"),
    ],
)
def test_refused(cluster: ControllerContext, name: str, level: int, kind: int, reason: str) -> None:
    """A level that is not supported, or to which no way leads, is refused for the request as a whole."""
    response = update(cluster, (ELIGIBLE_LEADER_REPLICAS, 0, SAFE), (name, level, kind))
    assert response.error_code == ErrorCode.INVALID_UPDATE_VERSION
    assert reason in (response.error_message or "")
    assert response.results == []
    assert not cluster.last_records
    assert cluster.image.features == AT_FORMAT


@pytest.mark.parametrize("kind", [UPGRADE, SAFE, UNSAFE])
def test_levels_that_stay(cluster: ControllerContext, kind: int) -> None:
    """The level that a feature has is always allowed and appends nothing; Kafka's other features have level 0."""
    response = update(cluster, (METADATA_VERSION, 30, kind), ("share.version", 0, kind))
    assert (response.error_code, response.error_message) == (ErrorCode.NONE, None)
    assert [result.feature for result in response.results] == [METADATA_VERSION, "share.version"]
    assert not cluster.last_records


def test_nothing(cluster: ControllerContext) -> None:
    """A request for nothing is granted."""
    response = update(cluster)
    assert (response.error_code, response.results) == (ErrorCode.NONE, [])


def test_validate_only(cluster: ControllerContext) -> None:
    """A trial answers as the change would, and changes nothing."""
    assert update(cluster, (ELIGIBLE_LEADER_REPLICAS, 0, SAFE), validate_only=True).error_code == ErrorCode.NONE
    assert cluster.image.features == AT_FORMAT


def test_named_twice(cluster: ControllerContext) -> None:
    """Of two updates of one feature the last counts, and each has its result."""
    response = update(cluster, (ELIGIBLE_LEADER_REPLICAS, 9, UPGRADE), (ELIGIBLE_LEADER_REPLICAS, 0, SAFE))
    assert response.error_code == ErrorCode.NONE
    assert len(response.results) == 2
    assert ELIGIBLE_LEADER_REPLICAS not in cluster.image.features


def test_eligible_leader_replicas(cluster: ControllerContext) -> None:
    """Without the feature `min.insync.replicas` is free; with it again there is one for the whole cluster."""
    node = str(NODE)
    assert min_insync_replicas(cluster, node, Operation.SET, "1") == ErrorCode.INVALID_CONFIG
    assert min_insync_replicas(cluster, "", Operation.DELETE, None) == ErrorCode.INVALID_CONFIG
    update(cluster, (ELIGIBLE_LEADER_REPLICAS, 0, SAFE))
    cluster.restart()
    assert ELIGIBLE_LEADER_REPLICAS not in cluster.image.features
    assert min_insync_replicas(cluster, node, Operation.SET, "1") == ErrorCode.NONE
    assert min_insync_replicas(cluster, "", Operation.DELETE, None) == ErrorCode.NONE
    assert update(cluster, (ELIGIBLE_LEADER_REPLICAS, 1, SAFE)).error_code == ErrorCode.INVALID_UPDATE_VERSION
    assert update(cluster, (ELIGIBLE_LEADER_REPLICAS, 1, UPGRADE)).error_code == ErrorCode.NONE
    assert cluster.image.features == AT_FORMAT
    assert cluster.configs(BROKER, "") == {"min.insync.replicas": "1"}
    assert cluster.configs(BROKER, node) == {}
    assert min_insync_replicas(cluster, node, Operation.SET, "1") == ErrorCode.INVALID_CONFIG
