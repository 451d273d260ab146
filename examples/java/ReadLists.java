// Print every list as it is published, until Ctrl-C: java -cp "libs/*" ReadLists.java
// It needs a JDK 17 or newer and org.apache.kafka:kafka-clients:4.3.0 of Maven Central with what that needs, here in libs/.
// The addresses come from the line with `export` that `reelstream up` prints.

import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.StringDeserializer;

class ReadLists {
    public static void main(String[] arguments) throws Exception {
        var prefix = System.getenv().getOrDefault("REELSTREAM_PREFIX", "");
        Map<String, Object> settings = Map.of(
            "bootstrap.servers", System.getenv("REELSTREAM_KAFKA"),
            "group.id", prefix + "read-lists-java", // a second start goes on behind what the first one committed
            "auto.offset.reset", "earliest", // where nothing is committed: from the oldest list that is kept
            "isolation.level", "read_committed", // nothing of a transaction that was aborted
            "enable.auto.commit", false);
        var consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
        var reader = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            consumer.wakeup(); // Ctrl-C: the loop below ends, and leaves the group
            try { reader.join(5_000); } catch (InterruptedException ended) { /* the machine goes down */ }
        }));
        try (consumer) {
            consumer.subscribe(List.of(prefix + "recommendations"));
            while (true) {
                for (var record : consumer.poll(Duration.ofSeconds(1))) {
                    System.out.println(record.key() + ": " + record.value()); // the list as JSON, for a parser of yours
                }
                consumer.commitSync(); // after the work, so that a crash repeats lists and loses none
            }
        } catch (WakeupException stopped) { /* Ctrl-C */ }
    }
}
