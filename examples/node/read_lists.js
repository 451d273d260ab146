// Print every list as it is published, until Ctrl-C: node read_lists.js
// It needs `npm install kafkajs@2.2.4`. The addresses come from the line with `export` that `reelstream up` prints.

const { Kafka, logLevel } = require("kafkajs");

const prefix = process.env.REELSTREAM_PREFIX ?? "";
const kafka = new Kafka({ brokers: process.env.REELSTREAM_KAFKA.split(","), logLevel: logLevel.ERROR });
// A second start goes on behind what the first one committed. Transactions that were aborted are left out by default.
const consumer = kafka.consumer({ groupId: `${prefix}read-lists-node` });

async function main() {
  await consumer.connect();
  // Where nothing is committed: from the oldest list that is kept.
  await consumer.subscribe({ topic: `${prefix}recommendations`, fromBeginning: true });
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ topic, partition, message }) => {
      const made = JSON.parse(message.value);
      const items = made.items.map((item) => item.item_id).join(", ");
      console.log(`${made.user_id} (${made.mode}): ${items}  [rec_id ${made.rec_id}]`);
      // After the work, so that a crash repeats a list and loses none.
      const next = (BigInt(message.offset) + 1n).toString();
      await consumer.commitOffsets([{ topic, partition, offset: next }]);
    },
  });
}

process.once("SIGINT", async () => {
  await consumer.disconnect();
});

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
