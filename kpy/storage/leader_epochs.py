"""Which leader epoch began at which offset (KIP-101): `leader-epoch-checkpoint` in the partition's directory.

The file is text: a version line (0), the number of entries, and a line `epoch start_offset` for each.
"""

from bisect import bisect_right
from typing import Final

from kpy.storage import checkpoints
from kpy.storage.files import Files

FILE_NAME: Final = "leader-epoch-checkpoint"
UNDEFINED: Final = -1


class LeaderEpochs:
    """Epochs and the offsets they start at.

    Invariant: both ascend strictly.
    """

    __slots__ = ("_files", "_path", "epochs", "start_offsets")

    def __init__(self, files: Files, directory: str) -> None:
        self._files = files
        self._path = f"{directory}/{FILE_NAME}"
        self.epochs: list[int] = []
        self.start_offsets: list[int] = []

    def load(self) -> None:
        """Read the file. What does not ascend, or cannot be read, is forgotten: recovery finds it again in the log."""
        self.clear()
        try:
            for epoch, offset in checkpoints.decode(self._files.read(self._path) or b"", columns=2):
                self._add(int(epoch), int(offset))
        except (checkpoints.CheckpointCorrupt, ValueError):
            self.clear()

    def clear(self) -> None:
        """Know none."""
        self.epochs.clear()
        self.start_offsets.clear()

    @property
    def latest(self) -> int:
        return self.epochs[-1] if self.epochs else UNDEFINED

    def assign(self, epoch: int, offset: int, *, store: bool = True) -> None:
        """A batch of that epoch is at that offset. Only an epoch that is new counts, if it can be stored."""
        if epoch <= self.latest:
            return
        known = self.epochs.copy(), self.start_offsets.copy()
        self._add(epoch, offset)
        if store:
            try:
                self.store()
            except OSError:
                self.epochs, self.start_offsets = known
                raise

    def _add(self, epoch: int, offset: int) -> bool:
        if epoch <= self.latest:
            return False
        while self.start_offsets and self.start_offsets[-1] >= offset:
            self.epochs.pop()
            self.start_offsets.pop()
        self.epochs.append(epoch)
        self.start_offsets.append(offset)
        return True

    def truncate_end(self, end_offset: int) -> None:
        """Forget the epochs that start at or after the end of the log."""
        while self.start_offsets and self.start_offsets[-1] >= end_offset:
            self.epochs.pop()
            self.start_offsets.pop()

    def truncate_start(self, start_offset: int) -> bool:
        """The log now starts at that offset: the epoch that holds it starts there too."""
        index = bisect_right(self.start_offsets, start_offset) - 1
        if index < 0 or self.start_offsets[index] == start_offset == self.start_offsets[0]:
            return False
        del self.epochs[:index]
        del self.start_offsets[:index]
        self.start_offsets[0] = start_offset
        return True

    def epoch_of(self, offset: int) -> int:
        """The epoch of a batch at that offset, UNDEFINED if it is not known."""
        index = bisect_right(self.start_offsets, offset) - 1
        return self.epochs[index] if index >= 0 else UNDEFINED

    def end_offset(self, epoch: int, log_end_offset: int) -> tuple[int, int]:
        """The largest epoch not above that one, and the offset after its last batch (OffsetForLeaderEpoch).

        (UNDEFINED, UNDEFINED) if there is no answer; as Kafka's `LeaderEpochFileCache.endOffsetFor`, an epoch older
        than all that are known answers itself with the start of the first known one.
        """
        if epoch == UNDEFINED or not self.epochs or epoch > self.epochs[-1]:
            return UNDEFINED, UNDEFINED
        if epoch == self.epochs[-1]:
            return epoch, log_end_offset
        higher = bisect_right(self.epochs, epoch)
        if higher == 0:
            return epoch, self.start_offsets[0]
        return self.epochs[higher - 1], self.start_offsets[higher]

    def store(self) -> None:
        """Write the file; a flush of the log syncs it."""
        rows = (f"{epoch} {offset}" for epoch, offset in zip(self.epochs, self.start_offsets, strict=True))
        self._files.replace(self._path, checkpoints.encode(rows), sync=False)
