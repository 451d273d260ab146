"""Moments out of dates and times that are written as text; without a zone they are UTC."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

__all__ = ["moment_block"]

FORMATS = (  # beside ISO 8601; each can be read in one way only
    "%a %b %d %H:%M:%S %z %Y",
    "%a %b %d %H:%M:%S %Y",
    "%m %d, %Y",
    "%B %d, %Y",
    "%b %d, %Y",
    "%d %b %Y",
    "%Y-%m-%d %H:%M:%S UTC",
    "%Y-%m-%d %H:%M:%S.%f UTC",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d",
)
PER_MS = 1000.0  # microseconds


def moment_block(cells: pa.Array, form: str | None = None) -> NDArray[np.float64]:
    """Return a block's cells as milliseconds, float64 (E,), not a number where a cell holds no moment.

    Parameters
    ----------
    cells : text, or Arrow's own times.
    form : how they are written, as for ``strptime``; by default ISO 8601 and what else cannot be mistaken.
    """
    if pa.types.is_temporal(cells.type):
        return _milliseconds(cells.cast(pa.timestamp("us"), safe=False))
    if form is None:
        for kind in (pa.timestamp("us"), pa.timestamp("us", "UTC")):
            try:
                return _milliseconds(cells.cast(kind))
            except pa.ArrowInvalid:
                continue
    coded = cells.dictionary_encode()
    names = pd.Series(pc.ascii_trim_whitespace(coded.dictionary).cast(pa.binary()).to_pylist(), dtype=object)
    texts = names.map(lambda raw: raw.decode("utf-8", "replace")).astype(object)
    different = _read(texts, (form,) if form else ("ISO8601", *FORMATS))
    return np.asarray(different[coded.indices.to_numpy()], dtype=np.float64)


def _read(texts: "pd.Series[str]", forms: tuple[str, ...]) -> NDArray[np.float64]:
    found = np.full(len(texts), np.nan)
    for form in forms:
        rest = np.flatnonzero(np.isnan(found))
        if not len(rest):
            break
        moments = pd.to_datetime(texts.iloc[rest], errors="coerce", utc=True, format=form)
        found[rest] = ((moments - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(milliseconds=1)).to_numpy(np.float64)
    return found


def _milliseconds(cells: pa.Array) -> NDArray[np.float64]:
    micros = cells.cast(pa.int64()).cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return np.asarray(micros / PER_MS, dtype=np.float64)
