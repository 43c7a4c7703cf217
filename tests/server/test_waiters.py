"""Parked requests wake when enough bytes came, or when told to look again."""

from typing import cast

import trio

from kpy.protocol.compression import Codec
from kpy.protocol.messages.fetch import FetchRequest, FetchResponse
from kpy.protocol.messages.produce import ProduceResponse
from kpy.server.waiters import Waiter, Waiters
from tests.server.client import FETCH_VERSION, PRODUCE_VERSION, fetch_request, make_broker, produce_request, running
from tests.storage.batches import batch


def test_a_waiter_wakes_when_the_bytes_of_all_its_partitions_suffice() -> None:
    """Bytes of several partitions add up."""
    first, second = Waiters(), Waiters()
    waiter = Waiter(100)
    first.add(waiter)
    second.add(waiter)

    first.more_bytes(60)
    assert not waiter.woken.is_set()

    second.more_bytes(40)
    assert waiter.woken.is_set()


def test_a_waiter_that_was_discarded_hears_nothing() -> None:
    """After discard, appends are nobody's business."""
    waiters = Waiters()
    waiter = Waiter(1)
    waiters.add(waiter)
    waiters.discard(waiter)

    waiters.more_bytes(10)
    waiters.wake()

    assert not waiter.woken.is_set()


def test_waking_does_not_ask_for_bytes() -> None:
    """A changed partition wakes its waiters at once."""
    waiters = Waiters()
    waiter = Waiter(1_000_000)
    waiters.add(waiter)

    waiters.wake()

    assert waiter.woken.is_set()


async def test_what_counts_is_what_is_stored() -> None:
    """A fetch that waits for bytes gets them although they came compressed (compression.type)."""
    async with running(make_broker()) as serving:
        writer, reader = await serving.connect(), await serving.connect()
        await writer.create_topic("t", 1, {"compression.type": "uncompressed"})
        await reader.send(fetch_request("t", max_wait_ms=60_000, min_bytes=50_000), FETCH_VERSION)
        partition = serving.broker.services.partitions.find("t", 0)
        with trio.fail_after(5):
            while not len(partition.waiters):
                await trio.lowlevel.checkpoint()
            await writer.ask(
                produce_request("t", records=batch("v" * 100_000, codec=Codec.GZIP)), PRODUCE_VERSION, ProduceResponse
            )
            response = cast("FetchResponse", await reader.receive(FetchRequest, FETCH_VERSION))
        assert response.responses[0].partitions[0].records
