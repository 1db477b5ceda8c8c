from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.address import Domain, Path
from mox.smtp.arguments import parse_mail, parse_rcpt
from mox.smtp.clientevents import Message
from mox.smtp.config import ServerConfig
from mox.smtp.dsnparameters import DsnRequest, encode_xtext
from mox.smtp.errors import CommandRefused
from mox.smtp.grammar import parse_xtext
from tests.smtp.test_client import ready

CONFIG = ServerConfig(kind="submission", hostname="here.example", dsn=True)


def rcpt(parameters: str, config: ServerConfig = CONFIG) -> DsnRequest:
    return parse_rcpt(f"TO:<a@b.example> {parameters}".rstrip(), config, smtputf8=False).request


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ("", DsnRequest()),
        ("NOTIFY=NEVER", DsnRequest(("NEVER",))),
        ("notify=success,Failure", DsnRequest(("SUCCESS", "FAILURE"))),
        ("NOTIFY=DELAY,DELAY", DsnRequest(("DELAY",))),
        # The examples of RFC 3461 §10.
        (
            "NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Bob@Example.COM",
            DsnRequest(("SUCCESS", "FAILURE"), "rfc822;Bob@Example.COM"),
        ),
        ("ORCPT=rfc822;George+40Tax-ME.GOV", DsnRequest((), "rfc822;George@Tax-ME.GOV")),
    ],
)
def test_rcpt_parameters(parameters: str, expected: DsnRequest) -> None:
    assert rcpt(parameters) == expected


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ("NOTIFY", 501),
        ("NOTIFY=NEVER,SUCCESS", 501),
        ("NOTIFY=SUCCESS,", 501),
        ("NOTIFY=ALWAYS", 501),
        ("NOTIFY=NEVER NOTIFY=DELAY", 501),
        ("ORCPT=a@b.example", 501),
        ("ORCPT=rfc822;", 501),
        ("ORCPT=rfc822;a+4", 501),
        ("ORCPT=rfc822;a+0D+0Ab", 501),
        ("ORCPT=;a@b.example", 501),
        ("ORCPT=rfc822;" + "x" * 501, 501),
        ("SIZE=1", 555),
    ],
)
def test_bad_rcpt_parameters(parameters: str, code: int) -> None:
    with pytest.raises(CommandRefused) as refused:
        rcpt(parameters)
    assert refused.value.reply.code == code


def test_nothing_is_taken_where_it_is_not_offered() -> None:
    config = ServerConfig(kind="delivery", hostname="here.example")
    for parameters in ("NOTIFY=NEVER", "ORCPT=rfc822;a@b.example"):
        with pytest.raises(CommandRefused) as refused:
            rcpt(parameters, config)
        assert refused.value.reply.code == 555
    for parameters in ("RET=FULL", "ENVID=x"):
        with pytest.raises(CommandRefused) as refused:
            parse_mail(f"FROM:<> {parameters}", config, has_tls=False, now=None)
        assert refused.value.reply.code == 555


def test_mail_parameters() -> None:
    event = parse_mail("FROM:<> RET=hdrs ENVID=QQ+2B314", CONFIG, has_tls=False, now=None)
    assert (event.ret, event.envid) == ("HDRS", "QQ+314")


@pytest.mark.parametrize(
    "parameters",
    ["RET", "RET=ALL", "ENVID", "ENVID=a+0Ab", "ENVID=+C3+A9", "ENVID=" + "x" * 101],
)
def test_bad_mail_parameters(parameters: str) -> None:
    with pytest.raises(CommandRefused) as refused:
        parse_mail(f"FROM:<> {parameters}", CONFIG, has_tls=False, now=None)
    assert refused.value.reply.code == 501


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_xtext_goes_there_and_back(text: str) -> None:
    encoded = encode_xtext(text)
    assert encoded.isascii()
    assert not set(encoded) & set(" =\r\n")
    assert parse_xtext(encoded) == text


@pytest.mark.parametrize("has_dsn", [True, False])
def test_client_passes_on_what_the_server_understands(has_dsn: bool) -> None:
    client = ready(
        b"250-x\r\n250-DSN\r\n250 PIPELINING\r\n" if has_dsn else b"250-x\r\n250 PIPELINING\r\n"
    )
    there = Domain("b.example", "b.example")
    message = Message(
        Path("me", there),
        (Path("a", there), Path("b", there)),
        1,
        ret="FULL",
        envid="a=b",
        requests=(DsnRequest(("SUCCESS", "DELAY"), "rfc822;a+c@x.example"), DsnRequest()),
    )
    client.transact(message)
    lines = client.data_to_send().decode().split("\r\n")
    if has_dsn:
        assert lines[0] == "MAIL FROM:<me@b.example> RET=FULL ENVID=a+3Db"
        assert lines[1] == (
            "RCPT TO:<a@b.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+2Bc@x.example"
        )
        assert lines[2] == "RCPT TO:<b@b.example>"
    else:
        assert lines[0] == "MAIL FROM:<me@b.example>"
