"""How a prequential run is told: as JSON, as tables, and as a page that stands alone."""

import html
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from io import StringIO
from math import isnan, sqrt
from typing import Any

from commands.parts.drawing import Row, table
from replay.prequential.list_figures import ListFigures
from replay.prequential.outcome import (
    FROZEN,
    LIKED_FROM,
    LOW_BELOW,
    ONLINE,
    WINDOW,
    Figures,
    PrequentialOutcome,
    TasteFigures,
    moving_average,
    slices,
)
from replay.prequential.run import RoundMark

__all__ = ["described", "page", "text", "title"]

HEADINGS = {"history": "by past events", "quarter": "by quarter", "second": "within a second", "mode": "by mode"}
DECISIONS = {
    "promote": "promoted",
    "reject": "rejected",
    "hold": "held",
    "return": "back to the anchor",
    "withdraw": "withdrawn",
    "failed": "failed",
}
POINTS = 200  # of a curve in JSON


def title(outcome: PrequentialOutcome, least_stars: float) -> str:
    """Return one line: what was replayed, and by which protocol."""
    stream = outcome.stream
    stars = f" of {least_stars:g} stars or more" if least_stars else ""
    served = "" if outcome.served(ONLINE) else "; no version served, all lists are cold start"
    events = f"{stream.name}: {len(stream):,} events{stars}"
    return f"{events}, test then learn, {len(stream.tests):,} tests, all items{served}"


def described(outcome: PrequentialOutcome, about: Mapping[str, Any]) -> dict[str, Any]:
    """Return all figures as JSON-able values."""
    split = slices(outcome)
    step = max(1, len(outcome.stream.tests) // POINTS)
    return {
        **about,
        "k": outcome.k,
        "events": len(outcome.stream),
        "warm_up": outcome.stream.warm,
        "tests": len(outcome.stream.tests),
        "low_tests": _low_share(outcome) if outcome.is_rated else None,
        "methods": {
            name: _flat(outcome.figures(name), outcome.k)
            | (_tastes(outcome.taste(name), outcome.k) if outcome.is_rated else {})
            | {
                by: {part.name: _flat(outcome.figures(name, part), outcome.k) for part in some}
                for by, some in split.items()
            }
            | _served(outcome, name)
            | _lists_flat(outcome.listed.get(name), outcome.k)
            | {"curve": [round(value, 5) for value in moving_average(outcome.hits(name))[::step].tolist()]}
            for name in outcome.tracks
        },
        "reranking": _price_flat(outcome),
        "curve_at": outcome.stream.tests[::step].tolist(),
        "window": WINDOW,
        "rounds": [asdict(mark) for mark in outcome.marks],
        "switches": len(outcome.switches()),
        "frozen_is_lower_in_every_quarter": _frozen_is_lower(outcome),
    }


def text(outcome: PrequentialOutcome, heading: str) -> str:
    """Return what is printed for people."""
    lines = [heading, "", table(_overall(outcome)), table(_lists(outcome))]
    for by, words in HEADINGS.items():
        lines.append(table(_by(outcome, by, words)))
    return "\n".join([*lines, *_notes(outcome)])


def page(outcome: PrequentialOutcome, heading: str, picture: str) -> str:
    """Return a page that needs nothing else; ``picture`` is SVG."""
    tables = [_overall(outcome), _lists(outcome), *(_by(outcome, by, words) for by, words in HEADINGS.items())]
    out = StringIO()
    out.write(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{html.escape(heading)}</title><style>"
        "body{font:15px/1.5 system-ui,sans-serif;max-width:76rem;margin:2rem auto;padding:0 1rem;color:#222}"
        "table{border-collapse:collapse;margin:1rem 0}td,th{padding:.2rem .8rem;text-align:right;"
        "border-bottom:1px solid #ddd}td:first-child,th:first-child{text-align:left}tr:nth-child(2){font-weight:600}"
        "svg{width:100%;height:auto}p{max-width:60rem}</style>"
        f"<h1>Test, then learn</h1><p>{html.escape(heading)}</p>"
    )
    out.write(picture[picture.index("<svg") :])
    for rows in tables:
        header, *body = rows
        out.write("<table><tr>" + "".join(f"<th>{html.escape(cell)}</th>" for cell in header) + "</tr>")
        for row in body:
            out.write("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>")
        out.write("</table>")
    out.write("".join(f"<p>{html.escape(note)}</p>" for note in _notes(outcome)))
    return out.getvalue() + "</html>\n"


def _served(outcome: PrequentialOutcome, name: str) -> dict[str, int]:
    served = outcome.served(name)
    return {} if served is None else {"tests_with_a_version": served}


def _flat(figures: Figures, k: int) -> dict[str, float]:
    return {"tests": figures.tests, f"hr@{k}": figures.hit_rate, f"ndcg@{k}": figures.ndcg}


def _tastes(figures: TasteFigures, k: int) -> dict[str, float]:
    return {
        "liked_tests": figures.liked_tests,
        f"hr@{k}_liked": figures.liked_hit_rate,
        "low_among_hits": figures.low_share,
    }


def _lists_flat(figures: ListFigures | None, k: int) -> dict[str, float | None]:
    """Return the figures of lists where they are at hand; without genres the diversity is None."""
    if figures is None:
        return {}
    diversity = None if isnan(figures.diversity) else figures.diversity
    change = None if isnan(figures.temporal_diversity) else figures.temporal_diversity
    return {
        f"diversity@{k}": diversity,
        f"coverage@{k}": figures.coverage,
        f"novelty@{k}": figures.novelty,
        f"temporal_diversity@{k}": change,
    }


def _price_flat(outcome: PrequentialOutcome) -> dict[str, float | None] | None:
    """Return the relative changes by re-ranking; None where it was off."""
    price = outcome.price()
    if price is None:
        return None
    diversity = None if isnan(price.diversity) else price.diversity
    return {
        f"hr@{outcome.k}_change": price.hit_rate,
        f"hr@{outcome.k}_change_error": price.error,
        f"diversity@{outcome.k}_change": diversity,
    }


def _low_share(outcome: PrequentialOutcome) -> float:
    return float((outcome.stars < LOW_BELOW).mean())


def _overall(outcome: PrequentialOutcome) -> list[Row]:
    liked, low = f"HR@{outcome.k}, {LIKED_FROM:g} stars or more", f"below {LOW_BELOW:g} stars among hits"
    tasted = (liked, low) if outcome.is_rated else ()
    headings = (f"HR@{outcome.k}", f"NDCG@{outcome.k}", "times popularity", "tests with a version", *tasted)
    rows: list[Row] = [("", *headings)]
    popular = outcome.figures("popularity").hit_rate if "popularity" in outcome.tracks else 0.0
    for name in outcome.tracks:
        figures, taste = outcome.figures(name), outcome.taste(name)
        times = f"{figures.hit_rate / popular:.2f}" if popular else ""
        tastes = (f"{taste.liked_hit_rate:.4f}", f"{taste.low_share:.2%}") if outcome.is_rated else ()
        served = outcome.served(name)
        had = "" if served is None else f"{served:,}" if served else "none"
        rows.append((name, f"{figures.hit_rate:.4f}", f"{figures.ndcg:.4f}", times, had, *tastes))
    return rows


def _lists(outcome: PrequentialOutcome) -> list[Row]:
    rows: list[Row] = [("lists", "intra-list diversity", "coverage", "novelty", "temporal diversity")]
    for name, one in outcome.listed.items():
        diversity = "no genres" if isnan(one.diversity) else f"{one.diversity:.3f}"
        change = "one list each" if isnan(one.temporal_diversity) else f"{one.temporal_diversity:.3f}"
        rows.append((name, diversity, f"{one.coverage:.3f}", f"{one.novelty:.2f}", change))
    return rows


def _by(outcome: PrequentialOutcome, by: str, words: str) -> list[Row]:
    some = slices(outcome)[by]
    rows: list[Row] = [(f"HR@{outcome.k} {words}", *(f"{part.name} ({len(part):,})" for part in some))]
    rows += [(name, *(f"{outcome.figures(name, part).hit_rate:.4f}" for part in some)) for name in outcome.tracks]
    return rows


def _notes(outcome: PrequentialOutcome) -> list[str]:
    """Return what must stand under every table."""
    stream, rounds = outcome.stream, outcome.marks[1:]
    rate = outcome.figures(ONLINE).hit_rate
    new = "" if stream.repeats else " and with an item new to them"
    note = (
        f"A test is an event of a user with a past{new}: it is looked for in the list of that\n"
        "moment, among all items, and only then revealed. An item that nobody had touched counts as a miss; a rival's\n"
        f"ties count half. {len(stream):,} events, the first {stream.warm:,} to warm up on; one standard error of a\n"
        f"hit rate of {rate:.3f} is {sqrt(rate * (1.0 - rate) / len(stream.tests)):.4f}, were the tests independent."
    )
    again = (
        "were tested too, among all items"
        if stream.repeats
        else "were learnt and not tested (--keep-repeats tests them)"
    )
    if stream.repeated:
        repeats = f"{stream.repeated:,} events after the warm-up were repeats, with an item that the user knew"
        note += f"\n{repeats}: they {again}."
    shared = 1.0 - stream.is_first_of_second.mean()
    taste = (
        f"{outcome.taste(ONLINE).liked_tests:,} of the tests are of an item that was then rated with {LIKED_FROM:g} "
        f"stars or more, {_low_share(outcome):.2%} of one that was rated below {LOW_BELOW:g}."
    )
    notes = [
        note,
        *([taste] if outcome.is_rated else []),
        f"{shared:.0%} of the tests share their second with the event before: events come by the page.",
    ]
    if rounds:
        training = sorted(mark.training_s for mark in rounds)
        notes.append(
            f"{len(rounds)} rounds of learning: {_decided(rounds)}; training took "
            f"{training[len(training) // 2]:.1f} s (median), {training[-1]:.1f} s at most. "
            f"{len(outcome.switches()):,} switches of mode."
        )
    if price := outcome.price():
        gained = "" if isnan(price.diversity) else f", intra-list diversity {price.diversity:+.1%}"
        notes.append(f"Re-ranked: HR@{outcome.k} {price.hit_rate:+.1%} (±{price.error:.1%}){gained}.")
    notes.append(_who_made_the_lists(outcome))
    if FROZEN in outcome.tracks and not outcome.served(FROZEN):
        notes.append("The warm-up led to no version, so the frozen model has cold-start lists alone.")
    elif FROZEN in outcome.tracks and rounds:
        lower = "lower in every quarter" if _frozen_is_lower(outcome) else "NOT lower in every quarter"
        notes.append(f"The same model frozen after the warm-up is {lower} of the stream.")
    return notes


def _decided(rounds: Sequence[RoundMark]) -> str:
    """Return how many rounds ended in which way, and what the candidate or the version that served lost to."""
    said = []
    for decision, words in DECISIONS.items():
        marks = [mark for mark in rounds if mark.decision == decision]
        rivals = Counter(name for mark in marks for name in mark.lost_to)
        lost_to = ", ".join(f"{name} {times}" for name, times in rivals.items())
        said += [f"{len(marks)} {words}" + (f" (by {lost_to})" if lost_to else "")] if marks else []
    return ", ".join(said)


def _who_made_the_lists(outcome: PrequentialOutcome) -> str:
    """Return what made the learning model's lists, in a sentence."""
    tests, served = len(outcome.online.modes), outcome.served(ONLINE)
    if not served:
        return (
            f"Nothing was served: no round of {len(outcome.marks)} was promoted before the last test. "
            f"All {tests:,} lists of {ONLINE} are cold start, made of trending and similarity."
        )
    personalised = int(outcome.online.modes.sum())
    versions = int(outcome.online.versions.max())
    return (
        f"{served:,} of {tests:,} tests had a version, {versions:,} of them one after the other; {personalised:,} "
        f"lists are personalised, the other {tests - personalised:,} cold start."
    )


def _frozen_is_lower(outcome: PrequentialOutcome) -> bool | None:
    if FROZEN not in outcome.tracks or not outcome.served(FROZEN):
        return None
    quarters = slices(outcome)["quarter"]
    return all(outcome.figures(FROZEN, part).hit_rate < outcome.figures(ONLINE, part).hit_rate for part in quarters)
