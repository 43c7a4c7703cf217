"""The `kpy` command.

`--help`, `--version` and a mistake on the command line are answered without importing the broker. What the user did
wrong, or the machine refuses, is one line on stderr and exit status 1 (2 for the command line itself), never a
traceback.
"""

import argparse
import sys
from collections.abc import Sequence

from kpy import __version__

EPILOG = """\
Options of -c and --config have Kafka's names and units. Where the same option is set twice, the command line counts
before -c, and -c before the file. All options: docs/configuration.md
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 2
    try:
        if options.command == "decode":
            from kpy.cli.decode import decode  # noqa: PLC0415 - as below

            return decode(options)
        if options.command == "dump-log":
            from kpy.cli.dump_log import dump_log  # noqa: PLC0415 - as below

            return dump_log(options)
        from kpy.cli.serve import serve  # noqa: PLC0415 - the broker is imported only to be run

        return serve(options)
    except KeyboardInterrupt:  # of a broker only before it runs; then it is a signal to stop
        return 130


def fail(message: str) -> int:
    """Says what is wrong in one line; the exit status to end with."""
    print(f"kpy: error: {message}", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="kpy", description="A Kafka-compatible broker.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"kpy {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    serve = commands.add_parser(
        "serve",
        help="run a broker",
        description="Run a broker until SIGTERM or Ctrl-C; a second signal ends it at once.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    serve.add_argument("--host", help="where to listen; 0.0.0.0 or :: is every interface (127.0.0.1 and ::1)")
    serve.add_argument("--port", type=_port, help="port to listen on; 0 takes a free one (9092)")
    serve.add_argument("--advertise", metavar="HOST:PORT", help="the address that clients are told to use")
    serve.add_argument(
        "--data-dir", metavar="DIR", type=_directory, help="keep everything in this directory (in memory)"
    )
    serve.add_argument("--config", metavar="FILE", help="read options from a file like Kafka's server.properties")
    serve.add_argument(
        "-c", dest="assignments", metavar="NAME=VALUE", action="append", default=[], help="set an option; repeatable"
    )
    serve.add_argument("--ready-file", metavar="FILE", help="write HOST:PORT here when connections are accepted")
    serve.add_argument(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        default="info",
        help="what to log on stderr: debug is every request, info every connection (info)",
    )
    _add_decode(commands)
    _add_dump_log(commands)
    return parser


def _add_decode(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    decode = commands.add_parser(
        "decode",
        help="explain a recorded conversation",
        description="Print each request and its reply as a JSON object on a line. FILE is a capture (pcap or pcapng), a"
        " file of frames as they are on the wire, or a hex dump of either. Secrets are not shown.",
        allow_abbrev=False,
    )
    decode.add_argument("file", metavar="FILE", help="the file; - is standard input")
    decode.add_argument(
        "--port",
        dest="ports",
        metavar="PORT",
        type=_port,
        action="append",
        help="the port of a broker in a capture; repeatable (9092)",
    )
    decode.add_argument(
        "--format", choices=("auto", "hex", "frames", "pcap"), default="auto", help="what FILE is, if not seen (auto)"
    )
    decode.add_argument("--pretty", action="store_true", help="a field on a line")


def _add_dump_log(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    dump_log = commands.add_parser(
        "dump-log",
        help="explain and check the files of a log",
        description="Print each batch and each entry as a JSON object on a line, and check them: every byte range that"
        " holds no sound batch and every index entry that is not true is named, and the exit status is 1 then. PATH is"
        " the directory of a partition, or one of its files: .log, .index, .timeindex, .txnindex, .snapshot,"
        " leader-epoch-checkpoint, partition.metadata. Nothing is changed.",
        allow_abbrev=False,
    )
    dump_log.add_argument("paths", metavar="PATH", nargs="+", help="a directory or a file")
    dump_log.add_argument("--records", action="store_true", help="the records of each batch, too")
    dump_log.add_argument("--damage", action="store_true", help="only what is wrong")


def _port(text: str) -> int:
    if text.isdecimal() and int(text) <= 65535:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text} is not a port: 0 to 65535")


def _directory(text: str) -> str:
    if text:
        return text
    raise argparse.ArgumentTypeError("the name of the directory is empty")  # a variable that is not set, most likely
