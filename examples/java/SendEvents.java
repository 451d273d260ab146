// Send a watch and a rating of cal's: java -cp "libs/*" SendEvents.java
// It needs a JDK 17 or newer and org.apache.kafka:kafka-clients:4.3.0 of Maven Central with what that needs, here in libs/.
// The addresses come from the line with `export` that `reelstream up` prints.

import java.util.Map;
import java.util.UUID;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.StringSerializer;

class SendEvents {
    static final String PREFIX = System.getenv().getOrDefault("REELSTREAM_PREFIX", "");

    public static void main(String[] arguments) throws Exception {
        Map<String, Object> settings = Map.of(
            "bootstrap.servers", System.getenv("REELSTREAM_KAFKA"),
            "acks", "all"); // answered when every copy in step has it
        try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
            // Both are on their way before the first answer is waited for; get() throws what the broker refused.
            var sent = new Future[] {
                send(producer, "watch-events", "\"progress\": 0.9"), send(producer, "rate-events", "\"rating\": 5")};
            for (Future<?> answer : sent) {
                var at = (RecordMetadata) answer.get();
                System.out.printf("sent to %s, partition %d, offset %d%n", at.topic(), at.partition(), at.offset());
            }
        }
    }

    /** The id is made once: what the client sends again by itself is a copy and does not count twice. */
    static Future<RecordMetadata> send(KafkaProducer<String, String> producer, String topic, String what) {
        var event = "{\"event_id\": \"%s\", \"user_id\": \"cal\", \"item_id\": \"1\", \"ts\": %d, %s}".formatted(
            UUID.randomUUID(), System.currentTimeMillis(), what);
        return producer.send(new ProducerRecord<>(PREFIX + topic, "cal", event));
    }
}
