"""The data directory as a broker takes it over and leaves it: its owner, its lock, and one clear line if that fails.

Whose directory it is, is checked before anything in it is touched: a broker that may not have it changes nothing.
"""

from collections.abc import Callable, Mapping
from uuid import UUID

from kpy.cluster.topic_names import CLUSTER_METADATA
from kpy.config import BrokerConfig
from kpy.server.machine import memory_bytes
from kpy.server.network import descriptor_limit
from kpy.storage.checkpoints import parse_uuid, uuid_text
from kpy.storage.disk_files import DiskFiles
from kpy.storage.files import Files
from kpy.storage.log_directory import DirectoryLocked, LogDirectory
from kpy.storage.memory_files import MemoryFiles

OF_KAFKA = ("bootstrap.checkpoint", f"{CLUSTER_METADATA}-0/quorum-state")
"""What `kafka-storage format` and a node of Apache Kafka leave, and kpy does not."""
METADATA_DIRECTORY = f"{CLUSTER_METADATA}-0"
MEMORY_SHARE = 2
OPEN_FILES_SHARE = 4
OPEN_FILES_MIN, OPEN_FILES_MAX = 16, 8192
CLUSTER_ID, NODE_ID, DIRECTORY_ID = "cluster.id", "node.id", "directory.id"


class DataDirectoryError(Exception):
    """The directory cannot be used; the message is one line that says why."""


def open_data_directory(config: BrokerConfig, new_uuid: Callable[[], UUID]) -> LogDirectory:
    """The logs in the broker's directory, or in memory. Raises DataDirectoryError."""
    directory = config.data_dir

    def check_owner(meta: Mapping[str, str]) -> None:
        if any(files.exists(name) for name in OF_KAFKA):
            raise DataDirectoryError(
                f"{directory} belongs to a node of Apache Kafka, whose metadata kpy cannot take over"
            )
        for name in (CLUSTER_ID, NODE_ID):
            if not meta.get(name):
                raise DataDirectoryError(f"{directory}/meta.properties is damaged: it has no {name}")
        if meta[NODE_ID] != str(config.node_id):
            raise DataDirectoryError(f"{directory} belongs to node.id {meta[NODE_ID]}, not {config.node_id}")

    try:
        files = _files(config)
        logs = LogDirectory.open(files, check_owner)
        try:
            _complete_meta(logs, config, new_uuid)
        except BaseException:
            logs.close(clean=False)
            raise
    except DirectoryLocked as error:
        raise DataDirectoryError(str(error)) from None
    except OSError as error:
        raise DataDirectoryError(f"cannot use {directory}: {error.strerror or error}") from error
    return logs


def _files(config: BrokerConfig) -> Files:
    if config.data_dir is None:
        return MemoryFiles(bytes_max=memory_max_bytes(config, memory_bytes()), reserved_for=METADATA_DIRECTORY)
    return DiskFiles(config.data_dir, open_files_max=open_files_max(config, descriptor_limit()))


def memory_max_bytes(config: BrokerConfig, there_is: int) -> int:
    """How much data may take in memory: requests, replies and whatever else runs need the rest."""
    return config.kpy_memory_max_bytes if config.kpy_memory_max_bytes > 0 else there_is // MEMORY_SHARE


def open_files_max(config: BrokerConfig, descriptors: int) -> int:
    """How many files of logs stay open: connections need descriptors too."""
    if config.kpy_open_files_max > 0:
        return config.kpy_open_files_max
    return min(max(descriptors // OPEN_FILES_SHARE, OPEN_FILES_MIN), OPEN_FILES_MAX)


def _complete_meta(logs: LogDirectory, config: BrokerConfig, new_uuid: Callable[[], UUID]) -> None:
    """Write what a new directory, or one that is older than directory ids, does not say of itself."""
    meta = dict(logs.meta) or {"version": "1", CLUSTER_ID: uuid_text(new_uuid()), NODE_ID: str(config.node_id)}
    if not _is_uuid(meta.get(DIRECTORY_ID, "")):
        meta[DIRECTORY_ID] = uuid_text(new_uuid())
    if meta != logs.meta:
        logs.store_meta(meta)


def _is_uuid(text: str) -> bool:
    try:
        parse_uuid(text)
    except ValueError:
        return False
    return True
