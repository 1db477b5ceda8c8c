"""The Received-SPF field."""

from __future__ import annotations

from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from mox.address import NULL_PATH, Path, parse_domain
from mox.mailauth.receivedspf import received_spf
from mox.mailauth.results import SPFResult, SPFStatus

GOOD = parse_domain("good.example")
HOST = parse_domain("mox.example")


def test_pass_for_mail_from() -> None:
    result = SPFResult(SPFStatus.PASS, "mailfrom", GOOD, "ip4:192.0.2.0/24")
    field = received_spf(
        result,
        remote_ip=ip_address("::ffff:192.0.2.10"),
        mail_from=Path("a b", GOOD),
        helo=parse_domain("mx.good.example"),
        hostname=HOST,
    )
    assert field == (
        b"Received-SPF: pass (domain good.example) client-ip=192.0.2.10;\r\n"
        b'\tenvelope-from="\\"a b\\"@good.example"; helo=mx.good.example;\r\n'
        b'\tmechanism="ip4:192.0.2.0/24"; receiver=mox.example; identity=mailfrom\r\n'
    )


def test_problem_with_helo_for_the_null_path() -> None:
    result = SPFResult(SPFStatus.PERMERROR, "helo", GOOD, problem='bad "x"')
    field = received_spf(
        result, remote_ip=ip_address("2001:db8::1"), mail_from=NULL_PATH, helo=GOOD, hostname=HOST
    )
    assert b"(domain good.example, from ehlo because mailfrom is\r\n\tempty)" in field
    assert b'client-ip="2001:db8::1";' in field
    assert b'problem="bad \\"x\\"";' in field
    assert b"envelope-from" not in field
    assert field.endswith(b" identity=helo\r\n")


def test_nothing_to_evaluate() -> None:
    helo = ip_address("192.0.2.1")
    field = received_spf(
        SPFResult(SPFStatus.NONE), remote_ip=helo, mail_from=NULL_PATH, helo=helo, hostname=HOST
    )
    assert field == (
        b'Received-SPF: none client-ip=192.0.2.1; helo="[192.0.2.1]";\r\n'
        b"\treceiver=mox.example; identity=helo\r\n"
    )


def test_names_are_a_labels_without_smtputf8() -> None:
    domain = parse_domain("bücher.example")
    result = SPFResult(SPFStatus.PASS, "mailfrom", domain, "all")
    fields = [
        received_spf(
            result,
            remote_ip=ip_address("192.0.2.1"),
            mail_from=Path("x", domain),
            helo=domain,
            hostname=HOST,
            smtputf8=smtputf8,
        )
        for smtputf8 in (False, True)
    ]
    assert fields[0].isascii()
    assert 'helo="bücher.example"'.encode() in fields[1]


@given(st.text(), st.text())
def test_it_is_one_field_whatever_the_texts_are(problem: str, localpart: str) -> None:
    field = received_spf(
        SPFResult(SPFStatus.PERMERROR, "mailfrom", GOOD, problem=problem),
        remote_ip=ip_address("192.0.2.1"),
        mail_from=Path(localpart or "x", GOOD),
        helo=GOOD,
        hostname=HOST,
    )
    lines = field.decode("utf-8").split("\r\n")
    assert lines[-1] == ""
    assert all(line.startswith("\t") for line in lines[1:-1])
    assert "\n" not in field.decode("utf-8").replace("\r\n", "")
