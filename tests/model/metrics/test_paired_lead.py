import numpy as np
import pytest

from model.metrics.paired_lead import PairedLead


def hits(mine, theirs):
    """Return two rankings of which the one alone hits so many events, and the other one so many others."""
    one = np.array([True] * mine + [False] * theirs, dtype=np.bool_)
    return one, ~one


@pytest.mark.parametrize(("mine", "theirs", "expected"), [(0, 0, False), (0, 1, False), (6, 10, False), (5, 11, True)])
def test_behind_means_by_more_than_its_standard_error(mine, theirs, expected):
    """To be 1 behind on 1 event, or 4 on 16, is within sqrt(1) and sqrt(16); 6 on 16 is not, and within two of them."""
    lead = PairedLead.of(*hits(mine, theirs))
    assert lead.is_behind(1.0) is expected
    assert not lead.is_behind(2.0)
    assert PairedLead(-lead.lead, lead.apart).is_ahead(1.0) is expected


def test_leads_add_up():
    """3 ahead on 5 and 1 behind on 11 are 2 ahead on 16, half a standard error; what both hit says nothing."""
    both = np.ones(7, dtype=np.bool_)
    first = PairedLead.of(*(np.concatenate([both, one]) for one in hits(4, 1)))
    total = first + PairedLead.of(*hits(5, 6))
    assert first == PairedLead(3, 5)
    assert total == PairedLead(2, 16)
    assert (total.z, PairedLead().z) == (0.5, 0.0)
