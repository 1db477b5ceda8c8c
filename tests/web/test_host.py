"""Host fields, and which of them always mean this host."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.web.host import names_this_host, parse_host


@pytest.mark.parametrize(
    ("field", "host"),
    [
        ("localhost", "localhost"),
        ("LocalHost:1080", "localhost"),
        ("mail.Example.ORG.", "mail.example.org"),
        ("mail.example.org:", "mail.example.org"),
        ("127.0.0.1:80", "127.0.0.1"),
        ("[::1]:443", "[::1]"),
        ("[2001:DB8::1]", "[2001:db8::1]"),
        ("mÃ¼nchen.example", "xn--mnchen-3ya.example"),
        ("xn--mnchen-3ya.example", "xn--mnchen-3ya.example"),
        ("", None),
        ("a b", None),
        ("user@host", None),
        ("host/path", None),
        ("host:port", None),
        ("host:1:2", None),
        ("::1", None),
        ("[::1", None),
        ("[::1]x", None),
        (".", None),
        ("a..b", None),
        ("x" * 300, None),
        ("\xff\xfe", None),
    ],
)
def test_host_of_a_field(field: str, host: str | None) -> None:
    assert parse_host(field) == host


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "192.0.2.1", "[::1]", "[2001:db8::1]"])
def test_addresses_and_localhost_mean_this_host(host: str) -> None:
    assert names_this_host(host)


@pytest.mark.parametrize("host", ["mail.example.org", "127.1", "1.2.3.4.5", "localhost.example"])
def test_names_mean_whoever_has_them(host: str) -> None:
    assert not names_this_host(host)


def test_brackets_around_something_else_mean_nothing() -> None:
    assert not names_this_host("[1.2.3.4]")


@given(st.text(st.characters(max_codepoint=255)))
def test_any_field_is_a_host_or_none(field: str) -> None:
    host = parse_host(field)
    if host is not None:
        assert host == host.lower()
        assert parse_host(host) == host
        names_this_host(host)
