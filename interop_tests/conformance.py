"""`python -m interop_tests.conformance SUITE`: run a suite of precise questions against a fresh broker.

SUITE is a directory with a `conform.py` that takes `compare --broker HOST:PORT --messages kafka-clients.jar`, and that
knows Apache Kafka's answers. Everything after SUITE but `--broker` goes to it as it is.
"""

import argparse
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from interop_tests.brokers import Broker, KpyBroker, RemoteBroker
from interop_tests.oracle.libraries import ToolchainMissing, jar
from interop_tests.oracle.node import KafkaNode


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m interop_tests.conformance", description=__doc__)
    parser.add_argument("suite", type=Path)
    parser.add_argument("--broker", default="kpy", help="kpy (default), kafka, or HOST:PORT")
    options, rest = parser.parse_known_args()
    script = options.suite / "conform.py"
    if not script.is_file():
        print(f"no conform.py in {options.suite}: nothing to run", file=sys.stderr)
        return 1
    try:
        messages = jar("kafka-clients")
        broker: Broker
        if options.broker == "kpy":
            broker = KpyBroker(host="127.0.0.1")  # as the broker that gave the answers
        elif options.broker == "kafka":
            broker = KafkaNode()
        else:
            broker = RemoteBroker(options.broker)
    except ToolchainMissing as missing:
        print(missing, file=sys.stderr)
        return 1
    with closing(broker):
        broker.start()
        command = [sys.executable, str(script), "compare", "--broker", broker.bootstrap, "--messages", str(messages)]
        return subprocess.run([*command, *rest], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
