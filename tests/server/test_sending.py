"""What is cold is read ahead, and nobody keeps deleted files for ever."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast
from uuid import UUID

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from kpy.protocol.messages.delete_topics import DeleteTopicsRequest, DeleteTopicsResponse, DeleteTopicState
from kpy.protocol.messages.produce import ProduceResponse
from kpy.server import sending
from kpy.server.sending import HELD_SECONDS_MAX, LOOK_SECONDS, Sending, must_read_ahead
from kpy.storage.disk_files import DiskFiles
from kpy.storage.files import Content, FileRange, Files
from kpy.storage.memory_files import MemoryFiles
from tests.server.client import FETCH_VERSION, PRODUCE_VERSION, fetch_request, make_broker, produce_request, running
from tests.storage.batches import sized_batch


@pytest.mark.parametrize(
    ("known", "brought_until", "resident", "expected"),
    [
        (True, -1, False, False),
        (True, 100, False, False),
        (False, -1, True, True),
        (None, -1, True, False),
        (None, -1, False, True),
        (None, -1, None, True),
        (None, 99, True, False),
        (None, 100, True, True),
        (None, 149, True, True),
        (None, 150, True, False),
    ],
)
def test_what_a_worker_reads_first(
    known: bool | None, brought_until: int, resident: bool | None, expected: bool
) -> None:
    """What is not in memory, or may not be, and what goes on behind what was cold; nobody asks where it is known."""
    content = cast("Content", SimpleNamespace(brought_until=brought_until, is_resident=lambda *_: resident))
    assert must_read_ahead(FileRange(content, 100, 50, known)) is expected


class Client:
    """One that does not take its reply."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def abort(self, reason: str) -> None:
        self.reasons.append(reason)


@pytest.fixture(params=["disk", "memory"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    return DiskFiles(tmp_path) if request.param == "disk" else MemoryFiles()


async def watch(held: Sending, seconds: float) -> None:
    with trio.move_on_after(seconds):
        await held.watch_forever()


async def test_who_keeps_a_deleted_file_for_too_long_is_closed(files: Files, autojump_clock: MockClock) -> None:
    """With one reason that says how much it was; the time begins when the file is gone."""
    file = files.open("file")
    file.append(b"0123456789")
    slow, held = Client(), Sending()
    held.hold(slow, [file.pin()])
    await watch(held, 10 * HELD_SECONDS_MAX)
    assert slow.reasons == []
    files.remove("file")
    await watch(held, HELD_SECONDS_MAX - LOOK_SECONDS)
    assert slow.reasons == []
    await watch(held, 3 * LOOK_SECONDS)
    assert slow.reasons[0] == "it does not take its reply, which keeps 10 bytes of deleted files"
    held.let_go(slow)


async def test_who_takes_its_reply_in_time_is_not(files: Files, autojump_clock: MockClock) -> None:
    """Nor is its next reply held against it."""
    client, held = Client(), Sending()
    for name in "abc":
        file = files.open(name)
        file.append(b"0123456789")
        held.hold(client, [file.pin()])
        files.remove(name)
        await watch(held, HELD_SECONDS_MAX * 0.8)
        held.let_go(client)
    await watch(held, HELD_SECONDS_MAX)
    assert client.reasons == []


async def test_deleted_files_take_only_so_much(
    files: Files, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those who have held them for longest are closed first, and no more than need be."""
    monkeypatch.setattr(sending, "HELD_BYTES_MAX", 25)
    held = Sending()
    clients = [Client() for _ in range(4)]
    for number, client in enumerate(clients):
        file = files.open(f"file{number}")
        file.append(b"0123456789")
        held.hold(client, [file.pin()])
    for number in range(4):
        files.remove(f"file{number}")
        await watch(held, LOOK_SECONDS + 1)
    assert [len(client.reasons) > 0 for client in clients] == [True, True, False, False]


async def test_a_running_broker_closes_them(mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that has asked for more than it takes, of a topic that is deleted then."""
    monkeypatch.setattr(sending, "HELD_SECONDS_MAX", LOOK_SECONDS)
    asked = 20
    async with running(make_broker()) as serving:
        client, slow = await serving.connect(), await serving.connect()
        await client.create_topic("t")
        await client.ask(produce_request("t", records=sized_batch(1_000_000)), PRODUCE_VERSION, ProduceResponse)
        for _ in range(asked):
            await slow.send(fetch_request("t"), FETCH_VERSION)
        await wait_all_tasks_blocked()
        request = DeleteTopicsRequest(topics=[DeleteTopicState(name="t", topic_id=UUID(int=0))], timeout_ms=1000)
        await client.ask(request, 6, DeleteTopicsResponse)
        for _ in range(3):
            mock_clock.jump(LOOK_SECONDS)
            await wait_all_tasks_blocked()
        with pytest.raises((EOFError, trio.BrokenResourceError)):
            for _ in range(asked):
                await slow.receive_frame()
