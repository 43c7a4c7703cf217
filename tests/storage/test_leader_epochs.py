import pytest

from kpy.storage.files import Files
from kpy.storage.leader_epochs import UNDEFINED, LeaderEpochs
from kpy.storage.memory_files import MemoryFiles

PATH = "topic-0/leader-epoch-checkpoint"


@pytest.fixture
def epochs() -> LeaderEpochs:
    files = MemoryFiles()
    files.make_directory("topic-0")
    epochs = LeaderEpochs(files, "topic-0")
    for epoch, offset in ((0, 0), (2, 10), (5, 30)):
        epochs.assign(epoch, offset)
    return epochs


def test_file(files: Files) -> None:
    """The file is Kafka's, and is written when an epoch is new only."""
    files.make_directory("topic-0")
    epochs = LeaderEpochs(files, "topic-0")
    epochs.assign(0, 0)
    epochs.assign(3, 7)
    assert files.read(PATH) == b"0\n2\n0 0\n3 7\n"
    files.remove(PATH)
    epochs.assign(3, 9)
    epochs.assign(1, 9)
    assert files.read(PATH) is None
    epochs.store()
    read = LeaderEpochs(files, "topic-0")
    read.load()
    assert (read.epochs, read.start_offsets) == ([0, 3], [0, 7])


@pytest.mark.parametrize("data", [b"garbage", b"0\n1\nx 1\n", b"0\n5\n0 0\n"])
def test_corrupt_file(data: bytes) -> None:
    """A file that cannot be read is forgotten."""
    files = MemoryFiles()
    files.make_directory("topic-0")
    files.replace(PATH, data)
    epochs = LeaderEpochs(files, "topic-0")
    epochs.load()
    assert epochs.epochs == []
    assert epochs.latest == UNDEFINED


def test_an_epoch_without_records(epochs: LeaderEpochs) -> None:
    """An epoch that begins where another began replaces it."""
    epochs.assign(6, 30)
    assert (epochs.epochs, epochs.start_offsets) == ([0, 2, 6], [0, 10, 30])


@pytest.mark.parametrize(("offset", "epoch"), [(0, 0), (9, 0), (10, 2), (29, 2), (30, 5), (99, 5)])
def test_epoch_of(epochs: LeaderEpochs, offset: int, epoch: int) -> None:
    """Each offset belongs to the epoch that began last before it."""
    assert epochs.epoch_of(offset) == epoch


@pytest.mark.parametrize(
    ("asked", "answer"),
    [(0, (0, 10)), (1, (0, 10)), (2, (2, 30)), (4, (2, 30)), (5, (5, 50)), (6, (-1, -1)), (-1, (-1, -1))],
)
def test_end_offset(epochs: LeaderEpochs, asked: int, answer: tuple[int, int]) -> None:
    """An epoch ends where the next one begins, the last at the end of the log."""
    assert epochs.end_offset(asked, 50) == answer


def test_end_offset_of_a_forgotten_epoch(epochs: LeaderEpochs) -> None:
    """An epoch older than all that are known ends where the first of these begins."""
    epochs.truncate_start(15)
    assert (epochs.epochs, epochs.start_offsets) == ([2, 5], [15, 30])
    assert epochs.end_offset(1, 50) == (1, 15)
    assert epochs.epoch_of(3) == UNDEFINED


def test_truncate_start(epochs: LeaderEpochs) -> None:
    """The epoch that holds the log's start starts there."""
    assert not epochs.truncate_start(0)
    assert epochs.truncate_start(10)
    assert (epochs.epochs, epochs.start_offsets) == ([2, 5], [10, 30])
    assert epochs.truncate_start(40)
    assert (epochs.epochs, epochs.start_offsets) == ([5], [40])
    assert not epochs.truncate_start(40)


def test_truncate_end(epochs: LeaderEpochs) -> None:
    """Epochs that begin at the end of the log or beyond are forgotten."""
    epochs.truncate_end(30)
    assert epochs.epochs == [0, 2]
    epochs.truncate_end(0)
    assert epochs.latest == UNDEFINED
