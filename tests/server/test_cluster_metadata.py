"""The controller over its log."""

from pathlib import Path

from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.create_topics import CreatableTopic, CreateTopicsRequest, CreateTopicsResponse
from tests.server.client import make_broker, running


async def test_a_request_may_create_as_many_topics_as_the_controller_allows(tmp_path: Path) -> None:
    """What they take in the log is no limit, and all of them are there after a restart."""
    names = [f"{index:05}{'x' * 240}" for index in range(4000)]
    topics = [
        CreatableTopic(name=name, num_partitions=1, replication_factor=1, assignments=[], configs=[]) for name in names
    ]
    async with running(make_broker(tmp_path)) as serving:
        client = await serving.connect()
        created = await client.ask(CreateTopicsRequest(topics=topics), 4, CreateTopicsResponse)
        assert {topic.error_code for topic in created.topics} == {ErrorCode.NONE}
    async with running(make_broker(tmp_path)) as serving:
        assert serving.broker.services.cluster.image.topics.keys() == set(names)
