"""What the demo does beside its table; all of it is tried with a stack by ``make demo``."""

import subprocess
import sys

from commands.run.demo import _beside, _Tail
from replay.schedule import PlannedDelivery
from streams.records.records import Watch

WATCH = Watch("e", "ann", "i", 1, 1.0)
SLEEPING = """
import time
from commands.run.demo import _beside
_beside(lambda: time.sleep(60))
raise KeyboardInterrupt
"""


def test_ctrl_c_does_not_wait_for_what_is_done_beside():
    """A comparison of all records takes seconds, or a minute where Kafka is gone by then."""
    found = subprocess.run([sys.executable, "-c", SLEEPING], capture_output=True, timeout=30, check=False)
    assert b"KeyboardInterrupt" in found.stderr


def test_an_error_beside_is_the_askers():
    """It is raised where the result is asked for, as the result is given there."""
    assert _beside(lambda: 7).result(10) == 7
    assert isinstance(_beside(lambda: int("x")).exception(10), ValueError)


def test_the_rest_of_a_schedule_begins_now_and_ends_when_told():
    """The first delivery is due at once; none follows where the demo is over."""
    tail = _Tail([PlannedDelivery(at, "watch-events", WATCH, False, False) for at in (1.0, 2.0, 3.5, 4.0)], 1)
    deliveries = iter(tail)
    assert [next(deliveries).due_s, next(deliveries).due_s] == [0.0, 1.5]
    tail.is_over = True
    assert list(deliveries) == []
