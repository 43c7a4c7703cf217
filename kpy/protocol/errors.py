"""Every error code of the Kafka protocol: number, name, whether a client may retry, and one line for a human.

Two kinds of failure are told apart everywhere in kpy: a `KafkaError` becomes an error code on the wire, anything else
is a bug and is loud. The numbers, names and the retriable mark are those of Apache Kafka 4.3 (`Errors`); the marks
matter because client libraries decide by the number alone whether they try again.
"""

from enum import IntEnum
from typing import Self

_RETRIABLE = True


class ErrorCode(IntEnum):
    """One int16 error code. `ErrorCode(3)` finds it by number; it packs into a response as the int that it is."""

    message: str
    retriable: bool

    def __new__(cls, number: int, message: str = "", retriable: bool = False) -> Self:
        code = int.__new__(cls, number)
        code._value_ = number
        code.message = message
        code.retriable = retriable
        return code

    UNKNOWN_SERVER_ERROR = -1, "The broker failed in a way it did not expect."
    NONE = 0, ""
    OFFSET_OUT_OF_RANGE = 1, "The offset is before the start or after the end of the log."
    CORRUPT_MESSAGE = 2, "The records are corrupt: bad checksum, bad size, or no key on a compacted topic.", _RETRIABLE
    UNKNOWN_TOPIC_OR_PARTITION = 3, "There is no such topic or partition here.", _RETRIABLE
    INVALID_FETCH_SIZE = 4, "The fetch size is not valid."
    LEADER_NOT_AVAILABLE = 5, "The partition has no leader at the moment.", _RETRIABLE
    NOT_LEADER_OR_FOLLOWER = 6, "This broker neither leads nor follows the partition.", _RETRIABLE
    REQUEST_TIMED_OUT = 7, "The request was not completed in time.", _RETRIABLE
    BROKER_NOT_AVAILABLE = 8, "The broker is not available."
    REPLICA_NOT_AVAILABLE = 9, "The replica is not available on this broker.", _RETRIABLE
    MESSAGE_TOO_LARGE = 10, "The records are larger than the broker or topic accepts."
    STALE_CONTROLLER_EPOCH = 11, "Another broker has become the controller."
    OFFSET_METADATA_TOO_LARGE = 12, "The metadata committed with the offset is too large."
    NETWORK_EXCEPTION = 13, "The connection was lost before the answer came.", _RETRIABLE
    COORDINATOR_LOAD_IN_PROGRESS = 14, "The coordinator is still loading its state.", _RETRIABLE
    COORDINATOR_NOT_AVAILABLE = 15, "The coordinator is not available.", _RETRIABLE
    NOT_COORDINATOR = 16, "This broker is not the coordinator.", _RETRIABLE
    INVALID_TOPIC_EXCEPTION = 17, "The topic is not one that may be operated on."
    RECORD_LIST_TOO_LARGE = 18, "The record batch is larger than a segment of the log."
    NOT_ENOUGH_REPLICAS = 19, "Fewer replicas are in sync than the topic requires.", _RETRIABLE
    NOT_ENOUGH_REPLICAS_AFTER_APPEND = (
        20,
        "The records were appended, but fewer replicas are in sync than the topic requires.",
        _RETRIABLE,
    )
    INVALID_REQUIRED_ACKS = 21, "acks is none of -1, 0 and 1."
    ILLEGAL_GENERATION = 22, "The generation is not the group's current one."
    INCONSISTENT_GROUP_PROTOCOL = 23, "The member has no protocol in common with its group."
    INVALID_GROUP_ID = 24, "The group id is not valid."
    UNKNOWN_MEMBER_ID = 25, "The group has no such member."
    INVALID_SESSION_TIMEOUT = 26, "The session timeout is outside the range that the broker allows."
    REBALANCE_IN_PROGRESS = 27, "The group is rebalancing: the member has to join again."
    INVALID_COMMIT_OFFSET_SIZE = 28, "The committed offset data is too large."
    TOPIC_AUTHORIZATION_FAILED = 29, "Not allowed to do this with the topic."
    GROUP_AUTHORIZATION_FAILED = 30, "Not allowed to do this with the group."
    CLUSTER_AUTHORIZATION_FAILED = 31, "Not allowed to do this with the cluster."
    INVALID_TIMESTAMP = 32, "The timestamp of a record is too far from the broker's time."
    UNSUPPORTED_SASL_MECHANISM = 33, "The broker does not offer this SASL mechanism."
    ILLEGAL_SASL_STATE = 34, "The request does not belong in this state of SASL authentication."
    UNSUPPORTED_VERSION = 35, "This version of the API is not supported."
    TOPIC_ALREADY_EXISTS = 36, "There is a topic of this name already."
    INVALID_PARTITIONS = 37, "The number of partitions is not valid."
    INVALID_REPLICATION_FACTOR = 38, "The replication factor is below 1 or above the number of brokers."
    INVALID_REPLICA_ASSIGNMENT = 39, "The assignment of replicas is not valid."
    INVALID_CONFIG = 40, "The configuration is not valid."
    NOT_CONTROLLER = 41, "This broker is not the controller.", _RETRIABLE
    INVALID_REQUEST = 42, "The request contradicts itself or its API version."
    UNSUPPORTED_FOR_MESSAGE_FORMAT = 43, "The message format of the topic cannot do this."
    POLICY_VIOLATION = 44, "A policy of the broker forbids this."
    OUT_OF_ORDER_SEQUENCE_NUMBER = 45, "The producer's sequence number does not follow the last one."
    DUPLICATE_SEQUENCE_NUMBER = 46, "The producer's sequence number was seen before."
    INVALID_PRODUCER_EPOCH = 47, "The producer's epoch is older than the current one."
    INVALID_TXN_STATE = 48, "The transaction is not in a state that allows this."
    INVALID_PRODUCER_ID_MAPPING = 49, "The producer id does not belong to the transactional id."
    INVALID_TRANSACTION_TIMEOUT = 50, "The transaction timeout is above transaction.max.timeout.ms."
    CONCURRENT_TRANSACTIONS = 51, "Another operation on the same transaction is still going on.", _RETRIABLE
    TRANSACTION_COORDINATOR_FENCED = 52, "The transaction coordinator has been replaced by another."
    TRANSACTIONAL_ID_AUTHORIZATION_FAILED = 53, "Not allowed to use this transactional id."
    SECURITY_DISABLED = 54, "The broker runs without security features."
    OPERATION_NOT_ATTEMPTED = 55, "The operation was not tried, because another part of the request failed."
    KAFKA_STORAGE_ERROR = 56, "The broker could not access the log on disk.", _RETRIABLE
    LOG_DIR_NOT_FOUND = 57, "The broker has no such log directory."
    SASL_AUTHENTICATION_FAILED = 58, "SASL authentication failed."
    UNKNOWN_PRODUCER_ID = 59, "The broker has no state of this producer id."
    REASSIGNMENT_IN_PROGRESS = 60, "The partition is being reassigned."
    DELEGATION_TOKEN_AUTH_DISABLED = 61, "Delegation tokens are not enabled."
    DELEGATION_TOKEN_NOT_FOUND = 62, "There is no such delegation token."
    DELEGATION_TOKEN_OWNER_MISMATCH = 63, "The principal neither owns nor may renew the delegation token."
    DELEGATION_TOKEN_REQUEST_NOT_ALLOWED = 64, "Delegation tokens cannot be asked for on this kind of connection."
    DELEGATION_TOKEN_AUTHORIZATION_FAILED = 65, "Not allowed to use this delegation token."
    DELEGATION_TOKEN_EXPIRED = 66, "The delegation token has expired."
    INVALID_PRINCIPAL_TYPE = 67, "The type of the principal is not supported."
    NON_EMPTY_GROUP = 68, "The group still has members."
    GROUP_ID_NOT_FOUND = 69, "There is no such group."
    FETCH_SESSION_ID_NOT_FOUND = 70, "There is no such fetch session.", _RETRIABLE
    INVALID_FETCH_SESSION_EPOCH = 71, "The epoch of the fetch session is not the one expected.", _RETRIABLE
    LISTENER_NOT_FOUND = 72, "The leader has no listener of the kind that the request came in on.", _RETRIABLE
    TOPIC_DELETION_DISABLED = 73, "Topics cannot be deleted: delete.topic.enable is false."
    FENCED_LEADER_EPOCH = 74, "The leader epoch is older than the broker's.", _RETRIABLE
    UNKNOWN_LEADER_EPOCH = 75, "The leader epoch is newer than the broker's.", _RETRIABLE
    UNSUPPORTED_COMPRESSION_TYPE = 76, "This version of the API cannot carry the compression type."
    STALE_BROKER_EPOCH = 77, "The broker has registered again since."
    OFFSET_NOT_AVAILABLE = 78, "The new leader's high watermark has not caught up yet.", _RETRIABLE
    MEMBER_ID_REQUIRED = 79, "The member has to join again with the member id it was given."
    PREFERRED_LEADER_NOT_AVAILABLE = 80, "The preferred leader is not available.", _RETRIABLE
    GROUP_MAX_SIZE_REACHED = 81, "The group has as many members as it may have."
    FENCED_INSTANCE_ID = 82, "Another member has taken over this group instance id."
    ELIGIBLE_LEADERS_NOT_AVAILABLE = 83, "No replica that may lead is available.", _RETRIABLE
    ELECTION_NOT_NEEDED = 84, "The partition has the leader it should have.", _RETRIABLE
    NO_REASSIGNMENT_IN_PROGRESS = 85, "The partition is not being reassigned."
    GROUP_SUBSCRIBED_TO_TOPIC = 86, "The group is subscribed to the topic, so its offsets cannot be deleted."
    INVALID_RECORD = 87, "A record is not valid, so the batch was refused."
    UNSTABLE_OFFSET_COMMIT = 88, "Offsets of an open transaction are pending.", _RETRIABLE
    THROTTLING_QUOTA_EXCEEDED = 89, "A quota has been used up.", _RETRIABLE
    PRODUCER_FENCED = 90, "A newer producer uses the same transactional id."
    RESOURCE_NOT_FOUND = 91, "There is no such resource."
    DUPLICATE_RESOURCE = 92, "The request names the same resource twice."
    UNACCEPTABLE_CREDENTIAL = 93, "The credential does not meet the broker's demands."
    INCONSISTENT_VOTER_SET = 94, "The sender or the receiver is not among the voters."
    INVALID_UPDATE_VERSION = 95, "The version to update to is not valid."
    FEATURE_UPDATE_FAILED = 96, "The features could not be updated."
    PRINCIPAL_DESERIALIZATION_FAILURE = 97, "The principal of a forwarded request could not be read."
    SNAPSHOT_NOT_FOUND = 98, "There is no such snapshot."
    POSITION_OUT_OF_RANGE = 99, "The position is outside the snapshot."
    UNKNOWN_TOPIC_ID = 100, "There is no topic of this id here.", _RETRIABLE
    DUPLICATE_BROKER_REGISTRATION = 101, "Another broker is registered under this id."
    BROKER_ID_NOT_REGISTERED = 102, "No broker is registered under this id."
    INCONSISTENT_TOPIC_ID = 103, "The topic id is not the one of the log.", _RETRIABLE
    INCONSISTENT_CLUSTER_ID = 104, "The cluster id is not this cluster's."
    TRANSACTIONAL_ID_NOT_FOUND = 105, "There is no such transactional id."
    FETCH_SESSION_TOPIC_ID_ERROR = 106, "The fetch session mixes topic names and topic ids.", _RETRIABLE
    INELIGIBLE_REPLICA = 107, "A replica of the new ISR may not be in it."
    NEW_LEADER_ELECTED = 108, "The partition was altered, and its leader has changed by that."
    OFFSET_MOVED_TO_TIERED_STORAGE = 109, "The offset has been moved to tiered storage."
    FENCED_MEMBER_EPOCH = 110, "The member epoch is fenced: give up all partitions and join again."
    UNRELEASED_INSTANCE_ID = 111, "Another member still uses this group instance id."
    UNSUPPORTED_ASSIGNOR = 112, "The group does not support this assignor."
    STALE_MEMBER_EPOCH = 113, "The member epoch is out of date: retry after the next heartbeat."
    MISMATCHED_ENDPOINT_TYPE = 114, "The request was sent to the wrong kind of endpoint."
    UNSUPPORTED_ENDPOINT_TYPE = 115, "This kind of endpoint is not supported."
    UNKNOWN_CONTROLLER_ID = 116, "There is no such controller."
    UNKNOWN_SUBSCRIPTION_ID = 117, "The telemetry subscription is unknown or out of date."
    TELEMETRY_TOO_LARGE = 118, "The telemetry is larger than the broker accepts."
    INVALID_REGISTRATION = 119, "The controller refused the broker's registration."
    TRANSACTION_ABORTABLE = 120, "The transaction has failed; abort it to go on with the same transactional id."
    INVALID_RECORD_STATE = 121, "The record is not in a state that can be acknowledged."
    SHARE_SESSION_NOT_FOUND = 122, "There is no such share session.", _RETRIABLE
    INVALID_SHARE_SESSION_EPOCH = 123, "The epoch of the share session is not the one expected.", _RETRIABLE
    FENCED_STATE_EPOCH = 124, "The state epoch of the share group is not the current one."
    INVALID_VOTER_KEY = 125, "The voter key is not the one of the replica that received it."
    DUPLICATE_VOTER = 126, "The voter is one of the voters already."
    VOTER_NOT_FOUND = 127, "The voter is not one of the voters."
    INVALID_REGULAR_EXPRESSION = 128, "The regular expression is not valid."
    REBOOTSTRAP_REQUIRED = 129, "The client's metadata is out of date: start again from the bootstrap servers."
    STREAMS_INVALID_TOPOLOGY = 130, "The topology is not valid."
    STREAMS_INVALID_TOPOLOGY_EPOCH = 131, "The topology epoch is not valid."
    STREAMS_TOPOLOGY_FENCED = 132, "The topology epoch is out of date."
    SHARE_SESSION_LIMIT_REACHED = 133, "The broker has as many share sessions as it may have.", _RETRIABLE


class KafkaError(Exception):
    """A failure that the protocol has a code for. `message` is for humans; left out, it is the code's own line."""

    def __init__(self, code: ErrorCode, message: str | None = None) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = code.message if message is None else message

    def __str__(self) -> str:
        return f"{self.code.name}: {self.message}"


class DecodeError(ValueError):
    """These bytes are not the message they are said to be: truncated, overlong, or holding what its type forbids."""


class EncodeError(ValueError):
    """This message cannot be written in this version: a value out of range, or one the version has no place for."""
