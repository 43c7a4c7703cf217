"""A broker inside a test: it is there, it is alone, and it leaves nothing behind."""

import gc
import os
import socket
import threading
from contextlib import suppress
from pathlib import Path

import pytest
import trio

from kpy.config import ConfigError
from kpy.server.broker import StartupError
from kpy.server.connections import Connections
from kpy.testing import Broker

DESCRIPTORS = Path("/proc/self/fd")


def connect(broker: Broker) -> socket.socket:
    host, port = broker.bootstrap_servers.rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=10)


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "kpy broker"]


def test_it_is_there_within_the_block_and_gone_after_it() -> None:
    """Both loopback addresses answer, and none does when the block has ended; neither thread nor socket is left."""
    gc.collect()  # what others have forgotten to close
    descriptors = len(os.listdir(DESCRIPTORS)) if DESCRIPTORS.exists() else 0
    with Broker() as broker, connect(broker) as client:
        assert threads() == ["kpy broker"]
        port = client.getpeername()[1]
    for address in ("127.0.0.1", "::1"):
        with pytest.raises(OSError):
            socket.create_connection((address, port), timeout=10)
    assert threads() == []
    if DESCRIPTORS.exists():
        assert len(os.listdir(DESCRIPTORS)) == descriptors


def test_several_at_once_know_nothing_of_each_other() -> None:
    """Each has a port and a cluster id of its own; one that stops does not disturb the other."""
    with Broker() as first:
        with Broker() as second, Broker({"node.id": "7"}) as third:
            assert len({broker.bootstrap_servers for broker in (first, second, third)}) == 3
            with connect(first), connect(second), connect(third):
                assert len(threads()) == 3
        with connect(first):
            assert len(threads()) == 1


def test_what_the_block_raises_comes_through() -> None:
    """The broker stops, and the test fails for its own reason."""
    with pytest.raises(ZeroDivisionError), Broker() as broker, connect(broker):
        raise ZeroDivisionError
    assert threads() == []


def test_stopping_is_always_allowed() -> None:
    """Before the start, and again after the end."""
    broker = Broker()
    broker.stop()
    broker.start()
    broker.stop()
    broker.stop()
    assert threads() == []


def test_it_runs_once() -> None:
    """Started again it says so, and a broker that runs goes on."""
    broker = Broker()
    with pytest.raises(RuntimeError, match="not running"):
        _ = broker.bootstrap_servers
    with broker:
        with pytest.raises(RuntimeError, match="once"):
            broker.start()
        connect(broker).close()
    with pytest.raises(RuntimeError, match="once"):
        broker.start()


def test_a_mistake_in_the_configuration_is_told_to_the_caller() -> None:
    """A name that does not exist, and a value that cannot be."""
    with pytest.raises(ConfigError, match=r"num\.partitons"):
        Broker({"num.partitons": "1"})
    with pytest.raises(ConfigError, match=r"num\.partitions"):
        Broker({"num.partitions": "many"})


def test_a_broker_that_cannot_start_raises_in_the_caller() -> None:
    """The port is in use: no thread is left, and the other broker goes on."""
    with Broker() as broker:
        with pytest.raises(StartupError, match="in use"):
            Broker({"listeners": f"PLAINTEXT://{broker.bootstrap_servers}"}).start()
        connect(broker).close()
    assert threads() == []


def test_a_bug_in_the_broker_fails_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """What ended the broker before its time is raised where it is stopped."""

    async def break_down(self: Connections) -> None:
        with suppress(trio.Cancelled):
            await trio.sleep_forever()
        raise ZeroDivisionError

    monkeypatch.setattr(Connections, "close_idle_forever", break_down)
    broker = Broker().start()
    with pytest.RaisesGroup(ZeroDivisionError, flatten_subgroups=True):
        broker.stop()
    assert threads() == []


def test_what_is_not_honoured_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """An option of Kafka's that changes nothing here is a warning in the log."""
    Broker({"num.io.threads": "8"})
    assert "num.io.threads" in caplog.text
