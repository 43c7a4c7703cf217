import com.fasterxml.jackson.core.json.JsonWriteFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;

import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.protocol.Readable;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.record.internal.ControlRecordType;
import org.apache.kafka.common.record.internal.EndTransactionMarker;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.record.internal.MutableRecordBatch;
import org.apache.kafka.common.record.internal.Record;
import org.apache.kafka.common.record.internal.RecordBatch;
import org.apache.kafka.common.utils.ByteBufferOutputStream;
import org.apache.kafka.common.utils.Utils;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.StreamSupport;

/**
 * Apache Kafka's own codecs on standard input and output, until the input ends.
 *
 * <p>A question is a command and data, an answer is an error (empty if there is none), JSON and data; each of them is
 * bytes after their length as an int32.
 *
 * <pre>
 * message CLASS VERSION, its bytes   its JSON, and its bytes as Kafka writes them
 * read-batches, their bytes          a list of the batches, nothing
 * write-batch, its JSON              nothing, its bytes
 * group-partitions COUNT, a JSON     the partition of __consumer_offsets of each, nothing
 *   list of group ids
 * hash-map-order, a JSON list        the list in the order of a HashMap, nothing
 * </pre>
 */
public final class KafkaCodec {
    private static final byte[] NOTHING = new byte[0];
    private static final ObjectMapper JSON =
        JsonMapper.builder().disable(JsonWriteFeature.WRITE_NAN_AS_STRINGS).build();

    private record Answer(byte[] json, byte[] data) {
    }

    public static void main(String[] arguments) throws IOException {
        DataInputStream questions = new DataInputStream(new BufferedInputStream(System.in));
        DataOutputStream answers = new DataOutputStream(new BufferedOutputStream(System.out));
        System.setOut(System.err); // what a library prints is no answer
        try {
            while (true) {
                String command = new String(questions.readNBytes(questions.readInt()), StandardCharsets.UTF_8);
                byte[] data = questions.readNBytes(questions.readInt());
                for (byte[] part : answerOrError(command.split(" "), data)) {
                    answers.writeInt(part.length);
                    answers.write(part);
                }
                answers.flush();
            }
        } catch (EOFException end) {
            answers.close();
        }
    }

    private static List<byte[]> answerOrError(String[] command, byte[] data) {
        try {
            Answer answer = answer(command, data);
            return List.of(NOTHING, answer.json, answer.data);
        } catch (Exception | OutOfMemoryError exception) {
            StringWriter trace = new StringWriter();
            exception.printStackTrace(new PrintWriter(trace, true));
            return List.of(trace.toString().getBytes(StandardCharsets.UTF_8), NOTHING, NOTHING);
        }
    }

    private static Answer answer(String[] command, byte[] data) throws Exception {
        return switch (command[0]) {
            case "message" -> message(Class.forName(command[1]), Short.parseShort(command[2]), ByteBuffer.wrap(data));
            case "read-batches" -> readBatches(ByteBuffer.wrap(data));
            case "write-batch" -> writeBatch(JSON.readTree(data));
            case "group-partitions" -> groupPartitions(Integer.parseInt(command[1]), JSON.readTree(data));
            case "hash-map-order" -> hashMapOrder(JSON.readTree(data));
            default -> throw new IllegalArgumentException(command[0]);
        };
    }

    private static Answer message(Class<?> type, short version, ByteBuffer encoded) throws Exception {
        ByteBufferAccessor readable = new ByteBufferAccessor(encoded);
        Message message = (Message) type.getConstructor(Readable.class, short.class).newInstance(readable, version);
        if (encoded.hasRemaining()) {
            throw new IllegalArgumentException(encoded.remaining() + " bytes are left behind the message");
        }
        Object json = Class.forName(type.getName() + "JsonConverter")
            .getMethod("write", type, short.class, boolean.class)
            .invoke(null, message, version, false);
        byte[] written = Utils.toArray(MessageUtil.toByteBufferAccessor(message, version).buffer());
        return new Answer(JSON.writeValueAsBytes(json), written);
    }

    /** As GroupCoordinatorService.partitionFor, which wants a whole coordinator around it. */
    private static Answer groupPartitions(int count, JsonNode groupIds) throws IOException {
        ArrayNode partitions = JSON.createArrayNode();
        groupIds.forEach(id -> partitions.add(Utils.abs(id.textValue().hashCode()) % count));
        return new Answer(JSON.writeValueAsBytes(partitions), NOTHING);
    }

    private static Answer hashMapOrder(JsonNode keys) throws IOException {
        Map<String, Integer> map = new HashMap<>();
        keys.forEach(key -> map.put(key.textValue(), 1));
        return new Answer(JSON.writeValueAsBytes(map.keySet()), NOTHING);
    }

    private static Answer readBatches(ByteBuffer encoded) throws IOException {
        ArrayNode batches = JSON.createArrayNode();
        for (MutableRecordBatch batch : MemoryRecords.readableRecords(encoded).batches()) {
            batch.ensureValid();
            batches.add(batchToJson(batch));
        }
        return new Answer(JSON.writeValueAsBytes(batches), NOTHING);
    }

    private static ObjectNode batchToJson(RecordBatch batch) {
        ObjectNode json = JSON.createObjectNode()
            .put("magic", batch.magic())
            .put("size_bytes", batch.sizeInBytes())
            .put("base_offset", batch.baseOffset())
            .put("last_offset", batch.lastOffset())
            .put("leader_epoch", batch.partitionLeaderEpoch())
            .put("codec", batch.compressionType().id)
            .put("is_log_append_time", batch.timestampType() == TimestampType.LOG_APPEND_TIME)
            .put("is_transactional", batch.isTransactional())
            .put("is_control", batch.isControlBatch())
            .put("delete_horizon_ms", batch.deleteHorizonMs().orElse(RecordBatch.NO_TIMESTAMP))
            .put("max_timestamp", batch.maxTimestamp())
            .put("producer_id", batch.producerId())
            .put("producer_epoch", batch.producerEpoch())
            .put("base_sequence", batch.baseSequence())
            .put("last_sequence", batch.lastSequence())
            .put("record_count", batch.countOrNull());
        ArrayNode records = json.putArray("records");
        for (Record record : batch) {
            records.add(recordToJson(record, batch.isControlBatch()));
        }
        return json;
    }

    private static ObjectNode recordToJson(Record record, boolean isControl) {
        ObjectNode json = JSON.createObjectNode()
            .put("offset", record.offset())
            .put("timestamp", record.timestamp())
            .put("key", Utils.toNullableArray(record.key()))
            .put("value", Utils.toNullableArray(record.value()));
        ArrayNode headers = json.putArray("headers");
        for (Header header : record.headers()) {
            headers.addArray().add(header.key()).add(header.value());
        }
        if (isControl) {
            EndTransactionMarker marker = EndTransactionMarker.deserialize(record);
            json.put("control_type", marker.controlType().name()).put("coordinator_epoch", marker.coordinatorEpoch());
        }
        return json;
    }

    private static Answer writeBatch(JsonNode json) throws IOException {
        boolean isLogAppendTime = json.get("is_log_append_time").asBoolean();
        MemoryRecordsBuilder builder = new MemoryRecordsBuilder(
            new ByteBufferOutputStream(512),
            RecordBatch.CURRENT_MAGIC_VALUE,
            Compression.of(CompressionType.forId(json.get("codec").asInt())).build(),
            isLogAppendTime ? TimestampType.LOG_APPEND_TIME : TimestampType.CREATE_TIME,
            json.get("base_offset").asLong(),
            isLogAppendTime ? json.get("max_timestamp").asLong() : RecordBatch.NO_TIMESTAMP,
            json.get("producer_id").asLong(),
            (short) json.get("producer_epoch").asInt(),
            json.get("base_sequence").asInt(),
            json.get("is_transactional").asBoolean(),
            json.get("is_control").asBoolean(),
            json.get("leader_epoch").asInt(),
            Integer.MAX_VALUE,
            json.get("delete_horizon_ms").asLong());
        for (JsonNode record : json.get("records")) {
            append(builder, record);
        }
        return new Answer(NOTHING, Utils.toArray(builder.build().buffer()));
    }

    private static void append(MemoryRecordsBuilder builder, JsonNode record) throws IOException {
        long timestamp = record.get("timestamp").asLong();
        if (builder.isControlBatch()) {
            ControlRecordType type = ControlRecordType.valueOf(record.get("control_type").asText());
            int epoch = record.get("coordinator_epoch").asInt();
            builder.appendEndTxnMarker(timestamp, new EndTransactionMarker(type, epoch));
            return;
        }
        Header[] headers = StreamSupport.stream(record.get("headers").spliterator(), false)
            .map(header -> new RecordHeader(header.get(0).asText(), binary(header.get(1))))
            .toArray(Header[]::new);
        byte[] key = binary(record.get("key"));
        builder.appendWithOffset(record.get("offset").asLong(), timestamp, key, binary(record.get("value")), headers);
    }

    private static byte[] binary(JsonNode base64) {
        return base64.isNull() ? null : JSON.convertValue(base64, byte[].class);
    }
}
