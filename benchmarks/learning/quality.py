"""Write the tables of ``benchmarks/learning/quality.md`` from what ``reelstream eval --json`` printed.

Run: ``python -m benchmarks.learning.quality NCF.json LEAVE-ONE-OUT.json``. It prints Markdown; what is said around the
tables is written by hand. Not run by the test suite.
"""

import argparse
import json
from pathlib import Path
from typing import Any


def main() -> None:
    """Print a table for each file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="+")
    for file in parser.parse_args().files:
        report = json.loads(file.read_text(encoding="utf-8"))
        print(f"### {report['protocol']}\n")
        print("\n".join((*_overall(report), "", *_by_length(report), "")))


def _overall(report: dict[str, Any]) -> list[str]:
    names = (
        "99: HR@10",
        "NDCG@10",
        "all: HR@10",
        "NDCG@10",
        "all: Recall@100",
        "coverage",
        "novelty",
        "fit s",
        "rank s",
    )
    lines = [f"| | {' | '.join(names)} |", f"|---|{'---:|' * len(names)}"]
    for name, model in report["models"].items():
        sampled, full, main = model["sampled"], model["full"], model["metrics"]
        cells = [
            *(_cell(sampled, figure) for figure in ("hr@10", "ndcg@10")),
            *(_cell(full, figure) for figure in ("hr@10", "ndcg@10", "recall@100")),
            f"{main['coverage@10']:.2f}",
            f"{main['novelty@10']:.2f}",
            f"{model['fit_s']:.0f}",
            f"{model['rank_s']:.1f}",
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _by_length(report: dict[str, Any]) -> list[str]:
    first = next(iter(report["models"].values()))
    groups = first["by_length"]
    heads = [f"{name} ({group['users']:,})" for name, group in groups.items()]
    heads.append(f"own second ({first['apart']['users']:,})")
    lines = [f"| HR@10 by history (users) | {' | '.join(heads)} |", f"|---|{'---:|' * len(heads)}"]
    for name, model in report["models"].items():
        cells = [_cell(group, "hr@10") for group in (*model["by_length"].values(), model["apart"])]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _cell(figures: dict[str, float], name: str) -> str:
    error = figures.get(f"{name}_error")
    return f"{figures[name]:.4f}" + ("" if error is None else f" ± {error:.4f}")


if __name__ == "__main__":
    main()
