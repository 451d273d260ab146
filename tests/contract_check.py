"""Records as consumers got them, by the schemas of their topics."""

import jsonschema_rs
import orjson
from kafka import KafkaConsumer, TopicPartition

from streams.contracts.documents import schema_document
from streams.contracts.messages import topic_messages


def breaches(topic, records):
    """Return where records break the contract of their topic; of dead letters, where their headers do."""
    schema = jsonschema_rs.Draft202012Validator(schema_document(topic))
    of_headers = {one.topic for one in topic_messages() if one.is_in_headers}
    found = (
        {name: value.decode() for name, value in record.headers} if topic in of_headers else orjson.loads(record.value)
        for record in records
        if record.value is not None or topic in of_headers
    )
    return [f"{topic}: {error.message}" for one in found for error in schema.iter_errors(one)]


def checked_records(kafka, prefix=""):
    """Read every topic to its end and return how many records each has, and where they break their contracts."""
    counts, broken = {}, []
    consumer = KafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest", enable_auto_commit=False)
    try:
        for topic in (one.topic for one in topic_messages()):
            name = prefix + topic
            places = [TopicPartition(name, partition) for partition in consumer.partitions_for_topic(name)]
            consumer.assign(places)
            consumer.seek_to_beginning(*places)
            ends, found = consumer.end_offsets(places), []
            while any(consumer.position(place) < end for place, end in ends.items()):
                found += (record for records in consumer.poll(timeout_ms=200).values() for record in records)
            counts[topic] = len(found)
            broken += breaches(topic, found)
    finally:
        consumer.close()
    return counts, broken
