"""How much memory something takes at its peak: asked in a process of its own, which has never had more."""

import subprocess
import sys
from pathlib import Path

import pytest

STATUS = Path("/proc/self/status")
MEASURING = f"""
from pathlib import Path
def peak_bytes():
    "The most that this process has ever had in memory."
    (line,) = [line for line in Path("{STATUS}").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024
"""


def peak_growth_bytes(setup: str, measured: str, *arguments: str) -> int:
    """By how much `measured` raises the peak that a new interpreter has reached after `setup`.

    What it allocates and never touches does not count. `sys.argv` has the arguments.
    """
    if not STATUS.exists():
        pytest.skip(f"no {STATUS} on this machine, which says what a process takes at its peak")
    program = f"import sys\n{MEASURING}\n{setup}\nbefore = peak_bytes()\n{measured}\nprint(peak_bytes() - before)\n"
    result = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return int(result.stdout)
