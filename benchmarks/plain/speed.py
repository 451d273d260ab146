r"""How many samples a second the plain NeuMF trains on, beside RecBole's NeuMF [1]_ on the same events in the same run.

Run: ``python benchmarks/plain/speed.py DATASET [--recbole PYTHON] [--threads 2] [--factors 64] [--repeats 3]``,
where DATASET is a name of ``data list`` or a path, and PYTHON belongs to an environment of its own, made by ::

    uv venv recbole
    uv pip install --python recbole recbole==1.2.1 torch==2.13.0 \
        numpy==1.26.4 pandas==2.2.3 scipy==1.13.1 'setuptools<81'

RecBole 1.2.1 is used as it is published; it needs NumPy 1 and pandas 2. Both train one epoch at a time, in turn, with
the same architecture, 4 negatives per event drawn anew, Adam and as many threads; RecBole once with the batch of its
defaults (2,048 rows, positives and negatives) and once with ours. A sample is a positive or a negative. Seconds are of
training epochs alone; those of the processor do not count the time in which others had the cores. Then what the parts
of our epoch cost alone, and the matrix products without which there is no NeuMF. Not run by the test suite.

References
----------
.. [1] https://recbole.io, version 1.2.1; defaults in ``properties/model/NeuMF.yaml`` and ``overall.yaml``.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from model.plain.fit import PlainTraining, batches, fit_torch
from model.plain.gradient import loss_and_gradients
from model.plain.network import PlainConfig, PlainNeuMF
from model.sequences import Sequences
from replay.datasets.readers import read_dataset
from replay.evaluation.leave_one_out import leave_one_out
from replay.evaluation.split import Split

RECBOLE_ROWS = 2048  # train_batch_size of RecBole's overall.yaml
Seconds = tuple[float, float]  # on the clock, of the processor


def main() -> None:
    """Print a line for each of the two trainings, their ratio, and a line for each part of ours."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("--recbole", type=Path, help="Python of RecBole's environment; without it only ours is timed.")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--factors", type=int, default=PlainConfig().factors)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    split = leave_one_out(read_dataset(given.dataset), np.random.default_rng(0))
    events = Sequences.of(*(split.train[name] for name in ("user", "item", "ts", "weight")))
    config, training = PlainConfig(factors=given.factors), replace(PlainTraining(), epochs=1).sized(len(events))
    network = PlainNeuMF(config, len(split.user_ids), split.n_items, torch.Generator().manual_seed(0))
    samples = len(events) * (1 + training.negatives)
    print(f"{given.dataset}: {len(events):,} events, {samples:,} samples an epoch; {config}; {given.threads} threads")
    rows = (RECBOLE_ROWS, training.batch * (1 + training.negatives))
    ours: list[Seconds] = []
    theirs: dict[int, list[Seconds]] = {n: [] for n in rows}
    with tempfile.TemporaryDirectory() as folder:
        _write_atomic(split, Path(folder))
        fit_torch(network, events, replace(training, batch=len(events)), np.random.default_rng(0))  # warms up
        for number in range(given.repeats):
            ours.append(_timed(partial(fit_torch, network, events, training, np.random.default_rng(number))))
            for n in rows if given.recbole else ():
                theirs[n].append(_recbole(given.recbole, folder, config, training, n, given.threads))
    _line("ours", ours, samples)
    for n in rows if given.recbole else ():
        _line(f"RecBole, {n:,} rows a step", theirs[n], samples)
        ratios = [sorted(t[kind] / o[kind] for o, t in zip(ours, theirs[n], strict=True)) for kind in (0, 1)]
        print(
            f"{'':32} ours is {statistics.median(ratios[0]):.1f} x, by processor {statistics.median(ratios[1]):.1f} x"
        )
    _floors(network, events, training)


def _write_atomic(split: Split, folder: Path) -> None:
    """Write the training events as RecBole's atomic file ``log/log.inter``."""
    (folder / "log").mkdir()
    pairs = zip(split.train["user"].tolist(), split.train["item"].tolist(), strict=True)
    lines = ["user_id:token\titem_id:token", *(f"{user}\t{item}" for user, item in pairs)]
    (folder / "log" / "log.inter").write_text("\n".join(lines) + "\n", "utf-8")


def _recbole(
    python: Path, folder: str, config: PlainConfig, training: PlainTraining, rows: int, threads: int
) -> Seconds:
    """Train RecBole's NeuMF of the same shape for an epoch, in a process of its own."""
    options = {
        "mf_embedding_size": config.factors,
        "mlp_embedding_size": config.layers[0] // 2,
        "mlp_hidden_size": list(config.layers[1:]),
        "dropout_prob": 0.0,
        "train_neg_sample_args": {
            "distribution": "uniform",
            "sample_num": training.negatives,
            "alpha": 1.0,
            "dynamic": False,
            "candidate_num": 0,
        },
        "train_batch_size": rows,
    }
    script = Path(__file__).with_name("speed_recbole.py")
    command = [str(python), "-W", "ignore", str(script), folder, json.dumps(options), str(threads)]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder, env=environment)
    on_the_clock, of_the_processor = json.loads(done.stdout.splitlines()[-1])
    return on_the_clock, of_the_processor


def _timed(run: Callable[[], object]) -> Seconds:
    began = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - began[0], time.process_time() - began[1]


def _line(name: str, spent: list[Seconds], samples: int) -> None:
    clock, processor = (statistics.median(one[kind] for one in spent) for kind in (0, 1))
    rates = f"{samples / clock:12,.0f} samples/s {samples / processor:12,.0f} samples per second of processor"
    print(f"{name:32} {clock:7.2f} s {rates}")


def _floors(network: PlainNeuMF, events: Sequences, training: PlainTraining) -> None:
    """Print what the parts of a step cost alone, by the processor's clock, for a batch drawn once."""
    users, items = next(batches(events, training, np.random.default_rng(0)))
    steps = training.steps(len(events))
    samples = steps * items.size
    optimiser = torch.optim.AdamW(network.parameters(), fused=True)
    loss_and_gradients(network, users, items)
    drawing = _timed(lambda: [None for _ in batches(events, training, np.random.default_rng(0))])
    gradient = _timed(lambda: [loss_and_gradients(network, users, items) for _ in range(steps)])
    stepping = _timed(lambda: [optimiser.step() for _ in range(steps)])
    products = _timed(lambda: _products(network, len(users), items.size, steps))
    _line("  batches alone", [drawing], samples)
    _line("  loss and gradients alone", [gradient], samples)
    _line("  optimiser alone", [stepping], samples)
    _line("  bare matrix products", [products], samples)


@torch.no_grad()
def _products(network: PlainNeuMF, users: int, pairs: int, steps: int) -> None:
    """Multiply what the layers multiply, forward and backward, and nothing else."""
    widths = network.config.layers
    outputs = [torch.randn(pairs, width) for width in widths[1:]]
    tables = [(torch.randn(n, widths[0] // 2), torch.randn(n, widths[1])) for n in (users, len(network.gmf_item))]
    weights = [torch.randn(out, into) for into, out in pairwise(widths)]
    for _ in range(steps):
        for table, at in tables:
            half = weights[0][:, : widths[0] // 2]
            _ = table @ half.T, at.T @ table, at @ half
        for weight, x, z in zip(weights[1:], outputs, outputs[1:], strict=False):
            _ = x @ weight.T, z.T @ x, z @ weight


if __name__ == "__main__":
    main()
