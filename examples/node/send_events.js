// Send a watch and a rating of dan's: node send_events.js
// It needs `npm install kafkajs@2.2.4`. The addresses come from the line with `export` that `reelstream up` prints.

const { randomUUID } = require("node:crypto");
const { Kafka, Partitioners, logLevel } = require("kafkajs");

const prefix = process.env.REELSTREAM_PREFIX ?? "";
const kafka = new Kafka({ brokers: process.env.REELSTREAM_KAFKA.split(","), logLevel: logLevel.ERROR });
// Partitions as Java's client chooses them, so that a user's events stay in order beside those of other programs.
const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });

// The id is made once: what the client sends again by itself is a copy and does not count twice.
function event(what) {
  return JSON.stringify({ event_id: randomUUID(), user_id: "dan", item_id: "1", ts: Date.now(), ...what });
}

async function main() {
  await producer.connect();
  try {
    const sent = await producer.sendBatch({
      acks: -1, // all: answered when every copy in step has it
      topicMessages: [
        { topic: `${prefix}watch-events`, messages: [{ key: "dan", value: event({ progress: 0.9 }) }] },
        { topic: `${prefix}rate-events`, messages: [{ key: "dan", value: event({ rating: 5 }) }] },
      ],
    });
    for (const at of sent) {
      console.log(`sent to ${at.topicName}, partition ${at.partition}, offset ${at.baseOffset}`);
    }
  } finally {
    await producer.disconnect();
  }
}

main().catch((error) => {
  console.error(`not all was sent: ${error.message}`);
  process.exitCode = 1;
});
