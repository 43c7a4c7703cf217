"""A conversation that the tests record: all that is in it, and what it is explained as."""

from kpy.protocol.messages.api_versions import ApiVersion, ApiVersionsRequest, ApiVersionsResponse
from kpy.protocol.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from kpy.protocol.messages.produce import (
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
    TopicProduceResponse,
)
from kpy.protocol.records import Record, build_batch
from tests.inspect.packet_builder import request_frame, response_frame


def produce(records: bytes | bytearray, *, acks: int = -1) -> ProduceRequest:
    partition = PartitionProduceData(index=0, records=records)
    return ProduceRequest(
        acks=acks, timeout_ms=1000, topic_data=[TopicProduceData(name="greetings", partition_data=[partition])]
    )


def heartbeat(correlation_id: int) -> tuple[bytes, bytes]:
    request = HeartbeatRequest(group_id="readers", generation_id=correlation_id, member_id="ada")
    response = HeartbeatResponse(throttle_time_ms=0, error_code=27)
    return request_frame(request, 4, correlation_id), response_frame(response, 4, correlation_id)


BATCH = build_batch([Record(b"Ada", b"hello", (("lang", b"en"),), 1_700_000_000_000), (None, b"\xff\x00")], codec=1)
TURNS = [
    (
        request_frame(ApiVersionsRequest(client_software_name="t", client_software_version="1"), 4, 1),
        response_frame(
            ApiVersionsResponse(error_code=35, api_keys=[ApiVersion(api_key=18, min_version=0, max_version=3)]), 0, 1
        ),
    ),
    (
        request_frame(produce(BATCH), 9, 2),
        response_frame(
            ProduceResponse(
                responses=[
                    TopicProduceResponse(
                        name="greetings",
                        partition_responses=[PartitionProduceResponse(index=0, error_code=3, base_offset=-1)],
                    )
                ]
            ),
            9,
            2,
        ),
    ),
    heartbeat(3),
    (request_frame(produce(BATCH, acks=0), 9, 4), b""),
    heartbeat(5),
]
