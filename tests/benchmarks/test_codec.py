"""What the benchmark of the codec measures. How fast it is, is not asked here."""

import pytest

from benchmarks.codec import Case, Measured, cases, measure, summary
from benchmarks.codec_messages import LARGE, SHAPES, TYPICAL, message
from kpy.protocol.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from kpy.protocol.messages.heartbeat import HeartbeatRequest
from kpy.protocol.messages.metadata import MetadataResponse
from tests.protocol.declarations import REQUESTS, RESPONSES, every_version


def test_nothing_is_left_out() -> None:
    """Every request and response is measured in every version, with a typical and with a large message."""
    declared = {
        (declaration, version, shape)
        for declaration, version in every_version([*REQUESTS, *RESPONSES])
        for shape in SHAPES
    }

    assert len(cases()) == len(declared)
    assert set(cases()) == declared


def test_messages() -> None:
    """A typical message has what most have, a large one much of everything."""
    typical, large = (message(MetadataResponse, 12, shape) for shape in SHAPES)

    assert [len(found.topics) for found in (typical, large)] == [2, 50]
    assert [len(found.topics[0].partitions) for found in (typical, large)] == [2, 10]
    assert [found.cluster_id is None for found in (typical, large)] == [True, False]
    assert message(MetadataResponse, 12, LARGE) == large


@pytest.mark.parametrize(
    ("declaration", "compared"), [(HeartbeatRequest, True), (ConsumerGroupHeartbeatRequest, False)]
)
def test_measuring(declaration: type[HeartbeatRequest], compared: bool) -> None:
    """Both directions are measured, and kafka-python's codec beside ours where it has the message."""
    found = measure(Case(declaration, 0, TYPICAL), seconds_a_round=0)

    assert [(each.direction, each.us > 0, each.ratio is not None) for each in found] == [
        ("decode", True, compared),
        ("encode", True, compared),
    ]


def test_summary() -> None:
    """The summary counts what is at least as fast, and begins its list with the slowest."""
    text = summary(
        [
            Measured("Fetch v1", "decode", "typical", 10, 1.0, 2.5),
            Measured("Fetch v2", "decode", "typical", 10, 2.0, 1.0),
            Measured("Fetch v3", "decode", "typical", 10, 0.5, None),
        ]
    )

    assert "| decode, typical | 3 | 2 | 1 | 0.50 | 1.50 | 50.00 |" in text.splitlines()
    assert text.splitlines()[-2:] == [
        "0.50  decode Fetch v2, typical: 2.00 us for 10 bytes",
        "2.50  decode Fetch v1, typical: 1.00 us for 10 bytes",
    ]
