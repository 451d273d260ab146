import numpy as np
import pytest

from model.vocabulary import CodedIds, Vocabulary


def test_admission_gives_the_next_rows_and_keeps_the_old():
    """Known ids keep their rows, new ones get the next, and a repeated new id gets one row."""
    vocabulary = Vocabulary(["a", "b"])
    assert vocabulary.admit(["b", "c", "c", "d"]).tolist() == [1, 2, 2, 3]
    assert vocabulary.ids == ("a", "b", "c", "d")


def test_asking_adds_nothing():
    """Unknown ids get the stated value, and the vocabulary is as long as before."""
    vocabulary = Vocabulary(["a"])
    assert vocabulary.rows(["x", "a"], missing=-7).tolist() == [-7, 0]
    assert vocabulary.row("x") == -1
    assert len(vocabulary) == 1
    assert "x" not in vocabulary


def test_rows_are_int64_even_of_nothing():
    """The rows of no ids are an empty int64 array."""
    assert Vocabulary().rows([]).dtype == np.int64


def test_a_copy_grows_alone():
    """Admitting to a copy leaves the original as it was."""
    vocabulary = Vocabulary(["a"])
    vocabulary.copy().admit(["b"])
    assert vocabulary.ids == ("a",)


def test_a_repeated_id_is_refused():
    """Two rows for one id would be two answers to one question."""
    with pytest.raises(ValueError, match="'a' twice"):
        Vocabulary(["a", "b", "a"])


def test_a_column_of_codes_is_admitted_as_its_ids_are():
    """Rows go by first use, whatever the codes are, and ids that occur nowhere get none."""
    drawn = np.random.default_rng(0).integers(0, 50, 300).astype(np.int32)
    column = CodedIds(drawn, tuple(f"i{number}" for number in range(80)))
    one_by_one, coded = Vocabulary(["i7", "other"]), Vocabulary(["i7", "other"])
    assert coded.admit(column).tolist() == one_by_one.admit(list(column)).tolist()
    assert coded.ids == one_by_one.ids
    assert coded.rows(CodedIds.of(["i79", "i7"]), missing=-3).tolist() == [-3, 0]
