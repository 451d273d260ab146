"""The settings of a secured Kafka: what is required together, what clients get, and that the password stays secret."""

import ast
import dataclasses
import ssl
from pathlib import Path

import pytest

from streams.errors import SettingsError
from streams.security import KafkaSecurity
from streams.settings import Settings
from streams.tokens import TokenSource

KAFKA = "REELSTREAM_KAFKA_"
SECRET = "of-nobody"  # noqa: S105 - no server takes it
ROOT = Path(__file__).parents[2]
CLIENTS = {
    *("KafkaProducer", "KafkaConsumer", "KafkaAdminClient"),
    *("AIOKafkaProducer", "AIOKafkaConsumer", "AIOKafkaAdminClient"),
}
SCRAM = KafkaSecurity("SASL_SSL", "SCRAM-SHA-512", "ann", SECRET)


@pytest.fixture
def shown(certificates, tmp_path):
    """Return the files of a certificate to show, and of its key."""
    issued = certificates.issue_cert("reelstream")
    certificate, key = tmp_path / "client.pem", tmp_path / "client.key"
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    return str(certificate), str(key)


def test_nothing_is_secured_by_default():
    """Without variables every kind of client gets the plain protocol."""
    security = KafkaSecurity.from_environment({})
    assert security == KafkaSecurity()
    assert security.aiokafka() == security.kafka_python() == {"security_protocol": "PLAINTEXT"}
    assert security.faust() == {"broker_credentials": None}


def test_the_variables_are_read_and_written():
    """Each field has a variable; what is handed to a child reads back equal, also over variables that we have."""
    given = {
        f"{KAFKA}SECURITY_PROTOCOL": "SASL_SSL",
        f"{KAFKA}SASL_MECHANISM": "SCRAM-SHA-256",
        f"{KAFKA}SASL_USERNAME": "ann",
        f"{KAFKA}SASL_PASSWORD": SECRET,
        f"{KAFKA}SSL_CAFILE": "ca.pem",
        f"{KAFKA}SSL_CERTFILE": "c.pem",
        f"{KAFKA}SSL_KEYFILE": "k.pem",
    }
    security = KafkaSecurity.from_environment(given)
    assert security == KafkaSecurity("SASL_SSL", "SCRAM-SHA-256", "ann", SECRET, "ca.pem", "c.pem", "k.pem")
    assert {name: value for name, value in security.environment().items() if value} == given
    assert KafkaSecurity.from_environment(given | KafkaSecurity().environment()) == KafkaSecurity()


def test_they_are_part_of_the_settings():
    """Settings read them, and hand them to child processes with the rest."""
    settings = Settings.from_environment({"REELSTREAM_KAFKA": "k:1", **SCRAM.environment()})
    assert settings.security == SCRAM
    assert Settings.from_environment(settings.environment()) == settings


def test_no_password_is_shown():
    """Neither the security nor the settings around it show the password of Kafka or of Redis."""
    settings = Settings("k:1", f"redis://:{SECRET}@r", "models", security=SCRAM)
    assert SECRET not in f"{SCRAM!r} {settings!r} {settings}"


@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_clients_are_told_who_we_are(protocol, mechanism):
    """With SASL both libraries get user, password and mechanism, Faust its own object, and TLS where it is meant."""
    security = KafkaSecurity(protocol, mechanism, "ann", SECRET)
    given = security.aiokafka()
    context = given.pop("ssl_context", None)
    assert given == {
        "security_protocol": protocol,
        "sasl_mechanism": mechanism,
        "sasl_plain_username": "ann",
        "sasl_plain_password": SECRET,
    }
    credentials = security.faust()["broker_credentials"]
    assert (credentials.protocol.value, credentials.mechanism.value) == (protocol, mechanism)
    assert (credentials.username, credentials.password) == ("ann", SECRET)
    assert (context is None) == (credentials.ssl_context is None) == (protocol == "SASL_PLAINTEXT")


def test_certificates_are_checked_and_shown(certificates, shown):
    """With TLS the server's name and certificate are required, by the given authority, and our own is loaded."""
    security = KafkaSecurity("SSL", cafile=str(certificates.path), certfile=shown[0], keyfile=shown[1])
    context = security.kafka_python()["ssl_context"]
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert len(context.get_ca_certs()) == 1
    assert security.faust()["broker_credentials"].context.check_hostname


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"protocol": "TLS"}, f"{KAFKA}SECURITY_PROTOCOL must be one of PLAINTEXT, SSL, .*got 'TLS'"),
        ({"protocol": "PLAINTEXT"}, f"must be a SASL protocol where {KAFKA}SASL_MECHANISM is given, got 'PLAINTEXT'"),
        ({"protocol": "SSL"}, "must be a SASL protocol where"),
        ({"mechanism": None}, f"{KAFKA}SASL_MECHANISM must be one of PLAIN, .*got None"),
        ({"mechanism": "GSSAPI"}, "must be one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER, got 'GSSAPI'"),
        ({"username": None}, f"{KAFKA}SASL_USERNAME must be given with SASL_SSL"),
        ({"password": None}, f"{KAFKA}SASL_PASSWORD must be given with SASL_SSL"),
        ({"protocol": "SASL_PLAINTEXT", "cafile": "c"}, f"must be an SSL protocol where {KAFKA}SSL_CAFILE is given"),
        ({"tokens": TokenSource("t")}, f"{KAFKA}SASL_MECHANISM must be OAUTHBEARER where a token is given"),
        ({"mechanism": "OAUTHBEARER"}, f"{KAFKA}SASL_TOKEN, .._TOKEN_FILE or .._TOKEN_URL must be given with"),
        (
            {"mechanism": "OAUTHBEARER", "tokens": TokenSource("t")},
            f"must be another one where {KAFKA}SASL_USERNAME is given, got 'OAUTHBEARER'",
        ),
        ({"certfile": "c"}, f"{KAFKA}SSL_CERTFILE and {KAFKA}SSL_KEYFILE must be given together, got 'c' and None"),
    ],
)
def test_what_does_not_fit_together_is_refused(changed, told):
    """The message names the variable, and never the password."""
    with pytest.raises(SettingsError, match=told) as caught:
        dataclasses.replace(SCRAM, **changed)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("missing", ["cafile", "certfile", "keyfile"])
def test_a_certificate_that_cannot_be_read_is_named(certificates, shown, missing):
    """A file that is not there is refused with its name before anything is connected."""
    files = {"cafile": str(certificates.path), "certfile": shown[0], "keyfile": shown[1]} | {missing: "/no/such.pem"}
    with pytest.raises(SettingsError, match=r"must name readable PEM files, got .*/no/such\.pem"):
        KafkaSecurity("SSL", **files).aiokafka()


def test_every_client_is_given_what_lets_it_in():
    """The product makes each kind of Kafka client in one place, which passes the security on; chaos has its own."""
    made = [
        (f"{path.relative_to(ROOT)}:{call.lineno}", ast.unparse(call))
        for package in ("streams", "agents", "replay", "commands")
        for path in (ROOT / package).rglob("*.py")
        if "chaos" not in path.relative_to(ROOT).parts
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in CLIENTS
    ]
    assert len(made) == len(CLIENTS)
    assert {place.partition(":")[0] for place, _ in made} == {"streams/kafka/clients.py"}
