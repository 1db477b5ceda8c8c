"""What applications are told about mail that comes in: of messages, and of answers to theirs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from mox.address import NULL_PATH, parse_address, parse_domain
from mox.address import Path as SMTPPath
from mox.config import Config, load
from mox.delivery import incoming
from mox.delivery.arrival import Arrival, Foreign, Result
from mox.delivery.authenticate import Checks
from mox.delivery.recipients import Recipient, resolve_incoming
from mox.message import dsn
from mox.message.trace import Received
from mox.store import Store, open_store
from mox.store.errors import ErrorKind, StoreError
from mox.store.hooks import Hooks
from mox.store.model import M_EMAIL_ID
from mox.store.outgoing import Outgoing
from tests.delivery.test_feedback import notification, retire
from tests.queue.site import DYNAMIC, STATIC

NOW = 1_800_000_000
ACCOUNT = """\
		OutgoingWebhook:
			URL: http://127.0.0.1:1/out
{events}\
		IncomingWebhook:
			URL: http://127.0.0.1:1/in
			Authorization: Bearer in
"""
ALIAS = """\
		Aliases:
			team:
				PostPublic: true
				Addresses:
					- mjl@example.org
					- second@example.org
"""
MESSAGE = (
    "From: =?utf-8?q?S=C3=A9nder?= <sender@remote.example>\r\n"
    "To: <mjl@example.org>, Other <o@remote.example>\r\n"
    "Cc: c@remote.example\r\n"
    "Reply-To: r@remote.example\r\n"
    "Subject: =?utf-8?q?Invoice_=E2=82=AC?=\r\n"
    "Message-Id: <inv-1@remote.example>\r\n"
    "In-Reply-To: <orig@example.org>\r\n"
    "References: <root@example.org> <orig@example.org>\r\n"
    "Date: Mon, 23 Nov 2026 11:22:33 +0100\r\n"
    "{more}"
    "Content-Type: text/plain; charset=utf-8\r\n"
    "\r\n"
    "line <&>\r\nsecond\r\n"
)


def make_config(directory: Path, events: str = "", domain: str = "") -> Config:
    (directory / "data").mkdir(exist_ok=True)
    (directory / "mox.conf").write_text(STATIC.format(static="", port=25))
    account = ACCOUNT.format(events=events)
    (directory / "domains.conf").write_text(
        DYNAMIC.format(domain=domain, account=account, dynamic="")
    )
    return load(directory / "mox.conf", check_files=False)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return make_config(tmp_path)


@pytest.fixture
def store(config: Config) -> Iterator[Store]:
    store = open_store(config.data_dir)
    store.account("mjl")
    yield store
    store.close()


def deliver(
    store: Store,
    config: Config,
    message: str | bytes | None = None,
    *,
    to: str = "mjl@example.org",
    sender: str = "sender@remote.example",
    is_foreign: bool = True,
) -> Result:
    content = MESSAGE.format(more="") if message is None else message
    path = parse_address(to)
    recipient = resolve_incoming(config, SMTPPath(path.localpart, path.domain), localserve=False)
    assert isinstance(recipient, Recipient)
    reverse = NULL_PATH
    if sender:
        address = parse_address(sender)
        reverse = SMTPPath(address.localpart, address.domain)
    received = Received(
        helo=parse_domain("remote.example"),
        remote_ip=ip_address("192.0.2.7"),
        hostname=parse_domain("mail.example.org"),
        local_ip=ip_address("192.0.2.200"),
        protocol="ESMTP",
        id="id",
        when=NOW,
    )
    # Exempt from checks: no DNS is asked.
    foreign = Foreign(checks=Checks(None), is_exempt=True)  # type: ignore[arg-type]
    with store.spool() as spool:
        spool.write(content.encode() if isinstance(content, str) else content)
        arrival = Arrival(
            reverse, (recipient,), spool, received, foreign=foreign if is_foreign else None
        )
        return incoming.deliver(store, config, arrival, localserve=False)


def told(store: Store) -> list[dict[str, Any]]:
    hooks = Hooks(store)
    return [json.loads(hooks.body(hook.id)) for hook in hooks.hooks()]


def test_message_is_told_in_full(store: Store, config: Config) -> None:
    deliver(store, config, to="mjl+tag@example.org")
    [call] = told(store)
    account = store.account("mjl")
    inbox = account.mailbox("INBOX")
    assert inbox is not None
    [message] = account.scan(inbox.id)
    assert call == {
        "Version": 0,
        "From": [{"Name": "Sénder", "Address": "sender@remote.example"}],
        "To": [
            {"Name": "", "Address": "mjl@example.org"},
            {"Name": "Other", "Address": "o@remote.example"},
        ],
        "CC": [{"Name": "", "Address": "c@remote.example"}],
        "BCC": [],
        "ReplyTo": [{"Name": "", "Address": "r@remote.example"}],
        "Subject": "Invoice €",
        "MessageID": "<inv-1@remote.example>",
        "InReplyTo": "<orig@example.org>",
        "References": ["<root@example.org>", "<orig@example.org>"],
        "Date": "2026-11-23T11:22:33+01:00",
        "Text": "line <&>\nsecond\n",
        "HTML": "",
        "Structure": {
            "ContentType": "text/plain",
            "ContentTypeParams": {"charset": "utf-8"},
            "ContentID": "",
            "ContentDisposition": "",
            "Filename": "",
            "DecodedSize": 18,
            "Parts": [],
        },
        "Meta": {
            "MsgID": message[M_EMAIL_ID],
            "MailFrom": "sender@remote.example",
            "MailFromValidated": True,
            "MsgFromValidated": True,
            "RcptTo": "mjl+tag@example.org",
            "DKIMVerifiedDomains": [],
            "RemoteIP": "192.0.2.7",
            "Received": "2027-01-15T08:00:00Z",
            "MailboxName": "Inbox",
            "Automated": False,
        },
    }
    [hook] = Hooks(store).hooks()
    assert (hook.kind, hook.queue_msg_id, hook.account) == ("incoming", 0, "mjl")
    assert (hook.authorization, hook.message_id) == ("Bearer in", "<inv-1@remote.example>")


@pytest.mark.parametrize(
    ("more", "is_automated"),
    [
        ("", False),
        ("List-Id: <l.example>\r\n", True),
        ("List-Unsubscribe: <mailto:x@y.example>\r\n", True),
        ("List-Unsubscribe-Post: One-Click\r\n", True),
        ("Precedence: bulk\r\n", True),
        ("Precedence:\r\n", False),
        ("Auto-Submitted: no\r\n", False),
        ("Auto-Submitted: No (said a person)\r\n", False),
        ("Auto-Submitted: auto-replied\r\n", True),
    ],
)
def test_mail_of_programs_is_marked(
    store: Store, config: Config, more: str, is_automated: bool
) -> None:
    deliver(store, config, MESSAGE.format(more=more))
    assert [call["Meta"]["Automated"] for call in told(store)] == [is_automated]


def test_message_without_anything_is_told(store: Store, config: Config) -> None:
    deliver(store, config, "From: <a@remote.example>\r\n\r\nhello\r\n", sender="a@remote.example")
    [call] = told(store)
    assert (call["MessageID"], call["Date"], call["Text"]) == ("", None, "hello\n")
    assert call["Structure"]["ContentType"] == "/"
    assert call["References"] == call["To"] == []


def test_text_that_is_no_text_is_told_nevertheless(store: Store, config: Config) -> None:
    halves = "=?utf-7?q?a+2AA-b?="
    message = (
        f"From: {halves} <sender@remote.example>\r\nSubject: {halves}\r\n"
        "Content-Type: text/plain; charset=utf-7\r\n\r\n+3AA-\r\n"
    )
    assert deliver(store, config, message).delivered == 1
    [call] = told(store)
    assert (call["Subject"], call["From"][0]["Name"]) == ("a\ufffdb", "a\ufffdb")
    assert call["Text"] == "\ufffd\n"


def test_large_message_is_cut(store: Store, config: Config) -> None:
    body = "é" * 70 + "\r\n"
    deliver(store, config, MESSAGE.format(more="") + body * 15_000)
    [call] = told(store)
    assert 0 <= (1 << 20) - len(call["Text"].encode()) < 4
    assert call["Structure"]["DecodedSize"] > 2_000_000


def test_each_member_of_an_alias_has_its_own_call(tmp_path: Path) -> None:
    config = make_config(tmp_path, domain=ALIAS)
    store = open_store(config.data_dir)
    try:
        deliver(store, config, to="team@example.org")
        [call] = told(store)
        assert call["Meta"]["RcptTo"] == "team@example.org"
        found = store.account("second").mailbox("INBOX")
        assert found is not None
        assert found.messages == 1
    finally:
        store.close()


def test_account_without_webhook_gets_mail_as_ever(store: Store, config: Config) -> None:
    result = deliver(store, config, to="second@example.org")
    assert result.delivered == 1
    assert told(store) == []


def test_mail_of_our_own_users_is_told(store: Store, config: Config) -> None:
    message = MESSAGE.format(more="").replace("sender@remote.example", "second@example.org")
    deliver(store, config, message, sender="second@example.org", is_foreign=False)
    [call] = told(store)
    assert call["Meta"]["MailFromValidated"] is True
    assert call["Meta"]["MsgFromValidated"] is True
    assert call["Meta"]["DKIMVerifiedDomains"] == ["example.org"]


def test_message_that_is_not_stored_is_not_told(
    store: Store, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StoreError(ErrorKind.OVER_QUOTA, "account over maximum total size")

    monkeypatch.setattr("mox.store.messages.check_quota", full)
    assert deliver(store, config).delivered == 0
    assert told(store) == []


# ---- answers to what was sent


def test_failure_that_comes_back_is_an_event_of_the_message(store: Store, config: Config) -> None:
    retire(store, "you@there.example", from_id="secret")
    content = notification("you@there.example", reply=("550 5.1.1 who?",))
    deliver(store, config, content, to="mjl+secret@example.org", sender="")
    [call] = told(store)
    assert (call["Event"], call["DSN"], call["Suppressing"]) == ("failed", True, True)
    assert (call["SMTPCode"], call["SMTPEnhancedCode"]) == (550, "5.1.1")
    assert (call["FromID"], call["MessageID"]) == ("secret", "<one@example.org>")
    assert (call["Error"], call["Extra"]) == ("550 5.1.1 who?", {})
    [retired] = Outgoing(store).retired()
    assert call["QueueMsgID"] == retired.id
    assert len(retired.results) == 2
    # The message itself is in the mailbox; the second failure lists nothing anew.
    deliver(store, config, content, to="mjl+secret@example.org", sender="")
    inbox = store.account("mjl").mailbox("INBOX")
    assert inbox is not None
    assert inbox.messages == 2
    assert [call["Suppressing"] for call in told(store)] == [False]


@pytest.mark.parametrize(
    ("action", "code", "reply", "expected"),
    [
        (dsn.Action.FAILED, "5.4.7", (), ("failed", 500, "5.4.7", "")),
        (dsn.Action.DELAYED, "4.2.2", (), ("delayed", 400, "4.2.2", "")),
        (dsn.Action.RELAYED, "2.0.0", (), ("relayed", 0, "", "")),
        (dsn.Action.EXPANDED, "2.0.0", (), ("expanded", 0, "", "")),
        (dsn.Action.DELIVERED, "2.0.0", ("250 2.0.0 fine",), ("delivered", 250, "", "")),
    ],
)
def test_each_action_is_an_event(
    store: Store,
    config: Config,
    action: dsn.Action,
    code: str,
    reply: tuple[str, ...],
    expected: tuple[str, int, str, str],
) -> None:
    retire(store, "you@there.example", from_id="secret")
    content = notification("you@there.example", action=action, status=code, reply=reply)
    deliver(store, config, content, to="mjl+secret@example.org", sender="")
    [call] = told(store)
    found = (call["Event"], call["SMTPCode"], call["SMTPEnhancedCode"], call["Error"])
    assert (found, call["DSN"]) == (expected, True)


def other_report(content: bytes) -> bytes:
    return content.replace(b'report-type="delivery-status"', b'report-type="feedback-report"')


@pytest.mark.parametrize(
    ("content", "is_dsn", "error"),
    [
        (MESSAGE.format(more="").encode(), False, ""),
        (
            notification("you@there.example").replace(b"Action: failed", b"Action: exploded"),
            True,
            "parsing incoming dsn: unknown action in delivery status",
        ),
        (
            notification("a@a.example", "b@b.example"),
            True,
            "incoming dsn has 2 recipients, expecting 1",
        ),
        (other_report(notification("you@there.example")), False, ""),
    ],
)
def test_what_is_no_sound_notification_is_unrecognized(
    store: Store, config: Config, content: bytes, is_dsn: bool, error: str
) -> None:
    retire(store, "you@there.example", from_id="secret")
    deliver(store, config, content, to="mjl+secret@example.org")
    [call] = told(store)
    assert (call["Event"], call["DSN"], call["Error"]) == ("unrecognized", is_dsn, error)
    assert (call["SMTPCode"], call["FromID"]) == (0, "secret")


def test_answer_supersedes_what_was_not_called_yet(store: Store, config: Config) -> None:
    retire(store, "you@there.example", from_id="secret")
    for action in (dsn.Action.DELAYED, dsn.Action.FAILED):
        content = notification("you@there.example", action=action, status="4.4.1")
        deliver(store, config, content, to="mjl+secret@example.org", sender="")
    assert [call["Event"] for call in told(store)] == ["failed"]


def test_answer_that_is_not_wanted_is_not_told_as_a_message(tmp_path: Path) -> None:
    config = make_config(tmp_path, events="\t\t\tEvents:\n\t\t\t\t- delivered\n")
    store = open_store(config.data_dir)
    try:
        retire(store, "you@there.example", from_id="secret")
        content = notification("you@there.example")
        deliver(store, config, content, to="mjl+secret@example.org", sender="")
        assert told(store) == []
        assert len(Outgoing(store).retired()[0].results) == 2
    finally:
        store.close()


@pytest.mark.parametrize("to", ["mjl+unknown@example.org", "mjl@example.org"])
def test_notification_for_no_unique_address_is_a_message(
    store: Store, config: Config, to: str
) -> None:
    retire(store, "you@there.example", from_id="secret")
    deliver(store, config, notification("you@there.example"), to=to, sender="")
    [call] = told(store)
    assert (call["Meta"]["MailFrom"], call["Meta"]["Automated"]) == ("", True)
    assert call["Structure"]["ContentType"] == "multipart/report"
