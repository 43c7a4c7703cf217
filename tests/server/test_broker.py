"""A whole broker on real sockets: how it starts, stops, and comes back after it was killed."""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.fetch import FetchResponse
from kpy.protocol.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse
from tests.server.client import FETCH_VERSION, fetch_request, make_broker, produce_request, running

AN_HOUR_MS = 3_600_000
SOCKETS_SETTLE_SECONDS = 0.01
"""What is sent over the loopback has arrived when all tasks have been blocked for so long."""


def join_request(group_id: str, member_id: str = "") -> JoinGroupRequest:
    return JoinGroupRequest(
        group_id=group_id,
        session_timeout_ms=30_000,
        rebalance_timeout_ms=AN_HOUR_MS,
        member_id=member_id,
        protocol_type="consumer",
        protocols=[JoinGroupRequestProtocol(name="range", metadata=b"")],
    )


async def test_a_stop_answers_what_is_parked_and_what_has_arrived_behind_it() -> None:
    """Fetches are answered with what there is, joins with NOT_COORDINATOR; nothing waits for its own time."""
    broker = make_broker(group_initial_rebalance_delay_ms="100000")
    async with running(broker) as serving:
        fetching, joining = await serving.connect(), await serving.connect()
        await fetching.create_topic("t")
        for _ in range(3):
            await fetching.send(fetch_request("t", max_wait_ms=AN_HOUR_MS), FETCH_VERSION)
        await fetching.send(join_request("another group"), 3)
        for _ in range(3):
            await joining.send(join_request("g"), 3)
        await wait_all_tasks_blocked(SOCKETS_SETTLE_SECONDS)
        broker.stop()
        for _ in range(3):
            fetched = await fetching.receive(type(fetch_request("t")), FETCH_VERSION)
            assert isinstance(fetched, FetchResponse)
            assert fetched.responses[0].partitions[0].error_code == ErrorCode.NONE
        for client, joins in ((fetching, 1), (joining, 3)):
            for _ in range(joins):
                joined = await client.receive(JoinGroupRequest, 3)
                assert isinstance(joined, JoinGroupResponse)
                assert joined.error_code == ErrorCode.NOT_COORDINATOR
            assert await client.is_closed()


async def test_a_stop_comes_through_to_clients_that_never_pause() -> None:
    """However fast requests come in, the broker ends; each answer that came is whole and in order."""
    broker = make_broker()
    answered = 0
    async with running(broker) as serving:
        client = await serving.connect()
        await client.create_topic("t")

        async def pour() -> None:
            frames = b"".join(client.frame(produce_request("t", "v"), 9) for _ in range(1000))
            try:
                while True:
                    await client.stream.send_all(frames)
            except trio.BrokenResourceError:
                pass

        async with trio.open_nursery() as nursery:
            nursery.start_soon(pour)
            try:
                while True:
                    await client.receive_frame()
                    answered += 1
                    if answered == 500:
                        broker.stop()
            except (EOFError, trio.BrokenResourceError):
                nursery.cancel_scope.cancel()
    assert answered >= 500


@pytest.mark.parametrize(
    ("full_name", "advertised"),
    [("host.example", "host.example"), ("localhost", "host"), ("localhost.localdomain", "host")],
)
async def test_a_listener_on_every_interface_advertises_the_machine(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, full_name: str, advertised: str
) -> None:
    """Clients elsewhere are told the machine's name, never a name that is their own loopback, and the log says so."""
    monkeypatch.setattr("socket.getfqdn", lambda: full_name)
    monkeypatch.setattr("socket.gethostname", lambda: "host")
    async with running(make_broker(listeners="PLAINTEXT://0.0.0.0:0")) as serving:
        assert serving.broker.addresses[0].host == advertised

    assert f"to come to {advertised}:" in caplog.text
