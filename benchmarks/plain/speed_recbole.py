"""RecBole's NeuMF, timed: what ``benchmarks/plain/speed.py`` starts in RecBole's own environment.

Run: ``python benchmarks/plain/speed_recbole.py FOLDER OPTIONS THREADS``, where FOLDER holds ``log/log.inter`` and
OPTIONS is a JSON object of RecBole's settings. Trains one epoch by RecBole's documented interface, of which nothing is
changed, and prints the seconds that it took, on the clock and of the processor, as a JSON list.
"""

import json
import sys
import time
from typing import Any


def main() -> None:
    """Read the data, make the model, and time the call that trains it."""
    import torch  # noqa: PLC0415 - RecBole must be configured before it is imported further
    from recbole.config import Config  # noqa: PLC0415 - same
    from recbole.data import create_dataset, data_preparation  # noqa: PLC0415 - same
    from recbole.model.general_recommender import NeuMF  # noqa: PLC0415 - same
    from recbole.trainer import Trainer  # noqa: PLC0415 - same

    folder, options, threads = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])
    sys.argv = sys.argv[:1]  # RecBole reads options from the command line as well
    torch.set_num_threads(threads)
    fixed: dict[str, Any] = {
        "data_path": folder,
        "load_col": {"inter": ["user_id", "item_id"]},
        "eval_args": {"split": {"RS": [1, 0, 0]}, "order": "RO", "group_by": None, "mode": "full"},
        "use_gpu": False,
        "epochs": 1,
        "show_progress": False,
        "state": "ERROR",
        "checkpoint_dir": folder,
    }
    config = Config(model="NeuMF", dataset="log", config_dict=fixed | options)
    train, *_ = data_preparation(config, create_dataset(config))
    trainer = Trainer(config, NeuMF(config, train.dataset).to(config["device"]))
    torch.optim.Adam([torch.zeros(1, requires_grad=True)]).step()  # loads what PyTorch loads with the first step
    began = time.perf_counter(), time.process_time()
    trainer.fit(train, saved=False, verbose=False)
    print(json.dumps([time.perf_counter() - began[0], time.process_time() - began[1]]))


if __name__ == "__main__":
    main()
