"""Who gets mail, who logs in, who may send: the order of the rules."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from mox import sconf
from mox.address import NULL_PATH, Path, parse_address, parse_domain
from mox.config import Config
from mox.config.lookup import Disabled, NotLocal, Recipient, ToAccount, ToAlias, Unknown
from tests.config.texts import Files, at

ADDED: list[tuple[str, sconf.Plain]] = [
    ("Domains/off.example/Disabled", "true"),
    ("Domains/two.example/LocalpartCatchallSeparators", ["-", "+"]),
    (
        "Domains/two.example/DMARC",
        {"Localpart": "dmarc-reports", "Account": "second", "Mailbox": "DMARC"},
    ),
    (
        "Domains/empty.example/TLSRPT",
        {"Localpart": "TLS", "Domain": "two.example", "Account": "second", "Mailbox": "T"},
    ),
    (
        "Domains/example.org/Aliases/team",
        {
            "Addresses": ["second@example.org", "mjl@example.org"],
            "PostPublic": "true",
            "AllowMsgFrom": "true",
        },
    ),
    ("Domains/example.org/Aliases/closed", {"Addresses": ["mjl@example.org"]}),
    ("Domains/list.example/Aliases/only", {"Addresses": ["mjl@example.org"]}),
    ("Domains/münchen.example/Description", "x"),
    ("Accounts/mjl/Destinations/x@off.example", sconf.NIL),
    ("Accounts/mjl/Destinations/@two.example", {"Mailbox": "All"}),
    ("Accounts/mjl/Destinations/postmaster@two.example", sconf.NIL),
    ("Accounts/mjl/Destinations/ünï@münchen.example", sconf.NIL),
    ("Accounts/mjl/Destinations/gone@example.org", {"SMTPError": "550 gone"}),
]


@pytest.fixture
def config(files: Files) -> Config:
    for path, value in ADDED:
        files.dynamic.set(at(path), value)
    files.static.set(
        ["HostTLSRPT"], {"Account": "second", "Mailbox": "TLS", "Localpart": "tlsreports"}
    )
    files.static.set(at("Listeners/local/Hostname"), "in.example.org")
    return files.load()


def path_of(text: str) -> Path:
    address = parse_address(text)
    return Path(address.localpart, address.domain)


def show(recipient: Recipient) -> str:
    """Write an answer in a line."""
    if isinstance(recipient, ToAccount):
        line = f"{recipient.account} {recipient.destination.mailbox} {recipient.canonical}"
        return f"{line} {recipient.reports}".rstrip()
    if isinstance(recipient, ToAlias):
        members = ",".join(member.account for member in recipient.members)
        return f"alias {recipient.canonical} {members}"
    return type(recipient).__name__


@pytest.mark.parametrize(
    ("address", "answer"),
    [
        ("mjl@example.org", "mjl Inbox mjl@example.org"),
        ("MJL+Any+Thing@EXAMPLE.org", "mjl Inbox mjl@example.org"),
        ("second@example.org", "second Other second@example.org"),
        ("none@example.org", "Unknown"),
        ("x@other.example", "NotLocal"),
        # The domain has no address, it only sends its reports elsewhere.
        ("x@empty.example", "NotLocal"),
        ("postmaster@empty.example", "NotLocal"),
        # Case counts there.
        ("Upper@case.example", "mjl Inbox Upper@case.example"),
        ("upper@case.example", "Unknown"),
        # Several separators, catch-all, reports.
        ("any@two.example", "mjl All @two.example"),
        ("any-x+y@two.example", "mjl All @two.example"),
        ("dmarc-reports@two.example", "second DMARC dmarc-reports@two.example dmarc"),
        ("DMARC-Reports+x@two.example", "second DMARC dmarc-reports@two.example dmarc"),
        ("tls@two.example", "second T tls@two.example tls"),
        ("dmarc@two.example", "mjl All @two.example"),
        # Postmaster: of the host, of a domain, given to an account.
        ("PostMaster@mail.example.org", "mjl Postmaster postmaster"),
        ("postmaster@in.example.org", "mjl Postmaster postmaster"),
        ("postmaster@example.org", "mjl Postmaster postmaster"),
        ("Postmaster@case.example", "mjl Postmaster postmaster"),
        ("postmaster@two.example", "mjl Inbox postmaster@two.example"),
        ("postmaster@other.example", "NotLocal"),
        ("x@mail.example.org", "NotLocal"),
        # Reports about the host.
        ("tlsreports@mail.example.org", "second TLS tlsreports@mail.example.org tls-host"),
        ("TLSReports@mail.example.org", "second TLS tlsreports@mail.example.org tls-host"),
        ("tlsreports@in.example.org", "NotLocal"),
        # Turned off.
        ("x@off.example", "Disabled"),
        ("none@off.example", "Disabled"),
        # Aliases.
        ("team@example.org", "alias team@example.org second,mjl"),
        ("Team+x@example.org", "alias team@example.org second,mjl"),
        ("only@list.example", "alias only@list.example mjl"),
        # International names, in both forms.
        ("ünï@münchen.example", "mjl Inbox ünï@münchen.example"),
        ("ÜNÏ@xn--mnchen-3ya.example", "mjl Inbox ünï@münchen.example"),
        ("gone@example.org", "mjl Inbox gone@example.org"),
    ],
)
def test_recipient(config: Config, address: str, answer: str) -> None:
    assert show(config.lookup.recipient(path_of(address))) == answer


def test_recipients_without_a_domain_name(config: Config) -> None:
    recipient = config.lookup.recipient
    assert show(recipient(Path("POSTMASTER", None))) == "mjl Postmaster postmaster"
    assert isinstance(recipient(NULL_PATH), NotLocal)
    assert isinstance(recipient(Path("mjl", ip_address("192.0.2.1"))), NotLocal)
    assert isinstance(recipient(Path("postmaster", ip_address("::1"))), NotLocal)


def test_answers_carry_the_domain(config: Config) -> None:
    disabled = config.lookup.recipient(path_of("x@off.example"))
    assert isinstance(disabled, Disabled)
    assert disabled.domain == parse_domain("off.example")
    assert isinstance(config.lookup.recipient(path_of("none@example.org")), Unknown)


def test_destination_is_that_of_the_account(config: Config) -> None:
    found = config.lookup.recipient(path_of("gone@example.org"))
    assert isinstance(found, ToAccount)
    assert found.destination.smtp_error == "550 gone"


@pytest.mark.parametrize(
    ("login", "account"),
    [
        ("mjl@example.org", "mjl"),
        ("MJL+tag@Example.org", "mjl"),
        ("second@example.org", "second"),
        ("any@two.example", "mjl"),
        ("x@off.example", "mjl"),  # login goes on working there
        ("postmaster@example.org", None),
        ("postmaster@mail.example.org", None),
        ("tlsreports@mail.example.org", None),
        ("team@example.org", None),
        ("mjl", None),
        ("mjl@", None),
        ("", None),
        ("@example.org", None),
        ("none@example.org", None),
        ("mjl@other.example", None),
        ("mjl\x00@example.org", None),
        ("x" * 100000 + "@example.org", None),
    ],
)
def test_login(config: Config, login: str, account: str | None) -> None:
    assert config.lookup.login(login) == account


@pytest.mark.parametrize(
    ("account", "address", "may"),
    [
        ("mjl", "mjl@example.org", True),
        ("mjl", "mjl+any@example.org", True),
        ("mjl", "second@example.org", False),
        ("mjl", "any@two.example", True),
        ("mjl", "x@off.example", True),
        ("mjl", "postmaster@example.org", False),
        ("mjl", "postmaster@two.example", True),
        ("mjl", "team@example.org", True),
        ("second", "team@example.org", True),
        ("mjl", "closed@example.org", False),
        ("mjl", "x@other.example", False),
    ],
)
def test_may_send_as(config: Config, account: str, address: str, may: bool) -> None:
    assert config.lookup.may_send_as(account, parse_address(address)) is may


def test_disabled_domains(config: Config) -> None:
    assert config.lookup.is_disabled(parse_domain("off.example"))
    assert not config.lookup.is_disabled(parse_domain("example.org"))
    assert not config.lookup.is_disabled(parse_domain("other.example"))


@pytest.mark.parametrize(
    ("address", "canonical"),
    [
        ("MJL+x@example.org", "mjl@example.org"),
        ("MJL+x@other.example", "mjl+x@other.example"),
        ("Upper@case.example", "Upper@case.example"),
    ],
)
def test_canonical(config: Config, address: str, canonical: str) -> None:
    assert config.lookup.canonical(parse_address(address)) == canonical


def test_report_address_replaces_a_destination(files: Files) -> None:
    report = {"Localpart": "mjl", "Account": "second", "Mailbox": "R"}
    files.dynamic.set(at("Domains/example.org/DMARC"), report)
    found = files.load().lookup.recipient(path_of("mjl@example.org"))
    assert show(found) == "second R mjl@example.org dmarc"


def test_report_address_makes_a_domain_local(files: Files) -> None:
    report = {"Localpart": "r", "Account": "second", "Mailbox": "R"}
    files.dynamic.set(at("Domains/empty.example/TLSRPT"), report)
    lookup = files.load().lookup
    assert show(lookup.recipient(path_of("r@empty.example"))) == "second R r@empty.example tls"
    assert show(lookup.recipient(path_of("x@empty.example"))) == "Unknown"
