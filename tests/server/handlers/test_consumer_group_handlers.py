"""ConsumerGroupHeartbeat and ConsumerGroupDescribe through the broker's coordinators, at every version."""

from collections.abc import Iterator
from typing import Any

import pytest

from kpy.cluster.features import GROUP_VERSION
from kpy.cluster.image import Changes, ResourceType
from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.consumer_group_describe import ConsumerGroupDescribeRequest
from kpy.protocol.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from kpy.protocol.metadata_records import ConfigRecord, FeatureLevelRecord
from kpy.protocol.schema import Data
from kpy.state_machine import Decision, Record
from tests.server.handlers.test_group_handlers import GroupBroker


@pytest.fixture
def broker() -> Iterator[GroupBroker]:
    found = GroupBroker()
    yield found
    found.groups.unload()


def recorded(broker: GroupBroker, change: Data) -> None:
    """The cluster's metadata has this record, too."""
    broker.state.execute(Decision([Record(None, change)]))


def first_heartbeat(**changes: Any) -> ConsumerGroupHeartbeatRequest:
    return ConsumerGroupHeartbeatRequest(
        **{
            "group_id": "g",
            "member_id": "m",
            "member_epoch": 0,
            "rebalance_timeout_ms": 10_000,
            "subscribed_topic_names": ["t"],
            "topic_partitions": [],
            **changes,
        }
    )


@pytest.mark.parametrize("version", [0, 1])
async def test_heartbeat(broker: GroupBroker, version: int) -> None:
    """The member is in, and has what there is."""
    response = await broker.ask(first_heartbeat(), version)

    assert (response.error_code, response.member_epoch, response.heartbeat_interval_ms) == (0, 2, 5_000)
    (topic,) = response.assignment.topic_partitions
    assert topic.topic_id == broker.image.topic("t").topic_id


@pytest.mark.parametrize("version", [0, 1])
async def test_describe(broker: GroupBroker, version: int) -> None:
    """Each group in its turn; what a client may do is only told if it asks."""
    await broker.ask(first_heartbeat(), version)
    request = ConsumerGroupDescribeRequest(group_ids=["g", "nope", ""], include_authorized_operations=True)
    found, missing, nameless = (await broker.ask(request, version)).groups

    assert (found.error_code, found.group_state, found.members[0].client_host) == (0, "Stable", "/127.0.0.1")
    assert found.members[0].member_type == (1 if version == 1 else -1)
    assert found.authorized_operations != -(2**31)
    assert (missing.error_code, nameless.error_code) == (ErrorCode.GROUP_ID_NOT_FOUND, ErrorCode.INVALID_GROUP_ID)
    request = ConsumerGroupDescribeRequest(group_ids=["g"], include_authorized_operations=False)
    assert (await broker.ask(request, version)).groups[0].authorized_operations == -(2**31)


async def test_a_cluster_without_the_feature(broker: GroupBroker) -> None:
    """Before group.version 1 nobody is served."""
    recorded(broker, FeatureLevelRecord(name=GROUP_VERSION, feature_level=0))
    request = ConsumerGroupDescribeRequest(group_ids=["g"], include_authorized_operations=False)

    assert (await broker.ask(first_heartbeat(), 1)).error_code == ErrorCode.UNSUPPORTED_VERSION
    assert (await broker.ask(request, 1)).groups[0].error_code == ErrorCode.UNSUPPORTED_VERSION


async def test_errors_of_the_log(broker: GroupBroker) -> None:
    """They are those of a coordinator that has to be looked for."""
    broker.partitions.error = ErrorCode.NOT_LEADER_OR_FOLLOWER
    request = ConsumerGroupDescribeRequest(group_ids=["g"], include_authorized_operations=False)

    assert (await broker.ask(first_heartbeat(), 1)).error_code == ErrorCode.NOT_COORDINATOR
    assert (await broker.ask(request, 1)).groups[0].error_code == ErrorCode.NOT_COORDINATOR


async def test_a_broker_that_stops(broker: GroupBroker) -> None:
    """Groups that it served a moment ago have to be looked for, by who only asks too."""
    await broker.ask(first_heartbeat(), 1)
    broker.groups.unload()
    request = ConsumerGroupDescribeRequest(group_ids=["g"], include_authorized_operations=False)

    assert (await broker.ask(first_heartbeat(), 1)).error_code == ErrorCode.NOT_COORDINATOR
    assert (await broker.ask(request, 1)).groups[0].error_code == ErrorCode.NOT_COORDINATOR


async def test_configs_of_a_group_hold_at_once(broker: GroupBroker) -> None:
    """The interval that members are told is the group's own as soon as it is set."""
    await broker.ask(first_heartbeat(), 1)
    name = "consumer.heartbeat.interval.ms"
    recorded(broker, ConfigRecord(resource_type=ResourceType.GROUP, resource_name="g", name=name, value="7000"))
    broker.groups.image_changed(Changes(configs=frozenset({(ResourceType.GROUP, "g")})))

    assert (await broker.ask(first_heartbeat(), 1)).heartbeat_interval_ms == 7_000
    assert (await broker.ask(first_heartbeat(group_id="h"), 1)).heartbeat_interval_ms == 5_000


async def test_topics_that_change_are_noticed(broker: GroupBroker) -> None:
    """A topic that a member waits for makes a new epoch with its next heartbeat."""
    response = await broker.ask(first_heartbeat(subscribed_topic_names=["later"]), 1)
    assert response.assignment.topic_partitions == []
    broker.created("later")
    broker.groups.image_changed(Changes(created=(broker.image.topic("later"),)))
    beat = ConsumerGroupHeartbeatRequest(group_id="g", member_id="m", member_epoch=response.member_epoch)
    await broker.ask(beat, 1)
    request = ConsumerGroupDescribeRequest(group_ids=["g"], include_authorized_operations=False)

    assert (await broker.ask(request, 1)).groups[0].group_epoch == response.member_epoch + 1
