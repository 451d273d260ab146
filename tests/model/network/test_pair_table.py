import numpy as np
import pytest

from model.network.pair_table import kept_pairs, pair_table

NEIGHBOURS = np.array([[1, 2, -1], [0, 1, 3], [-1, -1, -1], [2, -1, -1]], dtype=np.int32)
COUNTS = np.array([[0.5, 2.0, 0.0], [1.0, 0.25, 3.0], [0.0, 0.0, 0.0], [1.0 / 1.1, 0.0, 0.0]], dtype=np.float32)


def test_a_table_holds_each_kept_count_in_the_row_of_its_first_item():
    """Item 3 followed item 1 three times and nothing followed item 2."""
    table = pair_table(NEIGHBOURS, COUNTS)
    assert table.dtype == np.float32
    assert table[:3].tolist() == [[0.0, 0.5, 2.0, 0.0], [1.0, 0.25, 0.0, 3.0], [0.0, 0.0, 0.0, 0.0]]


def test_what_a_table_was_made_of_is_read_back_to_the_bit():
    """Neighbours in their order, counts as they were, and nothing where there was nothing."""
    neighbours, counts = kept_pairs(pair_table(NEIGHBOURS, COUNTS), 3)
    assert (neighbours.dtype, counts.dtype) == (np.int32, np.float32)
    assert neighbours.tobytes() == NEIGHBOURS.tobytes()
    assert counts.tobytes() == COUNTS.tobytes()


def test_fewer_columns_than_neighbours_are_refused():
    """Item 1 has three neighbours, which two columns cannot hold."""
    with pytest.raises(ValueError, match="at most 2 neighbours of an item are required, got 3"):
        kept_pairs(pair_table(NEIGHBOURS, COUNTS), 2)
