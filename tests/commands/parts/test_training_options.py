"""How long logs are trained on: larger steps, and epochs of a bounded length."""

import pytest

from commands.parts.training_options import training_of


@pytest.mark.parametrize(
    ("events", "batch"),
    [(100_000, 32), (300_000, 32), (300_001, 64), (4_000_000, 64), (4_000_001, 128), (32_000_204, 512), (10**9, 512)],
)
def test_a_step_grows_with_the_log(events, batch):
    """In all windows that a step has, and up to a bound; an epoch predicts eight million events at most."""
    training = training_of(events)
    assert training.batch == batch
    assert training.epoch_events == 8_000_000
