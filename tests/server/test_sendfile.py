"""Records go from the segment to the socket without passing through Python."""

from pathlib import Path

import pytest

from kpy.protocol.messages.fetch import FetchResponse
from tests.server.client import FETCH_VERSION, Client, fetch_request, make_broker, produce_request, running
from tests.server.failing_files import Disk
from tests.storage.batches import sized_batch

SIZES = (600_000, 5_000, 100)


async def fetch_all(client: Client, disk: Disk) -> None:
    disk.copied.clear()
    for offset in range(len(SIZES)):
        response = await client.ask(fetch_request("t", offset=offset), FETCH_VERSION, FetchResponse)
        assert len(response.responses[0].partitions[0].records or b"") == sum(SIZES[offset:])
    assert disk.copied == []


@pytest.mark.parametrize("is_recent", [True, False])
async def test_a_fetch_reads_nothing_of_what_it_sends(tmp_path: Path, disk: Disk, is_recent: bool) -> None:
    """Whether large or small, and just written or by an earlier process. To find a batch is not to send it."""
    async with running(make_broker(tmp_path)) as serving:
        client = await serving.connect()
        await client.create_topic("t")
        for size in SIZES:
            await client.ask(produce_request("t", records=sized_batch(size)), 9, FetchResponse)
        if is_recent:
            await fetch_all(client, disk)
    if not is_recent:
        async with running(make_broker(tmp_path)) as serving:
            await fetch_all(await serving.connect(), disk)
