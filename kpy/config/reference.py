"""docs/configuration.md, written from the tables: `make docs`. A test keeps the file true."""

import sys
from collections.abc import Iterable, Iterator, Mapping

from kpy.config.broker import BrokerConfig
from kpy.config.group import GroupOptions
from kpy.config.kafka_names import GUARDS, NAMES
from kpy.config.options import Option
from kpy.config.topic import TopicConfig

INTRODUCTION = """\
# Configuration

kpy has Kafka's options under Kafka's names, in Kafka's units, with Kafka's defaults where the next section does not say
otherwise; what begins with `kpy.` is its own. Each is set

1. on the command line, where there is an option for it (`--host`, `--port`, `--advertise`, `--data-dir`),
2. by `-c name=value`,
3. in a file given by `--config`, in the format of Kafka's `server.properties`,

the first of these that does counting. For a broker in a test, `kpy.testing.Broker({"name": "value"})` takes the same.

A bad value is an error that says what is allowed. A name that neither kpy nor Kafka has is an error in `-c` and a
warning in a file. A name that Kafka has and kpy does not honour is a warning, unless it guards something: then kpy does
not start, because whoever set it relies on it.

This page is made from the tables in `kpy/config` by `make docs`.
"""

OTHER_DEFAULTS = """
## Defaults that are not Kafka's

kpy is one node that starts without being told anything, and mostly for tests.

"""

LISTENERS = """
The stock `server.properties` of Kafka works as it is: listeners that `controller.listener.names` names are not opened,
for the controller is in the same process. `listener.security.protocol.map` may name protocols that kpy does not have,
as long as no listener for clients uses them.
"""

TOPIC_OPTIONS = """
## Topic options

Set when a topic is created, or altered while it is used. The broker's options are their defaults.

"""

GROUP_OPTIONS = """
## Group options

Set with IncrementalAlterConfigs on resources of the type GROUP, within the bounds of the broker's options. The broker's
options are their defaults.

"""

GUARDING = """
## Options that stop the start

`listeners` with a listener that speaks anything but PLAINTEXT; everything that begins with `ssl.` or `sasl.`, also for
one listener (`listener.name.<name>.ssl.…`); more than one directory in `log.dirs`; and, with other values than the
harmless:

"""

NOT_HONOURED = """
## Options of Kafka 4.3 that kpy does not honour

A setting of one of these is answered with a warning:

"""


def reference() -> str:
    """The page."""
    return "".join(_page())


def _page() -> Iterator[str]:
    yield INTRODUCTION
    yield OTHER_DEFAULTS
    different = [option for option in BrokerConfig.options.values() if option.kafka_default is not None]
    yield from _table(
        ("option", "kpy", "Kafka"),
        ((f"`{option.name}`", _default(option), option.kafka_default or "") for option in different),
    )
    yield "\n## Broker options\n\n"
    yield from _options(BrokerConfig.options, also_internal=True)
    yield LISTENERS
    yield TOPIC_OPTIONS
    yield from _options(TopicConfig.options)
    yield GROUP_OPTIONS
    yield from _options(GroupOptions.options)
    yield GUARDING
    yield from (f"- `{name}`\n" for name in sorted(GUARDS))
    yield NOT_HONOURED
    security = ("sasl.", "ssl.")
    yield ", ".join(f"`{name}`" for name in sorted(NAMES - GUARDS.keys()) if not name.startswith(security)) + ".\n"


def _options(options: Mapping[str, Option], *, also_internal: bool = False) -> Iterator[str]:
    rows = (
        (f"`{option.name}`", option.allowed, _default(option), _meaning(option))
        for option in options.values()
        if also_internal or not option.internal
    )
    yield from _table(("option", "values", "default", "what it is"), rows)


def _default(option: Option) -> str:
    if option.synonyms:
        return " or ".join(f"`{synonym.name}`" for synonym in option.synonyms)
    text = option.format(option.default)
    return f"`{text}`" if text else "none"


def _meaning(option: Option) -> str:
    effect = f". *Kept and shown, without effect: {option.without_effect}.*" if option.without_effect else ""
    shown = ". *Not shown by DescribeConfigs, as in Kafka.*" if option.internal else ""
    return option.documentation + effect + shown


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    for row in (heads, ("-",) * len(heads), *rows):
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |\n"


if __name__ == "__main__":
    sys.stdout.write(reference())
