"""`mox dmarc …` against a name server of ours."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from mox.cli.arguments import UsageError, find, parse
from mox.cli.command import Command
from mox.cli.dmarc import COMMANDS
from mox.errors import MoxError
from tests.support.fakedns import FakeDNS

ZONE = {
    ("_dmarc.example.com", "TXT"): ['"v=DMARC1; p=reject; sp=none; rua=mailto:d@example.com"'],
    ("example.com", "TXT"): ['"v=spf1 ip4:192.0.2.1 -all"'],
    ("_dmarc.test.example", "TXT"): ['"v=DMARC1; p=reject; t=y; pct=20"'],
    ("_dmarc.broken.example", "TXT"): ['"v=DMARC1; p=maybe"'],
    ("_dmarc.slow.example", "TXT"): ["SERVFAIL"],
    ("_dmarc.others.example", "TXT"): [
        '"v=DMARC1;p=none;rua=mailto:a@yes.example,mailto:b@no.example,https://x.example/"'
    ],
    ("others.example._report._dmarc.yes.example", "TXT"): ['"v=DMARC1;rua=mailto:new@yes.example"'],
}


class Ran(NamedTuple):
    status: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Run a command in this process; what leaves it as an error is in `err`."""
    with FakeDNS(ZONE, authentic=True) as server:
        monkeypatch.setenv("MOX_DNS_SERVER", server.server)

        def run(*words: str, stdin: bytes = b"") -> Ran:
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
            command, rest = find(COMMANDS, words)
            args = parse(command, rest)
            try:
                status, raised = command.run(args), ""
            except MoxError as e:
                status, raised = 1, str(e)
            captured = capsys.readouterr()
            return Ran(status, captured.out, captured.err + raised)

        yield run


def test_lookup_prints_the_record(run: Run) -> None:
    assert run("dmarc", "lookup", "example.com") == (
        0,
        "DMARC record at example.com (with dnssec):\n"
        "v=DMARC1; p=reject; sp=none; rua=mailto:d@example.com\n"
        "policy for example.com: reject\n",
        "",
    )


def test_lookup_goes_up_the_tree(run: Run) -> None:
    ran = run("dmarc", "lookup", "a.B.example.com")
    assert "DMARC record at example.com, for a.b.example.com (with dnssec):\n" in ran.out
    assert "policy for a.b.example.com: none\n" in ran.out
    assert "organizational domain: example.com\n" in ran.out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), "policy for test.example: quarantine (under test: nothing is refused)"),
        (("-rule", "rfc7489"), "policy for test.example: reject for 20 in 100 messages"),
    ],
)
def test_lookup_by_either_rule(run: Run, words: tuple[str, ...], expected: str) -> None:
    assert expected in run("dmarc", "lookup", *words, "test.example").out


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("nothing.example", "no DMARC record for nothing.example (with dnssec)"),
        ("broken.example", "not usable: _dmarc.broken.example: no valid policy"),
        ("slow.example", "looking up DMARC for slow.example: "),
        ("not..valid", "empty domain label"),
    ],
)
def test_lookup_without_result_fails(run: Run, domain: str, expected: str) -> None:
    ran = run("dmarc", "lookup", domain)
    assert ran.status == 1
    assert expected in ran.err


MESSAGE = b"From: Boss <boss@example.com>\r\nSubject: hi\r\n\r\nhello\r\n"


@pytest.mark.parametrize(
    ("ip", "mail_from", "expected"),
    [
        (
            "192.0.2.1",
            "boss@example.com",
            "spf=pass mailfrom example.com\n"
            "dkim=none\n"
            "dmarc=pass example.com\n"
            "record at example.com (with dnssec):\n"
            "v=DMARC1; p=reject; sp=none; rua=mailto:d@example.com\n"
            "aligned: spf\n"
            "policy: reject\n"
            "refused: no\n",
        ),
        (
            "192.0.2.2",
            "<boss@example.com>",
            "spf=fail mailfrom example.com\n"
            "dkim=none\n"
            "dmarc=fail example.com\n"
            "record at example.com (with dnssec):\n"
            "v=DMARC1; p=reject; sp=none; rua=mailto:d@example.com\n"
            "aligned: nothing\n"
            "policy: reject\n"
            "refused: yes\n",
        ),
    ],
)
def test_verify_says_what_would_happen(run: Run, ip: str, mail_from: str, expected: str) -> None:
    assert run("dmarc", "verify", ip, mail_from, "mx.example.com", stdin=MESSAGE).out == expected


def test_verify_takes_helo_for_the_null_reverse_path(run: Run) -> None:
    ran = run("dmarc", "verify", "192.0.2.1", "<>", "example.com", stdin=MESSAGE)
    assert "spf=pass helo example.com\n" in ran.out
    assert "refused: no\n" in ran.out


def test_verify_shows_signatures_that_do_not_count(run: Run) -> None:
    signature = (
        b"DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=x\x1b[31m; h=From; b=; bh=\r\n"
    )
    ran = run("dmarc", "verify", "192.0.2.2", "<>", "[192.0.2.2]", stdin=signature + MESSAGE)
    assert "dkim=permerror example.com" in ran.out
    assert "\x1b" not in ran.out
    assert "refused: yes\n" in ran.out


def test_verify_of_a_message_in_two_names(run: Run) -> None:
    message = MESSAGE.replace(b"<boss@", b"<me@evil.example>, <boss@")
    ran = run("dmarc", "verify", "192.0.2.2", "me@evil.example", "evil.example", stdin=message)
    assert "dmarc=fail example.com\n" in ran.out
    assert "refused: yes\n" in ran.out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("999", "<>", "example.com"), "not an IP address"),
        (("192.0.2.1", "nobody", "example.com"), "missing @"),
        (("192.0.2.1", "<>", "[x]"), "not an IP address"),
    ],
)
def test_verify_refuses_bad_arguments(run: Run, words: tuple[str, ...], expected: str) -> None:
    ran = run("dmarc", "verify", *words)
    assert (ran.status, ran.out) == (1, "")
    assert expected in ran.err


def test_report_addresses_of_the_own_domain(run: Run) -> None:
    ran = run("dmarc", "checkreportaddrs", "example.com")
    assert ran.status == 0
    assert "mailto:d@example.com: ok: of the same organization; to d@example.com\n" in ran.out


def test_report_addresses_of_others(run: Run) -> None:
    ran = run("dmarc", "checkreportaddrs", "others.example")
    assert ran.status == 1
    assert ran.out.splitlines()[2:] == [
        "mailto:a@yes.example: ok: its domain agrees; to new@yes.example",
        "mailto:b@no.example: not used: its domain does not say that it takes these reports; "
        "no DMARC record at others.example._report._dmarc.no.example",
        "https://x.example/: not used: only mailto with one address is usable",
    ]


def test_report_addresses_need_a_record(run: Run) -> None:
    assert run("dmarc", "checkreportaddrs", "nothing.example").status == 1
    assert run("dmarc", "checkreportaddrs", "broken.example").status == 1
    assert "no address" in run("dmarc", "checkreportaddrs", "test.example").out


def test_commands_are_explained() -> None:
    for command in COMMANDS:
        assert isinstance(command, Command)
        with pytest.raises(UsageError, match="usage: mox dmarc"):
            parse(command, [])
