"""Records compared with the contracts: what keeps them, what breaks them, and what is no record of one."""

from types import SimpleNamespace

import orjson
import pytest

from streams.contracts.checking import breaches
from streams.contracts.messages import topic_messages


def record(value, headers=()):
    """Return a record as Kafka's clients give it."""
    return SimpleNamespace(value=value, headers=list(headers))


@pytest.mark.parametrize("message", topic_messages(), ids=lambda one: one.topic)
def test_an_example_keeps_its_contract_and_one_without_fields_breaks_it(message):
    """The example of each topic is fine, and an empty object or empty headers are not."""
    if message.is_in_headers:
        good, bad = record(b"x", [(name, value.encode()) for name, value in message.example.items()]), record(b"{}")
    else:
        good, bad = record(orjson.dumps(message.example)), record(b"{}")
    assert breaches(message.topic, [good]) == []
    found = breaches(message.topic, [good, bad])
    assert found
    assert all(one.startswith(f"{message.topic}: ") for one in found)


def test_what_is_taken_away_is_no_breach_and_what_is_no_json_is_one():
    """An absent value takes an item out of the catalogue; a torn one is told as what it is."""
    assert breaches("catalog-items", [record(None)]) == []
    [found] = breaches("catalog-items", [record(b"{torn")])
    assert found.startswith("catalog-items: ")
