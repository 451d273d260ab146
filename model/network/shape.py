"""The shape of a network: how wide it is, what it is made of, and which weights that takes."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from model.network.blend import FEATURES, KNOTS, LENGTHS, MODES
from model.network.cooccurrence import ITEM_COUNTS, KERNELS
from model.network.intent import TEXT_WIDTH

__all__ = ["GAP_BUCKETS", "ITEM_TABLES", "PARTS", "NeuMFConfig", "genre_matrix", "weight_shapes"]

GAP_BUCKETS = 32  # powers of two of seconds: the last one begins after 68 years

PARTS = ("identity", "history", "gmf", "mlp", "genres", "intent", "evidence", "taste")

ITEM_TABLES = ("item_factors", "item_mlp_factors", "item_bias")  # learnt, a row for each item


@dataclass(frozen=True, slots=True)
class NeuMFConfig:
    """The shape of the network.

    Parameters
    ----------
    history_length : items the tower reads; more cost latency in proportion.
    factors : width of user and item vectors (GMF and tower).
    mlp_factors : width of the items' second vector, which only the MLP reads.
    genre_factors : width of the genre projection.
    text_width : of the vectors that the intent tower reads, those of ``model.network.intent``.
    neighbours : items kept in the evidence of each item; fewer where the catalogue is large.
    taste_factors : width of the vectors of long-term taste, which the logit does not read.
    hidden : widths of the two MLP layers; ranking costs their product per pair.
    blocks, heads : of the tower's attention.
    dropout : share of tower activations dropped while training.
    identity_dropout : share of training rows whose identity vector is hidden, so that histories suffice.
    parts : what the network is made of; a part that is left out adds nothing and is not trained.
    repeats : whether people come back to items: then an item that its user touched before is learnt from when it comes
        again, and may be listed. It stays with a version, as one that was trained without them must not serve so.
    """

    history_length: int = 50
    factors: int = 128
    mlp_factors: int = 32
    genre_factors: int = 8
    text_width: int = TEXT_WIDTH
    neighbours: int = 1024
    taste_factors: int = 64
    hidden: tuple[int, int] = (32, 16)
    blocks: int = 1
    heads: int = 2
    dropout: float = 0.2
    identity_dropout: float = 0.5
    parts: tuple[str, ...] = PARTS
    repeats: bool = False

    def __post_init__(self) -> None:
        if len(self.hidden) != 2:  # noqa: PLR2004 - the layers of the MLP, as ranking takes them apart
            raise ValueError(f"NeuMFConfig: hidden must be two widths, got {self.hidden!r}")
        widths = (self.history_length, self.factors, self.mlp_factors, self.genre_factors, *self.hidden)
        if min(*widths, self.text_width, self.neighbours, self.taste_factors, self.blocks, self.heads) < 1:
            raise ValueError(f"NeuMFConfig: lengths, widths and counts must be at least 1, got {self!r}")
        if self.factors % self.heads:
            raise ValueError(
                f"NeuMFConfig: heads must divide factors, got {self.heads!r} heads, {self.factors!r} factors"
            )
        if not (0.0 <= self.dropout < 1.0 and 0.0 <= self.identity_dropout <= 1.0):
            raise ValueError(f"NeuMFConfig: dropout rates must be shares, got {self!r}")
        if unknown := set(self.parts) - set(PARTS):
            raise ValueError(f"NeuMFConfig: parts must be among {PARTS!r}, got {sorted(unknown)!r}")

    def describe(self) -> dict[str, Any]:
        """Return the shape as JSON-able values."""
        return asdict(self) | {"hidden": list(self.hidden), "parts": list(self.parts)}

    @classmethod
    def restore(cls, description: Mapping[str, Any]) -> Self:
        """Return the shape that :meth:`describe` described.

        Raises
        ------
        KeyError, TypeError, ValueError
            If the description is none.
        """
        lists = {name: tuple(description[name]) for name in ("hidden", "parts")}
        return cls(**{**description, **lists})


def genre_matrix(item_genres: Sequence[Sequence[str]], genres: Sequence[str]) -> NDArray[np.float32]:
    """Return float32 (N, G): 1 where an item has a genre; genres outside ``genres`` are left out."""
    column = {genre: position for position, genre in enumerate(genres)}
    kinds: dict[tuple[str, ...], int] = {}  # catalogues have few sets of genres
    kind_of = [kinds.setdefault(tuple(names), len(kinds)) for names in item_genres]
    matrix = np.zeros((len(kinds), len(genres)), dtype=np.float32)
    known = [(kind, column[name]) for names, kind in kinds.items() for name in names if name in column]
    if known:
        matrix[tuple(np.array(known).T)] = 1.0
    return matrix[np.array(kind_of, dtype=np.int64)]


def weight_shapes(config: NeuMFConfig, n_users: int, n_items: int, n_genres: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all weights of a network, by name."""
    width, (first, second), heads = config.factors, config.hidden, config.blocks * config.heads
    pairs = len(KNOTS) * len(FEATURES)
    return {
        "item_genres": (n_items, n_genres),
        "user_factors": (n_users, width),
        "item_factors": (n_items, width),
        "item_mlp_factors": (n_items, config.mlp_factors),
        "item_bias": (n_items,),
        "genre_factors": (n_genres, config.genre_factors),
        "tower.gap_input.weight": (GAP_BUCKETS, width),
        "tower.weight_input": (width,),
        "tower.lag_bias": (heads, config.history_length),
        "tower.gap_bias.weight": (GAP_BUCKETS, heads),
        **{
            f"tower.blocks.{number}.{name}": shape
            for number in range(config.blocks)
            for name, shape in _block_shapes(width).items()
        },
        **_norm_shapes("tower.after", width),
        "first_user.weight": (first, width),
        **_linear_shapes("first_item", config.mlp_factors + config.genre_factors, first),
        "intent.widen.weight": (2 * width, config.text_width),
        "intent.narrow.weight": (width, 2 * width),
        "first_intent.weight": (first, width),
        "fuse_intent": (width,),
        **_linear_shapes("second", first, second),
        "fuse_gmf": (width,),
        "fuse_mlp": (second,),
        "fuse_bias": (),
        "evidence.neighbours": (n_items, config.neighbours),
        "evidence.counts": (n_items, config.neighbours),
        **{f"evidence.{name}": (n_items,) for name in ITEM_COUNTS},
        "evidence.scale": (len(KERNELS),),
        "evidence.weights": (len(KERNELS),),
        "blend.weights": (len(MODES), len(KNOTS), len(FEATURES)),
        "blend.precision": (len(MODES), pairs, pairs),
        "blend.hits": (len(MODES), LENGTHS + 1),
        "blend.tests": (LENGTHS + 1,),
        "taste.factors": (n_items, config.taste_factors),
        "taste.strength": (),
        "taste.events": (),
        "taste.waiting": (),
    }


def _block_shapes(width: int) -> dict[str, tuple[int, ...]]:
    return {
        **_norm_shapes("before_attention", width),
        **_linear_shapes("query", width, width),
        **_linear_shapes("key_value", width, 2 * width),
        **_linear_shapes("output", width, width),
        **_norm_shapes("before_mixing", width),
        **_linear_shapes("widen", width, 2 * width),
        **_linear_shapes("narrow", 2 * width, width),
    }


def _linear_shapes(name: str, n_in: int, n_out: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (n_out, n_in), f"{name}.bias": (n_out,)}


def _norm_shapes(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}
