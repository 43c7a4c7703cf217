"""Which broker the scenarios run against, and the clients that they get.

    pytest interop_tests                        kpy of this checkout, started for the session
    pytest interop_tests --storage memory       the same without a data directory
    pytest interop_tests --broker kafka         Apache Kafka, fetched from Maven Central and started for the session
    pytest interop_tests --broker HOST:PORT     one that runs already, with `brokers.FAIR_SETTINGS`

One broker serves the whole session: every test takes topic and group names of its own. What a machine lacks is a skip
that says what and why, or a failure if `KPY_REQUIRE_ALL=1`.
"""

import os
import uuid
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager

import pytest

from interop_tests.brokers import Broker, KpyBroker, OwnBroker, RemoteBroker
from interop_tests.kafka_python_clients import Clients
from interop_tests.oracle.libraries import ToolchainMissing
from interop_tests.oracle.node import KafkaNode
from interop_tests.wire import await_coordinator

RESTARTING_FIXTURES = {"restartable_broker", "before", "left_files", "exchange"}
DIRECTORY_FIXTURES = {"cleaning_broker", "group_log"}
"""Those of brokers that are started for a module, with settings of its own, and whose directory is looked into."""
SETTINGS_FIXTURES = {"expiring_broker", "few_slots_broker", "limiting_broker"}
"""Those of brokers that are started for a module, with settings of its own."""
REQUIRE_ALL = os.environ.get("KPY_REQUIRE_ALL") == "1"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--broker", default="kpy", help="kpy (default), kafka, or HOST:PORT")
    parser.addoption(
        "--storage", default="disk", choices=["disk", "memory"], help="where kpy keeps its data (default: disk)"
    )
    parser.addoption(
        "--record", action="store_true", help="write down what the broker answers in the conversations about groups"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "cannot_pass(broker, why): the scenario is left out on this broker, and why")
    # kafka-python leaves sockets to the garbage collector when a connection is refused: in a test, and after the last.
    config.addinivalue_line("filterwarnings", "ignore:unclosed:ResourceWarning")
    warnings.filterwarnings("ignore", "unclosed", ResourceWarning)
    config.addinivalue_line("markers", "only_on(broker, why): the scenario is left out on any other broker, and why")


LEFT_OUT = pytest.StashKey[Counter[str]]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what cannot be on this broker; the summary says how many scenarios and why."""
    reasons = {item: reason for item in items if (reason := _why_left_out(item, config))}
    config.stash[LEFT_OUT] = Counter(reasons.values())
    config.hook.pytest_deselected(items=list(reasons))
    items[:] = [item for item in items if item not in reasons]


def _why_left_out(item: pytest.Item, config: pytest.Config) -> str | None:
    name = config.getoption("--broker")
    for mark in item.iter_markers("cannot_pass"):
        if mark.kwargs["broker"] == name:
            return f"cannot pass on {name}: {mark.kwargs['why']}"
    for mark in item.iter_markers("only_on"):
        if mark.kwargs["broker"] != name:
            return f"only on {mark.kwargs['broker']}: {mark.kwargs['why']}"
    if RESTARTING_FIXTURES & set(getattr(item, "fixturenames", ())):
        if name not in ("kpy", "kafka"):
            return f"{name} is not ours to restart"
        if name == "kpy" and config.getoption("--storage") == "memory":
            return "kpy in memory forgets everything when it is restarted"
    if DIRECTORY_FIXTURES & set(getattr(item, "fixturenames", ())):
        if name not in ("kpy", "kafka"):
            return f"{name} is not ours to start with other settings"
        if name == "kpy" and config.getoption("--storage") == "memory":
            return "kpy in memory has no directory to look into"
    if SETTINGS_FIXTURES & set(getattr(item, "fixturenames", ())) and name not in ("kpy", "kafka"):
        return f"{name} is not ours to start with other settings"
    return None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for reason, count in config.stash.get(LEFT_OUT, Counter()).items():
        terminalreporter.write_line(f"left out: {count} scenarios, {reason}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    with skipping_what_is_missing():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest) -> Iterator[None]:
    with skipping_what_is_missing():
        return (yield)


class skipping_what_is_missing:  # noqa: N801  # reads as a statement
    """Turns `ToolchainMissing` into a skip, or into a failure where nothing may be missing."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ToolchainMissing):
            (pytest.fail if REQUIRE_ALL else pytest.skip)(str(error))


@pytest.fixture(scope="session")
def session_broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """The broker under test."""
    choice = request.config.getoption("--broker")
    broker: Broker
    if choice == "kpy":
        broker = KpyBroker(storage=request.config.getoption("--storage"))
    elif choice == "kafka":
        # A fixture of the session is not set up under this directory's hooks.
        with skipping_what_is_missing():
            broker = KafkaNode()
    else:
        broker = RemoteBroker(choice)
    with closing(broker):
        broker.start()
        yield broker


@contextmanager
def running_with(config: pytest.Config, settings: Mapping[str, str]) -> Iterator[OwnBroker]:
    """A broker like the one under test that is told something else, until the end.

    A fixture that asks for one has its name above, so that it is left out where the broker is not ours.
    """
    broker: OwnBroker
    with skipping_what_is_missing():
        if config.getoption("--broker") == "kafka":
            broker = KafkaNode(settings=settings)
        else:
            broker = KpyBroker(settings=settings, storage=config.getoption("--storage"))
    with closing(broker):
        broker.start()
        yield broker


@pytest.fixture
def broker(session_broker: Broker) -> Iterator[Broker]:
    """The broker under test, which must outlive the test; one that died is an error, and is started again."""
    yield session_broker
    if end := session_broker.died():
        session_broker.start()
        pytest.fail(end)


@pytest.fixture
def restartable_broker(broker: Broker) -> Broker:
    """The broker under test, if it is ours to stop and kill and keeps its data."""
    if not broker.restartable:
        pytest.skip(f"{broker.name} cannot be restarted: it is not ours, or keeps nothing")
    return broker


@pytest.fixture
def unique() -> Callable[[str], str]:
    """Names that no other test and no earlier run has used."""
    return lambda prefix: f"{prefix}-{uuid.uuid4().hex[:10]}"


@pytest.fixture
def group(broker: Broker, unique: Callable[[str], str]) -> str:
    """A group without members, whose coordinator answers."""
    name = unique("group")
    await_coordinator(broker, name)
    return name


@pytest.fixture
def clients(broker: Broker, unique: Callable[[str], str]) -> Iterator[Clients]:
    with ExitStack() as stack:
        yield Clients(broker.bootstrap, stack, unique)
