"""From a frame to its reply: what is served, what ends the connection, and what the log says of it."""

import logging
import re
import struct
from collections.abc import AsyncIterator

import pytest

from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from kpy.protocol.messages.fetch import FetchRequest
from kpy.protocol.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from kpy.protocol.messages.produce import ProduceRequest
from tests.server.client import Serving, fetch_request, make_broker, produce_request, running

BROKER_LOGGER, SET = 8, 0


@pytest.fixture
async def serving(caplog: pytest.LogCaptureFixture) -> AsyncIterator[Serving]:
    caplog.set_level(logging.INFO, "kpy")
    async with running(make_broker()) as serving:
        yield serving


def frame(key: int, version: int, *, client: bytes = b"who", body: bytes = b"") -> bytes:
    data = struct.pack(">hhih", key, version, 7, len(client)) + client + body
    return struct.pack(">i", len(data)) + data


@pytest.mark.parametrize(
    ("key", "version", "name"),
    [(999, 0, ""), (-1, 0, ""), (0, 2, " (PRODUCE)"), (22, 6, " (INIT_PRODUCER_ID)"), (3, 99, " (METADATA)")],
)
async def test_what_is_not_served_ends_the_connection(
    serving: Serving, caplog: pytest.LogCaptureFixture, key: int, version: int, name: str
) -> None:
    """Without an answer, and with a line that names key, version and client."""
    client = await serving.connect()
    await client.stream.send_all(frame(key, version))
    assert await client.is_closed()
    said = f"a request that is not served: API key {key}{name} version {version}, client 'who'"
    assert sum(said in message for message in caplog.messages) == 1


async def test_a_version_of_api_versions_that_is_not_served(serving: Serving) -> None:
    """It is answered in version 0, with the versions that are, and the connection goes on (KIP-511)."""
    client = await serving.connect()
    await client.stream.send_all(frame(18, 1234, body=b"whatever follows"))
    answer = await client.receive_frame()
    assert answer[:4] == struct.pack(">i", 7)
    response = ApiVersionsResponse.decode(answer, 0, 4)
    assert response.error_code == ErrorCode.UNSUPPORTED_VERSION
    assert [entry.api_key for entry in response.api_keys] == [18]
    request = ApiVersionsRequest(client_software_name="c", client_software_version="1")
    assert not (await client.ask(request, 4, ApiVersionsResponse)).error_code


@pytest.mark.parametrize("broken", [frame(18, 3)[:8], frame(3, 9, body=b"\xff\xff"), struct.pack(">ih", 2, 3)])
async def test_what_is_malformed_ends_the_connection(
    serving: Serving, caplog: pytest.LogCaptureFixture, broken: bytes
) -> None:
    """With one line that says what is wrong, and no traceback."""
    client = await serving.connect()
    await client.stream.send_all(struct.pack(">i", len(broken) - 4) + broken[4:])
    assert await client.is_closed()
    assert len([message for message in caplog.messages if "closed: " in message]) == 1
    assert "Traceback" not in caplog.text


async def test_requests_are_answered_in_their_order_and_acks_0_not_at_all(serving: Serving) -> None:
    """What was produced without an answer is there for the fetch behind it; an error of it ends the connection."""
    client = await serving.connect()
    await client.create_topic("t")
    for acks in (1, 0, -1):
        await client.send(produce_request("t", "v", acks=acks), 9)
    await client.send(fetch_request("t", offset=2), 12)
    for request in (ProduceRequest, ProduceRequest, FetchRequest):
        await client.receive(request, 9 if request is ProduceRequest else 12)
    assert serving.broker.services.partitions.find("t", 0).high_watermark == 3
    await client.send(produce_request("nowhere", "v", acks=0), 9)
    assert await client.is_closed()


async def test_each_request_is_a_line_at_debug(serving: Serving, caplog: pytest.LogCaptureFixture) -> None:
    """With name, version, client and duration, from when the level is set, also by a client."""
    client = await serving.connect()
    await client.create_topic("t")
    assert "CREATE_TOPICS" not in caplog.text
    level = AlterableConfig(name="kpy.server.dispatch", config_operation=SET, value="DEBUG")
    resource = AlterConfigsResource(resource_type=BROKER_LOGGER, resource_name="1", configs=[level])
    before = logging.getLogger("kpy.server.dispatch").level
    caplog.handler.setLevel(logging.DEBUG)
    try:
        await client.ask(
            IncrementalAlterConfigsRequest(resources=[resource], validate_only=False),
            1,
            IncrementalAlterConfigsResponse,
        )
        await client.produce("t", "v")
    finally:
        logging.getLogger("kpy.server.dispatch").setLevel(before)
    assert re.fullmatch(r"PRODUCE v9 from 'test': \d+\.\d{3} ms", caplog.messages[-1])
