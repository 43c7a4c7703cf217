"""Coordinators come and go with the partitions of `__consumer_offsets`."""

from pathlib import Path
from uuid import UUID

from trio.testing import wait_all_tasks_blocked

from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.delete_topics import DeleteTopicsRequest, DeleteTopicsResponse, DeleteTopicState
from kpy.protocol.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse
from tests.server.client import commit_offset, committed_offset, make_broker, running

NO_ID = UUID(int=0)


async def test_groups_begin_anew_when_their_topic_is_deleted(tmp_path: Path) -> None:
    """What was parked is answered, what was committed is gone, and what is committed then is kept as ever."""
    async with running(make_broker(tmp_path, group_initial_rebalance_delay_ms="100000")) as serving:
        client, joining = await serving.connect(), await serving.connect()
        await client.create_topic("t")
        assert await commit_offset(client, "g", "t", 1) == ErrorCode.NONE
        join = JoinGroupRequest(
            group_id="joined",
            session_timeout_ms=30_000,
            rebalance_timeout_ms=100_000,
            member_id="",
            protocol_type="consumer",
            protocols=[JoinGroupRequestProtocol(name="range", metadata=b"")],
        )
        await joining.send(join, 3)
        await wait_all_tasks_blocked(0.01)
        doomed = DeleteTopicState(name="__consumer_offsets", topic_id=NO_ID)
        deleted = await client.ask(DeleteTopicsRequest(topics=[doomed], timeout_ms=1000), 6, DeleteTopicsResponse)
        assert deleted.responses[0].error_code == ErrorCode.NONE
        joined = await joining.receive(JoinGroupRequest, 3)
        assert isinstance(joined, JoinGroupResponse)
        assert joined.error_code == ErrorCode.NOT_COORDINATOR
        assert await committed_offset(client, "g", "t") == -1
        assert await commit_offset(client, "g", "t", 7) == ErrorCode.NONE
        assert await committed_offset(client, "g", "t") == 7
    async with running(make_broker(tmp_path)) as serving:
        assert await committed_offset(await serving.connect(), "g", "t") == 7
