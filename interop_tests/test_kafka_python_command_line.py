"""kafka-python's command line, as a user types it: `python -m kafka.admin`, `kafka.producer` and `kafka.consumer`."""

import ast
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from kafka import OffsetAndMetadata, TopicPartition

from interop_tests.brokers import Broker
from interop_tests.eventually import eventually
from interop_tests.kafka_python_clients import Clients, partitions_of, poll_until, produce, values_of
from interop_tests.processes import LineProcess

Admin = Callable[[str], Any]


@pytest.fixture
def admin(broker: Broker) -> Admin:
    """Runs one command that must succeed; what it printed, as Python values where it is that."""

    def run(command: str) -> Any:
        status, output = run_admin(broker, command)
        assert status == 0, f"`{command}` failed: {output}"
        try:
            return ast.literal_eval(output.strip())
        except (ValueError, SyntaxError):
            return output

    return run


def run_admin(broker: Broker, command: str) -> tuple[int, str]:
    arguments = [sys.executable, "-W", "ignore", "-m", "kafka.admin", "-b", broker.bootstrap, *command.split()]
    run = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    return run.returncode, run.stdout + run.stderr


def test_topics(admin: Admin, clients: Clients, unique: Callable[[str], str]) -> None:
    """topics create, list, describe, delete; by name and by id."""
    topic = unique("topic")
    assert topic in str(admin(f"topics create -t {topic} --num-partitions 3 --replication-factor 1"))
    eventually(lambda: topic in admin("topics list"), "the topic is listed")
    [described] = admin(f"topics describe -t {topic}")
    assert (described["name"], len(described["partitions"])) == (topic, 3)
    by_id = admin(f"topics describe --id {described['topic_id']}")
    assert by_id[0]["topic_id"] == described["topic_id"]
    other = clients.topic()
    admin(f"topics delete -t {topic}")
    admin(f"topics delete --id {clients.admin.describe_topics([other])[0]['topic_id']}")
    eventually(lambda: not {topic, other} & set(admin("topics list")), "the topics are gone")


def test_partitions(admin: Admin, clients: Clients) -> None:
    """partitions create, describe, list-offsets, delete-records, elect-leaders, list-reassignments."""
    topic = clients.topic(partitions=2)
    produce(clients, topic, [b"%d" % number for number in range(10)])
    admin(f"partitions create -p {topic}:9 --validate-only")
    admin(f"partitions create -p {topic}:3")
    described = admin(f"partitions describe -t {topic}")
    assert [f"'partition_index': {index}" in described for index in range(4)] == [True, True, True, False]
    limits = f"--cursor-topic {topic} --cursor-partition 1 --response-partition-limit 1"
    page = admin(f"partitions describe -t {topic} {limits}")
    assert [page.count(f"'partition_index': {index}") for index in range(3)] == [0, 1, 1]  # 2 is the next cursor
    assert "'low_watermark': 4" in admin(f"partitions delete-records -r {topic}:0:4")
    for command, offset in (
        (f"-t {topic} -s earliest", 4),
        (f"-p {topic}:0:latest", 10),
        (f"-p {topic}:0-1:latest", 10),
    ):
        assert f"'offset': {offset}" in admin(f"partitions list-offsets {command}")
    admin(f"partitions elect-leaders -t {topic} --no-raise-errors")
    admin(f"partitions elect-leaders -p {topic}:0 --election-type preferred")
    assert admin("partitions list-reassignments") == {}
    assert admin(f"partitions list-reassignments -p {topic}:0") == {}


def test_configs(admin: Admin, clients: Clients, broker: Broker) -> None:
    """configs describe, alter, list, reset; of topics and of the broker."""
    topic = clients.topic()

    def value(name: str) -> object:
        return admin(f"configs describe -r topic -n {topic}")["topic"][topic][name]["value"]

    assert admin(f"configs alter -r topic -n {topic} -c retention.ms=1000000") == {"topic": {topic: "OK"}}
    eventually(lambda: value("retention.ms") == "1000000", "the new value")
    assert admin(f"configs alter -r topic -n {topic} -c cleanup.policy=add(compact)") == {"topic": {topic: "OK"}}
    eventually(lambda: value("cleanup.policy") == "delete,compact", "the new list")
    modified = admin(f"configs describe -r topic -n {topic} --modified")
    assert set(modified["topic"][topic]) >= {"retention.ms", "cleanup.policy"}
    admin(f"configs alter -r topic -n {topic} -c retention.ms=5 --validate-only")
    admin(f"configs alter -r topic -n {topic} -c segment.bytes=2000000 --force-alter")
    eventually(lambda: value("segment.bytes") == "2000000", "the new value")
    assert value("retention.ms") == "1000000"
    admin(f"configs reset -r topic -n {topic} -c retention.ms")
    eventually(lambda: value("retention.ms") == "604800000", "the default again")
    status, output = run_admin(broker, f"configs alter -r topic -n {topic} -c no.such.config=1")
    assert (status, "Unrecognized configs" in output) == (1, True)
    assert topic in admin("configs list -r topic")["topic"]
    assert "broker" in admin("configs list")
    node = clients.admin.describe_cluster()["controller_id"]
    for kind in ("static", "dynamic", "default"):
        admin(f"configs describe -r broker -n {node} --{kind}")
    assert admin(f"configs describe -r broker -n {node}")["broker"][str(node)]["num.partitions"]["value"] == "4"


def test_groups(admin: Admin, clients: Clients, unique: Callable[[str], str]) -> None:
    """groups list, describe, list-offsets, alter-offsets, reset-offsets, delete-offsets, delete."""
    topic, group = clients.topic(partitions=2), unique("group")
    one, two = partitions_of(topic, 2)
    produce(clients, topic, [b"%d" % number for number in range(10)])
    consumer = clients.consumer(group_id=group)
    consumer.assign([one, two])
    consumer.commit({one: OffsetAndMetadata(3, "note", -1), two: OffsetAndMetadata(0, "", -1)})
    listed = {entry["group_id"]: entry["group_state"] for entry in admin("groups list")}
    assert listed[group] == "Empty"
    assert group in str(admin("groups list --state empty --type classic"))
    assert group not in str(admin("groups list --state stable"))
    assert admin(f"groups describe -g {group}")[group]["group_state"] == "Empty"
    offsets = admin(f"groups list-offsets -g {group}")
    assert (offsets[topic][0]["offset"], offsets[topic][0]["lag"], offsets[topic][0]["metadata"]) == (3, 7, "note")
    assert admin(f"groups alter-offsets -g {group} -o {topic}:0:7") == {f"{topic}:0": "NoError"}
    for command, offset in (("-s earliest", 0), ("-s latest", 10), ("--to-offset 4", 4), ("--by-duration PT1H", 0)):
        reset = admin(f"groups reset-offsets -g {group} -p {topic}:0 {command}")
        assert reset == {topic: {0: {"error": "NoError", "offset": offset}}}
    assert admin(f"groups delete-offsets -g {group} -p {topic}:1") == {f"{topic}:1": "NoError"}
    assert set(admin(f"groups list-offsets -g {group}")[topic]) == {0}
    assert admin(f"groups delete -g {group}") == {group: "OK"}
    assert admin(f"groups describe -g {group}")[group]["group_state"] == "Dead"


def test_group_members_are_removed(admin: Admin, clients: Clients, unique: Callable[[str], str]) -> None:
    """groups remove-members, by instance id and with an unknown member."""
    topic, group = clients.topic(), unique("group")
    member = clients.consumer(topic, group_id=group, group_instance_id="fixed")
    member.partitions_for_topic(topic)
    eventually(lambda: member.poll(timeout_ms=50) is not None and member.assignment(), "the member has joined")
    assert admin(f"groups remove-members -g {group} -m nobody") == {"nobody": "UnknownMemberIdError"}
    assert admin(f"groups remove-members -g {group} -i fixed --reason test") == {"fixed": "NoError"}
    eventually(lambda: admin(f"groups describe -g {group}")[group]["members"] == [], "the group is empty")


def test_cluster(admin: Admin, clients: Clients, broker: Broker) -> None:
    """cluster describe, describe- and alter-log-dirs, api-versions, broker-version, describe- and update-features."""
    topic = clients.topic(partitions=2)
    described = admin("cluster describe")
    assert [(node["host"], node["port"]) for node in described["brokers"]] == [(broker.host, broker.port)]
    assert topic in str(admin("cluster describe-log-dirs"))
    [node] = admin(f"cluster describe-log-dirs --topic {topic}")
    assert [entry["name"] for place in node["log_dirs"] for entry in place["topics"]] == [topic]
    replica, [place] = f"{topic}:0:{node['broker']}", node["log_dirs"]
    assert admin(f"cluster alter-log-dirs -a {replica}={place['log_dir']}") == {replica: "NoError"}
    assert admin(f"cluster alter-log-dirs -a {replica}=/nowhere") == {replica: "LogDirNotFoundError"}
    versions = admin("cluster api-versions")
    assert (versions["Produce"], versions["ApiVersions"]) == ((0, 13), (0, 4))
    assert admin(f"cluster broker-version --broker {node['broker']}") == {node["broker"]: "4.3"}
    assert "metadata.version" in str(admin("cluster describe-features"))
    assert admin("cluster update-features -f metadata.version=30") == {"metadata.version": "OK"}
    status, output = run_admin(broker, "cluster update-features -f no.such.feature=1")
    assert (status, "InvalidUpdateVersion" in output) == (1, True)


def test_producers(admin: Admin, clients: Clients) -> None:
    """transactions describe-producers, which is about producers without transactions as well."""
    topic = clients.topic()
    assert admin(f"transactions describe-producers -t {topic} -p 0") == {f"{topic}:0": {"active_producers": []}}
    produce(clients, topic, [b"one", b"two"])
    [producer] = admin(f"transactions describe-producers -t {topic} -p 0")[f"{topic}:0"]["active_producers"]
    assert (producer["producer_epoch"], producer["last_sequence"]) == (0, 1)


UNSUPPORTED = [
    "acls describe",
    "acls create --principal User:a --operation read --resource-type topic --resource-name {topic}",
    "acls delete --principal User:a",
    "cluster describe-quorum",
    "partitions alter-reassignments -r {topic}:0=1",
    "transactions list",
    "transactions describe --transactional-id x",
    "transactions find-hanging",
    "transactions abort -t {topic} -p 0 --producer-id 1 --producer-epoch 0",
    "users describe-scram-credentials",
    "users alter-scram-credentials --upsert a:SCRAM-SHA-256:b",
]
"""What `python -m kafka.admin` offers and kpy does not serve; README has the same list."""


@pytest.mark.only_on(broker="kpy", why="Apache Kafka serves these")
@pytest.mark.parametrize("command", UNSUPPORTED)
def test_what_is_not_served_says_so(clients: Clients, broker: Broker, command: str) -> None:
    """The command ends at once, with a failure that says that the broker does not support it."""
    status, output = run_admin(broker, command.format(topic=clients.topic()))
    print(output)
    assert status == 1
    assert "IncompatibleBrokerVersion" in output


def test_console_producer_and_consumer(clients: Clients, broker: Broker, unique: Callable[[str], str]) -> None:
    """Lines typed into kafka.producer come out of kafka.consumer, in all its formats."""
    topic = clients.topic()
    with LineProcess(
        [
            sys.executable,
            "-m",
            "kafka.consumer",
            "-b",
            broker.bootstrap,
            "-t",
            topic,
            "-g",
            unique("group"),
            "-C",
            "auto_offset_reset=earliest",
        ]
    ) as consumer:
        with LineProcess([sys.executable, "-m", "kafka.producer", "-b", broker.bootstrap, "-t", topic]) as producer:
            for number in range(5):
                producer.send(f"line {number}")
            assert producer.finish() == 0
        consumer.wait_for(5)
    assert consumer.lines == [f"line {number}" for number in range(5)]
    alone = clients.consumer()
    alone.assign([TopicPartition(topic, 0)])
    assert values_of(poll_until(alone, 5)) == [b"line %d" % number for number in range(5)]


@pytest.mark.parametrize(("output_format", "expected"), [("raw", "b'value'"), ("full", "value=b'value'")])
def test_console_consumer_formats(clients: Clients, broker: Broker, output_format: str, expected: str) -> None:
    """`--format raw` shows bytes, `--format full` the whole record; without a group it needs no coordinator."""
    topic = clients.topic()
    produce(clients, topic, [b"value"])
    command = [sys.executable, "-m", "kafka.consumer", "-b", broker.bootstrap, "-t", topic, "-f", output_format]
    with LineProcess([*command, "-C", "auto_offset_reset=earliest"]) as consumer:
        consumer.wait_for(1)
    assert expected in consumer.lines[0]
