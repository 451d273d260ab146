"""What tests of several packages share: a running Kafka and Redis, an empty database, names of their own.

Nothing starts until a test asks for it, so ``pytest tests/model`` starts no server and imports none of ``streams``.
Tests that have servers started are marked ``server``; ``make check`` runs the others.
"""

import asyncio
import fcntl
import gc
import itertools
import os
import secrets
import signal
import ssl
import subprocess
import threading
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import pytest
from hypothesis import settings

# Before torch is imported: its threads wait for work by sleeping, not by spinning, as the cores are not theirs alone.
# Figures stay the same, as the number of threads does.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

settings.register_profile("untimed", deadline=None)  # how long an example takes says how busy the machine is
settings.load_profile("untimed")

SERVERS = {"stack", "own_valkey", "own_cluster"}  # the fixtures that start servers
LONG = {  # a minute of a core or more each
    *("test_chaos.py", "test_driver.py", "test_readme.py", "test_rebuild.py", "test_shutdown.py", "test_stack.py"),
    *("test_start.py", "test_trainer.py"),
}


def pytest_configure(config):
    """Let children hear SIGINT, and kafka-python be.

    A shell starts a background job with SIGINT ignored, every child inherits that, and Python then installs no handler:
    a test that interrupts its child would wait for ever. A signal that is handled here has its default in a child.
    kafka-python reads its schemas in a way that Python 3.11 deprecates and 3.13 restored, and leaves sockets to the
    collector.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("filterwarnings", "ignore:(read|open)_text is deprecated:DeprecationWarning")
    config.addinivalue_line("filterwarnings", "ignore:unclosed <ssl.SSLSocket:ResourceWarning")


@pytest.hookimpl(tryfirst=True)  # before ``-m`` looks at the marks
def pytest_collection_modifyitems(items):
    """Mark what needs servers, and begin with it: processes that test side by side then end at about the same time."""
    for item in items:
        if "broker" in item.path.parts or SERVERS & set(item.fixturenames):
            item.add_marker(pytest.mark.server)
    items.sort(key=lambda item: (item.path.name not in LONG, "broker" not in item.path.parts))


def pytest_collection_finish():
    """Spare the garbage collector what lives as long as the tests: millions of objects, seconds at each full look."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def stack(tmp_path_factory):
    """Addresses of a real Kafka and a real Redis: those of the environment, else a local stack of this session.

    Processes that test side by side share one Kafka, as its start takes seconds, and have a Redis each.
    """
    from streams.stack import running_stack  # noqa: PLC0415  only tests that use it pay for it

    kafka, redis = os.environ.get("REELSTREAM_KAFKA"), os.environ.get("REELSTREAM_REDIS")
    with ExitStack() as running:
        if kafka is None and "PYTEST_XDIST_WORKER" in os.environ:
            kafka = running.enter_context(_shared_kafka(tmp_path_factory.getbasetemp().parent / "kafka"))
        yield running.enter_context(running_stack(tmp_path_factory.mktemp("stack"), kafka=kafka, redis=redis))


@contextmanager
def _shared_kafka(folder):
    """Give the address of a Kafka that one of several processes owns: it starts it, and ends it when all have left."""
    from streams.stack import running_stack  # noqa: PLC0415  only tests that use it pay for it

    folder.mkdir(exist_ok=True)
    address = folder / "address"
    with ExitStack() as files:
        coming, users, owner = (files.enter_context((folder / name).open("w")) for name in ("coming", "users", "owner"))
        fcntl.flock(coming, fcntl.LOCK_EX)
        try:
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fcntl.flock(users, fcntl.LOCK_SH)
            fcntl.flock(coming, fcntl.LOCK_UN)
            yield address.read_text()
            return
        with running_stack(folder / str(os.getpid()), redis="redis://none") as addresses:
            address.write_text(addresses.kafka)
            fcntl.flock(coming, fcntl.LOCK_UN)
            yield addresses.kafka
            fcntl.flock(coming, fcntl.LOCK_EX)
            fcntl.flock(users, fcntl.LOCK_EX)


@pytest.fixture(scope="session")
def own_valkey(tmp_path_factory):
    """Return a context manager for a Valkey of a test's or a module's own, to freeze, to fill or to guard."""
    from streams.stack.ports import settle_ports  # noqa: PLC0415  only tests that use it pay for it
    from streams.stack.valkey import Valkey, find_server  # noqa: PLC0415  same

    @contextmanager
    def run(**options):
        folder = tmp_path_factory.mktemp("valkey")
        server = Valkey(settle_ports(folder / "ports.json", ["valkey"])["valkey"], folder, find_server(), **options)
        server.restart()
        try:
            yield server
        finally:
            server.stop(5)

    return run


@pytest.fixture(scope="session")
def own_cluster(tmp_path_factory):
    """Return a context manager for a Redis Cluster of a test's or a module's own."""
    from streams.stack.cluster import running_cluster  # noqa: PLC0415  only tests that use it pay for it

    def run(n_nodes=3, **options):
        return running_cluster(tmp_path_factory.mktemp("cluster"), n_nodes, **options)

    return run


@pytest.fixture(scope="session")
def _databases(stack):
    """Numbers of the logical databases that tests take in turn: 1 to 15, as 0 stays free for people.

    Where processes test side by side on one given server, each has numbers of its own. One in which a process of ours
    lives, of whatever installation, is passed over; in the second round all are taken.
    """
    from redis import Redis  # noqa: PLC0415  only tests that use it pay for it

    def is_free(number):
        with Redis.from_url(urlsplit(stack.redis)._replace(path=f"/{number}").geturl()) as client:
            return next(client.scan_iter("*alive:*:*", count=10_000), None) is None

    def numbers_in_turn():
        passed_over = 0
        for number in itertools.cycle(numbers):
            if passed_over == len(numbers) or is_free(number):
                yield number
                passed_over = 0
            else:
                passed_over += 1

    first, step = 1, 1
    if "REELSTREAM_REDIS" in os.environ and "PYTEST_XDIST_WORKER" in os.environ:
        first += int(os.environ["PYTEST_XDIST_WORKER"].removeprefix("gw"))
        step = int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    numbers = range(first, 16, step)
    return numbers_in_turn()


@pytest.fixture
def empty_database(stack, _databases):
    """Return a function that gives the URL of one more logical database that this test has to itself, empty by then."""
    from redis import Redis  # noqa: PLC0415  only tests that use it pay for it

    def take():
        url = urlsplit(stack.redis)._replace(path=f"/{next(_databases)}").geturl()
        with Redis.from_url(url) as client:
            client.flushdb()
        return url

    return take


@pytest.fixture
def redis_url(empty_database):
    """Return the URL of a database."""
    return empty_database()


@pytest.fixture
def beside(empty_database):
    """Return the URL of another database of the same server."""
    return empty_database()


@pytest.fixture
async def client(redis_url):
    """Return an asynchronous client of an empty database, as every process connects."""
    from streams.redis.connection import connect  # noqa: PLC0415  only tests that use it pay for it

    connected = connect(redis_url)
    yield connected
    await connected.aclose()


@pytest.fixture
def topic_prefix():
    """Return a prefix for this test's topics and groups that no other test or run has, such as ``"t3f2a1-"``."""
    return f"t{secrets.token_hex(3)}-"


class SmallDisk:
    """A file system of its own and of a chosen size, mounted at ``path``."""

    def __init__(self, path):
        self.path = path
        self._mount("size=64k")

    def _mount(self, options):
        command = ["mount", "-t", "tmpfs", "-o", options, "none", str(self.path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"a full disk needs the right to mount one, got {done.stderr.strip()}")

    def grow(self):
        """Let there be room for everything."""
        self._mount("remount,size=64m")


@pytest.fixture
def small_disk(tmp_path):
    """Return a disk that holds 64 kB, gone after the test; without the right to mount one the test is skipped."""
    folder = tmp_path / "disk"
    folder.mkdir()
    yield SmallDisk(folder)
    subprocess.run(["umount", "-l", str(folder)], check=False)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """Return a certificate authority that signs for 127.0.0.1, with its own certificate in the file ``path``."""
    import trustme  # noqa: PLC0415  only tests that use it pay for it

    class Authority(trustme.CA):
        path = tmp_path_factory.mktemp("authority") / "ca.pem"

    authority = Authority()
    authority.cert_pem.write_to_path(authority.path)
    return authority


@pytest.fixture(scope="session")
def tls_front(certificates):
    """Return a context manager for a TLS port in front of a plain one: the packaged Valkey has no TLS built in."""

    @contextmanager
    def front(port, own_port=0):
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        certificates.issue_cert("127.0.0.1").configure_cert(context)
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        server = asyncio.run_coroutine_threadsafe(_serve_tls(context, port, own_port), loop).result(10)
        yield server.sockets[0].getsockname()[1]
        asyncio.run_coroutine_threadsafe(_end(server), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()

    return front


async def _serve_tls(context, port, own_port):
    """Listen with TLS and carry bytes to and from the plain port, until either side ends."""

    async def carry(reader, writer):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()

    async def serve(reader, writer):
        ends = [writer]
        try:
            behind = await asyncio.open_connection("127.0.0.1", port)
            ends.append(behind[1])
            ways = [asyncio.create_task(carry(reader, behind[1])), asyncio.create_task(carry(behind[0], writer))]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for end in ends:
                end.transport.abort()

    return await asyncio.start_server(serve, "127.0.0.1", own_port, ssl=context)


async def _end(server):
    """Stop listening and drop what is connected."""
    server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.sleep(0.05)  # aborted connections are closed in the next rounds of the loop
