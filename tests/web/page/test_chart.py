"""The chart of live quality, drawn by a real browser from the page's own style."""

from itertools import combinations
from pathlib import Path

import pytest

import web.page
from web.page.operator.quality import MAX_MARKS, picture

STYLE = (Path(web.page.__file__).parent / "page.css").read_text("utf-8")
FIRST_MS, EVERY_MS, N_POINTS = 1_700_000_000_000, 10_000, 240
CLOSE_S = (30, 60)  # after an hour's first point, with a version that had none before it
CROWDED_S = (20, 40, 700, 760, 1500, 1510, 1520, 2380)


def drawn(moves_s):
    """Return a picture of an hour that begins without a version, with moves so many seconds after its beginning."""
    points = [
        {"at_ms": FIRST_MS + EVERY_MS * n, "version": None, "hit_rate": 0.2, "popularity_hit_rate": 0.1}
        for n in range(N_POINTS)
    ]
    moves = [
        {"ts": FIRST_MS + 1000 * at, "status": "promoted", "version": f"v{n:06d}-0123abcd"}
        for n, at in enumerate(moves_s, 1)
    ]
    return picture(points, moves[::-1])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 1280])
@pytest.mark.parametrize("moves_s", [CLOSE_S, CROWDED_S], ids=["close", "crowded"])
def test_names_of_close_marks_do_not_cover_each_other(browser, artefacts, moves_s, width, scheme):
    """On a phone and on a desk each name has a place of its own inside the page, and is said in full below."""
    context = browser.new_context(viewport={"width": width, "height": 600}, color_scheme=scheme)
    page = context.new_page()
    body = f"<main class='page'><section class='panel'>{drawn(moves_s)}</section></main>"
    page.set_content(f"<!doctype html><style>{STYLE}</style>{body}")
    boxes = [name.bounding_box() for name in page.locator(".chart .name").all()]
    assert len(boxes) == min(MAX_MARKS, len(moves_s) + 1)
    assert max(box["x"] + box["width"] for box in boxes) <= width
    assert [pair for pair in combinations(boxes, 2) if cover(*pair)] == []
    page.screenshot(path=artefacts / f"chart-{len(moves_s)}-{width}-{scheme}.png", full_page=True)
    said = page.get_by_role("list", name="What served, and from when on").get_by_role("listitem").all_inner_texts()
    assert len(said) == len(boxes)
    assert f"v{len(moves_s)} v{len(moves_s):06d}-0123abcd" in said[-1]
    context.close()


def cover(one, other):
    """Return whether two names share more than the line that leads up to the higher one; text is a line at the top."""
    tall = 16  # pixels of a line of text
    across = one["x"] < other["x"] + other["width"] - 1 and other["x"] < one["x"] + one["width"] - 1
    return across and abs(one["y"] - other["y"]) < tall
