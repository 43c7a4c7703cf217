import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.AdminClient;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Apache Kafka's Java client from 2.1 to 3.9 as an agent: `agent.py` says what the commands are. It keeps to what 2.1
 * has and 3.9 still has, so that one source serves both.
 */
public final class JavaAgent {
    private static final String HEADER = "made-by";
    private static final long TIMEOUT_S = 60;
    private static final Duration A_MOMENT = Duration.ofMillis(100);

    private final String bootstrap;
    private final String clientId;
    private final AdminClient admin;
    private final Map<String, Member> members = new HashMap<>();

    private JavaAgent(String bootstrap, String clientId) {
        this.bootstrap = bootstrap;
        this.clientId = clientId;
        this.admin = AdminClient.create(settings());
    }

    public static void main(String[] arguments) throws Exception {
        JavaAgent agent = new JavaAgent(arguments[0], arguments[1]);
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream output = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            List<String> answer = new ArrayList<>();
            try {
                answer.add("ok");
                String[] words = line.split("\t");
                answer.addAll(agent.answer(words[0], Arrays.copyOfRange(words, 1, words.length)));
            } catch (Exception failure) {
                StringWriter trace = new StringWriter();
                failure.printStackTrace(new PrintWriter(trace));
                answer = List.of("error", trace.toString().replaceAll("\\s+", " "));
            }
            output.println(String.join("\t", answer));
        }
        System.exit(0);
    }

    private List<String> answer(String command, String[] words) throws Exception {
        switch (command) {
            case "produce":
                return produce(words[0], words[1], words[2], words[3], Arrays.asList(words).subList(4, words.length));
            case "read":
                return read(words[0], Integer.parseInt(words[1]));
            case "offset":
                return offset(new TopicPartition(words[0], Integer.parseInt(words[1])), Long.parseLong(words[2]));
            case "bounds":
                return bounds(new TopicPartition(words[0], Integer.parseInt(words[1])));
            case "join":
                members.put(words[0], new Member(words[1], words[2]));
                return List.of();
            case "received":
                return members.get(words[0]).received();
            case "leave":
                members.remove(words[0]).leave();
                return List.of();
            default:
                return administer(command, words);
        }
    }

    private List<String> produce(String topic, String codec, String acks, String idempotent, List<String> records)
            throws Exception {
        Map<String, Object> settings = settings();
        settings.put("compression.type", codec);
        settings.put("acks", acks);
        settings.put("enable.idempotence", idempotent);
        settings.put("linger.ms", "10");
        List<Future<?>> pending = new ArrayList<>();
        StringSerializer serializer = new StringSerializer();
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(settings, serializer, serializer)) {
            for (String record : records) {
                String[] keyAndValue = record.split(" ", 2);
                ProducerRecord<String, String> made = new ProducerRecord<>(topic, keyAndValue[0], keyAndValue[1]);
                made.headers().add(HEADER, clientId.getBytes(StandardCharsets.UTF_8));
                pending.add(producer.send(made));
            }
            producer.flush();
        }
        for (Future<?> future : pending) {
            future.get(TIMEOUT_S, TimeUnit.SECONDS);
        }
        return List.of();
    }

    private List<String> read(String topic, int count) {
        List<String> found = new ArrayList<>();
        try (KafkaConsumer<String, String> consumer = consumer(Map.of())) {
            List<TopicPartition> everything = new ArrayList<>();
            for (PartitionInfo partition : consumer.partitionsFor(topic)) {
                everything.add(new TopicPartition(topic, partition.partition()));
            }
            consumer.assign(everything);
            consumer.seekToBeginning(everything);
            long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(TIMEOUT_S);
            while (found.size() < count) {
                if (System.nanoTime() > deadline) {
                    throw new IllegalStateException(found.size() + " records and no more");
                }
                for (ConsumerRecord<String, String> record : consumer.poll(A_MOMENT)) {
                    found.add(word(record));
                }
            }
        }
        return found;
    }

    private static String word(ConsumerRecord<String, String> record) {
        Header header = record.headers().lastHeader(HEADER);
        String madeBy = header == null ? "-" : new String(header.value(), StandardCharsets.UTF_8);
        return record.partition() + " " + record.offset() + " " + record.timestamp() + " " + record.key() + " " + madeBy
                + " " + record.value();
    }

    private List<String> offset(TopicPartition partition, long timestampMs) {
        try (KafkaConsumer<String, String> consumer = consumer(Map.of())) {
            Map<TopicPartition, Long> asked = Collections.singletonMap(partition, timestampMs);
            OffsetAndTimestamp found = consumer.offsetsForTimes(asked).get(partition);
            return List.of(found == null ? "-1" : Long.toString(found.offset()));
        }
    }

    private List<String> bounds(TopicPartition partition) {
        try (KafkaConsumer<String, String> consumer = consumer(Map.of())) {
            List<TopicPartition> asked = List.of(partition);
            return List.of(
                    Long.toString(consumer.beginningOffsets(asked).get(partition)),
                    Long.toString(consumer.endOffsets(asked).get(partition)));
        }
    }

    private List<String> administer(String command, String[] words) throws Exception {
        ConfigResource topic = words.length == 0 ? null : new ConfigResource(ConfigResource.Type.TOPIC, words[0]);
        switch (command) {
            case "create":
                NewTopic created = new NewTopic(words[0], Integer.parseInt(words[1]), (short) 1);
                admin.createTopics(List.of(created.configs(Map.of("retention.ms", words[2])))).all().get();
                return List.of();
            case "grow":
                admin.createPartitions(Map.of(words[0], NewPartitions.increaseTo(Integer.parseInt(words[1]))))
                        .all().get();
                return List.of();
            case "configure":
                Config config = new Config(List.of(new ConfigEntry("retention.ms", words[1])));
                admin.alterConfigs(Map.of(topic, config)).all().get();
                return List.of();
            case "delete":
                admin.deleteTopics(List.of(words[0])).all().get();
                return List.of();
            case "topics":
                return new ArrayList<>(admin.listTopics().names().get());
            case "describe":
                int partitions = admin.describeTopics(List.of(words[0])).all().get().get(words[0]).partitions().size();
                Config described = admin.describeConfigs(List.of(topic)).all().get().get(topic);
                return List.of(Integer.toString(partitions), described.get("retention.ms").value());
            case "groups":
                return admin.listConsumerGroups().all().get().stream()
                        .map(group -> group.groupId()).collect(Collectors.toList());
            case "members":
                ConsumerGroupDescription group =
                        admin.describeConsumerGroups(List.of(words[0])).all().get().get(words[0]);
                List<String> answer = new ArrayList<>(List.of(group.state().toString()));
                group.members().forEach(member -> answer.add(member.clientId()));
                return answer;
            default:
                throw new IllegalArgumentException("no command " + command);
        }
    }

    private KafkaConsumer<String, String> consumer(Map<String, Object> more) {
        Map<String, Object> settings = settings();
        settings.put("enable.auto.commit", "false");
        settings.putAll(more);
        return new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
    }

    private Map<String, Object> settings() {
        return new HashMap<>(Map.of("bootstrap.servers", bootstrap, "client.id", clientId));
    }

    /** A consumer in a group, polled by a thread of its own. */
    private final class Member {
        private final List<String> values = Collections.synchronizedList(new ArrayList<>());
        private final Thread thread;
        private volatile boolean leaving;
        private volatile Exception failure;

        Member(String topic, String group) {
            thread = new Thread(() -> run(topic, group));
            thread.setDaemon(true);
            thread.start();
        }

        List<String> received() throws Exception {
            check();
            synchronized (values) {
                return new ArrayList<>(values);
            }
        }

        void leave() throws Exception {
            leaving = true;
            thread.join(TimeUnit.SECONDS.toMillis(TIMEOUT_S));
            if (thread.isAlive()) {
                throw new IllegalStateException("the consumer hangs");
            }
            check();
        }

        private void check() throws Exception {
            if (failure != null) {
                throw failure;
            }
        }

        private void run(String topic, String group) {
            Map<String, Object> settings = Map.of(
                    "group.id", group, "auto.offset.reset", "earliest",
                    "session.timeout.ms", "6000", "heartbeat.interval.ms", "200");
            try (KafkaConsumer<String, String> consumer = consumer(settings)) {
                consumer.subscribe(List.of(topic));
                while (!leaving) {
                    for (ConsumerRecord<String, String> record : consumer.poll(A_MOMENT)) {
                        values.add(record.value());
                    }
                }
                consumer.commitSync();
            } catch (Exception thrown) {
                failure = thrown;
            }
        }
    }
}
