"""The broker: builds the parts, opens the one nursery, and takes everything down in order.

Up: bind, open the data directory, load the metadata, register, accept. Down: stop accepting, answer what is parked and
in flight, flush, mark the shutdown clean.
"""

import errno
import logging
import select
import socket
import sys
import uuid
from collections.abc import Awaitable, Callable
from functools import partial
from random import Random, SystemRandom
from typing import NamedTuple

import trio

from kpy.cluster.controller import BrokerRegistration
from kpy.cluster.image import Changes, ClusterImage, ResourceType
from kpy.cluster.image import Endpoint as RegisteredEndpoint
from kpy.cluster.internal_topics import creatable_topic
from kpy.cluster.topic_names import CONSUMER_OFFSETS
from kpy.config import BrokerConfig, Listener
from kpy.protocol.errors import DecodeError, ErrorCode, KafkaError
from kpy.protocol.messages.create_topics import CreateTopicsRequest
from kpy.server.arrivals import Arrivals
from kpy.server.clock import Clock, SystemClock
from kpy.server.cluster_metadata import ClusterMetadata
from kpy.server.connection import Connection
from kpy.server.connections import Connections
from kpy.server.data_directory import DIRECTORY_ID, DataDirectoryError, open_data_directory
from kpy.server.dispatch import Dispatcher
from kpy.server.fetch_sessions import FetchSessions
from kpy.server.file_removal import FileRemoval
from kpy.server.flushing import Flusher
from kpy.server.groups import Groups
from kpy.server.handlers import all_handlers
from kpy.server.handlers.create_topics import execute_create_topics
from kpy.server.log_cleaner import LogCleaner
from kpy.server.maintenance import Checkpoints, expire_producers_forever, open_logs, write_checkpoints_forever
from kpy.server.memory import RequestMemory
from kpy.server.network import ByteStream, Endpoint, accept_forever, bind, descriptor_limit
from kpy.server.partitions import Partitions
from kpy.server.retention import Retention
from kpy.server.rounds import Rounds
from kpy.server.sending import Sending
from kpy.server.services import Services
from kpy.server.timers import Timers
from kpy.server.workers import (
    CLEANING_THREADS_MAX,
    FLUSHING_THREADS_MAX,
    READING_THREADS_MAX,
    VALIDATING_THREADS_MAX,
    RunInWorker,
    Workers,
    inline,
)
from kpy.storage.checkpoints import parse_uuid
from kpy.storage.log_directory import LogDirectory

logger = logging.getLogger(__name__)

SHUTDOWN_GRACE_SECONDS = 0.25
BASE64_DASH = 62
LOOPBACK_NAMES = ("localhost", "localhost.localdomain")  # what some resolvers make of every name of the machine


class StartupError(Exception):
    """The broker cannot start; the message is one line that says why."""


class ShutdownError(Exception):
    """The broker has stopped, but not everything is on the disk: the next start recovers what can be."""


class Broker:
    """One broker. `run` serves until `stop` is called; both belong to the same trio run."""

    def __init__(
        self,
        config: BrokerConfig,
        *,
        clock: Clock | None = None,
        random_source: Random | None = None,
        run_in_worker: RunInWorker | None = None,
    ) -> None:
        self.config = config
        self.clock = clock or SystemClock()
        self.addresses: list[Endpoint] = []
        self.services: Services
        self._random = random_source or SystemRandom()
        self._file_removal: FileRemoval
        self._log_cleaner: LogCleaner
        self._retention: Retention
        self._run_in_worker = run_in_worker
        self._stop = trio.Event()

    def stop(self) -> None:
        """Begin an orderly shutdown; `run` returns when it is done."""
        self._stop.set()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve. `task_status.started` is called when connections are accepted. Raises StartupError, ShutdownError."""
        listeners = _bind_all(self.config)
        try:
            logs = self._open_logs()
            try:
                timers = Timers()
                self._start(logs, timers, listeners)
                await self._serve(listeners, timers, task_status)
            except BaseException:
                logs.close(clean=False)
                raise
        finally:
            _close_all(listeners)
        await self._close_logs(logs)

    def _open_logs(self) -> LogDirectory:
        try:
            return open_data_directory(self.config, self._new_uuid)
        except DataDirectoryError as error:
            raise StartupError(str(error)) from error

    async def _close_logs(self, logs: LogDirectory) -> None:
        started = trio.current_time()
        closing = logs.closing()
        if logs.is_durable:
            run_in_worker = self._run_in_worker or Workers(FLUSHING_THREADS_MAX)
            async with trio.open_nursery() as nursery:
                for _ in range(FLUSHING_THREADS_MAX):
                    nursery.start_soon(run_in_worker, closing.run)
        try:
            logs.close(closing=closing)
        except OSError as error:
            raise ShutdownError(f"not all could be written to {self.config.data_dir}: {error}") from error
        logger.info("flushed the logs in %.3f s", trio.current_time() - started)

    def _start(self, logs: LogDirectory, timers: Timers, listeners: list["BoundListener"]) -> None:
        try:
            self._build(logs, timers)
            registered = self._register(listeners)
        except OSError as error:
            raise StartupError(f"cannot use {self.config.data_dir}: {error.strerror or error}") from error
        except DecodeError as error:
            raise StartupError(f"the cluster's metadata in {self.config.data_dir} is damaged: {error}") from error
        if not registered:
            raise StartupError(f"cannot write the cluster's metadata to {self.config.data_dir}")

    def _build(self, logs: LogDirectory, timers: Timers) -> None:
        config, clock = self.config, self.clock
        clean_in_worker = self._run_in_worker or Workers(CLEANING_THREADS_MAX)
        self._file_removal = FileRemoval(logs.files, clean_in_worker)
        logs.context.random_source = self._random
        if logs.is_durable:  # in memory there would be nothing to copy back
            logs.context.remove_later = self._file_removal.later
        run_in_worker = self._run_in_worker or Workers(FLUSHING_THREADS_MAX)
        read_in_worker = self._run_in_worker or Workers(READING_THREADS_MAX)
        flusher = Flusher(run_in_worker, timers, is_durable=logs.is_durable)
        cluster = ClusterMetadata(
            config,
            logs,
            clock=clock,
            timers=timers,
            new_uuid=self._new_uuid,
            random_source=self._random,
            flusher=flusher,
        )
        checkpoints = Checkpoints(logs, run_in_worker, flusher)
        validate_in_worker = self._run_in_worker or Workers(VALIDATING_THREADS_MAX)
        partitions = Partitions(logs, clock, flusher, checkpoints, validate_in_worker)
        self._retention = Retention(partitions, lambda: self.services.config, clock, read_in_worker)
        self._log_cleaner = LogCleaner(
            partitions,
            flusher,
            checkpoints,
            lambda: self.services.config,
            clock,
            clean_in_worker if logs.is_durable else inline,
        )
        rounds = Rounds()
        groups = Groups(
            config,
            partitions,
            clock=clock,
            timers=timers,
            random_source=self._random,
            broker_config=lambda: self.services.config,
            create_offsets_topic=lambda: _create_internal_topic(cluster, CONSUMER_OFFSETS, config),
            rounds=rounds,
        )
        fetch_sessions = FetchSessions(
            slots=config.max_incremental_fetch_session_cache_slots, random_source=self._random
        )
        self.services = Services(
            config=config,
            clock=clock,
            cluster=cluster,
            partitions=partitions,
            groups=groups,
            rounds=rounds,
            fetch_sessions=fetch_sessions,
            flusher=flusher,
            checkpoints=checkpoints,
            read_in_worker=read_in_worker,
            sending=Sending(read_in_worker),
        )
        cluster.follow(self._image_changed)
        cluster.load()

    def _image_changed(self, image: ClusterImage, changes: Changes) -> None:
        services = self.services
        if any(kind is ResourceType.BROKER for kind, _ in changes.configs):
            services.config = self.config.with_dynamic(
                image.config(ResourceType.BROKER, ""), image.config(ResourceType.BROKER, str(self.config.node_id))
            )
        services.partitions.image_changed(image, changes, services.config)
        if altered := _topics_with_other_configs(image, changes):
            self._retention.check_soon(altered)
            self._log_cleaner.check_soon()
        services.groups.image_changed(changes)

    def _register(self, listeners: list["BoundListener"]) -> bool:
        """Have the controller record that this broker is here; whether it could."""
        endpoints = []
        for listener in listeners:
            advertised = listener.advertised
            self.addresses.append(advertised)
            endpoints.append(RegisteredEndpoint(listener.name, advertised.host, advertised.port))
        logs = self.services.partitions.logs
        registration = BrokerRegistration(
            incarnation_id=self._new_uuid(),
            endpoints=endpoints,
            rack=self.config.broker_rack,
            log_dirs=[parse_uuid(logs.meta[DIRECTORY_ID])],
        )
        cluster = self.services.cluster
        return cluster.execute(cluster.controller.register_broker(registration))

    async def _serve(
        self, listeners: list["BoundListener"], timers: Timers, task_status: trio.TaskStatus[None]
    ) -> None:
        config, services, logs = self.config, self.services, self.services.partitions.logs
        arrivals = Arrivals(services.rounds) if hasattr(select, "epoll") else None
        connections = Connections(lambda: services.config, descriptors=descriptor_limit())
        dispatcher = Dispatcher(services, all_handlers())
        memory = RequestMemory(config.queued_max_request_bytes if config.queued_max_request_bytes > 0 else sys.maxsize)

        def connect(listener: str, stream: ByteStream) -> Connection:
            return Connection(
                stream,
                dispatcher,
                listener=listener,
                max_request_bytes=config.socket_request_max_bytes,
                request_memory=memory,
            )

        async with trio.open_nursery() as nursery:
            nursery.start_soon(timers.run)
            if arrivals is not None:
                nursery.start_soon(arrivals.run)
            nursery.start_soon(connections.close_idle_forever)
            nursery.start_soon(services.groups.load_in_background)
            nursery.start_soon(open_logs, logs)
            nursery.start_soon(services.flusher.run)
            nursery.start_soon(services.sending.watch_forever)
            nursery.start_soon(write_checkpoints_forever, services.checkpoints, config)
            nursery.start_soon(self._file_removal.run)
            nursery.start_soon(self._retention.run)
            nursery.start_soon(self._log_cleaner.run)
            nursery.start_soon(expire_producers_forever, logs, lambda: services.config, self.clock)
            accepting: list[trio.CancelScope] = []
            for listener in listeners:
                make = partial(connect, listener.name)
                for sock in listener.sockets:
                    accepting.append(trio.CancelScope())
                    serve = partial(connections.start, nursery, connect=make)
                    accept = partial(accept_forever, sock, serve, services.sending, arrivals)
                    nursery.start_soon(_until_cancelled, accept, accepting[-1])
            task_status.started()
            await self._stop.wait()
            logger.info("stopping")
            for scope in accepting:
                scope.cancel()
            _close_all(listeners)
            services.stopping = True
            services.partitions.wake_all()
            services.groups.unload()
            await connections.finish(grace_seconds=SHUTDOWN_GRACE_SECONDS)
            nursery.cancel_scope.cancel()

    def _new_uuid(self) -> uuid.UUID:
        """A random id. Kafka's own never begin with a dash, which command lines would take for an option."""
        while True:
            made = uuid.UUID(int=self._random.getrandbits(128), version=4)
            if made.bytes[0] >> 2 != BASE64_DASH:
                return made


def _topics_with_other_configs(image: ClusterImage, changes: Changes) -> list[str]:
    """Those that were altered; all, if the broker was, whose options are their defaults."""
    if any(kind is ResourceType.BROKER for kind, _ in changes.configs):
        return list(image.topics)
    return [name for kind, name in changes.configs if kind is ResourceType.TOPIC]


class BoundListener(NamedTuple):
    """A listener whose sockets are open, and where its clients are told to go."""

    name: str
    sockets: list[socket.socket]
    advertised: Endpoint


def _bind_all(config: BrokerConfig) -> list[BoundListener]:
    bound: list[BoundListener] = []
    for listener in config.client_listeners:
        try:
            sockets = bind(listener.host, listener.port, backlog=config.socket_listen_backlog_size)
        except OSError as error:
            _close_all(bound)
            address = Endpoint(listener.host, listener.port)
            if error.errno == errno.EADDRINUSE:
                raise StartupError(f"{address} is in use by another program") from error
            raise StartupError(f"cannot listen on {address}: {error.strerror or error}") from error
        bound.append(BoundListener(listener.name, sockets, _advertised(listener, sockets)))
    return bound


def _advertised(listener: Listener, sockets: list[socket.socket]) -> Endpoint:
    """What is configured; for a listener on every interface that says nothing, the name of the machine."""
    port = listener.advertised_port or sockets[0].getsockname()[1]
    if listener.advertised_host is not None:
        return Endpoint(listener.advertised_host, port)
    full_name = socket.getfqdn()
    advertised = Endpoint(socket.gethostname() if full_name in LOOPBACK_NAMES else full_name, port)
    logger.warning("listening on every interface, and telling clients to come to %s", advertised)
    return advertised


def _close_all(listeners: list[BoundListener]) -> None:
    for listener in listeners:
        for sock in listener.sockets:
            sock.close()


async def _until_cancelled(accept: Callable[[], Awaitable[None]], accepting: trio.CancelScope) -> None:
    with accepting:
        await trio.lowlevel.checkpoint_if_cancelled()  # stopped before it began: the socket is closed
        await accept()


def _create_internal_topic(cluster: ClusterMetadata, name: str, config: BrokerConfig) -> None:
    """Raises KafkaError."""
    response = execute_create_topics(CreateTopicsRequest(topics=[creatable_topic(name, config)]), cluster)
    (result,) = response.topics
    if result.error_code not in (ErrorCode.NONE, ErrorCode.TOPIC_ALREADY_EXISTS):
        raise KafkaError(ErrorCode(result.error_code), result.error_message or "")
