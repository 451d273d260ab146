"""Test, then learn: a log replayed through what worker and trainer call, without Kafka, Redis or a clock."""
