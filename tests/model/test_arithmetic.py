"""Arithmetic on rows of numbers."""

import numpy as np
import pytest

from model.arithmetic import GROUP, leading


@pytest.mark.parametrize("width", [12, GROUP * 60, GROUP * 60 + 7])
def test_leading_columns_hold_the_highest_values(width):
    """Short rows and long ones, with many ties and with minus infinities: n distinct columns, and the n best values."""
    values = np.random.default_rng(0).integers(0, 40, (50, width)).astype(np.float32)
    values[:, ::3] = -np.inf
    values[0] = -np.inf
    found = leading(values, 9)
    assert all(len(set(columns)) == 9 for columns in found.tolist())
    best = np.sort(np.take_along_axis(values, found, axis=1), axis=1)
    assert np.array_equal(best, np.sort(values, axis=1)[:, -9:])
