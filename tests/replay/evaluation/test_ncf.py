import zipfile

import numpy as np
import pytest

from model.network.shape import NeuMFConfig
from model.training.fit import TrainingConfig
from replay.evaluation.baselines.popularity import MostPopular, ranks_with_ties_won
from replay.evaluation.ncf import is_ncf, read_ncf
from replay.evaluation.neumf import TrainedNeuMF
from replay.evaluation.protocol import run_method
from streams.errors import DataError

N_ITEMS = 120


def _write(folder, *, negatives=99, test_item=5):
    """Write a split of two users: user 0 with items 0..4 in turned order, user 1 with items 0 and 1."""
    rows = [(0, item, 4, 100 - item) for item in range(5)] + [(1, 0, 5, 50), (1, 1, 5, 50)]
    (folder / "x.train.rating").write_text("".join("\t".join(map(str, row)) + "\n" for row in rows))
    (folder / "x.test.rating").write_text(f"0\t{test_item}\t3\t200\n1\t6\t3\t200\n")
    others = "\t".join(str(item) for item in range(10, 10 + negatives))
    (folder / "x.test.negative").write_text(f"(1,6)\t{others}\n(0,5)\t{others}\n")
    lines = [f"{item},{1000 + item}" for item in range(N_ITEMS)]
    (folder / "item_map.csv").write_text("\n".join(["ncf_item,movie_id", *lines]) + "\n")
    return folder


def test_a_split_is_read_in_time_order_with_its_own_ids(tmp_path):
    """User 0 is UserID 1, item 4 is film 1004 and, being the oldest event, comes first; times are milliseconds."""
    split = read_ncf(_write(tmp_path))
    assert list(split.event_items())[:5] == ["1004", "1003", "1002", "1001", "1000"]
    assert list(split.event_users()) == ["1"] * 5 + ["2"] * 2
    assert split.train["ts"].tolist()[:2] == [96_000, 97_000]
    assert split.train["weight"][0] == pytest.approx(0.8)
    assert split.times.tolist() == [200_000, 200_000]


def test_an_event_is_positive_whatever_its_stars(tmp_path):
    """The protocol makes ratings implicit: an item of one star was touched like any other, and all count in full."""
    file = _write(tmp_path) / "x.train.rating"
    file.write_text(file.read_text().replace("0\t2\t4\t", "0\t2\t1\t"))
    split = read_ncf(tmp_path)
    assert split.train["weight"].min() == pytest.approx(0.2)
    assert split.positive().tolist() == [True] * 7
    assert split.wanted().tolist() == [1.0] * 7


def test_candidates_are_the_test_item_and_the_negatives_of_its_line(tmp_path):
    """Lines of negatives are found by user and item, not by position."""
    split = read_ncf(_write(tmp_path))
    assert split.users.tolist() == [0, 1]
    assert split.candidates[:, :3].tolist() == [[5, 10, 11], [6, 10, 11]]
    assert split.candidates.shape == (2, 100)


def test_a_zip_reads_like_its_folder(tmp_path):
    """The same files one level down in a zip give the same split."""
    folder = _write(tmp_path)
    with zipfile.ZipFile(tmp_path / "split.zip", "w") as archive:
        for file in folder.glob("*.*[!p]"):
            if file.suffix != ".zip":
                archive.write(file, f"inside/{file.name}")
    split = read_ncf(tmp_path / "split.zip")
    assert split.sha256 == read_ncf(folder).sha256
    assert tuple(split.catalogue.items) == tuple(read_ncf(folder).catalogue.items)


def test_validation_holds_out_the_last_training_event(tmp_path):
    """User 0's newest event is item 0; its negatives are 99 different items of the 115 not touched."""
    split = read_ncf(_write(tmp_path)).validation(np.random.default_rng(0))
    assert split.candidates[0, 0] == 0
    assert split.train["user"].tolist() == [0, 0, 0, 0, 1]
    assert len(set(split.candidates[0, 1:].tolist()) - {0, 1, 2, 3, 4}) == 99


def test_order_within_a_second_is_a_shuffle_by_seed(tmp_path):
    """User 1's two events share a second: both orders occur, each again for its seed."""
    folder = _write(tmp_path)
    orders = [tuple(read_ncf(folder, seed=seed).event_items())[5:] for seed in range(8)]
    assert set(orders) == {("1000", "1001"), ("1001", "1000")}
    assert orders == [tuple(read_ncf(folder, seed=seed).event_items())[5:] for seed in range(8)]


def test_popularity_ranks_untouched_items_in_the_middle(tmp_path):
    """Nobody trained on the test items nor on the negatives: rank 1 + 99/2 = 50.5, or 1 with ties won."""
    split = read_ncf(_write(tmp_path))
    assert run_method(MostPopular(), split, 0).ranks.sampled.tolist() == [50.5, 50.5]
    assert ranks_with_ties_won(split).tolist() == [1.0, 1.0]


def test_an_item_does_not_compete_with_itself(tmp_path):
    """User 1's line names item 6 among its own negatives: 98 equal ones are left, rank 1 + 98/2 = 50, or 1."""
    _write(tmp_path)
    file = tmp_path / "x.test.negative"
    file.write_text(file.read_text().replace("(1,6)\t10\t", "(1,6)\t6\t"))
    split = read_ncf(tmp_path)
    assert split.is_own_negative().sum(axis=1).tolist() == [0, 1]
    assert run_method(MostPopular(), split, 0).ranks.sampled.tolist() == [50.5, 50.0]
    assert ranks_with_ties_won(split).tolist() == [1.0, 1.0]


def test_genres_come_from_movies_dat(tmp_path):
    """A film of the file has its genres, the others have none."""
    _write(tmp_path)
    (tmp_path / "movies.dat").write_text("1000::One (1990)::Drama|War\n", encoding="latin-1")
    catalogue = read_ncf(tmp_path, movies=tmp_path / "movies.dat").catalogue
    assert catalogue.items["1000"].genres == ("Drama", "War")
    assert catalogue.items["1001"].genres == ()
    assert len(read_ncf(tmp_path).catalogue) == N_ITEMS


def test_a_model_ranks_every_tested_user(tmp_path):
    """A short training gives each of the two users a rank from 1 to 100, and one among the items not touched."""
    split = read_ncf(_write(tmp_path))
    network = NeuMFConfig(history_length=4, factors=8, hidden=(4, 2))
    ranks = run_method(TrainedNeuMF(network, TrainingConfig(epochs=1)), split, 0).ranks
    assert ranks.sampled.shape == ranks.full.shape == (2,)
    assert ((ranks.sampled >= 1) & (ranks.sampled <= 100)).all()
    assert (ranks.full <= [N_ITEMS - 5, N_ITEMS - 2]).all()


def test_a_split_is_known_by_its_negatives(tmp_path):
    """A folder with the file is one, and without it is none."""
    assert is_ncf(_write(tmp_path))
    (tmp_path / "x.test.negative").unlink()
    assert not is_ncf(tmp_path)


def test_a_line_without_99_negatives_is_refused(tmp_path):
    """The message names the line."""
    with pytest.raises(DataError, match="line 1 must hold 99"):
        read_ncf(_write(tmp_path, negatives=98))


def test_a_test_event_without_negatives_is_refused(tmp_path):
    """The message names user and item."""
    with pytest.raises(DataError, match="user 0 and item 7"):
        read_ncf(_write(tmp_path, test_item=7))


def test_a_missing_file_is_refused(tmp_path):
    """The message says which one."""
    _write(tmp_path)
    (tmp_path / "x.test.negative").unlink()
    with pytest.raises(DataError, match=r"test\.negative"):
        read_ncf(tmp_path)
