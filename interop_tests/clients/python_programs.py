"""What the programs of the Python clients have in common: their command line, and how one becomes a command."""

import argparse
import importlib.util
import sys
from collections.abc import Callable, Sequence

from interop_tests.clients import CODECS
from interop_tests.oracle.libraries import ToolchainMissing


def require_package(package: str) -> None:
    if importlib.util.find_spec(package.replace("-", "_")) is None:
        raise ToolchainMissing(f"no package `{package}` in this Python: its scenarios need the extra `interop`")


def program(module: str, action: str, *arguments: str) -> Sequence[str]:
    return (sys.executable, "-m", module, action, *arguments)


def run(produce: Callable[[str, str, str], int], consume: Callable[[str, str, str], None]) -> int:
    """`produce BOOTSTRAP TOPIC CODEC` or `consume BOOTSTRAP TOPIC GROUP`."""
    parser = argparse.ArgumentParser()
    actions = parser.add_subparsers(dest="action", required=True)
    producer = actions.add_parser("produce")
    producer.add_argument("bootstrap")
    producer.add_argument("topic")
    producer.add_argument("codec", choices=CODECS)
    consumer = actions.add_parser("consume")
    consumer.add_argument("bootstrap")
    consumer.add_argument("topic")
    consumer.add_argument("group")
    options = parser.parse_args()
    if options.action == "produce":
        return produce(options.bootstrap, options.topic, options.codec)
    consume(options.bootstrap, options.topic, options.group)
    return 0
