"""kpy decode explains a captured kafka-python session."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer

from kpy.cli import main
from kpy.testing import Broker
from tests.inspect.packet_builder import ACK, SYN, pcap, pcapng, segment
from tests.inspect.recording_proxy import RecordingProxy

Events = list[tuple[int, bool, bytes]]
Shown = list[dict[str, Any]]

CLIENT_BEGINS = {
    "ApiVersions", "Metadata", "InitProducerId", "Produce", "FindCoordinator", "JoinGroup", "SyncGroup", "OffsetFetch",
    "ListOffsets", "Fetch", "OffsetCommit", "LeaveGroup",
}  # fmt: skip
SEGMENT_BYTES = 700
VALUE = b"hello" * 50  # what gzip does not make smaller is sent as it is


@pytest.fixture(scope="module")
def session() -> Events:
    """All that a producer and a consumer in a group said to a broker, and its answers."""
    # Clients are sent to the port of the broker at another address of this machine, where the proxy is.
    settings = {"listeners": "PLAINTEXT://127.0.0.1:0", "advertised.listeners": "PLAINTEXT://127.0.0.2:0"}
    with Broker(settings) as broker:
        address = broker.bootstrap_servers
        port = int(address.rpartition(":")[2])
        try:
            proxy = RecordingProxy(("127.0.0.2", port), ("127.0.0.1", port))
        except OSError:
            pytest.skip("this machine has one loopback address only")
        with proxy:
            producer = KafkaProducer(bootstrap_servers=address, compression_type="gzip", client_id="writer")
            for name in (b"Ada", b"Grace"):
                producer.send("greetings", key=name, value=VALUE, headers=[("lang", b"en")]).get(timeout=20)
            producer.close()
            consumer = KafkaConsumer(
                "greetings", bootstrap_servers=address, group_id="readers", auto_offset_reset="earliest"
            )
            assert [next(consumer).key for _ in range(2)] == [b"Ada", b"Grace"]
            consumer.commit()
            consumer.close()
    return proxy.events


def as_frames(events: Events, number: int) -> bytes:
    """What one connection carried, frame by frame, in the order in which they were whole."""
    out = b""
    buffers = {True: bytearray(), False: bytearray()}
    for connection, from_client, data in events:
        if connection == number:
            buffer = buffers[from_client]
            buffer += data
            while len(buffer) >= 4 and len(buffer) >= (end := 4 + int.from_bytes(buffer[:4], "big")):
                out += buffer[:end]
                del buffer[:end]
    return out


def as_segments(events: Events) -> list[Any]:
    """The same as packets: small segments, now and then one twice or before its time."""
    chance = random.Random(7)
    segments = []
    sent: dict[tuple[int, bool], int] = {}
    for number, from_client, data in events:
        made = []
        if (number, from_client) not in sent:
            sent[number, from_client] = 0
            made.append(segment(from_client, -1, flags=SYN if from_client else SYN | ACK))
        for start in range(0, len(data), SEGMENT_BYTES):
            part = data[start : start + SEGMENT_BYTES]
            made.append(segment(from_client, sent[number, from_client], part))
            sent[number, from_client] += len(part)
        made += chance.sample(made, chance.randrange(2))
        chance.shuffle(made)
        source, destination = made[0].source, made[0].destination
        moved = {50000: 50000 + number}
        segments += [
            each._replace(
                source=(source[0], moved.get(source[1], source[1])),
                destination=(destination[0], moved.get(destination[1], destination[1])),
            )
            for each in made
        ]
    return segments


def explain(path: Path, data: bytes, capsys: pytest.CaptureFixture[str]) -> Shown:
    path.write_bytes(data)
    assert main(["decode", str(path)]) == 0
    output = capsys.readouterr()
    assert output.err == ""
    return [json.loads(line) for line in output.out.splitlines()]


def check(shown: Shown) -> None:
    """Everything was understood: no problem, nothing undecoded, each request with its reply."""
    assert "undecoded" not in repr(shown)
    assert "problem" not in repr(shown)
    assert "behind the message" not in repr(shown)
    assert {each["api"] for each in shown} >= CLIENT_BEGINS
    # A long poll may be without its reply when the consumer closes.
    assert {each["api"] for each in shown if each["response"] is None} <= {"Fetch"}


@pytest.mark.parametrize("build", [pcap, pcapng])
def test_a_captured_session(session: Events, build: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """kpy decode explains a captured kafka-python session."""
    shown = explain(tmp_path / "session", build(as_segments(session)), capsys)

    check(shown)
    produced = [each for each in shown if each["api"] == "Produce"]
    batch = produced[0]["request"]["topic_data"][0]["partition_data"][0]["records"][0]
    assert (produced[0]["client_id"], batch["codec"]) == ("writer", "gzip")
    (record,) = batch["records"]
    assert (record["key"], record["value"]) == ("Ada", VALUE.decode())
    assert record["headers"] == [{"key": "lang", "value": "en"}]
    (subscription,) = {
        tuple(protocol["metadata"]["topics"])
        for each in shown
        if each["api"] == "JoinGroup"
        for protocol in each["request"]["protocols"]
    }
    assert subscription == ("greetings",)
    fetched = repr([each["response"] for each in shown if each["api"] == "Fetch"])
    assert "'key': 'Ada'" in fetched
    assert "'key': 'Grace'" in fetched


def test_the_same_session_as_frames(session: Events, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The connections' frames, one file each, are explained as the capture is."""
    shown: Shown = []
    for number in sorted({number for number, _, _ in session}):
        shown += explain(tmp_path / str(number), as_frames(session, number), capsys)

    check(shown)
