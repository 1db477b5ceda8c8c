from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.sasl import server
from mox.sasl.outcome import Challenge, Failure, Reason, Success
from mox.sasl.plain import ExternalClient, LoginClient, PlainClient
from tests.sasl.exchange import PASSWORD, USER, OneUser, drive, surroundings

U, P = USER.encode(), PASSWORD.encode()


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"\0" + U + b"\0" + P, Success(USER)),
        (U + b"\0" + U + b"\0" + P, Success(USER, USER)),
        (b"other\0" + U + b"\0" + P, Failure(Reason.AUTHZID, USER)),
        (b"\0" + U + b"\0wrong", Failure(Reason.CREDENTIALS, USER)),
        (b"\0nobody\0" + P, Failure(Reason.CREDENTIALS, "nobody")),
        (b"", Failure(Reason.MALFORMED)),
        (U + b"\0" + P, Failure(Reason.MALFORMED)),
        (b"\0\0" + P, Failure(Reason.MALFORMED)),
        (b"\0" + U + b"\0", Failure(Reason.MALFORMED)),
        (b"\0" + U + b"\0" + P + b"\0", Failure(Reason.MALFORMED)),
        (b"\0" + U + b"\0\xff", Failure(Reason.ENCODING)),
    ],
)
def test_plain(message: bytes, expected: object) -> None:
    assert server.mechanism("PLAIN", surroundings()).step(message) == expected
    later = server.mechanism("PLAIN", surroundings())
    assert later.step(None) == Challenge(b"")
    assert later.step(message) == expected


def test_password_and_name_are_normalised() -> None:
    secrets = OneUser(username="jörg@mox.example")
    mechanism = server.mechanism("PLAIN", surroundings(secrets))
    message = "\0jo\u0308rg@mox.example\0pa\u0308ssword €".encode()
    assert mechanism.step(message) == Success("jörg@mox.example")


def test_login() -> None:
    mechanism = server.mechanism("LOGIN", surroundings())
    assert mechanism.step(None) == Challenge(b"Username:")
    assert mechanism.step(U) == Challenge(b"Password:")
    assert mechanism.step(P) == Success(USER)
    mechanism = server.mechanism("LOGIN", surroundings())
    assert mechanism.step(U) == Challenge(b"Password:")
    assert mechanism.step(b"wrong") == Failure(Reason.CREDENTIALS, USER)
    assert server.mechanism("LOGIN", surroundings()).step(b"") == Failure(Reason.MALFORMED)


def test_external() -> None:
    def step(message: bytes) -> object:
        return server.mechanism("EXTERNAL", surroundings()).step(message)

    assert step(b"") == Success(USER, "")
    assert step(U) == Success(USER, USER)
    assert step(b"other@mox.example") == Failure(Reason.CREDENTIALS, "other@mox.example")
    assert step(b"\xff") == Failure(Reason.ENCODING)
    assert server.mechanism("EXTERNAL", surroundings()).step(None) == Challenge(b"")


@pytest.mark.parametrize("initial", [True, False])
def test_our_clients(initial: bool) -> None:
    def result(name: str, client: PlainClient | LoginClient | ExternalClient) -> object:
        return drive(server.mechanism(name, surroundings()), client, initial=initial)

    assert result("PLAIN", PlainClient(USER, PASSWORD)) == Success(USER)
    assert result("LOGIN", LoginClient(USER, PASSWORD)) == Success(USER)
    assert result("EXTERNAL", ExternalClient()) == Success(USER)


NAMES = (*server.WITH_BINDING, *server.HASHED, *server.PLAINTEXT, "EXTERNAL")


@given(st.sampled_from(NAMES), st.lists(st.one_of(st.none(), st.binary(max_size=60)), max_size=5))
def test_no_mechanism_raises(name: str, messages: list[bytes | None]) -> None:
    mechanism = server.mechanism(name, surroundings(binding=lambda kind: b"data"))
    for message in messages:
        if not isinstance(mechanism.step(message), Challenge):
            break
