import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;

import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.common.TopicPartition;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** A member made with Java's consumer; the package around it says what it is told and what it prints. */
public final class GroupMember {
    private static final Duration POLL = Duration.ofMillis(100);
    private static final Map<String, String> ASSIGNORS = Map.of(
        "range", "org.apache.kafka.clients.consumer.RangeAssignor",
        "cooperative-sticky", "org.apache.kafka.clients.consumer.CooperativeStickyAssignor"
    );

    private static volatile boolean hangs = false;
    private static volatile boolean ended = false;

    private static final class Reporter implements ConsumerRebalanceListener {
        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            report("revoked", partitions);
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            report("assigned", partitions);
        }
    }

    public static void main(String[] arguments) throws Exception {
        JsonNode membership = new ObjectMapper().readTree(arguments[0]);
        Thread orders = new Thread(GroupMember::readOrders);
        orders.setDaemon(true);
        orders.start();
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(properties(membership))) {
            if (membership.get("pattern").isNull()) {
                List<String> topics = new ArrayList<>();
                membership.get("topics").forEach(topic -> topics.add(topic.textValue()));
                consumer.subscribe(topics, new Reporter());
            } else if (isClassic(membership)) {
                consumer.subscribe(Pattern.compile(membership.get("pattern").textValue()), new Reporter());
            } else {
                consumer.subscribe(new SubscriptionPattern(membership.get("pattern").textValue()), new Reporter());
            }
            while (!ended) {
                if (hangs) {
                    Thread.sleep(POLL.toMillis());
                    continue;
                }
                for (ConsumerRecord<String, String> record : consumer.poll(POLL)) {
                    say("record " + record.topic() + ":" + record.partition() + " " + record.offset() + " " + record.value());
                }
            }
        }
    }

    private static Properties properties(JsonNode membership) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", membership.get("bootstrap").textValue());
        properties.put("group.id", membership.get("group").textValue());
        properties.put("group.protocol", membership.get("protocol").textValue());
        if (isClassic(membership)) {
            properties.put("partition.assignment.strategy", ASSIGNORS.get(membership.get("assignor").textValue()));
            properties.put("session.timeout.ms", membership.get("session_ms").asText());
            properties.put("heartbeat.interval.ms", membership.get("heartbeat_ms").asText());
        }
        properties.put("auto.offset.reset", "earliest");
        properties.put("max.poll.interval.ms", membership.get("max_poll_ms").asText());
        properties.put("metadata.max.age.ms", membership.get("metadata_ms").asText());
        properties.put("key.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
        properties.put("value.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
        if (!membership.get("instance").isNull()) {
            properties.put("group.instance.id", membership.get("instance").textValue());
        }
        return properties;
    }

    private static boolean isClassic(JsonNode membership) {
        return membership.get("protocol").textValue().equals("classic");
    }

    private static void readOrders() {
        try {
            BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
            for (String line = input.readLine(); line != null; line = input.readLine()) {
                hangs = line.strip().equals("hang");
            }
        } catch (IOException exception) {
            exception.printStackTrace();
        }
        ended = true;
    }

    private static void report(String event, Collection<TopicPartition> partitions) {
        if (!partitions.isEmpty()) {
            say(partitions.stream()
                .map(partition -> partition.topic() + ":" + partition.partition())
                .sorted()
                .collect(Collectors.joining(" ", event + " ", "")));
        }
    }

    private static void say(String line) {
        System.out.println(line);
        System.out.flush();
    }
}
