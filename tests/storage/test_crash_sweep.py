"""Wherever the power is cut or the process killed, what was flushed is there, and what is there was appended.

A program of appends, rolls, flushes, checkpoints, deletions, restarts and new leader epochs, and a round of compaction,
run on files that lose, tear and reorder what was not synced. They are stopped at every single operation in turn, and
the program at random, over several lives.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from random import Random

import pytest

from kpy.storage.log_directory import LogDirectory
from tests.storage.batches import NOW_MS, batch
from tests.storage.compacting import a_round, last_records, take_all
from tests.storage.crashing_files import CrashingFiles, PowerCut
from tests.storage.log_lives import Lives
from tests.storage.test_segment_swap import filled, reopened, values
from tests.sweeps import seeds

STEPS = 40
LIVES = 6


def run(lives: Lives, files: CrashingFiles) -> None:
    """The program, up to the power cut if there is one."""
    with suppress(PowerCut):
        lives.begin(files)
        for _ in range(STEPS):
            lives.step()


@pytest.mark.parametrize("seed", seeds(3))
def test_stopped_at_every_operation(seed: int) -> None:
    """After each operation of a program, a kill or a power cut leaves a sound log."""
    whole = CrashingFiles()
    run(Lives(Random(seed)), whole)
    for cut_at in range(1, whole.operations + 1):
        for is_power_cut in (True, False):
            files = CrashingFiles(Random(f"{seed} {cut_at}"))
            files.cut_at = cut_at
            lives = Lives(Random(seed))
            run(lives, files)
            left = files.after_power_cut() if is_power_cut else files.after_kill()
            with explained(f"seed {seed}, stopped at operation {cut_at}, power cut: {is_power_cut}"):
                lives.check(left)


@pytest.mark.parametrize("seed", seeds(40))
def test_several_lives(seed: int) -> None:
    """Log and process end at random, again and again, in the middle of recovery too, and go on."""
    random = Random(seed)
    lives = Lives(random)
    files = CrashingFiles(random)
    for life in range(LIVES):
        files.cut_at = files.operations + random.randrange(1, 250)
        if life:
            with suppress(PowerCut):
                for _ in range(STEPS):
                    lives.step()
        else:
            run(lives, files)
        files = files.after_power_cut() if random.random() < 0.7 else files.after_kill()
        while random.random() < 0.5:
            files.cut_at = random.randrange(1, 30)
            with suppress(PowerCut):
                LogDirectory.open(files)
            files = files.after_power_cut() if random.random() < 0.7 else files.after_kill()
        with explained(f"seed {seed}, life {life}"):
            lives.check(files)


@pytest.mark.parametrize("seed", seeds(3))
def test_a_power_cut_in_a_round_of_compaction(seed: int) -> None:
    """Each key has its last value, at its offset, and the producers are as before."""
    whole = filled(CrashingFiles())
    expected, last, end_offset = values(whole), last_records(whole), whole.end_offset
    for operation in count(1):
        files = CrashingFiles(Random(f"{seed} {operation}"))
        log = filled(files)
        files.cut_at = files.operations + operation
        try:
            take_all(a_round(log).steps())
        except PowerCut:
            with explained(f"seed {seed}, operation {operation}"):
                again = reopened(files.after_power_cut())
                assert (values(again), last_records(again), again.end_offset) == (expected, last, end_offset)
                assert again.append(batch("more"), leader_epoch=0, now_ms=NOW_MS).base_offset == end_offset
        else:
            assert operation > 50
            return


@contextmanager
def explained(where: str) -> Iterator[None]:
    """Say what reproduces a failure."""
    try:
        yield
    except Exception as error:
        raise AssertionError(f"{where}: {error}") from error
