"""The broker: builds the parts, opens the one nursery, and takes everything down in order.

    Broker(config).run()  ->  bind, open the log directory, load the metadata, register, load groups, accept
    broker.stop()         ->  stop accepting, answer what is parked and in flight, flush, mark the shutdown clean
"""

import errno
import logging
import os
import random
import socket
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import trio

from kpy.cluster.controller import BrokerRegistration
from kpy.cluster.image import Endpoint as ListenerEndpoint
from kpy.config import BrokerConfig, ListenerConfig
from kpy.server.clock import Clock, SystemClock
from kpy.server.cluster_metadata import ClusterMetadata
from kpy.server.connection import Connection
from kpy.server.connections import Connections
from kpy.server.dispatch import Dispatcher
from kpy.server.groups import Groups
from kpy.server.handlers import all_handlers
from kpy.server.log_configs import log_config
from kpy.server.memory import RequestMemory
from kpy.server.network import ByteStream, Endpoint, accept_forever, bind
from kpy.server.partitions import Partitions
from kpy.server.services import Services
from kpy.server.timers import Timers
from kpy.storage.files import DiskFiles, Files, MemoryFiles
from kpy.storage.log_directory import DirectoryLocked, LogDirectory
