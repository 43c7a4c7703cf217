"""What the machine has that a broker shares with others."""

import os
from contextlib import suppress
from pathlib import Path

CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Where a container reads how much memory it may have, in version 2 and 1 of the interface."""


def memory_bytes() -> int:
    """How much memory there is: the machine's, or less in a container that has a limit."""
    there_is = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for path in CGROUP_LIMITS:
        with suppress(OSError, ValueError):  # there is no such file, or it says "max"
            there_is = min(there_is, int(Path(path).read_text(encoding="ascii")))
    return there_is
