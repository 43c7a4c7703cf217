import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;

import org.apache.kafka.common.Uuid;
import org.apache.kafka.coordinator.common.runtime.CoordinatorMetadataDelta;
import org.apache.kafka.coordinator.common.runtime.CoordinatorMetadataImage;
import org.apache.kafka.coordinator.group.Utils;
import org.apache.kafka.coordinator.group.api.assignor.ConsumerGroupPartitionAssignor;
import org.apache.kafka.coordinator.group.api.assignor.SubscribedTopicDescriber;
import org.apache.kafka.coordinator.group.api.assignor.SubscriptionType;
import org.apache.kafka.coordinator.group.assignor.RangeAssignor;
import org.apache.kafka.coordinator.group.assignor.UniformAssignor;
import org.apache.kafka.coordinator.group.modern.Assignment;
import org.apache.kafka.coordinator.group.modern.GroupSpecImpl;
import org.apache.kafka.coordinator.group.modern.MemberSubscriptionAndAssignmentImpl;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;

/**
 * Apache Kafka's own assignors and metadata hashes, a line of JSON for each question and each answer.
 *
 * <pre>
 * {"assignor", "homogeneous", "counts": {topic id: partitions}, "members": {id: {"instance", "topics", "previous"}},
 *  "hashed"}
 *     {member id: {topic id: [partitions]}}
 * {"hashes": [{"name", "id", "racks": [[rack]]}]}
 *     {"topics": [hash of each], "group": hash of all}
 * </pre>
 *
 * <p>Members and topics are handed over in the order of the question, so that the answer does not depend on how Java
 * hashes strings; members in a hash map if the question says so, as the coordinator does it.
 */
public final class KafkaAssignors {
    private static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] arguments) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            JsonNode asked = JSON.readTree(line);
            System.out.println(JSON.writeValueAsString(asked.has("hashes") ? hashes(asked.get("hashes")) : assign(asked)));
        }
    }

    private static ObjectNode assign(JsonNode asked) {
        Map<Uuid, Integer> counts = new LinkedHashMap<>();
        asked.get("counts").properties().forEach(entry -> counts.put(uuid(entry.getKey()), entry.getValue().asInt()));
        Map<String, MemberSubscriptionAndAssignmentImpl> members =
            asked.path("hashed").asBoolean() ? new HashMap<>() : new LinkedHashMap<>();
        Map<Uuid, Map<Integer, String>> owners = new LinkedHashMap<>();
        asked.get("members").properties().forEach(entry -> {
            JsonNode member = entry.getValue();
            Set<Uuid> topics = new LinkedHashSet<>();
            member.get("topics").forEach(topic -> topics.add(uuid(topic.asText())));
            Map<Uuid, Set<Integer>> previous = new LinkedHashMap<>();
            member.get("previous").properties().forEach(topic -> {
                Set<Integer> partitions = new TreeSet<>();
                topic.getValue().forEach(partition -> partitions.add(partition.asInt()));
                previous.put(uuid(topic.getKey()), partitions);
                partitions.forEach(partition -> owners
                    .computeIfAbsent(uuid(topic.getKey()), __ -> new LinkedHashMap<>())
                    .put(partition, entry.getKey()));
            });
            Optional<String> instance = Optional.ofNullable(member.get("instance").textValue());
            members.put(entry.getKey(),
                new MemberSubscriptionAndAssignmentImpl(Optional.empty(), instance, topics, new Assignment(previous)));
        });
        SubscriptionType type =
            asked.get("homogeneous").asBoolean() ? SubscriptionType.HOMOGENEOUS : SubscriptionType.HETEROGENEOUS;
        ConsumerGroupPartitionAssignor assignor =
            asked.get("assignor").asText().equals("range") ? new RangeAssignor() : new UniformAssignor();
        ObjectNode answer = JSON.createObjectNode();
        assignor.assign(new GroupSpecImpl(members, type, owners), describer(counts)).members().forEach((id, assigned) -> {
            ObjectNode topics = answer.putObject(id);
            assigned.partitions().forEach((topic, partitions) ->
                new TreeSet<>(partitions).forEach(topics.withArray(text(topic))::add));
        });
        return answer;
    }

    private static SubscribedTopicDescriber describer(Map<Uuid, Integer> counts) {
        return new SubscribedTopicDescriber() {
            @Override
            public int numPartitions(Uuid topicId) {
                return counts.getOrDefault(topicId, -1);
            }

            @Override
            public Set<String> racksForPartition(Uuid topicId, int partition) {
                return Set.of();
            }
        };
    }

    private record Topic(String name, Uuid id, List<List<String>> racks) implements CoordinatorMetadataImage.TopicMetadata {
        @Override
        public int partitionCount() {
            return racks.size();
        }

        @Override
        public List<String> partitionRacks(int partitionId) {
            return new ArrayList<>(racks.get(partitionId));
        }
    }

    private static ObjectNode hashes(JsonNode asked) {
        Map<String, Topic> topics = new LinkedHashMap<>();
        asked.forEach(topic -> {
            List<List<String>> racks = new ArrayList<>();
            topic.get("racks").forEach(partition -> {
                List<String> found = new ArrayList<>();
                partition.forEach(rack -> found.add(rack.asText()));
                racks.add(found);
            });
            String name = topic.get("name").asText();
            topics.put(name, new Topic(name, uuid(topic.get("id").asText()), racks));
        });
        CoordinatorMetadataImage image = image(topics);
        Map<String, Long> hashes = new LinkedHashMap<>();
        topics.keySet().forEach(name -> hashes.put(name, Utils.computeTopicHash(name, image)));
        ObjectNode answer = JSON.createObjectNode();
        hashes.values().forEach(answer.withArray("topics")::add);
        return answer.put("group", Utils.computeGroupHash(hashes));
    }

    private static CoordinatorMetadataImage image(Map<String, Topic> topics) {
        return new CoordinatorMetadataImage() {
            @Override
            public Set<Uuid> topicIds() {
                throw new UnsupportedOperationException();
            }

            @Override
            public Set<String> topicNames() {
                return topics.keySet();
            }

            @Override
            public Optional<TopicMetadata> topicMetadata(String topicName) {
                return Optional.ofNullable(topics.get(topicName));
            }

            @Override
            public Optional<TopicMetadata> topicMetadata(Uuid topicId) {
                throw new UnsupportedOperationException();
            }

            @Override
            public CoordinatorMetadataDelta emptyDelta() {
                throw new UnsupportedOperationException();
            }

            @Override
            public long version() {
                return 0;
            }

            @Override
            public boolean isEmpty() {
                return topics.isEmpty();
            }
        };
    }

    private static Uuid uuid(String text) {
        java.util.UUID parsed = java.util.UUID.fromString(text);
        return new Uuid(parsed.getMostSignificantBits(), parsed.getLeastSignificantBits());
    }

    private static String text(Uuid id) {
        return new java.util.UUID(id.getMostSignificantBits(), id.getLeastSignificantBits()).toString();
    }
}
