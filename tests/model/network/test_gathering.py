import torch

from model.trainable.gathering import bucket_values, pair_dots


def test_products_of_pairs_and_their_gradients_are_those_of_gathered_rows():
    """A row that is met twice by one vector, and one that is never met, included."""
    generator = torch.Generator().manual_seed(0)
    table, vectors = (torch.randn(n, 8, generator=generator, requires_grad=True) for n in (6, 3))
    rows, weights = torch.tensor([[0, 2, 2, 5], [1, 2, 0, 0], [5, 5, 1, 2]]), torch.randn(3, 4, generator=generator)
    gathered = (table[rows] * vectors.unsqueeze(1)).sum(dim=2)
    found = pair_dots(vectors, table, rows)
    torch.testing.assert_close(found, gathered)
    wanted = torch.autograd.grad((gathered * weights).sum(), (vectors, table))
    got = torch.autograd.grad((found * weights).sum(), (vectors, table))
    torch.testing.assert_close(got, wanted)
    assert not got[1][3].any()


def test_values_of_buckets_and_their_gradients_are_those_of_an_embedding():
    """Of a table of five buckets and two heads, one bucket of which is never asked for."""
    generator = torch.Generator().manual_seed(0)
    table = torch.randn(5, 2, generator=generator, requires_grad=True)
    buckets, weights = torch.tensor([[0, 1, 4], [4, 4, 3]]), torch.randn(2, 2, 3, generator=generator)
    wanted = table[buckets].permute(2, 0, 1)
    found = bucket_values(table, buckets)
    assert torch.equal(found, wanted)
    got = torch.autograd.grad((found * weights).sum(), table)
    torch.testing.assert_close(got, torch.autograd.grad((wanted * weights).sum(), table))
