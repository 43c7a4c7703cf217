"""The codec against kafka-python's generated one, on the same messages: `python -m benchmarks.codec`.

Each line is the best of several rounds, taken in turn, in microseconds for one message. Ours comes first, from bytes
and to bytes; above 1 the ratio is how many times as long kafka-python takes. Both decode and encode the very same
bytes, which is checked first.
"""

import timeit
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

from kafka.protocol.consumer import FetchResponse as TheirFetchResponse
from kafka.protocol.consumer import HeartbeatRequest as TheirHeartbeatRequest
from kafka.protocol.consumer import HeartbeatResponse as TheirHeartbeatResponse
from kafka.protocol.metadata import MetadataResponse as TheirMetadataResponse
from kafka.protocol.producer import ProduceRequest as TheirProduceRequest
from kafka.protocol.producer import ProduceResponse as TheirProduceResponse

from kpy.protocol.messages.fetch import FetchableTopicResponse, FetchResponse, PartitionData
from kpy.protocol.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from kpy.protocol.messages.metadata import (
    MetadataResponse,
    MetadataResponseBroker,
    MetadataResponsePartition,
    MetadataResponseTopic,
)
from kpy.protocol.messages.produce import (
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
    TopicProduceResponse,
)
from kpy.protocol.schema import Data

ROUNDS = 7
SECONDS_A_ROUND = 0.05


class Case(NamedTuple):
    title: str
    ours: Data
    theirs: Any
    version: int


def cases() -> list[Case]:
    return [
        Case("Produce request v9, 1 partition", produce_request(), TheirProduceRequest, 9),
        Case("Produce response v9, 1 partition", produce_response(), TheirProduceResponse, 9),
        Case("Fetch response v11, 50 partitions", fetch_response(), TheirFetchResponse, 11),
        Case("Fetch response v12, 50 partitions", fetch_response(), TheirFetchResponse, 12),
        Case("Metadata response v8, 100 topics x 10", metadata_response(), TheirMetadataResponse, 8),
        Case("Metadata response v9, 100 topics x 10", metadata_response(), TheirMetadataResponse, 9),
        Case("Metadata response v12, 100 topics x 10", metadata_response(), TheirMetadataResponse, 12),
        Case("Heartbeat request v4", heartbeat_request(), TheirHeartbeatRequest, 4),
        Case("Heartbeat response v4", HeartbeatResponse(throttle_time_ms=0, error_code=0), TheirHeartbeatResponse, 4),
    ]


def produce_request() -> ProduceRequest:
    partition = PartitionProduceData(index=3, records=bytes(1000))
    topic = TopicProduceData(name="a-topic-of-the-benchmark", partition_data=[partition])
    return ProduceRequest(transactional_id=None, acks=-1, timeout_ms=30000, topic_data=[topic])


def produce_response() -> ProduceResponse:
    partition = PartitionProduceResponse(index=3, error_code=0, base_offset=123456, log_start_offset=0)
    topic = TopicProduceResponse(name="a-topic-of-the-benchmark", partition_responses=[partition])
    return ProduceResponse(responses=[topic])


def fetch_response() -> FetchResponse:
    partitions = [
        PartitionData(
            partition_index=index,
            error_code=0,
            high_watermark=100_000 + index,
            last_stable_offset=100_000 + index,
            log_start_offset=0,
            aborted_transactions=None,
            records=bytes(100),
        )
        for index in range(50)
    ]
    return FetchResponse(responses=[FetchableTopicResponse(topic="a-topic-of-the-benchmark", partitions=partitions)])


def metadata_response() -> MetadataResponse:
    partitions = [
        MetadataResponsePartition(
            error_code=0,
            partition_index=index,
            leader_id=1,
            leader_epoch=5,
            replica_nodes=[1, 2, 3],
            isr_nodes=[1, 2, 3],
            offline_replicas=[],
        )
        for index in range(10)
    ]
    topics = [
        MetadataResponseTopic(
            error_code=0,
            name=f"topic-number-{number}",
            topic_id=uuid.UUID(int=number + 1),
            is_internal=False,
            partitions=partitions,
        )
        for number in range(100)
    ]
    brokers = [
        MetadataResponseBroker(node_id=node, host=f"broker-{node}.example.com", port=9092, rack=None)
        for node in range(3)
    ]
    return MetadataResponse(brokers=brokers, cluster_id="JVUIwMDTRRqMVmVbFFsuKw", controller_id=1, topics=topics)


def heartbeat_request() -> HeartbeatRequest:
    return HeartbeatRequest(
        group_id="a-group-of-the-benchmark",
        generation_id=7,
        member_id="consumer-1-6d2ab8a1-6b3c-4c3e-a7e4-7a5f5ad5f1f0",
        group_instance_id=None,
    )


def best_us(*functions: Callable[[], object]) -> list[float]:
    """The best time of each, measured in turn so that a slow moment of the machine harms all of them."""
    timers = [timeit.Timer(function) for function in functions]
    repeats = [max(1, round(SECONDS_A_ROUND / (timer.timeit(3) / 3))) for timer in timers]
    rounds = [
        [timer.timeit(number) / number for timer, number in zip(timers, repeats, strict=True)] for _ in range(ROUNDS)
    ]
    return [min(times) * 1e6 for times in zip(*rounds, strict=True)]


def main() -> None:
    print(f"{'':40}{'decode':>10}{'theirs':>10}{'ratio':>7}{'encode':>12}{'theirs':>10}{'ratio':>7}")
    for title, ours, their_class, version in cases():
        encoded = ours.encode(version)
        decode, theirs = type(ours).decode, their_class.decode(encoded, version=version)
        theirs._header = None  # which decoding leaves out and encoding asks for
        if bytes(theirs.encode(version=version)) != encoded or decode(encoded, version).encode(version) != encoded:
            raise SystemExit(f"{title}: the two codecs disagree")
        times = best_us(
            lambda: decode(encoded, version),  # noqa: B023  # called before the loop goes on
            lambda: their_class.decode(encoded, version=version),  # noqa: B023
            lambda: ours.encode(version),  # noqa: B023
            lambda: theirs.encode(version=version),  # noqa: B023
        )
        decode_us, their_decode_us, encode_us, their_encode_us = times
        print(
            f"{title:40}{decode_us:10.2f}{their_decode_us:10.2f}{their_decode_us / decode_us:7.2f}"
            f"{encode_us:12.2f}{their_encode_us:10.2f}{their_encode_us / encode_us:7.2f}"
        )


if __name__ == "__main__":
    main()
