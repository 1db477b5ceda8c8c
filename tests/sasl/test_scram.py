"""SCRAM against the RFCs' examples, our client, and scramp."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
import scramp
from hypothesis import given
from hypothesis import strategies as st

from mox.sasl import client, scram, server
from mox.sasl.outcome import Challenge, Failure, Reason, Success
from mox.sasl.prepare import prepare_password
from mox.sasl.scramclient import ScramClient
from mox.sasl.scramserver import ScramServer, ScramSettings
from mox.sasl.verifiers import ScramHash, ScramVerifier, scram_verifier
from tests.sasl.exchange import PASSWORD, USER, OneUser, drive, surroundings

SCRAM = ("SCRAM-SHA-1", "SCRAM-SHA-256")
ALL = (*server.WITH_BINDING, *server.HASHED, *server.PLAINTEXT)


def exporter(kind: str) -> bytes | None:
    return b"e" * 32 if kind == "tls-exporter" else None


def unique(kind: str) -> bytes | None:
    return b"u" * 12 if kind == "tls-unique" else None


class Vector(OneUser):
    """A user with a given salt."""

    salt: bytes

    def scram(self, username: str, hash_name: ScramHash) -> ScramVerifier | None:
        return scram_verifier(self.password, hash_name, self.salt, 4096)


RFC_5802 = (
    "sha1",
    "QSXCR+Q6sek8bf92",
    "fyko+d2lbbFgONRv9qkxdawL",
    "3rfcNHYJY1ZVvWVs7j",
    b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
    b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
)
RFC_7677 = (
    "sha256",
    "W22ZaJ0SNY7soEsUEjb6gQ==",
    "rOprNGfwEbeRWgbNEkqO",
    "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
)


@pytest.mark.parametrize("vector", [RFC_5802, RFC_7677], ids=["rfc5802", "rfc7677"])
def test_rfc_examples(vector: tuple[ScramHash, str, str, str, bytes, bytes]) -> None:
    hash_name, salt, client_nonce, server_nonce, final, signature = vector
    secrets = Vector("user", "pencil")
    secrets.salt = base64.b64decode(salt)
    settings = ScramSettings(hash_name, False, False, server_nonce, b"k", None)
    ours = ScramServer(secrets, settings)
    theirs = ScramClient(
        "SCRAM", "user", "pencil", hash_name=hash_name, nonce=client_nonce, gs2_flag="n"
    )
    assert theirs.initial() == f"n,,n=user,r={client_nonce}".encode()
    first = ours.step(theirs.initial())
    assert first == Challenge(f"r={client_nonce}{server_nonce},s={salt},i=4096".encode())
    assert theirs.step(first.data) == final
    last = ours.step(final)
    assert last == Challenge(signature)
    with pytest.raises(scram.ScramError):
        theirs.finish()
    assert theirs.step(last.data) == b""
    theirs.finish()
    assert ours.step(b"") == Success("user")


@pytest.mark.parametrize("initial", [True, False])
@pytest.mark.parametrize("binding", [None, exporter, unique])
@pytest.mark.parametrize("name", [*SCRAM, *server.WITH_BINDING])
def test_pair(name: str, binding: Callable[[str], bytes | None] | None, initial: bool) -> None:
    if binding is None and name.endswith("-PLUS"):
        return
    given_ = surroundings(OneUser("a=b,c"), ALL, binding)
    theirs = client.mechanism(
        name, "a=b,c", PASSWORD, announced=ALL, binding=binding, random=lambda n: b"c" * n
    )
    assert drive(server.mechanism(name, given_), theirs, initial=initial) == Success("a=b,c")
    theirs.finish()


@pytest.mark.parametrize("name", SCRAM)
@pytest.mark.parametrize(("user", "password"), [(USER, "wrong"), ("nobody", PASSWORD)])
def test_wrong_password_and_unknown_user_look_the_same(name: str, user: str, password: str) -> None:
    ours = server.mechanism(name, surroundings())
    theirs = client.mechanism(
        name, user, password, announced=ALL, binding=None, random=lambda n: b"c" * n
    )
    first = ours.step(theirs.initial())
    assert isinstance(first, Challenge)
    outcome = ours.step(theirs.step(first.data))
    assert outcome == Challenge(b"e=invalid-proof")
    with pytest.raises(scram.ScramError, match="invalid-proof"):
        theirs.step(outcome.data)
    assert ours.step(b"") == Failure(Reason.CREDENTIALS, user, "invalid-proof")


def test_unknown_users_get_a_salt_that_stays() -> None:
    def salt(user: bytes, name: str = "SCRAM-SHA-256") -> bytes:
        first = server.mechanism(name, surroundings()).step(b"n,,n=" + user + b",r=abcdefgh")
        assert isinstance(first, Challenge)
        return first.data.split(b",")[1]

    assert salt(b"nobody") == salt(b"nobody") == salt(b"Nobody")
    assert salt(b"nobody") != salt(b"somebody")
    assert salt(b"nobody") != salt(b"nobody", "SCRAM-SHA-1")


@pytest.mark.parametrize(
    ("first", "name", "announced", "binding", "reason"),
    [
        # "y" is refused only where -PLUS is announced
        (b"y,,n=u,r=abcdefgh", "SCRAM-SHA-1", SCRAM, exporter, None),
        (b"y,,n=u,r=abcdefgh", "SCRAM-SHA-1", ALL, exporter, Reason.PROTOCOL),
        (b"n,,n=u,r=abcdefgh", "SCRAM-SHA-1", ALL, exporter, None),
        (b"n,,n=u,r=abcdefgh", "SCRAM-SHA-1-PLUS", ALL, exporter, Reason.PROTOCOL),
        (b"p=tls-exporter,,n=u,r=abcdefgh", "SCRAM-SHA-1", SCRAM, exporter, None),
        (b"p=tls-unique,,n=u,r=abcdefgh", "SCRAM-SHA-1-PLUS", ALL, exporter, Reason.PROTOCOL),
        (b"p=tls-sorted,,n=u,r=abcdefgh", "SCRAM-SHA-1-PLUS", ALL, exporter, Reason.PROTOCOL),
        (b"p=tls-exporter,,n=u,r=abcdefgh", "SCRAM-SHA-1-PLUS", ALL, None, Reason.NEEDS_TLS),
        (b"n,a=v,n=u,r=abcdefgh", "SCRAM-SHA-1", SCRAM, None, Reason.AUTHZID),
        (b"n,a=u,n=u,r=abcdefgh", "SCRAM-SHA-1", SCRAM, None, None),
        (b"n,,n=u,r=abcdefg", "SCRAM-SHA-1", SCRAM, None, Reason.PROTOCOL),
        (b"n,,m=x,n=u,r=abcdefgh", "SCRAM-SHA-1", SCRAM, None, Reason.PROTOCOL),
        (b"n,,n=a=b,r=abcdefgh", "SCRAM-SHA-1", SCRAM, None, Reason.PROTOCOL),
        (b"n,,n=,r=abcdefgh", "SCRAM-SHA-1", SCRAM, None, Reason.PROTOCOL),
        (b"x,,n=u,r=abcdefgh", "SCRAM-SHA-1", SCRAM, None, Reason.PROTOCOL),
        (b"n,n=u,r=abcdefgh", "SCRAM-SHA-1", SCRAM, None, Reason.PROTOCOL),
        (b"n,,r=abcdefgh,n=u", "SCRAM-SHA-1", SCRAM, None, Reason.PROTOCOL),
        (b"n,,n=\xff,r=abcdefgh", "SCRAM-SHA-1", SCRAM, None, Reason.PROTOCOL),
        (b"n,,n=u,r=abcdefgh,x=more", "SCRAM-SHA-1", SCRAM, None, None),
    ],
)
def test_client_first(
    first: bytes,
    name: str,
    announced: tuple[str, ...],
    binding: Callable[[str], bytes | None] | None,
    reason: Reason | None,
) -> None:
    mechanism = server.mechanism(name, surroundings(OneUser("u"), announced, binding))
    outcome = mechanism.step(first)
    if reason is None:
        assert isinstance(outcome, Challenge)
    else:
        assert isinstance(outcome, Failure)
        assert outcome.reason is reason


def test_binding_of_another_connection() -> None:
    ours = server.mechanism("SCRAM-SHA-256-PLUS", surroundings(None, ALL, exporter))
    theirs = client.mechanism(
        "SCRAM-SHA-256-PLUS",
        USER,
        PASSWORD,
        announced=ALL,
        binding=lambda kind: b"x" * 32 if kind == "tls-exporter" else None,
        random=lambda n: b"c" * n,
    )
    first = ours.step(theirs.initial())
    assert isinstance(first, Challenge)
    assert ours.step(theirs.step(first.data)) == Challenge(b"e=channel-bindings-dont-match")
    outcome = ours.step(b"")
    assert isinstance(outcome, Failure)
    assert outcome.reason is Reason.BINDING


@pytest.mark.parametrize(
    "final",
    [
        b"",
        b"c=biws,r=abcdefgh,p=AAAA",
        b"c=biws,p=AAAA",
        b"c=biws,r=%s,p=!",
        b"c=biws,r=%s",
        b"r=%s,c=biws,p=AAAA",
        b"c=eSws,r=%s,p=AAAA",
        b"c=biws,r=%s,p=AAAA",
    ],
)
def test_client_final(final: bytes) -> None:
    mechanism = server.mechanism("SCRAM-SHA-1", surroundings())
    first = mechanism.step(b"n,,n=" + USER.encode() + b",r=abcdefgh")
    assert isinstance(first, Challenge)
    nonce = first.data.split(b",")[0][2:]
    outcome = mechanism.step(final.replace(b"%s", nonce))
    assert isinstance(outcome, Challenge)
    assert outcome.data.startswith(b"e=")
    assert isinstance(mechanism.step(b""), Failure)


@pytest.mark.parametrize(
    "first",
    [
        b"r=other,s=c2FsdA==,i=4096",
        b"r=cccccccccccccccc,s=c2FsdA==,i=4096",
        b"r=cccccccccccccccc1,s=c2FsdA==,i=4095",
        b"r=cccccccccccccccc1,s=c2FsdA==,i=1000001",
        b"r=cccccccccccccccc1,s=c2FsdA==,i=4096000000000000",
        b"r=cccccccccccccccc1,s=!,i=4096",
        b"m=x,r=cccccccccccccccc1,s=c2FsdA==,i=4096",
        b"e=other-error",
        b"nonsense",
        b"\xff",
    ],
)
def test_client_refuses_bad_servers(first: bytes) -> None:
    theirs = ScramClient("SCRAM-SHA-1", "u", "p", hash_name="sha1", nonce="c" * 16, gs2_flag="n")
    with pytest.raises(scram.ScramError):
        theirs.step(first)


def test_client_refuses_a_server_that_does_not_know_the_password() -> None:
    theirs = ScramClient("SCRAM-SHA-1", "u", "p", hash_name="sha1", nonce="c" * 16, gs2_flag="n")
    theirs.step(b"r=cccccccccccccccc1,s=c2FsdA==,i=4096")
    with pytest.raises(scram.ScramError):
        theirs.step(b"v=AAAA")
    with pytest.raises(scram.ScramError):
        theirs.finish()


@pytest.mark.parametrize(
    ("announced", "binding", "chosen", "flag"),
    [
        (ALL, exporter, "SCRAM-SHA-256-PLUS", b"p=tls-exporter,,"),
        (ALL, unique, "SCRAM-SHA-256-PLUS", b"p=tls-unique,,"),
        (ALL, None, "SCRAM-SHA-256", b"n,,"),
        (SCRAM, exporter, "SCRAM-SHA-256", b"y,,"),
        (("SCRAM-SHA-1", "PLAIN"), None, "SCRAM-SHA-1", b"n,,"),
        (("PLAIN", "LOGIN"), None, None, b""),
    ],
)
def test_choice_and_binding_flag(
    announced: tuple[str, ...],
    binding: Callable[[str], bytes | None] | None,
    chosen: str | None,
    flag: bytes,
) -> None:
    assert client.choose(announced, client.DEFAULT_ORDER, binding) == chosen
    if chosen is None:
        return
    mechanism = client.mechanism(
        chosen, "u", "p", announced=announced, binding=binding, random=lambda n: b"c" * n
    )
    assert (mechanism.initial() or b"").startswith(flag)


BINDINGS = {None: None, "tls-exporter": exporter, "tls-unique": unique}


@pytest.mark.parametrize("kind", [None, "tls-unique"])
@pytest.mark.parametrize("name", SCRAM)
@pytest.mark.parametrize("user", ["user", "a=b,c@mox.example"])
def test_scramp_client_with_our_server(name: str, user: str, kind: str | None) -> None:
    name = f"{name}-PLUS" if kind else name
    ours = server.mechanism(name, surroundings(OneUser(user), ALL, BINDINGS[kind]))
    channel = ("tls-unique", b"u" * 12) if kind else None
    theirs = scramp.ScramClient([name], user, PASSWORD, channel_binding=channel)
    first = ours.step(theirs.get_client_first().encode())
    assert isinstance(first, Challenge)
    theirs.set_server_first(first.data.decode())
    last = ours.step(theirs.get_client_final().encode())
    assert isinstance(last, Challenge)
    theirs.set_server_final(last.data.decode())
    assert ours.step(b"") == Success(user)


@pytest.mark.parametrize("kind", [None, "tls-unique"])
@pytest.mark.parametrize("name", SCRAM)
def test_our_client_with_scramp_server(name: str, kind: str | None) -> None:
    name = f"{name}-PLUS" if kind else name
    binding = BINDINGS[kind]
    mechanism = scramp.ScramMechanism(name)
    auth = mechanism.make_auth_info(PASSWORD)
    channel = ("tls-unique", b"u" * 12) if kind else None
    theirs = mechanism.make_server(lambda username: auth, channel_binding=channel)
    announced = (name, "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS")
    ours = client.mechanism(
        name, USER, PASSWORD, announced=announced, binding=binding, random=lambda n: b"c" * n
    )
    theirs.set_client_first((ours.initial() or b"").decode())
    final = ours.step(theirs.get_server_first().encode())
    theirs.set_client_final(final.decode())
    assert ours.step(theirs.get_server_final().encode()) == b""
    ours.finish()


@given(st.text(min_size=1, max_size=20).filter(lambda text: "\0" not in text))
def test_names_survive_escaping(name: str) -> None:
    assert scram.unescape_name(scram.escape_name(name)) == name
    assert "," not in scram.escape_name(name)


@pytest.mark.parametrize(
    ("password", "prepared"),
    [
        ("plain ascii", "plain ascii"),
        ("pa\u0308ss", "päss"),
        ("a\u3000b", "a b"),  # RFC 8265 §4.2.1: non-ASCII space
        ("Καλημέρα", "Καλημέρα"),
    ],
)
def test_passwords_are_prepared(password: str, prepared: str) -> None:
    assert prepare_password(password) == prepared
