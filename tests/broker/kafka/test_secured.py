"""Whole processes let in by password, token and certificate: Kafka over SASL and TLS, Redis over TLS with AUTH."""

import base64
import dataclasses
import json
import time
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from kafka import KafkaAdminClient
from kafka.admin import ScramMechanism, UserScramCredentialUpsertion
from redis import Redis

from model.catalogue import Catalogue, Item
from replay.live import ConsumerLag, ListFeed
from replay.producer import send_catalogue
from streams.errors import TopicError
from streams.kafka.topics import create_topics, verify_topics
from streams.reading.catalogue import CatalogueFeed
from streams.reading.reader import EventReader
from streams.security import KafkaSecurity
from streams.settings import Settings
from streams.stack import Valkey, open_stack
from streams.stack.ports import settle_ports
from streams.stack.valkey import find_server
from streams.tokens import TokenSource

SECRET = "of-these-tests"  # noqa: S105 - of servers that end with their test
USER = "reelstream"
RIGHTS = ("~*", "+@all", "-@admin", "-@dangerous", "+info", "+flushdb")  # the last for this fixture alone
TS = 1_700_000_000_000
FILMS = Catalogue.of([Item(f"i{n}", f"Film {n}", 1990 + n, ("Drama",)) for n in range(12)])
WAYS = (
    "SSL",
    "SASL_PLAINTEXT PLAIN",
    "SASL_PLAINTEXT OAUTHBEARER",
    "SASL_SSL PLAIN",
    "SASL_SSL SCRAM-SHA-256",
    "SASL_SSL SCRAM-SHA-512",
)


def bearer_token(life_s=3600):
    """Return a token of our user without a signature (RFC 7515, appendix A.5)."""
    claims = {"sub": USER, "iat": time.time(), "exp": time.time() + life_s}
    parts = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in ({"alg": "none"}, claims))
    return b".".join([*parts, b""]).decode()


def write_chain(issued, file):
    """Write key and certificates to one file as Java reads them, the key in PKCS 8."""
    key = load_pem_private_key(issued.private_key_pem.bytes(), None)
    chain = b"".join(pem.bytes() for pem in issued.cert_chain_pems)
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + chain)
    return str(file)


@pytest.fixture(scope="module")
def broker(tmp_path_factory, certificates):
    """Return a broker that lets in who shows a certificate, or names the one user with the password."""
    folder = tmp_path_factory.mktemp("secured")
    login = "org.apache.kafka.common.security"
    properties = {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": write_chain(certificates.issue_cert("127.0.0.1"), folder / "broker.pem"),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": certificates.path,
        "listener.name.ssl.ssl.client.auth": "required",
    }
    for name, mechanisms in (
        ("sasl_ssl", "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"),
        ("sasl_plaintext", "PLAIN,OAUTHBEARER"),
    ):
        of = f"listener.name.{name}"
        properties[f"{of}.sasl.enabled.mechanisms"] = mechanisms
        bearer = f"{login}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub='broker';"
        properties[f"{of}.oauthbearer.sasl.jaas.config"] = bearer  # takes tokens without a signature, made below
        plain = f'{login}.plain.PlainLoginModule required user_{USER}="{SECRET}";'
        properties[f"{of}.plain.sasl.jaas.config"] = plain
        for scram in ("scram-sha-256", "scram-sha-512"):
            properties[f"{of}.{scram}.sasl.jaas.config"] = f"{login}.scram.ScramLoginModule required;"
    listeners = ("SSL", "SASL_SSL", "SASL_PLAINTEXT")
    with open_stack(folder / "stack", redis="redis://unused", listeners=listeners, properties=properties) as stack:
        admin = KafkaAdminClient(bootstrap_servers=stack.addresses.kafka)
        for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
            admin.alter_user_scram_credentials([UserScramCredentialUpsertion(USER, mechanism, SECRET)])
        admin.close()
        yield stack.brokers[0]


@pytest.fixture(scope="module")
def ways(certificates, tmp_path_factory):
    """Return how a client is let in, by protocol and mechanism."""
    folder, authority = tmp_path_factory.mktemp("client"), str(certificates.path)
    issued = certificates.issue_cert("reelstream")
    issued.cert_chain_pems[0].write_to_path(folder / "own.pem")
    issued.private_key_pem.write_to_path(folder / "own.key")
    found = {
        "SSL": KafkaSecurity("SSL", None, None, None, authority, str(folder / "own.pem"), str(folder / "own.key")),
        "SASL_PLAINTEXT PLAIN": KafkaSecurity("SASL_PLAINTEXT", "PLAIN", USER, SECRET),
    }
    (folder / "token").write_text(bearer_token())
    from_file = TokenSource(file=str(folder / "token"))
    found["SASL_PLAINTEXT OAUTHBEARER"] = KafkaSecurity("SASL_PLAINTEXT", "OAUTHBEARER", tokens=from_file)
    for mechanism in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"):
        found[f"SASL_SSL {mechanism}"] = KafkaSecurity("SASL_SSL", mechanism, USER, SECRET, authority)
    return found


@pytest.fixture
def redis(tmp_path, tls_front, certificates):
    """Return the TLS address, with user and password, of one whose user has the rights of docs/how-to/security.md."""
    port = settle_ports(tmp_path / "ports.json", ["valkey"])["valkey"]
    server = Valkey(port, tmp_path / "valkey", find_server(), password=SECRET)
    server.start()
    server.wait()
    with Redis.from_url(server.url) as client:
        client.execute_command("ACL", "SETUSER", USER, "on", f">{SECRET}", *RIGHTS)
    with tls_front(port) as front:
        yield f"rediss://{USER}:{SECRET}@127.0.0.1:{front}/0?ssl_ca_certs={quote(str(certificates.path))}"
    server.stop(5)


def settings_of(broker, security, prefix):
    """Return settings of a secured cluster."""
    address = broker.address_for(security.protocol)
    return Settings(address, "redis://unused", "unused", prefix=prefix, partitions=2, security=security)


@pytest.mark.parametrize("way", WAYS)
async def test_every_client_of_ours_is_let_in(broker, ways, topic_prefix, way):
    """Admin, producer and consumers of both libraries make topics, send a catalogue and read it by each way in."""
    settings = settings_of(broker, ways[way], topic_prefix)
    create_topics(settings)
    verify_topics(settings)
    assert send_catalogue(settings, FILMS) == 12
    feed = CatalogueFeed(settings, lambda _: None)
    await feed.start()
    assert {item.item_id for item in feed.catalogue} == {item.item_id for item in FILMS}
    await feed.stop()
    reader = EventReader(settings, "reading")
    await reader.start()
    assert await reader.lag() == 0
    await reader.stop()
    with ListFeed(settings) as lists:
        assert lists.received == 0
    lag = ConsumerLag(settings, "reading")
    assert lag.now() == 0
    lag.close()


@pytest.mark.parametrize(
    ("way", "changed"),
    [
        ("SASL_SSL PLAIN", {"password": "a-wrong-one"}),
        ("SASL_SSL SCRAM-SHA-512", {"username": "nobody"}),
        ("SASL_SSL PLAIN", {"cafile": None}),
        ("SSL", {"certfile": None, "keyfile": None}),
        ("SASL_PLAINTEXT OAUTHBEARER", {"tokens": TokenSource("a-wrong-one")}),
    ],
    ids=["wrong password", "unknown user", "unknown authority", "no certificate", "wrong token"],
)
def test_who_is_not_let_in_is_told_in_one_line(broker, ways, way, changed):
    """It is a TopicError that names the address and no password."""
    settings = settings_of(broker, dataclasses.replace(ways[way], **changed), "")
    with pytest.raises(TopicError, match=settings.kafka) as caught:
        verify_topics(settings)
    assert "\n" not in str(caught.value)
    assert SECRET not in str(caught.value)
    assert "a-wrong-one" not in str(caught.value)


def test_a_token_that_cannot_be_had_is_told_at_once(broker, ways):
    """It is the reason in the one line, instead of a broker that does not answer."""
    missing = dataclasses.replace(ways["SASL_PLAINTEXT OAUTHBEARER"], tokens=TokenSource(file="/no/such/token"))
    with pytest.raises(TopicError, match=r"a token is required from /no/such/token, got FileNotFoundError"):
        verify_topics(settings_of(broker, missing, ""))


@pytest.mark.parametrize("way", ["SASL_SSL SCRAM-SHA-512", "SSL", "SASL_PLAINTEXT OAUTHBEARER"])
def test_worker_and_trainer_run_on_secured_servers(broker, ways, redis, install, until, way):
    """An event becomes a list there and in Redis; no log and no command line holds the password or the token."""
    installation = install(broker.address_for(way.split()[0]), redis, ways[way])
    send_catalogue(installation.settings, FILMS)
    worker, trainer = (installation.process(role, is_forked=False) for role in ("worker", "trainer"))
    with worker, trainer:
        worker.await_ready()
        trainer.await_ready()
        event = {"event_id": "e", "user_id": "ann", "item_id": "i3", "ts": TS, "progress": 1.0}
        installation.send_all("watch-events", [("ann", event)])
        found = installation.await_value("recommendations", lambda value: value["user_id"] == "ann")
        assert "i3" not in {item["item_id"] for item in found["items"]}
        until(lambda: installation.counts("watches") == {"ann": 1}, 10, lambda: installation.counts("watches"))
        for process in (worker, trainer):
            for secret in (SECRET, "eyJ"):  # as the base64 of any token begins
                assert secret not in process.said()
                assert secret not in Path(f"/proc/{process.child.pid}/cmdline").read_text()
        until(lambda: installation.reports("worker"), 10, lambda: "a first sign of life")
        with installation.process("health", "worker") as health:
            assert health.child.wait(30) == 0, health.said()
        assert worker.terminate(20) == 0
