"""What README shows is what happens."""

import re
import subprocess
import sys
from pathlib import Path

from kpy.testing import Broker

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    """The first block of that language."""
    found = re.search(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


def test_the_program_prints_what_it_says(kafka_broker: Broker) -> None:
    """README's program, with the address of a broker under test, has README's output."""
    program = block("python").replace("localhost:9092", kafka_broker.bootstrap_servers)

    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)

    assert result.stderr == ""
    assert result.stdout == block("text")


def test_links_lead_somewhere() -> None:
    """Every relative link in README is a file of the repository."""
    for target in re.findall(r"\]\(([^):]+)\)", README):
        assert (Path(__file__).parent.parent / target).is_file(), target
