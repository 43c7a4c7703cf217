"""Fetch waits for as long as it should and no longer."""

from collections.abc import AsyncIterator, Awaitable
from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio

from kpy.protocol.messages.fetch import FetchRequest, FetchResponse
from kpy.server.context import RequestContext
from kpy.server.handlers.fetch import fetch
from tests.server.client import FETCH_VERSION, Serving, fetch_request, make_broker, running
from tests.storage.batches import batch


@pytest.fixture
async def serving() -> AsyncIterator[Serving]:
    async with running(make_broker(num_partitions="2")) as serving:
        client = await serving.connect()
        await client.create_topic("t", 2)
        yield serving


def ask(serving: Serving, request: FetchRequest) -> FetchResponse | Awaitable[FetchResponse]:
    connection = SimpleNamespace(listener="PLAINTEXT", peer="127.0.0.1")
    return fetch(request, RequestContext(serving.broker.services, cast("Any", connection), FETCH_VERSION, "test"))


async def test_an_append_before_the_wait_begins_is_not_missed(serving: Serving) -> None:
    """A connection may be busy sending for a while before it waits for the answer: what comes meanwhile counts."""
    answer = ask(serving, fetch_request("t", max_wait_ms=3_600_000))
    assert isinstance(answer, Awaitable)

    serving.broker.services.partitions.find("t", 0).append(batch("v"))

    with trio.fail_after(1):
        response = await answer
    assert response.responses[0].partitions[0].high_watermark == 1


@pytest.mark.parametrize("waited", [True, False])
async def test_a_fetch_that_is_cancelled_leaves_nothing_behind(serving: Serving, waited: bool) -> None:
    """No partition remembers the waiter of a connection that is gone, had it begun to wait or not."""
    partition = serving.broker.services.partitions.find("t", 0)
    answer = ask(serving, fetch_request("t", max_wait_ms=3_600_000))
    assert isinstance(answer, Awaitable)
    assert len(partition.waiters) == 1

    with trio.move_on_after(0.01 if waited else 0):
        await answer

    assert len(partition.waiters) == 0
