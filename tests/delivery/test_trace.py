from __future__ import annotations

from ipaddress import ip_address

from mox.address import Domain, Path, parse_domain
from mox.delivery.decision import Decision
from mox.delivery.trace import Client, Trace, fold, protocol, received, stored_prefix

EXAMPLE = parse_domain("example.org")
WHEN = 1_795_437_963.5  # 23 Nov 2026 12:46:03 UTC


def _trace(**changes: object) -> Trace:
    fields: dict[str, object] = {
        "hostname": "mox.example",
        "protocol": "ESMTPS",
        "id": "nLDpV_E0im9f-53GHgDAOA",
        "received": WHEN,
        "local_ip": ip_address("192.0.2.1"),
        "client": Client(ip_address("198.51.100.7"), "mta.example", parse_domain("mta.example")),
        "tls": "TLS1.3 TLS_AES_128_GCM_SHA256",
    }
    return Trace(**{**fields, **changes})  # type: ignore[arg-type]


def test_received_names_both_ends() -> None:
    assert received(_trace(), Path("a", EXAMPLE)) == (
        b"Received: from mta.example ([198.51.100.7]) by mox.example ([192.0.2.1]) via\r\n"
        b"\ttcp with ESMTPS id nLDpV_E0im9f-53GHgDAOA\r\n"
        b"\t(TLS1.3 TLS_AES_128_GCM_SHA256) for <a@example.org>;\r\n"
        b"\t23 Nov 2026 12:46:03 +0000\r\n"
    )


def test_received_of_a_user_hides_the_client() -> None:
    text = received(_trace(client=None, protocol="ESMTPSA"), None)
    assert text.startswith(b"Received: from mox.example by mox.example via tcp with ESMTPSA id\r\n")
    assert b" for " not in text
    assert b"198.51" not in text
    assert b";\r\n\t23 Nov" in text or b"; 23 Nov" in text


def test_received_shows_a_reverse_name_that_differs() -> None:
    client = Client(ip_address("::1"), "[IPv6:::1]", None, "host.example.")
    assert b"from [IPv6:::1] (host.example [IPv6:::1]) by" in received(_trace(client=client), None)


def test_received_with_smtputf8_has_both_forms_of_the_domain() -> None:
    domain = Domain("xn--mnchen-3ya.example", "münchen.example")
    client = Client(ip_address("198.51.100.7"), "x", domain)
    text = received(_trace(client=client, smtputf8=True), Path("ü", domain)).decode()
    assert "from münchen.example (xn--mnchen-3ya.example)" in text
    assert "for <ü@münchen.example>" in text
    assert "xn--mnchen-3ya.example (" in received(_trace(client=client), None).decode()


def test_long_tokens_stand_on_their_own_line() -> None:
    assert fold("X", ["a" * 90, "b"]) == b"X: " + b"a" * 90 + b"\r\n\tb\r\n"


def test_protocol_names() -> None:
    flags = {"extended": True, "smtputf8": False, "tls": True, "authenticated": True}
    assert protocol(**flags) == "ESMTPSA"
    assert protocol(**{**flags, "smtputf8": True, "authenticated": False}) == "UTF8SMTPS"
    assert protocol(extended=False, smtputf8=False, tls=False, authenticated=False) == "SMTP"


def test_stored_prefix_has_the_fields_in_order() -> None:
    decision = Decision(True, "Inbox", "some-reason", ("one", "two", "three"))
    path = Path("a", EXAMPLE)
    text = stored_prefix(_trace(), decision, "a@example.org", Path("", None), path)
    assert text.startswith(
        b"X-Mox-Reason: some-reason; one;\r\n\ttwo;\r\n\tthree;\r\n"
        b"Delivered-To: a@example.org\r\n"
        b"Return-Path: <>\r\n"
        b"Received: from mta.example"
    )
