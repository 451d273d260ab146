import numpy as np
import pytest
import torch

from model.network.cooccurrence import EvidenceReader, recent_at
from model.sequences import Sequences
from model.trainable.evidence import Evidence
from model.trainable.evidence_at import EventEvidence, PairTable


def _log(generator, *, repeats):
    users, items = np.repeat(np.arange(30), 25), generator.integers(0, 40, 750)
    times = np.sort(generator.integers(0, 60, (30, 25)), axis=1).reshape(-1) * 1000
    return Sequences.of(users, items, times, np.ones(750), repeats=repeats)


@pytest.mark.parametrize("repeats", [False, True])
@pytest.mark.parametrize("width", [4, 40])
@pytest.mark.parametrize("joined", [False, True])
def test_events_are_told_from_what_readers_tell_them_from(repeats, width, joined):
    """Full rows and roomy ones, new items and repeated ones, looked up or joined: tensors hold what arrays hold."""
    generator = np.random.default_rng(1)
    sequences = _log(generator, repeats=repeats)
    evidence = Evidence(40, width)
    evidence.count(sequences)
    evidence.calibrate(sequences, 50, generator, repeats=repeats)
    shuffled = sequences.shuffled_ties(generator)
    at = generator.permutation(np.flatnonzero(shuffled.users[1:] == shuffled.users[:-1]))[:600]
    rows = np.concatenate([shuffled.items[at + 1][:, None], generator.integers(0, 40, (len(at), 3))], axis=1)
    mine = EventEvidence(evidence, 16, repeats=repeats, joined=joined)
    mine.read(shuffled)
    found = mine.features(torch.from_numpy(at), torch.from_numpy(rows)).numpy()
    wanted = EvidenceReader(evidence.as_counts()).of_pairs(recent_at(shuffled, at, 16, repeats=repeats), rows)
    assert np.count_nonzero(wanted) > 100
    np.testing.assert_allclose(found**2, wanted**2, rtol=1e-5, atol=1e-6)


def test_the_table_of_a_large_catalogue_holds_what_the_dense_one_holds():
    """Marks are met by pairs without a count as well, and these are found to have none."""
    generator = np.random.default_rng(2)
    evidence = Evidence(40, 6)
    evidence.count(_log(generator, repeats=False))
    every = torch.arange(40).unsqueeze(0)
    dense, sparse = (PairTable(evidence, dense=one).look_up(every, every) for one in (True, False))
    assert 0 < torch.count_nonzero(dense) <= 40 * 6
    assert torch.equal(dense, sparse)
    nothing = PairTable(Evidence(40, 6), dense=False).look_up(every, every)
    assert not nothing.any()
