"""`python -m interop_tests.oracle`: Apache Kafka in the foreground, or only its jars."""

import argparse
import signal
import sys
from pathlib import Path

from interop_tests.oracle.libraries import ToolchainMissing, libraries
from interop_tests.oracle.node import KafkaNode


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m interop_tests.oracle", description=__doc__)
    parser.add_argument("--libraries", action="store_true", help="fetch the jars, print their directory, start nothing")
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument(
        "--data-dir", type=Path, help="keep properties, data and output here; default: removed at the end"
    )
    parser.add_argument("--heap", default="512m", help="of the Java process (%(default)s)")
    parser.add_argument(
        "-c", dest="settings", action="append", default=[], metavar="KEY=VALUE", help="a broker setting"
    )
    parser.add_argument("--ready-file", type=Path, help="gets host:port when the broker serves")
    options = parser.parse_args()
    try:
        if options.libraries:
            print(libraries())
            return 0
        settings = dict(setting.split("=", 1) for setting in options.settings)
        if options.data_dir:
            options.data_dir.mkdir(parents=True, exist_ok=True)
        node = KafkaNode(settings=settings, scratch=options.data_dir, heap=options.heap, port=options.port)
    except ToolchainMissing as missing:
        print(missing, file=sys.stderr)
        return 1
    serve(node, options.ready_file)
    return 0


def serve(node: KafkaNode, ready_file: Path | None) -> None:
    """Run until a signal to stop."""
    signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    if ready_file:
        ready_file.unlink(missing_ok=True)
    try:
        node.start()
        print(f"Apache Kafka serves on {node.bootstrap}, process {node.pid}, files in {node.scratch}", flush=True)
        if ready_file:
            whole = ready_file.with_suffix(".part")
            whole.write_text(node.bootstrap + "\n")
            whole.rename(ready_file)
        signal.sigwait(signals)
    finally:
        node.close()


if __name__ == "__main__":
    sys.exit(main())
