"""Webhooks of a whole server: every event, receivers that misbehave, configuration, kill -9."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import smtplib
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mox.address import parse_address
from mox.message import dsn
from tests.support.hookreceiver import OK, Call, Close, HookReceiver, Stall, status
from tests.support.server import USER, Server, eventually
from tests.support.webhooks import hook_ids, submit, until_called, with_webhooks


@dataclass(frozen=True)
class Hooked:
    """A server that calls the receiver, for what was sent at /out and for what came in at /in."""

    server: Server
    receiver: HookReceiver


@contextlib.contextmanager
def hooked(directory: Path) -> Iterator[Hooked]:
    with HookReceiver() as receiver:
        server = Server(directory / "mox")
        server.init()
        with_webhooks(server, receiver.url("/out"), receiver.url("/in"))
        server.start()
        try:
            yield Hooked(server, receiver)
        finally:
            server.stop()


@pytest.fixture(scope="module")
def _lasting_hooked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hooked]:
    with hooked(tmp_path_factory.mktemp("hooked")) as found:
        yield found


@pytest.fixture
def shared_hooked(_lasting_hooked: Hooked) -> Hooked:
    """One for tests that leave nothing waiting, with what came before forgotten."""
    found = _lasting_hooked
    eventually(lambda: found.server.queue_is_empty and not hook_ids(found.server, "list"), 30, 0.3)
    found.server.empty("INBOX")
    found.receiver.calls.clear()
    return found


@pytest.fixture
def own_hooked(tmp_path: Path) -> Iterator[Hooked]:
    with hooked(tmp_path) as found:
        yield found


def events(receiver: HookReceiver) -> list[str]:
    return [event for _, event in receiver.events()]


def last_call(receiver: HookReceiver, event: str) -> Call:
    """Wait for an event and return the latest call about it."""
    eventually(lambda: event in events(receiver), 30)
    return [c for c in receiver.calls if c.json.get("Event") == event][-1]


def incoming(receiver: HookReceiver) -> list[Call]:
    return [call for call in receiver.calls if call.target == "/in"]


def test_sent_and_received_message_is_told_twice(shared_hooked: Hooked) -> None:
    server, receiver = shared_hooked.server, shared_hooked.receiver
    submit(server, "someone@example.org", subject="grüße", extra="42")
    out = last_call(receiver, "delivered")
    assert (out.target, out.attempt) == ("/out", 1)
    assert out.header("authorization") == "Bearer out-secret"
    assert re.fullmatch(r"mox/\S+ \(webhook\)", out.header("user-agent") or "")
    assert out.json["Subject"] == "grüße"
    assert out.json["Extra"] == {"Order": "42"}
    assert out.json["MessageID"].startswith("<")
    assert re.fullmatch(r"[\w-]{22}", out.json["FromID"])
    eventually(lambda: incoming(receiver), 30)
    [into] = incoming(receiver)
    assert into.header("authorization") == "Bearer in-secret"
    assert into.json["MessageID"] == out.json["MessageID"]
    meta = into.json["Meta"]
    assert meta["MailFrom"] == f"mox+{out.json['FromID']}@localhost"
    assert (meta["RcptTo"], meta["MailboxName"]) == ("someone@example.org", "Inbox")
    assert (meta["MailFromValidated"], meta["MsgID"] > 0) == (True, True)
    assert into.json["Text"] == "text\n"


def test_failures_and_what_an_administrator_does(shared_hooked: Hooked) -> None:
    server, receiver = shared_hooked.server, shared_hooked.receiver
    submit(server, "queuetemperror@tmp.example")
    delayed = last_call(receiver, "delayed")
    assert (delayed.json["SMTPCode"], delayed.json["SMTPEnhancedCode"]) == (451, "4.0.0")
    assert "451" in delayed.json["Error"]
    assert server.run("queue", "drop").stdout == "1 message(s) dropped\n"
    canceled = last_call(receiver, "canceled")
    assert canceled.json["QueueMsgID"] == delayed.json["QueueMsgID"]
    assert canceled.json["Error"] == "delivery canceled by admin"

    submit(server, "queuepermerror@perm.example")
    failed = last_call(receiver, "failed")
    assert (failed.json["SMTPCode"], failed.json["Suppressing"]) == (550, True)
    submit(server, "queuepermerror@perm.example")
    suppressed = last_call(receiver, "suppressed")
    assert (suppressed.json["SMTPCode"], suppressed.json["Suppressing"]) == (0, False)

    submit(server, "queue421@other.example")
    eventually(lambda: events(receiver).count("delayed") == 2, 30)
    assert server.run("queue", "fail").stdout == "1 message(s) marked as failed\n"
    eventually(lambda: events(receiver).count("failed") == 2, 30)
    assert last_call(receiver, "failed").json["Error"] == "delivery canceled by admin"
    # Notifications that the server puts into a mailbox itself are no received messages.
    eventually(lambda: server.count() >= 3, 30)
    assert incoming(receiver) == []
    assert {call.target for call in receiver.calls} == {"/out"}


def notify(server: Server, from_id: str, action: dsn.Action, code: str, reply: str = "") -> None:
    """Send a notification as another server would."""
    there, to = parse_address("postmaster@there.example"), f"mox+{from_id}@localhost"
    content = dsn.compose(
        dsn.Dsn(
            mail_from=there,
            mail_to=parse_address(to),
            subject="about your message",
            message_id="x@there.example",
            date=int(time.time()),
            reporting_mta=there.domain,
            recipients=(
                dsn.Recipient(
                    address=parse_address("someone@there.example"),
                    action=action,
                    status=code,
                    reply=(reply,) if reply else (),
                ),
            ),
            original_header=b"Subject: hi\r\n\r\n",
        )
    )
    server.deliver(content, to, sender="")


def test_answers_of_other_servers(shared_hooked: Hooked) -> None:
    server, receiver = shared_hooked.server, shared_hooked.receiver
    submit(server, "someone@there.example", extra="7")
    sent = last_call(receiver, "delivered").json
    eventually(lambda: incoming(receiver), 30)
    told = [
        (dsn.Action.DELAYED, "4.2.2", "", 400, "4.2.2"),
        (dsn.Action.RELAYED, "2.0.0", "", 0, ""),
        (dsn.Action.EXPANDED, "2.0.0", "", 0, ""),
        (dsn.Action.DELIVERED, "2.0.0", "250 2.0.0 fine", 250, ""),
        (dsn.Action.FAILED, "5.1.1", "550 5.1.1 no such user", 550, "5.1.1"),
    ]
    for count, (action, code, reply, smtp_code, enhanced) in enumerate(told, 2):
        notify(server, sent["FromID"], action, code, reply)
        eventually(lambda count=count: len(events(receiver)) == count, 30)  # type: ignore[misc]
        call = [c for c in receiver.calls if c.target == "/out"][-1].json
        assert (call["Event"], call["DSN"]) == (action.value, True)
        assert (call["SMTPCode"], call["SMTPEnhancedCode"]) == (smtp_code, enhanced)
        assert (call["QueueMsgID"], call["Extra"]) == (sent["QueueMsgID"], {"Order": "7"})
    assert call["Suppressing"] is True
    # A person answers, to the address that is for notifications only.
    server.deliver(b"Subject: Re: hi\r\n\r\nthanks\r\n", f"mox+{sent['FromID']}@localhost")
    unrecognized = last_call(receiver, "unrecognized").json
    assert (unrecognized["DSN"], unrecognized["FromID"]) == (False, sent["FromID"])
    # An id that is not known: a message as any other.
    before = len(incoming(receiver))
    server.deliver(b"Subject: Re: hi\r\n\r\nthanks\r\n", "mox+unknown@localhost")
    eventually(lambda: len(incoming(receiver)) == before + 1, 30)


def test_receiver_that_misbehaves_gets_it_in_the_end(own_hooked: Hooked) -> None:
    server, receiver = own_hooked.server, own_hooked.receiver
    other = HookReceiver()
    answers = [
        status("500 Internal Server Error", body=b"oops"),
        status("302 Found", head=f"Location: {other.url()}\r\n"),
        b"220 smtp.example ESMTP\r\n",
        Close(),
        status("204 No Content"),
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nthx\n\n",
    ]
    receiver.answer = lambda call: answers[min(len(receiver.calls), len(answers)) - 1]
    server.deliver(b"From: <a@localhost>\r\nSubject: one\r\n\r\ntext\r\n")
    for attempt in range(1, len(answers)):
        eventually(lambda n=attempt: len(receiver.calls) == n, 30)  # type: ignore[misc]
        # A second after a failure without an answer the receiver is asked again.
        eventually(lambda: '"delivering..."' not in server.run("queue", "webhook", "list").stdout)
        done = server.run("queue", "webhook", "schedule", "-now", "0s")
        assert done.stdout == "1 webhook(s) rescheduled\n"
    eventually(lambda: not hook_ids(server, "list"), 30)
    assert [call.attempt for call in receiver.calls] == [1, 2, 3, 4, 5, 6]
    assert len({(call.id, call.body) for call in receiver.calls}) == 1
    assert other.calls == []
    other.close()
    [id] = hook_ids(server, "retired", "list")
    printed = server.run("queue", "webhook", "retired", "print", str(id)).stdout
    assert '"Success": true' in printed
    assert 'http status \\"302 Found\\", expected 200 ok' in printed
    assert '"Response": "oops"' in printed


def test_receiver_that_stalls_holds_up_nobody_else(own_hooked: Hooked) -> None:
    server, receiver = own_hooked.server, own_hooked.receiver
    receiver.answer = lambda call: Stall() if call.target == "/in" else OK
    for number in range(5):
        submit(server, f"someone{number}@example.org")
    eventually(lambda: events(receiver).count("delivered") == 5, 30)
    assert len(incoming(receiver)) == 1
    server.kill_group()
    receiver.answer = OK
    server.start()
    until_called(server, [receiver])
    assert len({call.id for call in incoming(receiver)}) == 5


def test_calls_that_wait_keep_their_url(own_hooked: Hooked) -> None:
    server, receiver = own_hooked.server, own_hooked.receiver
    receiver.answer = status("503 Service Unavailable")
    server.deliver(b"From: <a@localhost>\r\nSubject: old\r\n\r\ntext\r\n")
    eventually(lambda: len(receiver.calls) == 1, 30)
    with HookReceiver() as newer:
        server.edit("domains.conf", receiver.url("/in"), newer.url("/new"))
        server.edit("domains.conf", "Bearer in-secret", "Bearer changed")

        def arrives_anew() -> bool:
            server.deliver(b"From: <a@localhost>\r\nSubject: new\r\n\r\ntext\r\n")
            return bool(newer.calls)

        # Each worker looks at the file once a second.
        eventually(arrives_anew, 30, 0.3)
        assert newer.calls[0].header("authorization") == "Bearer changed"
        receiver.answer = OK
        until_called(server, [receiver, newer])
        old = [call for call in receiver.calls if call.json["Subject"] == "old"]
        assert [call.attempt for call in old][:2] == [1, 2]
        assert {call.header("authorization") for call in old} == {"Bearer in-secret"}
        assert all(call.json["Subject"] == "new" for call in newer.calls)


def test_kill_loses_no_call(own_hooked: Hooked) -> None:
    server, receiver = own_hooked.server, own_hooked.receiver
    count = 150

    def slow(call: Call) -> bytes:
        time.sleep(0.005)
        return OK

    receiver.answer = slow

    def send() -> None:
        with smtplib.SMTP("127.0.0.1", server.smtp, timeout=60) as client:
            for number in range(count):
                message = f"From: <a@localhost>\r\nSubject: {number}\r\n\r\ntext\r\n"
                client.sendmail("a@localhost", [USER], message)

    sending = threading.Thread(target=send)
    sending.start()
    kills = 0
    for part in (20, 60, 100):
        eventually(lambda part=part: len(receiver.calls) >= part, 30)  # type: ignore[misc]
        [pid] = server.workers("queue")
        os.kill(pid, signal.SIGKILL)
        kills += 1
        eventually(lambda pid=pid: server.workers("queue") not in ([], [pid]), 30)  # type: ignore[misc]
    sending.join()
    until_called(server, [receiver])
    times = Counter(call.json["Subject"] for call in receiver.calls)
    assert set(times) == {str(number) for number in range(count)}
    # Repeated is at most what was not recorded yet as made: less than a second's calls.
    assert sum(times.values()) - count <= kills * 64
    assert len(hook_ids(server, "retired", "list")) == count


def test_kill_of_everything_loses_no_call_about_what_was_accepted(own_hooked: Hooked) -> None:
    server, receiver = own_hooked.server, own_hooked.receiver
    accepted: list[str] = []

    def send() -> None:
        # The server goes away in the middle.
        with contextlib.suppress(OSError, smtplib.SMTPException):
            client = smtplib.SMTP("127.0.0.1", server.smtp, timeout=60)
            for number in range(10_000):
                message = f"From: <a@localhost>\r\nSubject: {number}\r\n\r\ntext\r\n"
                client.sendmail("a@localhost", [USER], message)
                accepted.append(str(number))

    receiver.answer = status("503 Service Unavailable")
    sending = threading.Thread(target=send)
    sending.start()
    eventually(lambda: len(accepted) >= 50, 30)
    server.kill_group()
    sending.join()
    receiver.answer = OK
    server.start()
    until_called(server, [receiver])
    called = [call.json for call in receiver.calls]
    assert set(accepted) <= {call["Subject"] for call in called}
    assert len({call["Meta"]["MsgID"] for call in called}) <= server.count()
