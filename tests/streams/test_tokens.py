"""Bearer tokens from each source: what is required together, freshness, secrecy, and an issuer that gives none."""

import asyncio
import base64
import json
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import pytest

from streams.errors import SettingsError
from streams.security import KafkaSecurity
from streams.token_providers import AsyncTokens, BlockingTokens
from streams.tokens import TokenSource

SASL = "REELSTREAM_KAFKA_SASL_"
SECRET = "of: nobody"  # noqa: S105 - a colon and a space, which must be encoded
TOKEN = "eyJ.secret."  # noqa: S105 - no server takes it


@contextmanager
def issuing(answers, certificates=None):
    """Serve these answers, pairs of status and body, one a request; give the URL and the requests made."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            status, body = answers[min(len(asked), len(answers) - 1)]
            asked.append((self.headers["Authorization"], form))
            self.send_response(status)
            self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.end_headers()
            self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if certificates is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        certificates.issue_cert("127.0.0.1").configure_cert(context)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http{'s' * (certificates is not None)}://127.0.0.1:{server.server_port}/token", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_an_issuer_is_asked_once_for_all_clients(certificates):
    """Over TLS by our own authority, ten askers at once get one token, by one POST as RFC 6749 has it."""
    with issuing([(200, {"access_token": TOKEN, "expires_in": 3600})], certificates) as (url, asked):
        source = TokenSource(
            url=url, client_id="ann", client_secret=SECRET, scope="kafka write", cafile=str(certificates.path)
        )
        with ThreadPoolExecutor(10) as pool:
            found = list(pool.map(lambda _: BlockingTokens(source).token(), range(10)))
        assert {*found, asyncio.run(AsyncTokens(source).token())} == {TOKEN}
    # the id and the secret are percent-encoded, then joined by a colon
    basic = base64.b64encode(b"ann:of%3A%20nobody").decode()
    assert asked == [(f"Basic {basic}", {"grant_type": ["client_credentials"], "scope": ["kafka write"]})]


def test_a_token_is_fetched_anew_before_it_ends():
    """Of a life of no seconds nothing is left, so the next asker gets the next token; of an hour's, the same."""
    answers = [(200, {"access_token": f"t{n}", "expires_in": life}) for n, life in enumerate((1e-9, 3600, 3600))]
    with issuing(answers) as (url, asked):
        source = TokenSource(url=url, client_id="a", client_secret=SECRET)
        assert [source.get() for _ in range(4)] == ["t0", "t1", "t1", "t1"]
        assert len(asked) == 2


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((401, {"error": "invalid_client", "secret": SECRET}), "HTTP status 401"),
        ((302, b""), "HTTP status 302"),
        ((200, b"<html>" + TOKEN.encode()), "something that is none"),
        ((200, {"error": TOKEN}), "an answer without access_token"),
        ((200, [TOKEN]), "an answer without access_token"),
    ],
)
def test_an_issuer_that_gives_no_token_is_told_without_secrets(answer, told, caplog):
    """It is a connection that cannot be made, so clients try again; no redirection is followed with the secret."""
    with issuing([answer]) as (url, asked):
        source = TokenSource(url=url, client_id="ann", client_secret=SECRET)
        with pytest.raises(ConnectionError, match=f"a token is required from {url}, got .*{told}") as caught:
            BlockingTokens(source).token()
        assert len(asked) == 1
    [logged] = caplog.records
    assert logged.message == f"kafka.token_missing {caught.value}"
    said = f"{caught.value!r} {source!r}"
    assert SECRET not in said
    assert TOKEN not in said


def test_a_file_is_read_for_each_connection(tmp_path):
    """What an agent puts there is what the next client uses; an empty file and none at all are told."""
    file = tmp_path / "token"
    source = TokenSource(file=str(file))
    for token in ("first", "second"):
        file.write_text(f"{token}\n")
        assert BlockingTokens(source).token() == token
    file.write_text("")
    with pytest.raises(ConnectionError, match="got ValueError: an empty file"):
        source.get()
    file.unlink()
    with pytest.raises(ConnectionError, match="No such file"):
        source.get()


def test_the_variables_are_read_and_written_and_every_client_gets_a_provider():
    """What a child is handed reads back equal; both libraries and Faust get the token, and no repr shows it."""
    source = TokenSource(url="https://i/token", client_id="ann", client_secret=SECRET, scope="s", cafile="ca.pem")
    security = KafkaSecurity("SASL_SSL", "OAUTHBEARER", cafile="ca.pem", tokens=source)
    assert KafkaSecurity.from_environment(security.environment()) == security
    assert KafkaSecurity.from_environment(security.environment() | KafkaSecurity().environment()) == KafkaSecurity()
    assert SECRET not in repr(security)
    given = KafkaSecurity("SASL_PLAINTEXT", "OAUTHBEARER", tokens=TokenSource(TOKEN))
    assert TOKEN not in repr(given)
    assert given.kafka_python()["sasl_oauth_token_provider"].token() == TOKEN
    assert asyncio.run(given.aiokafka()["sasl_oauth_token_provider"].token()) == TOKEN
    assert asyncio.run(given.faust()["broker_credentials"].oauth_cb.token()) == TOKEN
    assert TOKEN not in f"{given.kafka_python()} {given.aiokafka()} {given.faust()}"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "exactly one of .* must be given for OAUTHBEARER, got none"),
        ({"token": TOKEN, "file": "f"}, f"got {SASL}TOKEN, {SASL}TOKEN_FILE"),
        ({"token": TOKEN, "scope": "s"}, f"{SASL}TOKEN_URL must be given where {SASL}SCOPE is, got {SASL}TOKEN"),
        ({"url": "http://issuer/token"}, "must be an https URL, as a secret goes there, got 'http://issuer/token'"),
        ({"url": "https://i", "client_secret": SECRET}, f"{SASL}CLIENT_ID must be given with {SASL}TOKEN_URL"),
        ({"url": "https://i", "client_id": "ann"}, f"{SASL}CLIENT_SECRET must be given with {SASL}TOKEN_URL"),
    ],
)
def test_what_does_not_fit_together_is_refused(given, told):
    """The message names the variables, and neither token nor secret."""
    with pytest.raises(SettingsError, match=told) as caught:
        TokenSource(**given)
    assert SECRET not in str(caught.value)
    assert TOKEN not in str(caught.value)
