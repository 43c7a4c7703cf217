import struct
from collections.abc import Callable
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpy.storage.files import Files
from kpy.storage.log_config import LogConfig
from kpy.storage.log_directory import LogDirectory
from kpy.storage.memory_files import MemoryFiles
from kpy.storage.offset_index import IndexCorrupt
from kpy.storage.partition_log import PartitionLog
from kpy.storage.restart_points import secure
from kpy.storage.transaction_index import AbortedTransaction, TransactionIndex
from tests.storage.conftest import copy_of
from tests.storage.transactions import abort, commit, send
from tests.sweeps import examples

TOPIC_ID = UUID(int=77)
SMALL = LogConfig(segment_bytes=400, index_interval_bytes=150)
PATH = "topic-0/00000000000000000000.txnindex"
FIRST = AbortedTransaction(producer_id=5, first_offset=1, last_offset=3, last_stable_offset=2)
SECOND = AbortedTransaction(producer_id=6, first_offset=2, last_offset=9, last_stable_offset=10)


def new_log(files: Files, config: LogConfig = SMALL) -> PartitionLog:
    return LogDirectory.open(files).create("topic", 0, TOPIC_ID, config)


def reopen(files: Files) -> PartitionLog:
    log = LogDirectory.open(files).get("topic", 0)
    assert log is not None
    log.config = SMALL
    return log


def index_files(files: Files) -> list[str]:
    return sorted(name for name in files.list("topic-0") if name.endswith(".txnindex"))


@pytest.fixture
def index(files: Files) -> TransactionIndex:
    files.make_directory("topic-0")
    return TransactionIndex(files, PATH)


def stored(files: Files) -> list[AbortedTransaction]:
    """What the file says."""
    read = TransactionIndex(files, PATH)
    read.load(0)
    return read.entries


def test_format(index: TransactionIndex, files: Files) -> None:
    """An entry is Kafka's AbortedTxn: version 0, producer id, first, last and last stable offset, big-endian."""
    for aborted in (FIRST, SECOND):
        index.append(aborted)
        index.write()
    assert files.read(PATH) == struct.pack(">hqqqq", 0, 5, 1, 3, 2) + struct.pack(">hqqqq", 0, 6, 2, 9, 10)
    assert stored(files) == [FIRST, SECOND]


def test_no_file_without_entries(index: TransactionIndex, files: Files) -> None:
    """There is a file from the first entry on, and none when they are forgotten."""
    index.write()
    assert index_files(files) == []
    index.append(FIRST)
    index.write()
    assert index_files(files) != []
    index.reset()
    assert (index_files(files), index.entries) == ([], [])


def test_writing_again(index: TransactionIndex, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a full disk left of an entry is written over by the next call."""
    index.append(FIRST)
    index.write()
    index.append(SECOND)
    file = files.open(PATH)
    file.append(b"half of it")
    with monkeypatch.context() as patch:

        def full(_file: object, _data: object) -> None:
            raise OSError(28, "No space left on device")

        patch.setattr(type(file), "append", full)
        with pytest.raises(OSError, match="No space left"):
            index.write()
    index.write()
    assert stored(files) == [FIRST, SECOND]


def test_a_file_that_was_taken_away(index: TransactionIndex, files: Files) -> None:
    """If the file is not there any more, all entries are written again and not only the new ones."""
    index.append(FIRST)
    index.write()
    files.remove(PATH)
    index.append(SECOND)
    index.write()
    assert stored(files) == [FIRST, SECOND]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(bytes(33), id="torn"),
        pytest.param(struct.pack(">hqqqq", 1, 5, 1, 3, 2), id="version of the future"),
        pytest.param(struct.pack(">hqqqq", 0, 5, 1, 3, 2) * 2, id="does not ascend"),
        pytest.param(struct.pack(">hqqqq", 0, 5, 4, 3, 2), id="ends before it begins"),
        pytest.param(struct.pack(">hqqqq", 0, 5, -3, -1, 2), id="before the segment"),
    ],
)
def test_corrupt(index: TransactionIndex, files: Files, data: bytes) -> None:
    """What cannot be an index of the segment is refused."""
    files.replace(PATH, data)
    with pytest.raises(IndexCorrupt):
        index.load(0)


def test_an_aborted_transaction(files: Files) -> None:
    """A reader from before or within an aborted transaction is told of it; a log without any tells nothing."""
    log = new_log(files)
    send(log, 5, 0)
    commit(log, 5)
    assert not log.has_aborted_transactions
    assert log.aborted_transactions(0, log.end_offset) == []
    send(log, 5, 1)
    send(log, 6, 0)
    abort(log, 5)

    aborted = AbortedTransaction(producer_id=5, first_offset=2, last_offset=4, last_stable_offset=3)
    assert [log.aborted_transactions(*bounds) for bounds in ((0, 5), (4, 5), (0, 3), (0, 2), (5, 6))] == [
        [aborted],
        [aborted],
        [aborted],
        [],
        [],
    ]


def test_the_bound_of_a_read(files: Files) -> None:
    """A read says how far it may reach: to an index entry behind it, to the next segment, or to the end of the log."""
    log = new_log(files)
    send(log, 5, 0)
    abort(log, 5)
    for sequence in range(1, 8):
        send(log, 5, sequence)
    first, second = log.segments.base_offsets
    entry = log.read(0, 1, up_to=log.end_offset, at_least_one=True)

    assert 1 < entry.upper_bound < second
    assert log.read(first, 400, up_to=log.end_offset, at_least_one=True).upper_bound == second
    assert log.read(second, 400, up_to=log.end_offset, at_least_one=True).upper_bound == log.end_offset


def test_a_clean_stop_keeps_them(files: Files) -> None:
    """After a clean shutdown the entries are read and not found again."""
    directory = LogDirectory.open(files)
    log = directory.create("topic", 0, TOPIC_ID, SMALL)
    send(log, 5, 0)
    abort(log, 5)
    directory.close()
    files.replace(PATH, struct.pack(">hqqqq", 0, 9, 0, 1, 2))
    assert reopen(files).aborted_transactions(0, 2) == [AbortedTransaction(9, 0, 1, 2)]


@pytest.mark.parametrize("damage", [b"", b"torn", struct.pack(">hqqqq", 0, 9, 0, 1, 2)])
def test_after_kill(files: Files, after_kill: Callable[[], Files], damage: bytes) -> None:
    """After kill -9 the entries are found again in the log, whatever is in the file, and over segments too."""
    log = new_log(files)
    for sequence in range(8):
        send(log, 5, sequence)
    abort(log, 5)
    left = after_kill()
    for base in log.segments.base_offsets:
        left.replace(f"topic-0/{base:020d}.txnindex", damage)
    again = reopen(left)
    assert again.aborted_transactions(0, 9) == [AbortedTransaction(5, 0, 8, 9)]
    again.flush()
    assert index_files(left) == [f"{again.segments.base_offsets[-1]:020d}.txnindex"]


@pytest.mark.parametrize("clean", [True, False])
def test_a_corrupt_index_is_made_again(files: Files, clean: bool) -> None:
    """An index that is not sound is found again in the log, though the segment had been flushed."""
    directory = LogDirectory.open(files)
    log = directory.create("topic", 0, TOPIC_ID, SMALL)
    send(log, 5, 0)
    send(log, 6, 0)
    abort(log, 5)
    for sequence in range(1, 8):
        send(log, 6, sequence)
    abort(log, 6)
    directory.flush()
    directory.close(clean=clean)
    expected = log.aborted_transactions(0, log.end_offset)
    assert len(expected) == 2
    left = copy_of(files) if isinstance(files, MemoryFiles) else files
    for name in index_files(left):
        left.replace(f"topic-0/{name}", b"scribble")
    again = reopen(left)
    assert again.aborted_transactions(0, log.end_offset) == expected
    assert again.last_stable_offset == log.last_stable_offset


def test_deleted_with_their_segment(files: Files) -> None:
    """When a segment goes, its aborted transactions go too."""
    log = new_log(files)
    send(log, 5, 0)
    abort(log, 5)
    for sequence in range(1, 8):
        send(log, 5, sequence)
    log.start_on_disk = log.delete_records_before(6)
    log.remove_deleted()
    assert index_files(files) == []
    assert log.aborted_transactions(0, log.end_offset) == []


STEPS = ("send", "send", "send", "abort", "abort", "commit", "flush", "kill", "stop")


@settings(max_examples=examples(60))
@given(data=st.data())
def test_any_life(data: st.DataObject) -> None:
    """Whatever a log went through, it knows each aborted transaction that overlaps with a range, and no other."""
    files = MemoryFiles()
    directory = LogDirectory.open(files)
    log = directory.create("topic", 0, TOPIC_ID, SMALL)
    sequences: dict[int, int] = {}
    begun: dict[int, int] = {}
    aborted: list[tuple[int, int, int]] = []
    for step in data.draw(st.lists(st.sampled_from(STEPS), max_size=40)):
        producer_id = data.draw(st.integers(1, 3))
        if step == "send":
            result = send(log, producer_id, sequences.get(producer_id, 0))
            sequences[producer_id] = sequences.get(producer_id, 0) + 1
            begun.setdefault(producer_id, result.base_offset)
        elif step == "abort" and producer_id in begun:
            last = abort(log, producer_id).base_offset
            aborted.append((producer_id, begun.pop(producer_id), last))
        elif step == "commit" and producer_id in begun:
            commit(log, producer_id)
            del begun[producer_id]
        elif step == "flush":
            directory.flush()
            secure(log)
            directory.checkpoint()
        elif step in ("kill", "stop"):
            directory.close(clean=step == "stop")
            files = copy_of(files)
            directory = LogDirectory.open(files)
            reopened = directory.get("topic", 0)
            assert reopened is not None
            log = reopened
            log.config = SMALL
        start = data.draw(st.integers(0, log.end_offset))
        bound = data.draw(st.integers(start, log.end_offset))
        assert [entry[:3] for entry in log.aborted_transactions(start, bound)] == [
            entry for entry in aborted if entry[2] >= start and entry[1] < bound
        ]
        assert log.last_stable_offset == min(begun.values(), default=log.end_offset)


def test_what_has_to_be_synced(files: Files) -> None:
    """Entries count as not on the disk until somebody says so, and those that came meanwhile still do then."""
    files.make_directory("topic-0")
    index = TransactionIndex(files, "topic-0/0.txnindex")
    assert index.unsynced() is None
    index.append(AbortedTransaction(5, 0, 1, 2))
    assert index.unsynced() == 1
    index.append(AbortedTransaction(5, 2, 3, 4))
    index.write()
    index.synced(1)
    assert index.unsynced() == 2
    index.synced(2)
    assert index.unsynced() is None
