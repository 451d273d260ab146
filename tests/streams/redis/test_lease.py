"""Leases on a real Redis: who may start under a name, and who may not."""

import os
import socket
import threading
import time

import orjson
import pytest

from streams.errors import StateError
from streams.redis.connection import connect_to_read
from streams.redis.lease import Holder, Lease, lease_key


@pytest.fixture
def lease(redis_url):
    """Return a function that makes a lease with a connection and a token of its own."""
    clients = []

    def make(name="w1", role="worker", host=None, pid=None, length_s=1.0):
        clients.append(connect_to_read(redis_url))
        here = Holder.here()
        holder = Holder(host or here.host, pid or here.pid, here.token)
        return Lease(clients[-1], role, name, holder=holder, length_s=length_s)

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client(redis_url):
    """Return a client to look at the key with."""
    with connect_to_read(redis_url) as client:
        yield client


def unexpected(error):
    """Fail, as nobody took the lease."""
    raise AssertionError(error)


def test_a_free_name_is_taken_at_once_and_says_by_whom(lease, client):
    """The key names this host and process and expires within the lease's length."""
    lease(length_s=5.0).take()
    held = orjson.loads(client.get("alive:id:worker:w1"))
    assert (held["host"], held["pid"]) == (socket.gethostname(), os.getpid())
    assert 4000 < client.pttl("alive:id:worker:w1") <= 5000


def test_a_name_whose_holder_lives_is_refused(lease):
    """A newcomer is refused before the lease's length is over, with the holder's host and process."""
    first = lease(host="elsewhere", pid=4711, length_s=3.0)
    first.take()
    with first.kept(unexpected):
        began = time.monotonic()
        with pytest.raises(StateError, match=r"worker 'w1' .* process 4711 of host 'elsewhere'; end it first"):
            lease().take()
        assert time.monotonic() - began < 3.0


def test_a_name_whose_holder_is_gone_is_taken_when_the_lease_runs_out(lease, client):
    """A lease of 1 s that nobody renews is taken after 1 s, not before."""
    lease(pid=4711).take()
    began = time.monotonic()
    lease(pid=4712).take()
    assert 0.9 < time.monotonic() - began < 2.5
    assert orjson.loads(client.get(lease_key("worker", "w1")))["pid"] == 4712


def test_names_and_roles_stand_beside_each_other(lease, client):
    """Another name and another role are free while one is taken."""
    for one in (lease("w1"), lease("w2"), lease("w1", role="trainer")):
        one.take()
    assert len(client.keys("alive:id:*")) == 3


def test_a_kept_lease_outlasts_its_length_and_is_let_go_of(lease, client):
    """During the block the key stays, far beyond one length; afterwards it is gone and the name free at once."""
    first = lease(length_s=1.5)
    first.take()
    with first.kept(unexpected):
        time.sleep(3.5)
        assert client.exists(lease_key("worker", "w1"))
    assert not client.exists(lease_key("worker", "w1"))


def test_who_lost_the_lease_is_told_once(lease):
    """A holder that finds another in its place is told who it is, and lets the other's lease alone."""
    first, told = lease(), []
    first.take()
    is_told = threading.Event()

    def lost(error):
        told.append(str(error))
        is_told.set()

    second = lease(pid=4712, length_s=30.0)
    first.release()
    second.take()
    with first.kept(lost):
        assert is_told.wait(5)
        time.sleep(1.5)
    assert len(told) == 1
    assert "process 4712" in told[0]
    second.renew()


def test_a_redis_that_is_away_costs_nobody_the_name(lease, client):
    """While Redis does not answer for longer than the lease the holder goes on, and takes it again afterwards."""
    first = lease(length_s=1.0)
    first.take()
    with first.kept(unexpected):
        client.client_pause(2500)
        time.sleep(4.5)
        assert client.exists(lease_key("worker", "w1"))


def test_letting_go_spares_the_lease_of_another(lease, client):
    """A release by somebody who does not hold the lease changes nothing."""
    lease(pid=4711, length_s=30.0).take()
    lease(pid=4712).release()
    assert orjson.loads(client.get(lease_key("worker", "w1")))["pid"] == 4711


def test_no_redis_is_a_state_error():
    """Where no Redis listens a lease cannot be taken, and the error says so in one line."""
    with pytest.raises(StateError, match=r"lease of alive:id:worker:w1: an answer from Redis is required"):
        Lease(connect_to_read("redis://127.0.0.1:1/0"), "worker", "w1").take()
