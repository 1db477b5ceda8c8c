from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.address import parse_address
from mox.message import parse
from mox.message.dsn import Action, compose
from mox.message.dsnreading import DsnError, Report, read_dsn

from .test_dsn import DSN, NOW, UTF8_DSN

# RFC 3464 appendix E.1, shortened.
STATUS = """\
Reporting-MTA: dns; cs.utk.edu

Original-Recipient: rfc822;louisl@larry.slip.umd.edu
Final-Recipient: rfc822;louisl@larry.slip.umd.edu
Action: failed
Status: 4.0.0
Diagnostic-Code: smtp; 426 connection timed out
Last-Attempt-Date: Thu, 7 Jul 1994 17:15:49 -0400
"""


def report(status: str, media_type: str = "message/delivery-status") -> bytes:
    return (
        "Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n"
        f"--b\n\ntext\n--b\nContent-Type: {media_type}\n\n{status}\n--b--\n"
    ).encode()


def read(data: bytes, wire: bool = False) -> Report:
    return read_dsn(data, parse(data, wire=wire), wire=wire)


def test_example_of_the_rfc() -> None:
    found = read(report(STATUS))
    assert found.reporting_mta == "cs.utk.edu"
    (recipient,) = found.recipients
    assert str(recipient.final_recipient) == "louisl@larry.slip.umd.edu"
    assert recipient.original_recipient == "louisl@larry.slip.umd.edu"
    assert (recipient.action, recipient.status) == (Action.FAILED, "4.0.0")
    assert (recipient.code, recipient.enhanced_code) == (426, "4.0.0")
    assert recipient.diagnostic == "426 connection timed out"
    assert recipient.last_attempt is not None and recipient.will_retry_until is None


def test_several_recipients() -> None:
    more = (
        "\nFinal-Recipient: RFC822; <b@x.example> (home)\nAction: Delivered\nStatus: 2.1.5 (ok)\n"
        "\nFinal-Recipient: rfc822;c@x.example\nAction: failed\nStatus: 5.0.0\n"
        "Diagnostic-Code: smtp; 550-5.1.1 no\n such user\n"
    )
    found = read(report(STATUS + more)).recipients
    assert [r.action for r in found] == [Action.FAILED, Action.DELIVERED, Action.FAILED]
    assert [r.code for r in found] == [426, 200, 550]
    assert [r.enhanced_code for r in found] == ["4.0.0", "2.1.5", "5.1.1"]
    assert str(found[1].final_recipient) == "b@x.example"


@pytest.mark.parametrize("utf8", [False, True])
def test_our_own_notifications_are_read(utf8: bool) -> None:
    (recipient,) = read(compose(DSN, utf8=utf8), wire=True).recipients
    assert recipient.final_recipient == parse_address("a@retry.example")
    assert recipient.action == Action.DELAYED and recipient.code == 450
    assert recipient.remote_mta == "mx.retry.example ([192.0.2.7])"
    assert (recipient.last_attempt, recipient.will_retry_until) == (NOW, NOW + 21600)
    (recipient,) = read(compose(UTF8_DSN, utf8=utf8), wire=True).recipients
    assert recipient.final_recipient == parse_address("ü+a@ü.example")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Reporting-MTA: dns; cs.utk.edu", "X: y"),
        ("Reporting-MTA: dns;", "Reporting-MTA: x400;"),
        ("Action: failed", "Action: exploded"),
        ("Action: failed\n", ""),
        ("Action: failed\n", "Action: failed\nAction: failed\n"),
        ("Status: 4.0.0", "Status: 450"),
        ("Status: 4.0.0\n", ""),
        ("Final-Recipient: rfc822;", "Final-Recipient: x400;"),
        ("Final-Recipient: rfc822;louisl@larry.slip.umd.edu", "Final-Recipient: rfc822;louisl"),
        ("Final-Recipient: rfc822;louisl@larry.slip.umd.edu\n", ""),
        ("\n\nOriginal", "\nOriginal"),
    ],
)
def test_unsound_reports_are_refused(old: str, new: str) -> None:
    assert old in STATUS
    with pytest.raises(DsnError):
        read(report(STATUS.replace(old, new)))


def test_other_messages_are_refused() -> None:
    for data in (
        b"Subject: x\n\nbody\n",
        report(STATUS, "text/plain"),
        report(STATUS).replace(b"delivery-status;", b"disposition-notification;"),
        report(STATUS + "\n" + STATUS.partition("\n\n")[2] * 2),
    ):
        with pytest.raises(DsnError):
            read(data)


LINES = [*STATUS.splitlines(), "", " folded", "Final-Recipient: utf-8;\\x{110000}@x", "Status: 5."]


@given(
    st.lists(
        st.one_of(st.sampled_from(LINES), st.text(st.characters(codec="utf-8"), max_size=20)),
        max_size=20,
    )
)
def test_any_report_is_read_or_refused(lines: list[str]) -> None:
    try:
        found = read(report("\n".join(lines)))
    except DsnError:
        return
    for recipient in found.recipients:
        assert 200 <= recipient.code < 600
