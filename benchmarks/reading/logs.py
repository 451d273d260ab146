"""How fast a large log is read, and in how much memory, beside ``pandas.read_csv`` of the same file.

Run: ``python -m benchmarks.reading.logs [--rows 25000000]``. A table of eight columns is made up in a temporary folder,
and each reader reads it in a process of its own, by turns. Times are of the CPU, so a busy machine disturbs them less.
Reelstream reads four columns, judges every row, puts them in order of time and makes the catalogue; pandas parses,
first all columns and then those four. Not run by the test suite.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

HEADER = "user_id,item_id,rating,timestamp,device,session,page,country\n"
ROWS_AT_ONCE = 500_000
USERS, ITEMS = 160_000, 59_000
FIRST_S, LAST_S = 790_000_000, 1_570_000_000
DEVICES = ("phone", "tablet", "tv", "web", "car")
MEASURED = """
import resource, sys, time
from pathlib import Path
path = Path(sys.argv[1])
{imports}
began = time.process_time()
read = {read}
seconds = time.process_time() - began
print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, len({rows}))
"""
FOUR = "['user_id', 'item_id', 'rating', 'timestamp']"
READERS = {
    "reelstream": ("from replay.datasets.readers import read_dataset", "read_dataset(path)", "read.interactions"),
    "pandas": ("import pandas", "pandas.read_csv(path)", "read"),
    "pandas, four columns": ("import pandas", f"pandas.read_csv(path, usecols={FOUR})", "read"),
    "pandas, ids as text": (
        "import pandas",
        f"pandas.read_csv(path, usecols={FOUR}, dtype={{'user_id': str, 'item_id': str}})",
        "read",
    ),
}


def main() -> None:
    """Make the file, read it by turns, and print medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--letters", action="store_true", help="ids with a letter in front, which are no numbers")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.csv"
        _write(path, given.rows, "u" if given.letters else "")
        print(f"{given.rows:,} rows, {path.stat().st_size / 1e6:,.0f} MB")
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in READERS}
        for _ in range(given.repeats):
            for name in READERS:
                found[name].append(_measured(name, path, given.rows))
    for name, runs in found.items():
        seconds, peak = statistics.median(run[0] for run in runs), max(run[1] for run in runs)
        print(f"{name:22} {seconds:6.2f} CPU s  {given.rows / seconds / 1e6:5.2f} M rows/s  peak {peak:5.2f} GB")


def _measured(name: str, path: Path, rows: int) -> tuple[float, float]:
    """Return the CPU seconds and the peak in GB of one reading."""
    imports, read, table = READERS[name]
    code = MEASURED.format(imports=imports, read=read, rows=table)
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=True, capture_output=True, text=True)
    seconds, peak, n = done.stdout.split()
    assert int(n) == rows
    return float(seconds), float(peak) * 1024 / 1e9


def _write(path: Path, rows: int, letter: str) -> None:
    generator = np.random.default_rng(0)
    form = f"{letter}%d,{letter}%d,%.1f,%d,%s,%d,/p/%d,DE".__mod__
    with path.open("w", encoding="ascii") as file:
        file.write(HEADER)
        for start in range(0, rows, ROWS_AT_ONCE):
            n = min(ROWS_AT_ONCE, rows - start)
            columns = (
                generator.integers(1, USERS, n),
                (generator.pareto(1.2, n) * 300).astype(np.int64) % ITEMS,
                generator.integers(1, 11, n) / 2,
                generator.integers(FIRST_S, LAST_S, n),
                np.array(DEVICES)[generator.integers(0, len(DEVICES), n)],
                generator.integers(10**9, 10**10, n),
                generator.integers(0, 300, n),
            )
            file.write("\n".join(map(form, zip(*(column.tolist() for column in columns), strict=True))) + "\n")


if __name__ == "__main__":
    main()
