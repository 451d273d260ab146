from replay.chaos.mending import MendingWatch

BEGAN = "2026-11-28 WARNING agents.worker.recovery worker.mending watch-events[{}] from offset 3 to 9\n"
ENDED = "2026-11-28 WARNING agents.worker.recovery worker.mended watch-events[{}] 6 records in 0.1 s\n"


def test_who_is_mending_is_told_by_the_logs(tmp_path):
    """What began and has not ended is being mended; what the logs said before, and half a line, do not count."""
    first, second = tmp_path / "worker-0.log", tmp_path / "worker-1.log"
    first.write_text(BEGAN.format(7))
    watch = MendingWatch({0: first, 1: second})
    assert watch.look() == {}
    with first.open("a") as log:
        log.write(BEGAN.format(0) + BEGAN.format(1) + ENDED.format(0) + BEGAN.format(2)[:-30])
        log.flush()
        second.write_text(BEGAN.format(4))
        assert watch.look() == {0: {"watch-events[1]"}, 1: {"watch-events[4]"}}
        log.write(BEGAN.format(2)[-30:])
    second.write_text(BEGAN.format(4) + ENDED.format(4))
    assert watch.look() == {0: {"watch-events[1]", "watch-events[2]"}}
