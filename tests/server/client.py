"""A broker in the test's own trio run, and a client that says exactly what a test wants said."""

import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar, cast

import trio

from kpy.config import Layer, load
from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages import response_class
from kpy.protocol.messages.create_topics import CreatableTopic, CreatableTopicConfig, CreateTopicsRequest
from kpy.protocol.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from kpy.protocol.messages.headers import RequestHeader, ResponseHeader
from kpy.protocol.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from kpy.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
)
from kpy.protocol.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
    OffsetFetchResponse,
)
from kpy.protocol.messages.produce import (
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from kpy.protocol.schema import Request, Response
from kpy.server.broker import Broker
from tests.storage.batches import batch

R = TypeVar("R", bound=Response)

PATIENCE_SECONDS = 60
PRODUCE_VERSION = 9
FETCH_VERSION = 12
SET = 0
"""The operation of IncrementalAlterConfigs."""


def make_broker(data_dir: Path | None = None, **settings: str) -> Broker:
    """A broker on a free port; `settings` are Kafka's names with underscores."""
    named = {name.replace("_", "."): value for name, value in settings.items()}
    if data_dir is not None:
        named["log.dir"] = str(data_dir)
    return Broker(load([Layer("test", {"listeners": "PLAINTEXT://127.0.0.1:0", **named})]).config)


class Serving:
    """A broker that runs, and the clients that are connected to it."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.clients: list[Client] = []

    async def connect(self) -> "Client":
        endpoint = self.broker.addresses[0]
        self.clients.append(Client(await trio.open_tcp_stream(endpoint.host, endpoint.port)))
        return self.clients[-1]

    def stop(self) -> None:
        self.broker.stop()


@asynccontextmanager
async def running(broker: Broker) -> AsyncIterator[Serving]:
    """The broker serves within the block, and has stopped in order after it; its clients are closed then."""
    serving = Serving(broker)
    try:
        with trio.fail_after(PATIENCE_SECONDS):
            async with trio.open_nursery() as nursery:
                await nursery.start(broker.run)
                yield serving
                broker.stop()
    finally:
        for client in serving.clients:
            client.stream.socket.close()


class Client:
    """One connection. Requests may be sent ahead; answers are received in order."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._received = b""
        self._correlation_id = 0

    async def send(self, request: Request, version: int) -> None:
        await self.stream.send_all(self.frame(request, version))

    def frame(self, request: Request, version: int) -> bytes:
        self._correlation_id += 1
        header = RequestHeader(
            request_api_key=request.api,
            request_api_version=version,
            correlation_id=self._correlation_id,
            client_id="test",
        )
        body = header.encode(request.header_version(version)) + request.encode(version)
        return struct.pack(">i", len(body)) + body

    async def receive(self, request: type[Request], version: int) -> Response:
        response = response_class(request.api)
        frame = await self.receive_frame()
        _, position = ResponseHeader.decode_prefix(frame, response.header_version(version))
        return response.decode(frame, version, position)

    async def ask(self, request: Request, version: int, answer: type[R]) -> R:
        await self.send(request, version)
        return cast("R", await self.receive(type(request), version))

    async def receive_frame(self) -> bytes:
        (size,) = struct.unpack(">i", await self._receive_exactly(4))
        return await self._receive_exactly(size)

    async def is_closed(self) -> bool:
        """Wait until the broker has closed the connection; False if it says something instead."""
        try:
            return not await self.stream.receive_some()
        except trio.BrokenResourceError:
            return True

    async def _receive_exactly(self, size: int) -> bytes:
        while len(self._received) < size:
            chunk = await self.stream.receive_some()
            if not chunk:
                raise EOFError("the broker has closed the connection")
            self._received += chunk
        taken, self._received = self._received[:size], self._received[size:]
        return taken

    # --- what many tests say

    async def create_topic(self, name: str, partitions: int = 1, configs: Mapping[str, str] | None = None) -> None:
        topic = CreatableTopic(
            name=name,
            num_partitions=partitions,
            replication_factor=1,
            assignments=[],
            configs=[CreatableTopicConfig(name=key, value=value) for key, value in (configs or {}).items()],
        )
        await self.ask(CreateTopicsRequest(topics=[topic]), 7, Response)

    async def alter_config(self, resource_type: int, name: str, config: str, value: str) -> None:
        change = AlterableConfig(name=config, config_operation=SET, value=value)
        resource = AlterConfigsResource(resource_type=resource_type, resource_name=name, configs=[change])
        request = IncrementalAlterConfigsRequest(resources=[resource], validate_only=False)
        response = await self.ask(request, 1, IncrementalAlterConfigsResponse)
        assert response.responses[0].error_code == ErrorCode.NONE

    async def produce(self, topic: str, *values: str, partition: int = 0, acks: int = -1) -> PartitionProduceResponse:
        response = await self.ask(
            produce_request(topic, *values, partition=partition, acks=acks), PRODUCE_VERSION, ProduceResponse
        )
        return response.responses[0].partition_responses[0]


def produce_request(
    topic: str, *values: str, partition: int = 0, acks: int = -1, records: bytes | bytearray | None = None
) -> ProduceRequest:
    data = PartitionProduceData(index=partition, records=batch(*values) if records is None else records)
    return ProduceRequest(
        transactional_id=None,
        acks=acks,
        timeout_ms=1000,
        topic_data=[TopicProduceData(name=topic, partition_data=[data])],
    )


def fetch_request(
    topic: str, *, partition: int = 0, offset: int = 0, max_wait_ms: int = 0, min_bytes: int = 1
) -> FetchRequest:
    asked = FetchPartition(partition=partition, fetch_offset=offset, partition_max_bytes=1 << 20)
    return FetchRequest(
        max_wait_ms=max_wait_ms,
        min_bytes=min_bytes,
        topics=[FetchTopic(topic=topic, partitions=[asked])],
        forgotten_topics_data=[],
    )


def commit_request(
    group: str, topic: str, offset: int, *, partition: int = 0, metadata: str = "", generation: int = -1
) -> OffsetCommitRequest:
    """A commit of one who manages its assignment itself."""
    committed = OffsetCommitRequestPartition(
        partition_index=partition, committed_offset=offset, committed_metadata=metadata
    )
    topics = [OffsetCommitRequestTopic(name=topic, partitions=[committed])]
    return OffsetCommitRequest(group_id=group, generation_id_or_member_epoch=generation, topics=topics)


def committed_request(group: str, topic: str, partition: int = 0) -> OffsetFetchRequest:
    """What was committed?"""
    topics = [OffsetFetchRequestTopics(name=topic, partition_indexes=[partition])]
    return OffsetFetchRequest(groups=[OffsetFetchRequestGroup(group_id=group, topics=topics)])


async def commit_offset(client: Client, group: str, topic: str, offset: int) -> ErrorCode:
    """Commit for partition 0."""
    response = await client.ask(commit_request(group, topic, offset), 9, OffsetCommitResponse)
    return ErrorCode(response.topics[0].partitions[0].error_code)


async def committed_offset(client: Client, group: str, topic: str, partition: int = 0) -> int:
    """What was committed."""
    response = await client.ask(committed_request(group, topic, partition), 9, OffsetFetchResponse)
    return response.groups[0].topics[0].partitions[0].committed_offset
