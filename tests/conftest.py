"""What tests of several packages share: a running Kafka and Redis, an empty database, names of their own.

Nothing starts until a test asks for it, so ``pytest tests/model`` starts no server and imports none of ``streams``.
"""

import itertools
import os
import secrets
from urllib.parse import urlsplit

import pytest


def pytest_configure(config):
    """Let kafka-python be imported: it reads its schemas in a way that Python 3.11 deprecates and 3.13 restored."""
    config.addinivalue_line("filterwarnings", "ignore:(read|open)_text is deprecated:DeprecationWarning")


@pytest.fixture(scope="session")
def stack(tmp_path_factory):
    """Addresses of a real Kafka and a real Redis: those of the environment, else a local stack of this session."""
    from streams.stack import running_stack  # noqa: PLC0415  only tests that use it pay for it

    given = {"kafka": os.environ.get("REELSTREAM_KAFKA"), "redis": os.environ.get("REELSTREAM_REDIS")}
    with running_stack(tmp_path_factory.mktemp("stack"), **given) as addresses:
        yield addresses


@pytest.fixture(scope="session")
def _databases():
    """Numbers of the logical databases that tests take in turn: 1 to 15, as 0 stays free for people."""
    return itertools.cycle(range(1, 16))


@pytest.fixture
def redis_url(stack, _databases):
    """Return the URL of a logical database that this test has to itself, empty at its start."""
    from redis import Redis  # noqa: PLC0415  only tests that use it pay for it

    url = urlsplit(stack.redis)._replace(path=f"/{next(_databases)}").geturl()
    with Redis.from_url(url) as client:
        client.flushdb()
    return url


@pytest.fixture
def topic_prefix():
    """Return a prefix for this test's topics and groups that no other test or run has, such as ``"t3f2a1-"``."""
    return f"t{secrets.token_hex(3)}-"
