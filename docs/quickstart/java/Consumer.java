import com.fasterxml.jackson.databind.ObjectMapper;
import java.net.URI;
import java.net.http.*;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.*;
import org.apache.avro.Schema;
import org.apache.avro.generic.*;
import org.apache.avro.io.DecoderFactory;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.*;

/**
 * Reads every event of jangbu's catalog up to the end as it is now, and prints each with its key,
 * version and type. Keeps count of gaps and doubles for each aggregate, as any consumer should.
 *
 * <pre>
 * mvn -q dependency:copy-dependencies
 * java -cp 'target/dependency/*' Consumer.java KAFKA REGISTRY
 * </pre>
 */
public class Consumer {
    static final String TOPIC = "catalog.events";
    static final Map<Integer, Schema> SCHEMAS = new HashMap<>();

    public static void main(String[] arguments) throws Exception {
        Map<String, Object> settings = Map.of(
            "bootstrap.servers", arguments[0], "isolation.level", "read_committed", "auto.offset.reset", "none");
        Map<String, Long> versions = new HashMap<>();
        Set<String> ids = new HashSet<>();
        long events = 0, gaps = 0, doubles = 0;
        try (var consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new ByteArrayDeserializer())) {
            var partitions = consumer.partitionsFor(TOPIC).stream().map(p -> new TopicPartition(TOPIC, p.partition())).toList();
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            var ends = consumer.endOffsets(partitions);
            while (partitions.stream().anyMatch(p -> consumer.position(p) < ends.get(p))) {
                for (var event : consumer.poll(Duration.ofSeconds(1))) {
                    String id = header(event, "ce_id"), type = header(event, "ce_type");
                    long version = Long.parseLong(header(event, "ce_aggregateversion"));
                    long last = versions.getOrDefault(event.key(), 0L);
                    if (version <= last || !ids.add(id)) {
                        doubles++; // taken in already: pass it over
                        continue;
                    }
                    if (version > last + 1) gaps++; // this consumer has lost its place: a real one stops here
                    versions.put(event.key(), version);
                    events++;
                    System.out.println(event.key() + " " + version + " " + type + " " + decode(arguments[1], event.value()));
                }
            }
        }
        System.out.println(events + " events of " + versions.size() + " aggregates, " + gaps + " gaps, " + doubles + " doubles");
        System.exit(gaps + doubles > 0 ? 1 : 0);
    }

    static String header(ConsumerRecord<?, ?> event, String name) {
        return new String(event.headers().lastHeader(name).value(), StandardCharsets.UTF_8);
    }

    /** A zero byte, the schema's id, then the datum as its writer's schema says. */
    static GenericRecord decode(String registry, byte[] value) throws Exception {
        int id = java.nio.ByteBuffer.wrap(value, 1, 4).getInt();
        if (value[0] != 0) throw new IllegalArgumentException("not framed");
        if (!SCHEMAS.containsKey(id)) SCHEMAS.put(id, schema(registry, id));
        var decoder = DecoderFactory.get().binaryDecoder(value, 5, value.length - 5, null);
        return new GenericDatumReader<GenericRecord>(SCHEMAS.get(id)).read(null, decoder);
    }

    static Schema schema(String registry, int id) throws Exception {
        var request = HttpRequest.newBuilder(URI.create(registry + "/schemas/ids/" + id)).build();
        var answer = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
        return new Schema.Parser().parse(new ObjectMapper().readTree(answer.body()).get("schema").asText());
    }
}
