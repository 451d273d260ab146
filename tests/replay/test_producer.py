import gc
import logging

import pytest

from model.catalogue import Catalogue, Item
from replay.producer import ReplayReport, replay, send_catalogue, when_due
from replay.schedule import PlannedDelivery
from streams.errors import NoCluster
from streams.records.records import Rating
from streams.settings import Settings


class Watchmaker:
    """A clock that moves only when somebody sleeps or it is told to; it remembers every sleep."""

    def __init__(self):
        self.now = 100.0
        self.sleeps = []

    def clock(self):
        """Return the time."""
        return self.now

    def sleep(self, seconds):
        """Let time pass."""
        self.sleeps.append(seconds)
        self.now += seconds


def due(*seconds):
    """Return deliveries that are due then."""
    return [PlannedDelivery(s, "rate-events", Rating(f"e{s}", "u", "i", 1, 3.0), False, False) for s in seconds]


def test_deliveries_wait_for_their_time():
    """Due after 0, 1 and 3 s: no sleep, then one of 1 s, then one of 2 s."""
    time = Watchmaker()
    assert list(when_due(due(0.0, 1.0, 3.0), clock=time.clock, sleep=time.sleep)) == due(0.0, 1.0, 3.0)
    assert time.sleeps == [1.0, 2.0]


def test_overdue_deliveries_do_not_wait():
    """After a stall of 5 s the deliveries of the seconds 1 and 2 follow at once, and that of 6 waits one second."""
    time = Watchmaker()
    passed = when_due(due(0.0, 1.0, 2.0, 6.0), clock=time.clock, sleep=time.sleep)
    next(passed)
    time.now += 5
    assert len(list(passed)) == 3
    assert time.sleeps == [1.0]


def test_a_high_rate_sleeps_once_for_several_deliveries():
    """At 10,000 a second a sleep comes when the next is more than 2 ms ahead: fewer than one for 20 deliveries."""
    time = Watchmaker()
    n = len(list(when_due(due(*(i / 10_000 for i in range(2_000))), clock=time.clock, sleep=time.sleep)))
    assert n == 2_000
    assert len(time.sleeps) <= 100
    assert sum(time.sleeps) == pytest.approx(0.1999, abs=0.002)


def test_rate_of_what_was_sent():
    """300 deliveries in 1.5 s are 200 each second; nothing in no time is none."""
    assert ReplayReport(300, 0, 0, 1.5).rate == 200
    assert ReplayReport(0, 0, 0, 0.0).rate == 0


@pytest.fixture
def nobody(monkeypatch, caplog):
    """Point at a port that nothing listens on, and do not wait long for it."""
    monkeypatch.setattr("streams.kafka.clients.CONNECT_MS", 300)
    caplog.set_level(logging.CRITICAL, "kafka")  # a kept log record would keep the client's sockets
    yield Settings("127.0.0.1:9", "redis://127.0.0.1:9/0", "models")
    gc.collect()


# kafka-python leaves sockets open when its constructor fails; they are collected here, not in some later test.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_no_cluster_is_told_in_one_line(nobody):
    """Both ways in name the address."""
    with pytest.raises(NoCluster, match=r"cluster is required at 127\.0\.0\.1:9, got "):
        replay(nobody, due(0.0))
    with pytest.raises(NoCluster, match=r"cluster is required at 127\.0\.0\.1:9"):
        send_catalogue(nobody, Catalogue.of([Item("1", "One")]))
