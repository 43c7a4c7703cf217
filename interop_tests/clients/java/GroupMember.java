import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.WakeupException;

import java.time.Duration;
import java.util.List;
import java.util.Properties;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;

/**
 * A consumer in a group that prints what it is assigned, whenever that changes, and each value, until it is asked to
 * stop.
 *
 * <pre>
 * java GroupMember TOPIC|PATTERN NAME SETTING=VALUE ...
 * </pre>
 */
public final class GroupMember {
    public static void main(String[] arguments) throws Exception {
        Properties settings = new Properties();
        for (String argument : List.of(arguments).subList(2, arguments.length)) {
            int equals = argument.indexOf('=');
            settings.put(argument.substring(0, equals), argument.substring(equals + 1));
        }
        String strings = "org.apache.kafka.common.serialization.StringDeserializer";
        settings.put("key.deserializer", strings);
        settings.put("value.deserializer", strings);
        KafkaConsumer<String, String> consumer = new KafkaConsumer<>(settings);
        Thread main = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            consumer.wakeup();
            try {
                main.join();
            } catch (InterruptedException e) {
                main.interrupt();
            }
        }));
        if (arguments[0].equals("PATTERN")) {
            consumer.subscribe(new SubscriptionPattern(arguments[1]));
        } else {
            consumer.subscribe(List.of(arguments[1]));
        }
        try {
            work(consumer);
        } catch (WakeupException e) {
            System.err.println("asked to stop");
        } finally {
            consumer.close();
        }
    }

    private static void work(KafkaConsumer<String, String> consumer) {
        Set<String> known = Set.of();
        while (true) {
            for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(100))) {
                System.out.println("value " + record.value());
            }
            Set<String> assigned = consumer.assignment().stream()
                .map(TopicPartition::toString)
                .collect(Collectors.toCollection(TreeSet::new));
            if (!assigned.equals(known)) {
                System.out.println(("assigned " + String.join(" ", assigned)).strip());
                known = assigned;
            }
        }
    }
}
