"""The live page in a real browser, on a real Kafka, a real Valkey and a real worker."""

import re
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.web.page.conftest import address_of, send_catalogue, serve_versions
from web.api.keys import KeyFile

WIDE, PHONE = {"width": 1400, "height": 900}, {"width": 390, "height": 844}
PATIENCE_MS = 30_000  # a busy machine is four times slower
LIST = "section > ol.cards > li"  # not those of the dialog


@pytest.fixture
def opened(browser, served):
    """Return a function that opens a path in a browser that nobody has used."""
    contexts = []

    def open_page(path, viewport=WIDE, scheme="light", at=None):
        context = browser.new_context(viewport=viewport, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.errors, page.asked = [], []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(at + path if at else served.url + path)
        return page

    expect.set_options(timeout=PATIENCE_MS)
    yield open_page
    for context in contexts:
        for page in context.pages:
            assert page.errors == []
            here = urlsplit(page.url).netloc
            assert [url for url in page.asked if urlsplit(url).netloc not in (here, "")] == []  # "" of data: and blob:
        context.close()


def serious(page):
    """Return what axe finds on a page that is serious or critical, with where."""
    found = Axe().run(page).response["violations"]
    return [
        (one["id"], [node["html"][:200] for node in one["nodes"]])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


def fits(page):
    """Return whether nothing sticks out on the right."""
    return page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def tells_of_more(box):
    """Return whether a box that scrolls says so where it does, and is silent where all is seen."""
    is_wider, said = box.evaluate(
        "(box) => [box.scrollWidth > box.clientWidth, box.firstElementChild.clientHeight > 0]"
    )
    return is_wider == said


def rate(page, typed):
    """Find an item by what is typed, give it five stars, and wait until the history has it."""
    page.get_by_label("Title").fill(typed)
    name = f"The {typed.title().replace('Mery', 'Merry')}"
    page.get_by_role("search").get_by_role("button", name=f"5 of 5 stars for {name}").click()
    expect(page.locator("section", has_text="Your history").get_by_text(name)).to_be_visible()


def test_an_empty_installation_says_what_to_do(opened, artefacts):
    """Before the first item the page says that there is nothing, and how to change that."""
    page = opened("/")
    expect(page.get_by_text("Nothing trends yet.")).to_be_visible()
    expect(page.get_by_text("reelstream replay")).to_be_visible()
    page.screenshot(path=artefacts / "empty.png", full_page=True)
    assert serious(page) == []


def test_a_new_visitor_rates_three_items_and_the_list_becomes_personal(served, opened, until, artefacts):
    """Who was nobody is a visitor after the first rating, and after the third the list is made of what they did."""
    installation = served.installation
    send_catalogue(installation)
    versions = serve_versions(installation)
    until(lambda: installation.redis.zcard("hot:all") > 5, 60, served.worker.said)
    until(lambda: installation.reports("worker")[0]["model_version"] == versions[-1], 60, served.worker.said)
    page = opened("/")
    expect(page.locator(LIST).first).to_be_visible()
    expect(page.locator("[data-mode]")).to_have_text("Trending")
    for title in ("merry harbour", "merry lantern", "mery orchard"):
        rate(page, title)
    expect(page).to_have_url(re.compile(r"\?user=visitor-"))
    for title in ("dark winter", "dark letter", "dark signal"):
        expect(page.locator("[data-mode]")).to_have_attribute("data-mode", re.compile("personalized|degraded"))
        if page.locator("[data-mode=degraded]").count() == 0:
            break
        rate(page, title)  # a busy machine had no time for the list of the last one
    expect(page.locator("[data-mode=personalized]")).to_have_text("Personalised")
    expect(page.locator(LIST)).to_have_count(10)
    expect(page.get_by_role("status").filter(has_text="The list has changed")).to_have_count(1)
    listed = page.locator(f"{LIST} h3").all_inner_texts()
    assert "The Merry Harbour" not in listed
    hidden = listed[0]
    page.locator(LIST).first.get_by_role("button", name="Hide").click()
    expect(page.locator(LIST).filter(has_text=hidden)).to_have_count(0)
    page.screenshot(path=artefacts / "wide.png", full_page=True)
    assert serious(page) == []


def test_the_keyboard_keeps_its_place_while_the_page_looks_again(opened):
    """Who is on a button of what trends is there after two looks, and neither cards nor offered users are made anew."""
    page = opened("/")
    hide = page.locator(LIST).first.get_by_role("button", name="Hide")
    hide.focus()
    page.wait_for_selector("datalist option", state="attached")
    page.evaluate("document.querySelectorAll('ol.cards > li, datalist option').forEach((one) => { one.isOld = true })")
    page.wait_for_timeout(5000)
    expect(hide).to_be_focused()
    assert page.evaluate("[...document.querySelectorAll('ol.cards > li')].every((one) => one.isOld)")
    assert page.evaluate("document.querySelector('datalist option').isOld")


def test_asking_in_words_is_answered_above_the_list(opened, artefacts):
    """Who asks for something funny for the family gets comedies for children first, and can put the answer away."""
    page = opened("/?user=u1")
    for _ in range(60):  # until the worker has read the catalogue for queries in words
        page.get_by_label("In words").fill("something funny for the family")
        page.get_by_role("button", name="Ask", exact=True).click()
        answer = page.locator("section", has=page.get_by_role("heading", name="Asked for: something funny"))
        expect(answer.locator("li.card").first).to_be_visible()
        if "not read" not in answer.inner_text():
            break
        page.wait_for_timeout(500)
    expect(answer.get_by_role("heading", name="Asked for: something funny")).to_be_focused()
    assert "Comedy" in answer.locator("li.card").first.inner_text()
    page.screenshot(path=artefacts / "asked.png", full_page=True)
    answer.get_by_role("button", name="Put away").click()
    expect(answer).to_have_count(0)


def test_similar_items_are_a_dialog_that_the_keyboard_opens_and_leaves(opened, artefacts):
    """Enter opens what is similar, Escape leaves it, and the keyboard is where it was."""
    page = opened("/?user=u1", PHONE, "dark")
    assert fits(page)
    acts = page.locator(LIST).first.locator(".acts")
    similar = acts.get_by_role("button", name="Similar")
    assert similar.bounding_box()["y"] == acts.get_by_role("button", name="Hide").bounding_box()["y"]
    assert similar.bounding_box()["y"] - acts.locator(".star").first.bounding_box()["y"] < 8  # one line
    similar.press("Enter")
    expect(page.get_by_role("dialog").locator(".card").first).to_be_visible()
    assert serious(page) == []
    page.screenshot(path=artefacts / "similar.png")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(similar).to_be_focused()
    page.screenshot(path=artefacts / "phone.png", full_page=True)
    assert serious(page) == []


def test_a_wrong_user_id_is_told(opened):
    """An id that no event could have is refused with what is required."""
    expect(opened("/?user=a%0Ab").get_by_role("alert").filter(has_text="is required")).to_be_visible()


def test_two_versions_stand_side_by_side(served, opened, artefacts):
    """One user's list by each of two versions, with what is on both, and an address that can be kept."""
    versions = sorted(path.name for path in served.installation.folder.glob("models/v*"))
    page = opened("/side-by-side")
    expect(page.get_by_text("Choose a user on each side")).to_be_visible()
    page.get_by_label("Left: user").fill("u1")
    page.get_by_label("Left: version").select_option(versions[0])
    page.get_by_label("Right: user").fill("u1")
    page.get_by_label("Right: version").select_option(versions[1])
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_text(re.compile(r"^\d+ of 10 items are on both lists"))).to_be_visible()
    expect(page).to_have_url(re.compile(rf"left=u1&left_version={versions[0]}&right=u1&right_version={versions[1]}"))
    left, right = (page.locator("section", has_text=f"u1, {version}") for version in versions)
    ours, theirs = (side.locator("h3 span:first-child").all_inner_texts() for side in (left, right))
    assert len(ours) == len(theirs) == 10
    assert ours != theirs
    assert {"Personalised"} == set(page.locator("[data-mode]").all_inner_texts())
    page.screenshot(path=artefacts / "side-by-side.png", full_page=True)
    assert serious(page) == []


def test_the_operator_rolls_back_after_being_asked(served, opened, until, artefacts):
    """A version serves again only after the question is answered with yes, and the worker follows."""
    installation = served.installation
    newer = installation.redis.hget("model:current", "version")
    page = opened("/operator")
    expect(page.get_by_role("row", name=re.compile("worker")).get_by_text("well")).to_be_visible()
    expect(page.get_by_text(f"{newer} serves.")).to_be_visible()
    back = page.get_by_role("button", name=re.compile("^Roll back to"))
    back.click()
    page.get_by_role("button", name="Cancel").click()
    assert installation.redis.hget("model:current", "version") == newer
    back.click()
    assert serious(page) == []
    page.screenshot(path=artefacts / "rollback.png")
    page.get_by_role("button", name="Roll back", exact=True).click()
    expect(page.get_by_role("row", name=re.compile(r"v000001.* serves"))).to_be_visible()
    expect(page.get_by_role("row", name=re.compile(r"^rolled back v000001"))).to_be_visible()
    until(lambda: installation.reports("worker")[0]["model_version"].startswith("v000001"), 60, served.worker.said)


def test_dead_letters_are_counted_and_replayed(served, opened, artefacts):
    """A bad record is counted under its cause, and a replay says that it still breaks its contract."""
    served.installation.send("watch-events", "u1", b"{not json").get(10)
    page = opened("/operator", scheme="dark")
    expect(page.get_by_text("not json: 1")).to_be_visible()
    page.get_by_role("button", name="Replay letters of not_json").click()
    page.get_by_role("button", name="Replay", exact=True).click()
    expect(page.get_by_text("0 sent, 0 were sent before, 1 still break their contract.").first).to_be_visible()
    page.screenshot(path=artefacts / "operator-dark.png", full_page=True)
    assert serious(page) == []


def test_the_operator_reads_on_a_phone(opened, artefacts):
    """Nothing sticks out; tables are scrolled by themselves, and those that are wider than the page say so."""
    page = opened("/operator", PHONE)
    expect(page.get_by_role("heading", name="Dead letters")).to_be_visible()
    expect(page.get_by_text("not json: 1")).to_be_visible()
    assert fits(page)
    assert all(map(tells_of_more, page.locator(".scroll").all()))
    versions = page.get_by_role("region", name="Table: versions")
    hint = versions.get_by_text("More columns: scroll sideways")
    hint.scroll_into_view_if_needed()
    expect(hint).to_be_in_viewport()
    page.screenshot(path=artefacts / "operator-phone.png", full_page=True)
    versions.evaluate("(box) => box.scrollTo(9999, 0)")
    expect(versions.get_by_role("columnheader", name="Parent")).to_be_in_viewport()
    assert serious(page) == []


def test_the_page_survives_a_restart_of_redis(served, opened, artefacts):
    """While Redis is away both pages say so; once it is back, a rating sent meanwhile changes the list."""
    page = opened("/?user=u2")
    expect(page.locator(LIST)).to_have_count(10)
    desk = opened("/operator")
    served.valkey.stop(10)
    expect(page.get_by_role("alert").filter(has_text="Redis does not answer")).to_be_visible()
    expect(desk.get_by_role("alert").filter(has_text="Redis does not answer")).to_be_visible()
    page.screenshot(path=artefacts / "error.png", full_page=True)
    assert serious(page) == []
    rated = page.locator(f"{LIST} h3").first.inner_text()
    page.get_by_role("button", name=f"4 of 5 stars for {rated}").first.click()
    served.valkey.restart()
    expect(page.get_by_role("alert").filter(has_text="Redis does not answer")).to_be_hidden()
    expect(page.locator(LIST).filter(has_text=rated)).to_have_count(0)
    expect(desk.get_by_role("alert").filter(has_text="Redis does not answer")).to_be_hidden()


def test_who_signs_in_to_read_sees_and_does_not_rate(served, opened, artefacts):
    """With a key the page asks for it; one that may only read shows lists, and a rating is told and taken back."""
    path = served.installation.folder / "keys.json"
    key, _ = KeyFile(path).add("team", ("read",), None)
    with served.installation.process("api", "--port", "0", "--keys", str(path)) as api:
        api.await_ready()
        page = opened("/?user=u3", PHONE, "dark", at=address_of(api))
        expect(page).to_have_url(re.compile("/sign-in$"))
        assert serious(page) == []
        page.screenshot(path=artefacts / "sign-in.png")
        page.get_by_label("Key").fill(key)
        page.get_by_label("Key").press("Enter")
        expect(page.locator(LIST)).to_have_count(10)
        star = page.locator(LIST).first.locator(".star").nth(3)
        star.click()
        expect(page.get_by_role("alert").filter(has_text="A key with the scope write is required.")).to_have_count(1)
        expect(star).to_have_text("☆")
        expect(page.locator(LIST).first).not_to_have_class(re.compile("sent"))
        assert fits(page)
        assert serious(page) == []
        page.screenshot(path=artefacts / "signed-in.png")
        page.get_by_role("button", name="Sign out").click()
        expect(page).to_have_url(re.compile("/sign-in$"))
