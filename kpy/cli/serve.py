"""`kpy serve`: from the command line to a configuration, and a broker run until a signal."""

import gc
import logging
import os
import signal
import sys
from argparse import Namespace
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from kpy import __version__
from kpy.cli import fail
from kpy.config import BrokerConfig, ConfigError, Layer, Loaded, load
from kpy.config.properties import PropertiesError, parse_properties
from kpy.config.sources import listen_settings, parse_assignment

if TYPE_CHECKING:
    from kpy.server.broker import Broker

SIGNALS = (signal.SIGINT, signal.SIGTERM)
SWITCH_INTERVAL_SECONDS = 0.0005
"""How long a thread that computes (it validates a large batch) keeps the interpreter from the one that serves all,
and has to ask for it after each call of the system. Python's own 5 ms would be felt by every request.
"""
GARBAGE_THRESHOLDS = 10_000, 2
"""After how many objects that stay Python looks for garbage among them, and how often before it looks among older ones.
What a thousand clients ask at once stays for a moment. To look as often as Python does, at 700, takes a tenth of the
time then; to look at more at once, a hundred thousand, would hold everybody up for 10 ms.
"""

logger = logging.getLogger(__name__)


def serve(options: Namespace) -> int:
    """Run a broker; returns the exit status."""
    logging.basicConfig(
        level=options.log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    try:
        loaded = _load(options)
    except (ConfigError, PropertiesError) as error:
        return fail(str(error))
    except OSError as error:
        return fail(f"--config {options.config}: {error.strerror}")
    for warning in loaded.warnings:
        logger.warning("%s", warning)
    return _run(loaded.config, Path(options.ready_file) if options.ready_file else None)


def _load(options: Namespace) -> Loaded:
    layers = []
    if options.config is not None:
        # Kafka reads its file as java.util.Properties does, in ISO 8859-1.
        text = Path(options.config).read_text(encoding="iso-8859-1")
        try:
            layers.append(Layer(options.config, parse_properties(text), strict=False))
        except PropertiesError as error:
            raise PropertiesError(f"{options.config}: {error}") from None
    layers.append(Layer("-c", dict(parse_assignment(text) for text in options.assignments)))
    if options.data_dir is not None:
        layers.append(Layer("--data-dir", {"log.dir": options.data_dir}))
    if (options.host, options.port, options.advertise) == (None, None, None):
        return load(layers)
    below = load(layers).config
    settings = listen_settings(below, host=options.host, port=options.port, advertise=options.advertise)
    return load([*layers, Layer("command line", settings)])


def _run(config: BrokerConfig, ready_file: Path | None) -> int:
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    gc.disable()  # what a start makes is there to stay: looking for garbage in it takes a twentieth of the time
    import trio  # noqa: PLC0415 - a mistake in the configuration is answered without it

    from kpy.server.broker import Broker, ShutdownError, StartupError  # noqa: PLC0415 - as above
    from kpy.server.network import raise_descriptor_limit  # noqa: PLC0415 - as above

    raise_descriptor_limit()
    broker = Broker(config)
    announcement = Announcement(broker, ready_file)
    announcement.withdraw()  # what an earlier broker left is not true of this one

    async def run() -> None:
        _stop_on_signal(broker)
        await broker.run(task_status=announcement)

    try:
        trio.run(run)
    except StartupError as error:
        return fail(str(error))
    except ShutdownError as error:
        announcement.failure = str(error)
    announcement.withdraw()
    return 0 if announcement.failure is None else fail(announcement.failure)


class Announcement:
    """Tells the user and whoever waits for the ready file that the broker accepts connections.

    It is the `task_status` that the broker reports to. If the ready file cannot be written, nobody could find the
    broker: it is stopped, and `failure` says why.
    """

    def __init__(self, broker: "Broker", ready_file: Path | None) -> None:
        self.failure: str | None = None
        self._broker = broker
        self._ready_file = ready_file

    def started(self, _value: None = None) -> None:
        """The broker accepts connections."""
        gc.freeze()  # nor will any collection look into it while a client waits
        gc.set_threshold(*GARBAGE_THRESHOLDS)
        gc.enable()
        address = str(self._broker.addresses[0])
        if self._ready_file is not None:
            try:
                _write_whole(self._ready_file, f"{address}\n")
            except OSError as error:
                self.failure = f"--ready-file {self._ready_file}: {error.strerror}"
                self._broker.stop()
                return
        where = self._broker.config.data_dir or "memory: everything is gone when it stops (--data-dir DIR keeps it)"
        print(f"kpy {__version__} is ready at {address}, data in {where}", flush=True)

    def withdraw(self) -> None:
        """The broker is gone."""
        if self._ready_file is not None:
            with suppress(OSError):  # where it cannot be removed it cannot be written, and that is said
                self._ready_file.unlink()


def _write_whole(path: Path, text: str) -> None:
    """Write a file that appears with all its content or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def _stop_on_signal(broker: "Broker") -> None:
    """The first signal begins an orderly shutdown. The second finds the system's own handler, which ends us at once."""
    import trio  # noqa: PLC0415 - it is there already

    token = trio.lowlevel.current_trio_token()

    def stop(number: int, _frame: FrameType | None) -> None:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        logger.info("%s", signal.Signals(number).name)
        with suppress(trio.RunFinishedError):
            token.run_sync_soon(broker.stop)

    for each in SIGNALS:
        signal.signal(each, stop)
