"""Two processes that train together learn what one learns from the whole batch."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from model.network.shape import NeuMFConfig
from model.sequences import Sequences
from model.trainable.neumf import NeuMF
from model.training.batches import Batches
from model.training.fit import Step, TrainingConfig, TrainingHooks, fit

ROOT = Path(__file__).parents[3]
SMALL = NeuMFConfig(
    history_length=6, factors=8, mlp_factors=4, genre_factors=2, hidden=(4, 2), heads=1, text_width=16, dropout=0.0
)
SMALL = replace(SMALL, identity_dropout=0.0)
N_USERS, N_ITEMS = 30, 40
CONFIG = TrainingConfig(epochs=3, batch=31, queries=0.5)  # of 32 windows: of the last one a process has no part


def steps():
    """Train from one seed and return the loss of each step and the sum of all weights."""
    chance = np.random.default_rng(3)
    lengths = chance.integers(2, 9, N_USERS)
    users = np.repeat(np.arange(N_USERS), lengths)
    items = np.concatenate([chance.permutation(N_ITEMS)[:length] for length in lengths])
    sequences = Sequences.of(users, items, np.arange(len(users)), chance.random(len(users)))
    genres = (chance.random((N_ITEMS, 3)) < 0.5).astype(np.float32)
    network = NeuMF(SMALL, N_USERS, genres, torch.Generator().manual_seed(0))
    texts = chance.random((N_ITEMS, SMALL.text_width)).astype(np.float32)
    told: list[Step] = []
    fit(network, sequences, CONFIG, np.random.default_rng(1), told.append, TrainingHooks(texts=texts))
    return [step.loss for step in told], [float(weight.detach().abs().sum()) for weight in network.parameters()]


def test_the_loss_curve_is_that_of_one_process(tmp_path):
    """Step by step the loss is the same, and both processes end with the same weights."""
    losses, _ = steps()
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", __file__]
    done = subprocess.run([*command, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (first, weights), (second, others) = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2))
    assert first == second == pytest.approx(losses, rel=1e-5)
    assert weights == others


def test_the_parts_of_a_batch_are_the_batch():
    """Every event counts in one part, with the window that it is told from; some of too many are empty."""
    sequences = Sequences.of(
        np.repeat(np.arange(5), 4), np.tile(np.arange(4), 5) + np.repeat(np.arange(5), 4), range(20), np.ones(20)
    )
    network = NeuMF(SMALL, 5, np.zeros((9, 0), dtype=np.float32), torch.Generator().manual_seed(0))
    network.evidence.count(sequences)
    batches = Batches(
        network,
        sequences,
        negatives=2,
        popular=0.5,
        queries=0.0,
        generator=np.random.default_rng(0),
        texts=None,
        pool=None,
        device="cpu",
    )
    batches.begin(sequences)
    spans = sequences.phased_spans(6, np.random.default_rng(0))
    whole = batches.of(sequences.windows(spans))
    for of in (2, 3, len(spans) + 1):
        parts = [whole.part(number, of) for number in range(of)]
        counting = [part for part in parts if part.wanted.any()]
        assert len(parts) - len(counting) == max(0, of - len(spans))
        found = sorted(
            (int(part.users[window]), int(at), *events)
            for part in counting
            for window, at, events in zip(part.owner, part.place, part.rows.tolist(), strict=True)
        )
        assert found == sorted(
            (int(whole.users[window]), int(at), *events)
            for window, at, events in zip(whole.owner, whole.place, whole.rows.tolist(), strict=True)
        )


if __name__ == "__main__":
    from torch import distributed

    distributed.init_process_group("gloo")
    (Path(sys.argv[1]) / f"{distributed.get_rank()}.json").write_text(json.dumps(steps()))
    distributed.destroy_process_group()
