"""The codecs against bytes that were written by hand from the protocol guide."""

import pytest

from kpy.server.handlers import all_handlers
from tests.protocol.declarations import REQUESTS, RESPONSES
from tests.protocol.golden import (
    administration,
    cluster,
    configs,
    consumer_groups,
    coordinators,
    group_administration,
    groups,
    offsets,
    records,
    topics,
)
from tests.protocol.golden.notation import Golden

ALL = [
    *(records.GOLDEN + offsets.GOLDEN + groups.GOLDEN + group_administration.GOLDEN),
    *(coordinators.GOLDEN + cluster.GOLDEN + topics.GOLDEN + configs.GOLDEN),
    *(administration.GOLDEN + consumer_groups.GOLDEN),
]


@pytest.mark.parametrize("golden", ALL, ids=lambda golden: f"{type(golden.message).__name__}-v{golden.version}")
def test_golden_bytes(golden: Golden) -> None:
    """The message is these bytes, and these bytes are the message."""
    assert golden.message.encode(golden.version) == golden.encoded
    decoded, end = type(golden.message).decode_prefix(golden.encoded, golden.version)
    assert decoded == golden.message
    assert end == len(golden.encoded)


def test_every_served_api_has_golden_bytes() -> None:
    """At least one request and one response of every API that the broker serves was written out."""
    served = all_handlers()
    messages = {message for message in [*REQUESTS, *RESPONSES] if message.api in served}
    assert messages <= {type(golden.message) for golden in ALL}
