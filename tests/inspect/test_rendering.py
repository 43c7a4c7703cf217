"""What is shown of messages: names, records, and no secrets."""

from typing import Any

import pytest

from kpy.inspect import rendering
from kpy.inspect.exchange import Decoded, Exchange, Frame, Problem, read_head
from kpy.inspect.rendering import render, render_message
from kpy.protocol.api_keys import ApiKey
from kpy.protocol.embedded import ConsumerProtocolSubscription, encode_blob
from kpy.protocol.messages.alter_user_scram_credentials import (
    AlterUserScramCredentialsRequest,
    ScramCredentialUpsertion,
)
from kpy.protocol.messages.describe_delegation_token import DescribeDelegationTokenResponse
from kpy.protocol.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
)
from kpy.protocol.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol
from kpy.protocol.messages.metadata import MetadataRequest
from kpy.protocol.messages.sasl_authenticate import SaslAuthenticateRequest, SaslAuthenticateResponse
from kpy.protocol.records import (
    LOG_APPEND_TIME,
    ControlType,
    EndTransactionMarker,
    build_batch,
    build_control_batch,
)
from kpy.protocol.schema import Data
from tests.inspect.packet_builder import request_frame
from tests.inspect.samples import produce

SECRET = b"lovelace"


def shown(message: Data, version: int) -> dict[str, Any]:
    return render_message(Decoded(message, version, 0))


def batches(records: bytes | bytearray) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = shown(produce(records), 9)["topic_data"][0]["partition_data"][0]["records"]
    return found


def exchange(data: bytes) -> dict[str, Any]:
    return render(Exchange(None, Frame(data[4:], 4), read_head(data[4:])))


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_records(codec: str) -> None:
    """Batches of every codec are opened."""
    number = ["none", "gzip", "snappy", "lz4", "zstd"].index(codec)
    (batch,) = batches(build_batch([(b"Ada", b"hello\n"), (None, None)], codec=number, timestamp=7, producer_id=4))

    assert batch == {
        "base_offset": 0,
        "last_offset": 1,
        "leader_epoch": -1,
        "codec": codec,
        "producer_id": 4,
        "producer_epoch": -1,
        "base_sequence": -1,
        "records": [
            {"offset": 0, "timestamp": 7, "key": "Ada", "value": "hello\n"},
            {"offset": 1, "timestamp": 7, "key": None, "value": None},
        ],
    }


def test_control_records_and_times() -> None:
    """A transaction marker is named, and log append time."""
    marker = build_control_batch(EndTransactionMarker(ControlType.COMMIT, 3).record(), timestamp=1, transactional=True)
    first, second = batches(marker + build_batch([(b"k", b"v")], attributes=LOG_APPEND_TIME))

    assert (first["transactional"], first["control"]) == (True, True)
    assert first["records"][0]["control_type"] == "COMMIT"
    assert second["timestamp_type"] == "LogAppendTime"


def test_records_that_cannot_be_decoded() -> None:
    """The reason, the position and the bytes."""
    batch = build_batch([(b"k", b"v")])
    wrong = bytearray(batch)
    wrong[-1] ^= 1
    unknown = bytearray(batch)
    unknown[22] = 7
    old = bytearray(batch)
    old[16] = 1

    assert batches(wrong)[0]["problem"] == "the checksum is wrong"
    assert batches(unknown)[0]["undecoded"] == "there is no codec 7"
    assert batches(unknown)[0]["position"] == 61
    assert batches(batch + old)[1]["undecoded"] == "no record batch of format 2, but magic 1"
    assert batches(batch + old)[1]["position"] == len(batch)
    assert (
        batches(batch + batch[:-1])[1]["undecoded"]
        == f"the first {len(batch) - 1} bytes of a record batch of {len(batch)}"
    )
    assert batches(batch + b"\0" * 5)[1]["bytes"] == "00" * 5


def test_what_is_shown_of_a_message_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many records, and so much decompressed, for all batches of a message together."""
    monkeypatch.setattr(rendering, "RECORDS_MAX", 3)
    first, second = batches(build_batch([(None, b"x")] * 2) * 2)
    assert (len(first["records"]), len(second["records"])) == (2, 1)
    assert "more records than the 3" in second["problem"]

    monkeypatch.setattr(rendering, "DECOMPRESSED_BYTES_MAX", 1000)
    assert "decompress to more than 1000" in batches(build_batch([(None, bytes(2000))], codec=1))[0]["undecoded"]


def test_fields_of_the_version() -> None:
    """Only what the version has, and tagged fields only where they were sent; topic ids as Kafka's tools write them."""
    assert shown(MetadataRequest(topics=None), 1) == {"topics": None}
    assert shown(MetadataRequest(topics=[]), 9).keys() == {
        "topics",
        "allow_auto_topic_creation",
        "include_cluster_authorized_operations",
        "include_topic_authorized_operations",
    }


@pytest.mark.parametrize(("protocol_type", "is_opened"), [("consumer", True), ("connect", False)])
def test_the_consumers_own_protocol(protocol_type: str, is_opened: bool) -> None:
    """A consumer's subscription is opened, other members' metadata is text or base64."""
    blob = encode_blob(ConsumerProtocolSubscription(topics=["greetings"]), 1)
    request = JoinGroupRequest(
        group_id="readers",
        session_timeout_ms=1,
        member_id="",
        protocol_type=protocol_type,
        protocols=[JoinGroupRequestProtocol(name="range", metadata=blob)],
    )
    metadata = shown(request, 5)["protocols"][0]["metadata"]

    if is_opened:
        assert metadata == {"version": 1, "topics": ["greetings"], "user_data": None, "owned_partitions": []}
    else:
        assert metadata.keys() == {"base64"}


def test_secrets() -> None:
    """Nothing that SASL, SCRAM, tokens or configs keep secret is shown."""
    upsertion = ScramCredentialUpsertion(name="ada", mechanism=1, iterations=1, salt=SECRET, salted_password=SECRET)
    config = AlterableConfig(name="ssl.keystore.password", config_operation=0, value=SECRET.decode())
    plain = AlterableConfig(name="retention.ms", config_operation=0, value="5")
    resource = AlterConfigsResource(resource_type=2, resource_name="t", configs=[config, plain])
    messages: list[tuple[Data, int]] = [
        (SaslAuthenticateRequest(auth_bytes=SECRET), 2),
        (SaslAuthenticateResponse(error_code=58, error_message=None, auth_bytes=SECRET), 2),
        (AlterUserScramCredentialsRequest(deletions=[], upsertions=[upsertion]), 0),
        (IncrementalAlterConfigsRequest(resources=[resource], validate_only=False), 1),
    ]
    for message, version in messages:
        text = repr(shown(message, version))
        assert "(8 bytes, hidden)" in text
        assert SECRET.decode() not in text

    assert shown(*messages[3])["resources"][0]["configs"][1]["value"] == "5"
    assert rendering.may_hold_secret(ApiKey.DESCRIBE_DELEGATION_TOKEN)
    assert DescribeDelegationTokenResponse.api == ApiKey.DESCRIBE_DELEGATION_TOKEN
    assert not rendering.may_hold_secret(ApiKey.FETCH)


def test_secrets_in_what_cannot_be_decoded() -> None:
    """A frame that may hold a secret is not shown as hex, nor what stands behind its message."""
    whole = request_frame(SaslAuthenticateRequest(auth_bytes=SECRET), 2, 1)

    assert exchange(whole[:-3])["request"]["bytes"] == f"({len(whole) - 7} bytes, hidden)"
    assert exchange(whole + SECRET)["request"]["(behind the message)"]["bytes"] == "(8 bytes, hidden)"


def test_what_cannot_be_decoded() -> None:
    """The reason, the position and the bytes; of many bytes the first."""
    whole = request_frame(MetadataRequest(topics=None), 9, 1)

    cut = exchange(whole[:-1])["request"]
    assert "Metadata" in cut["undecoded"]
    assert (cut["position"], cut["bytes"]) == (4, whole[4:-1].hex())
    behind = exchange(whole + bytes(300))["request"]["(behind the message)"]
    assert behind["position"] == len(whole)
    assert behind["bytes"] == "00" * 256 + " ... (300 bytes)"
    newer = bytearray(whole)
    newer[7] = 99
    assert exchange(bytes(newer))["request"]["undecoded"] == "version 99 of Metadata is not declared here, 0-13 are"


def test_a_time_that_cannot_be() -> None:
    """A capture may claim any time."""
    assert render(Problem("what", time_ns=10**30))["time"] == f"{10**30} ns after 1970"
