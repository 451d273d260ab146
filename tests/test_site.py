"""The documentation as a site: built without a warning, with links that lead somewhere, and with nobody's server."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest

from docs.site.build import ROOT, SETTINGS, build, lay_out
from docs.site.docstrings import as_markdown

LOADED = {"script", "link", "img", "iframe", "source"}  # elements whose address a browser asks for by itself


class Page(HTMLParser):
    """The names and the addresses of one page."""

    def __init__(self, file):
        super().__init__()
        self.names, self.addresses = set(), []
        self.feed(file.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        """Note what an element is called and where it leads."""
        given = dict(attrs)
        self.names.add(given.get("id"))
        self.addresses += [(tag, given[name]) for name in ("href", "src") if given.get(name)]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build the site and return its pages by file, but the one for what is not found, whose links begin at the root."""
    folder = tmp_path_factory.mktemp("docs")
    assert build(folder) == 0
    return {file: Page(file) for file in sorted((folder / "site").rglob("*.html")) if file.name != "404.html"}


@pytest.mark.timeout(480)  # renders every docstring
def test_every_page_is_there(site):
    """Each page of the repository's documentation is one of the site, beside those that are made from the code."""
    (root,) = {file.parent for file in site if (file.parent / "assets").is_dir()}
    found = {file.relative_to(root).as_posix() for file in site}
    pages = {page.relative_to(ROOT).with_suffix(".html").as_posix() for page in (ROOT / "docs").rglob("*.md")}
    assert {page.replace("README.html", "index.html") for page in pages} - found == set()
    assert {"docs/reference/schemas.html", "docs/reference/python/streams.records.html"} <= found


def test_every_link_of_the_site_leads_somewhere(site):
    """Each link to a page or a file of the site names one, and each anchor a place on it."""
    broken = []
    for file, page in site.items():
        for _, address in page.addresses:
            if re.match(r"[a-z]+:|//", address):
                continue
            path, _, anchor = address.partition("#")
            target = (file.parent / unquote(path)).resolve() if path else file
            target = target / "index.html" if target.is_dir() else target
            is_named = not anchor or target not in site or unquote(anchor) in site[target].names
            if not target.exists() or not is_named:
                broken.append(f"{file.name}: {address}")
    assert broken == []


def test_nothing_is_loaded_from_elsewhere(site):
    """No script, style, font or picture is another server's: nobody learns who reads, and it works offline."""
    loaded = {address for page in site.values() for tag, address in page.addresses if tag in LOADED}
    assert [address for address in loaded if re.match(r"[a-z]+:|//", address) and not address.startswith("data:")] == []
    styles = "".join(style.read_text("utf-8") for style in next(iter(site)).parent.rglob("*.css"))
    assert re.findall(r"(?:url\(|@import)\s*[\"']?https?:[^)]*", styles) == []
    assert not any("mermaid" in file.read_text("utf-8") for file in site), "its script would be fetched from elsewhere"


def test_a_broken_link_ends_the_build(tmp_path):
    """A page that names one that there is not is told, and the build fails."""
    (tmp_path / "source").mkdir()
    (tmp_path / "zensical.toml").write_text(SETTINGS.read_text("utf-8").replace('"ROOT', f'"{ROOT}'))
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--config-file", str(tmp_path / "zensical.toml")]
    for text, is_fine in (("[here](index.md)", True), ("[there](nowhere.md)", False), ("[there](#nowhere)", False)):
        (tmp_path / "source" / "index.md").write_text(f"# Home\n\n{text}\n")
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode == 0) == is_fine, done.stdout + done.stderr


def test_the_order_of_pages_is_that_of_the_index(tmp_path):
    """The first page of the reference is the first that docs/README.md names there."""
    settings = lay_out(tmp_path).read_text("utf-8")
    reference = settings.partition('"Reference" = [')[2]
    assert reference.startswith(
        '"docs/reference/topics.md", "docs/reference/records.md", "docs/reference/contracts.md"'
    )


def test_docstrings_become_markdown():
    """Roles, simple tables, literal blocks and citations are what Markdown has for them."""
    text = (
        "See :func:`model.a.b` [1]_.\n\n"
        "=====  ==========\na      b\n=====  ==========\n``x``  either | or\n=====  ==========\n\n"
        "::\n\n    code\n\n.. [1] A book."
    )
    assert as_markdown(text) == (
        "See `model.a.b` [1].\n\n| a | b |\n|---|---|\n| ``x`` | either \\| or |\n\n    code\n\n* [1] A book."
    )
