from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mox import sconf
from mox.config.account import Account
from mox.config.decode import decode
from mox.config.describe import describe_dynamic, describe_static
from mox.config.destination import Destination
from mox.config.dynamic import Dynamic
from mox.config.listener import Listener
from mox.config.report import MAX_ERRORS, Report
from mox.config.static import Static
from mox.config.transport import Transport

T = TypeVar("T")


def read(cls: type[T], text: str) -> tuple[T, list[str]]:
    report = Report(Path("x.conf"), sconf.parse(text.encode()))
    value = decode(cls, report)
    return value, [f"{error.line} {error.field}: {error.message}" for error in report.errors]


LISTENER = "IPs:\n\t- ::1\n"
ACCOUNT = "Domain: a.example\n"


def test_absent_fields_have_their_defaults() -> None:
    listener, errors = read(Listener, LISTENER)
    assert errors == []
    assert listener.ips == ("::1",)
    assert listener.smtp.enabled is False
    assert listener.smtp.port == 25
    assert listener.smtp_max_message_size == 104857600
    assert listener.tls is None


def test_required_fields_of_a_present_block_are_required() -> None:
    _, errors = read(Listener, LISTENER + "SMTP:\n\tPort: 2525\n")
    assert errors == ["3 SMTP.Enabled: required field is missing"]


def test_zero_means_default() -> None:
    listener, errors = read(Listener, LISTENER + "IMAP:\n\tEnabled: true\n\tPort: 0\n")
    assert errors == []
    assert listener.imap.port == 143


def test_zero_can_be_meant() -> None:
    text = (
        "SMTP:\n\tEnabled: true\n\tFirstTimeSenderDelay: 0s\n\tTLSSessionTicketsDisabled: false\n"
    )
    listener, errors = read(Listener, LISTENER + text)
    assert errors == []
    assert listener.smtp.first_time_sender_delay == timedelta()
    assert listener.smtp.tls_session_tickets_disabled is False


def test_empty_text_of_an_optional_field_means_default() -> None:
    account, errors = read(Account, ACCOUNT + "Destinations:\n\ta@a.example:\n\t\tMailbox:\n")
    assert errors == []
    assert account.destinations["a@a.example"].mailbox == "Inbox"


def test_nil_is_an_entry_with_nothing_set() -> None:
    account, errors = read(Account, ACCOUNT + "Destinations:\n\ta@a.example: nil\n")
    assert errors == []
    assert account.destinations == {"a@a.example": Destination()}


def test_nil_in_a_map_of_texts_is_empty() -> None:
    text = "Domains:\n\ta.example: nil\nAccounts:\n\ta:\n\t\tDomain: a.example\n"
    dynamic, errors = read(Dynamic, text + "WebDomainRedirects:\n\tb.example: nil\n")
    assert errors == []
    assert dynamic.web_domain_redirects == {"b.example": ""}


def test_nil_is_nothing_special_elsewhere() -> None:
    assert read(Account, "Domain: nil\n")[0].domain == "nil"
    _, errors = read(Transport, "Direct: nil\n")
    assert errors == ["1 Direct: expected fields on the lines below, one tab deeper, not 'nil'"]


def test_nil_entry_with_required_fields_is_refused() -> None:
    _, errors = read(Dynamic, "Domains:\n\ta.example: nil\nAccounts:\n\ta: nil\n")
    assert errors == ["4 Accounts.a.Domain: required field is missing"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("Hostnam: x\n", "3 Hostnam: unknown field, did you mean Hostname?"),
        (" Hostname: x\n", "3  Hostname: unknown field: indent with tabs, not spaces"),
        ("hostname: x\n", "3 hostname: unknown field, did you mean Hostname?"),
        ("SMTP: x\n", "3 SMTP: expected fields on the lines below, one tab deeper, not 'x'"),
        ("SMTP:\n", "3 SMTP: expected fields on the lines below, one tab deeper"),
        ("NATIPs:\n", "3 NATIPs: expected list of text on the lines below, one tab deeper"),
        ("NATIPs:\n\tA: b\n", "3 NATIPs: expected list of text, not keys"),
        ("SMTP:\n\t- a\n", "3 SMTP: expected fields, not a list"),
        ("Hostname:\n\tA: b\n", "3 Hostname: expected text on the same line, not lines below"),
        ("IPsNATed:\n", "3 IPsNATed: expected true or false, not ''"),
        ("SMTPMaxMessageSize: 1M\n", "3 SMTPMaxMessageSize: expected an integer, not '1M'"),
        ("TLS:\n\tKeyCerts:\n\t\t- A: x\n", "5 TLS.KeyCerts[0]: expected fields on the lines"),
    ],
)
def test_wrong_form_has_line_field_and_hint(text: str, error: str) -> None:
    _, errors = read(Listener, LISTENER + text)
    assert len(errors) == 1
    assert errors[0].startswith(error)


def test_all_errors_are_told() -> None:
    _, errors = read(Static, "LogLevel: info\nLogLevel: x\nbad\nPedantic: 1\nNo: x\nListeners:\n")
    assert [error.split(":")[0] for error in errors] == [
        "2 ",
        "3 ",
        "4 Pedantic",
        "5 No",
        "6 Listeners",
        "1 DataDir",
        "1 Hostname",
        "1 Postmaster",
    ]


def test_number_of_errors_is_limited() -> None:
    _, errors = read(Static, "".join(f"X{number}: y\n" for number in range(3000)))
    assert len(errors) == MAX_ERRORS + 1


LINES = [line for line in (describe_static() + describe_dynamic()).splitlines() if line]
VALUES = st.sampled_from(["", "x", "true", "-1", "1h", "nil", "\n\t- a", "\n\tA: b", "\n\t-"])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(LINES), max_size=40), st.sampled_from([Static, Dynamic]))
def test_any_lines_give_a_value(lines: list[str], cls: type[Static] | type[Dynamic]) -> None:
    read(cls, "\n".join(lines))


@settings(max_examples=200, deadline=None)
@given(st.data(), st.sampled_from([Static, Dynamic]))
def test_any_value_of_any_field_gives_a_value(
    data: st.DataObject, cls: type[Static] | type[Dynamic]
) -> None:
    text = describe_static() if cls is Static else describe_dynamic()
    lines = [line for line in text.splitlines() if ": " in line and "#" not in line]
    line = data.draw(st.sampled_from(lines))
    changed = line.split(": ")[0] + ": " + data.draw(VALUES)
    read(cls, text.replace(f"{line}\n", f"{changed}\n", 1))
