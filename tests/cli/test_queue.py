"""`mox queue …` without a running server, in this process."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from mox.cli import queue, queueholds, queueretired, queuesuppress
from mox.cli.arguments import UsageError, find, parse
from mox.cli.command import Globals
from mox.errors import MoxError
from mox.store import Store, open_store
from mox.store.outgoing import Outcome, Outgoing
from mox.store.outgoing_records import AttemptResult, QueueAddress, QueueId, QueueMessage
from tests.queue.site import DYNAMIC, STATIC

NOW = 1_800_000_000.0
BODY = b"Subject: hello\r\nMessage-Id: <one@example.org>\r\n\r\n.dot\r\n"
TRANSPORTS = "Transports:\n\trelay:\n\t\tFail:\n\t\t\tSMTPCode: 554\n"

COMMANDS = [
    *queue.COMMANDS,
    *queueholds.COMMANDS,
    *queueretired.COMMANDS,
    *queuesuppress.COMMANDS,
]

Run = Callable[..., str]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "mox.conf").write_text(STATIC.format(static=TRANSPORTS, port=25))
    (tmp_path / "domains.conf").write_text(DYNAMIC.format(domain="", account="", dynamic=""))
    return tmp_path


@pytest.fixture
def run(directory: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run `mox queue …`; returns what it printed. `fails`: its exit status and error instead."""

    def run(*words: str, fails: int = 0) -> str:
        try:
            command, rest = find(COMMANDS, ["queue", *words])
            args = parse(command, rest)
            args.globals = Globals(directory / "mox.conf", None, False)
            status, error = command.run(args), ""
        except UsageError as e:
            status, error = 2, str(e)
        except MoxError as e:
            status, error = 1, f"{e}\n"
        out, _ = capfd.readouterr()
        assert status == fails, error
        return error if fails else out

    return run


def with_store(directory: Path, work: Callable[[Store, Outgoing], None]) -> None:
    store = open_store(directory / "data")
    try:
        work(store, Outgoing(store))
    finally:
        store.close()


@pytest.fixture
def filled(directory: Path) -> Path:
    """Three messages of account mjl: to a@, b@ and møx@ at there.example."""

    def fill(store: Store, outgoing: Outgoing) -> None:
        for number, localpart in enumerate(("a", "b", "møx")):
            msg = QueueMessage(
                queued=NOW + number,
                next_attempt=NOW + 60 * number,
                sender_account="mjl",
                sender=QueueAddress("mjl", "example.org", "example.org"),
                recipient=QueueAddress(localpart, "there.example", "there.example"),
                size=len(BODY),
                prefix=b"Received: here\r\n",
                results=(AttemptResult(NOW, error='say "no"'),) if number == 1 else (),
                attempts=1,
                last_attempt=NOW if number == 1 else 0.0,
            )
            with store.spool() as spool:
                spool.write(BODY)
                outgoing.add([msg], outgoing.content(spool))

    with_store(directory, fill)
    return directory


def messages(directory: Path) -> list[QueueMessage]:
    found: list[QueueMessage] = []
    with_store(directory, lambda _, outgoing: found.extend(outgoing.messages()))
    return found


def test_empty_queue(run: Run) -> None:
    assert run("list") == "messages:\n(none)\n"
    assert run("retired", "list") == "retired messages:\n(none)\n"
    assert run("holdrules", "list") == "hold rules:\n(none)\n"


def test_list_shows_messages(filled: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: NOW + 10)
    assert run("list", "-asc").splitlines() == [
        "messages:",
        "    1 2027-01-15T08:00:00Z from:mjl@example.org to:a@there.example "
        'next -10s last  error ""',
        "    2 2027-01-15T08:00:01Z from:mjl@example.org to:b@there.example "
        'next 50s last 10s error "say \\"no\\""',
        "    3 2027-01-15T08:00:02Z from:mjl@example.org "
        'to:møx@there.example/"m\\u00f8x"@there.example next 1m50s last  error ""',
    ]


def test_list_is_filtered_sorted_and_cut(filled: Path, run: Run) -> None:
    def ids(*words: str) -> list[int]:
        lines = run("list", *words).splitlines()[1:]
        return [int(line[:5]) for line in lines if line != "(none)"]

    assert ids() == [3, 2, 1]
    assert ids("-sort", "queued", "-asc", "-n", "2") == [1, 2]
    assert ids("-to", "b@") == [2]
    assert ids("-to=@there.example", "-from", "mjl") == [3, 2, 1]
    assert ids("-ids", "3,1") == [3, 1]
    assert ids("-account", "second") == []
    assert ids("-submitted", "<-1h") == ids("-hold", "true") == []
    assert ids("-submitted", ">-1h") == ids("-nextattempt", ">now") == [3, 2, 1]


@pytest.mark.parametrize(
    "words",
    [
        ("list", "-submitted", "1h"),
        ("list", "-submitted", "<soon"),
        ("list", "-ids", "1,x"),
        ("list", "-ids", "0"),
        ("list", "-n", "-1"),
        ("list", "-hold", "maybe"),
        ("list", "-sort", "size"),
        ("list", "-lastactivity", "<now"),
        ("retired", "list", "-nextattempt", "<now"),
        ("requiretls", "sometimes"),
        ("schedule", "soon"),
        ("dump",),
        ("holdrules",),
        (),
    ],
)
def test_wrong_usage_is_told(run: Run, words: tuple[str, ...]) -> None:
    assert "usage: mox queue" in run(*words, fails=2)


def test_hold_and_unhold(filled: Path, run: Run) -> None:
    assert run("hold", "-to", "a@") == "1 messages changed\n"
    assert [msg.hold for msg in messages(filled)] == [True, False, False]
    assert " next hold " in run("list", "-hold", "true")
    assert run("hold") == "2 messages changed\n"
    assert run("unhold") == "3 messages changed\n"


def test_schedule(filled: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: NOW + 10)
    assert run("schedule", "-ids", "2", "1h30m") == "1 message(s) rescheduled\n"
    assert run("schedule", "-ids", "3", "-now", "5m") == "1 message(s) rescheduled\n"
    times = [msg.next_attempt - NOW for msg in messages(filled)]
    assert times == [0, 60 + 5400, 10 + 300]
    assert run("kick", "-to", "b@") == "1 messages will be tried now\n"
    assert messages(filled)[1].next_attempt == NOW + 10


def test_transport_and_requiretls(filled: Path, run: Run) -> None:
    assert run("transport", "-n", "2", "relay") == "2 message(s) changed\n"
    assert "no transport 'other'" in run("transport", "other", fails=1)
    assert [msg.transport for msg in messages(filled)] == ["", "relay", "relay"]
    assert run("transport", "") == "2 message(s) changed\n"
    assert run("requiretls", "-ids", "1", "yes") == "1 message(s) changed\n"
    assert run("requiretls", "-ids", "2", "no") == "1 message(s) changed\n"
    assert [msg.require_tls for msg in messages(filled)] == [True, False, None]
    assert run("requiretls", "default") == "2 message(s) changed\n"


def test_failed_messages_are_told_to_their_sender(filled: Path, run: Run) -> None:
    assert run("fail", "-to", "a@") == "1 message(s) marked as failed\n"
    assert len(messages(filled)) == 2
    [path] = (filled / "data/accounts/mjl/Maildir/new").iterdir()
    notice = path.read_text()
    assert "Subject: mail delivery failed" in notice
    assert "Final-Recipient: rfc822;a@there.example" in notice
    assert "Last-Attempt-Date" not in notice  # there was none
    assert run("retired", "list", "-result", "failure").count(" failure from:mjl@example.org ") == 1


def test_dropped_messages_go_silently(filled: Path, run: Run) -> None:
    assert run("drop") == "3 message(s) dropped\n"
    assert messages(filled) == []
    assert not (filled / "data/accounts/mjl").exists()
    lines = run("retired", "list").splitlines()[1:]
    assert len(lines) == 3
    assert all(line.endswith('error "delivery canceled by admin"') for line in lines)


def test_dump(filled: Path, run: Run) -> None:
    assert run("dump", "2") == "Received: here\r\n" + BODY.decode()
    assert run("dump", "4", fails=1) == "opening message: absent\n"


def test_retired_message_is_printed_as_json(filled: Path, run: Run) -> None:
    result = AttemptResult(NOW + 5, 0.25, True, 250, "1.0")
    with_store(
        filled,
        lambda _, queue: (
            queue.record([Outcome(QueueId(2), result, done=True, keep_until=NOW + 3600)]) and None
        ),
    )
    found = json.loads(run("retired", "print", "2"))
    assert found["RecipientAddress"] == "b@there.example"
    assert (found["Success"], found["KeepUntil"]) == (True, "2027-01-15T09:00:00Z")
    assert found["Results"][-1] == {
        "Start": "2027-01-15T08:00:05Z",
        "Duration": 250_000_000,
        "Success": True,
        "Code": 250,
        "Secode": "1.0",
        "Error": "",
    }
    assert run("retired", "print", "9", fails=1) == "getting retired message: not found\n"


def test_hold_rules(filled: Path, run: Run) -> None:
    assert run("holdrules", "add", "-account", "mjl", "-recipientdom", "There.example") == ""
    assert run("holdrules", "add") == ""
    assert run("holdrules", "list").splitlines() == [
        "hold rules:",
        'id 1: account "mjl", recipient domain "there.example"',
        "id 2: all messages",
    ]
    assert all(msg.hold for msg in messages(filled))
    assert run("holdrules", "remove", "1") == ""
    assert run("holdrules", "remove", "1", fails=1) == "remove hold rule: absent\n"
    assert re.search("bad|label|domain", run("holdrules", "add", "-senderdom", "a b", fails=1))


def test_suppression_list(filled: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: NOW)
    head = "suppressions (account, address, manual, time added, base address, reason):\n"
    assert run("suppress", "list") == head + "(none)\n"
    assert run("suppress", "add", "mjl", "First.Last+tag@Example.org") == ""
    assert run("suppress", "list") == run("suppress", "list", "-account", "mjl")
    assert run("suppress", "list") == head + (
        '"mjl"\t"First.Last+tag@example.org"\tYes\t2027-01-15 08:00:00 +0000 UTC\t'
        '"firstlast@example.org"\t"added through mox cli"\n'
    )
    assert run("suppress", "list", "-account", "second") == head + "(none)\n"
    assert "already" in run("suppress", "add", "mjl", "firstlast@example.org", fails=1)
    assert "no account" in run("suppress", "add", "nobody", "a@example.org", fails=1)
    assert run("suppress", "lookup", "-account", "mjl", "first.last@example.org") == (
        "present\nadded: 2027-01-15 08:00:00 +0000 UTC\nmanual: yes\n"
        'base address: firstlast@example.org\nreason: "added through mox cli"\n'
    )
    assert "account: mjl\n" in run("suppress", "lookup", "firstlast@example.org")
    assert run("suppress", "lookup", "other@example.org") == "not present\n"
    assert run("suppress", "remove", "mjl", "firstlast-x@example.org") == ""
    assert "absent" in run("suppress", "remove", "mjl", "firstlast@example.org", fails=1)
