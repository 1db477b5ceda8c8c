from __future__ import annotations

import pytest

from mox.sasl import server
from mox.sasl.crammd5 import CramMD5Client, CramMD5Server, hmac_md5
from mox.sasl.outcome import Challenge, Failure, Reason, Success
from mox.sasl.verifiers import cram_md5_verifier
from tests.sasl.exchange import PASSWORD, USER, OneUser, drive, surroundings

CHALLENGE = "<1896.697170952@postoffice.reston.mci.net>"


def test_rfc2195_example() -> None:
    secrets = OneUser("tim", "tanstaaftanstaaf")
    mechanism = CramMD5Server(secrets, CHALLENGE)
    assert mechanism.step(None) == Challenge(CHALLENGE.encode())
    assert mechanism.step(b"tim b913a602c7eda7a495b4e6e7334d3890") == Success("tim")
    client = CramMD5Client("tim", "tanstaaftanstaaf")
    assert client.step(CHALLENGE.encode()) == b"tim b913a602c7eda7a495b4e6e7334d3890"


@pytest.mark.parametrize(
    ("key", "data", "digest"),
    [
        # RFC 2202 §2, cases 2, 6 and 7
        ("Jefe", b"what do ya want for nothing?", "750c783e6ab0b503eaa86e310a5db738"),
        ("short", b"", "c669ba32ddd1be7dc7e7d4ea6dcf8ee6"),
    ],
)
def test_hmac_from_stored_states(key: str, data: bytes, digest: str) -> None:
    import hmac

    assert (
        hmac_md5(cram_md5_verifier(key), data).hex()
        == hmac.new(key.encode(), data, "md5").hexdigest()
    )
    if key == "Jefe":
        assert hmac_md5(cram_md5_verifier(key), data).hex() == digest


def test_long_passwords_are_hashed_first() -> None:
    import hmac

    key = "x" * 100
    assert hmac_md5(cram_md5_verifier(key), b"data") == hmac.digest(key.encode(), b"data", "md5")


def test_pair() -> None:
    mechanism = server.mechanism("CRAM-MD5", surroundings())
    assert drive(mechanism, CramMD5Client(USER, PASSWORD)) == Success(USER)
    mechanism = server.mechanism("CRAM-MD5", surroundings())
    assert drive(mechanism, CramMD5Client(USER, "wrong")) == Failure(Reason.CREDENTIALS, USER)
    mechanism = server.mechanism("CRAM-MD5", surroundings())
    assert drive(mechanism, CramMD5Client("nobody", PASSWORD)) == Failure(
        Reason.CREDENTIALS, "nobody"
    )


@pytest.mark.parametrize(
    "answer", [b"", b"user", b"user " + b"0" * 31, b" " + b"0" * 32, b"user  " + b"0" * 33]
)
def test_malformed(answer: bytes) -> None:
    mechanism = CramMD5Server(OneUser(), CHALLENGE)
    mechanism.step(None)
    outcome = mechanism.step(answer)
    assert isinstance(outcome, Failure)
    assert outcome.reason is Reason.MALFORMED


def test_initial_response_is_refused() -> None:
    assert CramMD5Server(OneUser(), CHALLENGE).step(b"x") == Failure(Reason.MALFORMED)
