"""Producer ids are given once, whatever happens to the broker; transactions are refused in words."""

from pathlib import Path

import pytest

from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from tests.server.client import Client, make_broker, running


async def ask(client: Client, version: int, **fields: object) -> InitProducerIdResponse:
    request = InitProducerIdRequest(**{"transactional_id": None, "transaction_timeout_ms": 60_000} | fields)  # type: ignore[arg-type]
    return await client.ask(request, version, InitProducerIdResponse)


async def test_each_producer_gets_an_id_of_its_own(tmp_path: Path) -> None:
    """Ids differ within a run and between runs on the same directory."""
    ids = []
    for _ in range(2):
        async with running(make_broker(tmp_path)) as serving:
            client = await serving.connect()
            for version in range(6):
                response = await ask(client, version)
                assert (response.error_code, response.producer_epoch) == (0, 0)
                ids.append(response.producer_id)

    assert len(set(ids)) == len(ids)
    assert min(ids) >= 0


async def test_an_id_is_not_kept_without_a_transactional_id() -> None:
    """An idempotent producer that lost its epoch starts over with a new id (KIP-360)."""
    async with running(make_broker()) as serving:
        client = await serving.connect()
        first = await ask(client, 4)
        again = await ask(client, 4, producer_id=first.producer_id, producer_epoch=0)

    assert (again.error_code, again.producer_epoch) == (0, 0)
    assert again.producer_id != first.producer_id


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"transactional_id": ""}, ErrorCode.INVALID_REQUEST),
        ({"producer_id": 5}, ErrorCode.INVALID_REQUEST),
        ({"producer_epoch": 5}, ErrorCode.INVALID_REQUEST),
        ({"transactional_id": "txn"}, ErrorCode.UNSUPPORTED_VERSION),
    ],
)
async def test_refusals(fields: dict[str, object], code: ErrorCode) -> None:
    """What makes no sense, and what is not served: an error that clients do not retry."""
    async with running(make_broker()) as serving:
        response = await ask(await serving.connect(), 4, **fields)

    assert (response.error_code, response.producer_id, response.producer_epoch) == (code, -1, -1)
    assert not code.retriable
