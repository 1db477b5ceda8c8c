"""`mox queue webhook …` without a running server, in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mox.cli import queuewebhook
from mox.cli.arguments import UsageError, find, parse
from mox.cli.command import Globals
from mox.errors import MoxError
from mox.store import hooks_txn, open_store
from mox.store.hook_records import Hook, HookResult
from mox.store.hooks import HookOutcome, Hooks, HookStart
from mox.store.hooks_txn import OutgoingHook
from mox.store.outgoing_due import micros
from mox.webapi.hooks import Outgoing
from tests.queue.site import DYNAMIC, STATIC

NOW = 1_800_000_000.0
ACCOUNT = "\t\tKeepRetiredWebhookPeriod: 1h0m0s\n"

Run = Callable[..., str]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "mox.conf").write_text(STATIC.format(static="", port=25))
    (tmp_path / "domains.conf").write_text(DYNAMIC.format(domain="", account=ACCOUNT, dynamic=""))
    return tmp_path


@pytest.fixture
def run(directory: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `mox queue webhook …`; returns what it printed, or its error if it `fails`."""
    monkeypatch.setattr("time.time", lambda: NOW + 10)

    def run(*words: str, fails: int = 0) -> str:
        try:
            command, rest = find(queuewebhook.COMMANDS, ["queue", "webhook", *words])
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


@pytest.fixture
def filled(directory: Path) -> Path:
    """Three calls: one that failed, one about a received message, one of account second."""
    store = open_store(directory / "data")
    hooks = Hooks(store)

    def new(number: int, account: str, event: str) -> OutgoingHook:
        hook = Hook(
            queue_msg_id=number,
            account=account,
            url=f"http://127.0.0.1:{number}/out",
            authorization="Bearer secret",
            is_incoming=not event,
            event=event,
            submitted=NOW + number,
            next_attempt=NOW + 30 * number,
            extra={"k": "v"} if event == "failed" else {},
        )
        when = datetime.fromtimestamp(NOW, UTC)
        return OutgoingHook(hook, Outgoing(event=event, subject="é<", webhook_queued=when))

    made = [new(1, "mjl", "failed"), new(2, "mjl", ""), new(3, "second", "delivered")]
    ids = store.write(
        lambda txn: [hooks_txn.add_outgoing(txn, one, suppressing=False) for one in made]
    )
    hooks.record(starts=[HookStart(ids[0], micros(NOW + 30), NOW + 90)], now=NOW + 4)
    result = HookResult(NOW + 4, 0.5, "http://127.0.0.1:1/out", False, 500, 'no "way"', "oops")
    hooks.record([HookOutcome(ids[0], result, False)])
    store.close()
    return directory


def test_nothing(run: Run) -> None:
    assert run("list") == "webhooks:\n(none)\n"
    assert run("retired", "list") == "retired webhooks:\n(none)\n"


def test_list_shows_calls(filled: Path, run: Run) -> None:
    assert run("list", "-asc").splitlines() == [
        "webhooks:",
        '    2 2027-01-15T08:00:02Z account:mjl next 50s last  error "" url http://127.0.0.1:2/out',
        "    1 2027-01-15T08:00:01Z account:mjl next 1m20s last 6s error "
        '"no \\"way\\"" url http://127.0.0.1:1/out',
        "    3 2027-01-15T08:00:03Z account:second next 1m20s last  error "
        '"" url http://127.0.0.1:3/out',
    ]


def ids(output: str) -> list[int]:
    return [int(line.split()[0]) for line in output.splitlines()[1:] if line != "(none)"]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ((), [3, 1, 2]),
        (("-n", "1"), [3]),
        (("-sort", "submitted", "-asc"), [1, 2, 3]),
        (("-sort", "queued"), [3, 2, 1]),
        (("-account", "second"), [3]),
        (("-event", "incoming"), [2]),
        (("-event", "failed"), [1]),
        (("-ids", "3,1"), [3, 1]),
        (("-nextattempt", "<1m"), [2]),
        (("-submitted", ">-8s"), [3]),
    ],
)
def test_flags_choose(filled: Path, run: Run, flags: tuple[str, ...], expected: list[int]) -> None:
    assert ids(run("list", *flags)) == expected


@pytest.mark.parametrize("flags", [("-event", "x"), ("-sort", "lastactivity"), ("-submitted", "1")])
def test_wrong_flags(run: Run, flags: tuple[str, str]) -> None:
    assert run("list", *flags, fails=2)


def test_print_shows_everything_but_the_secret(filled: Path, run: Run) -> None:
    text = run("print", "1")
    assert "secret" not in text
    found = json.loads(text)
    assert json.loads(found.pop("Payload"))["Subject"] == "é<"
    assert found == {
        "ID": 1,
        "QueueMsgID": 1,
        "FromID": "",
        "MessageID": "",
        "Subject": "",
        "Extra": {"k": "v"},
        "Account": "mjl",
        "URL": "http://127.0.0.1:1/out",
        "Authorization": True,
        "IsIncoming": False,
        "OutgoingEvent": "failed",
        "Submitted": "2027-01-15T08:00:01Z",
        "Attempts": 1,
        "NextAttempt": "2027-01-15T08:01:30Z",
        "Results": [
            {
                "Start": "2027-01-15T08:00:04Z",
                "Duration": 500_000_000,
                "URL": "http://127.0.0.1:1/out",
                "Success": False,
                "Code": 500,
                "Error": 'no "way"',
                "Response": "oops",
            }
        ],
    }
    assert run("print", "9", fails=1) == "getting webhook: not found\n"
    assert run("retired", "print", "9", fails=1) == "getting retired webhook: not found\n"


def next_attempts(directory: Path) -> dict[int, float]:
    store = open_store(directory / "data")
    found = {hook.id: hook.next_attempt - NOW for hook in Hooks(store).hooks()}
    store.close()
    return {int(id): when for id, when in found.items()}


def test_schedule_moves_or_sets_the_time(filled: Path, run: Run) -> None:
    assert run("schedule", "-account", "mjl", "1m") == "2 webhook(s) rescheduled\n"
    assert next_attempts(filled) == {1: 150, 2: 120, 3: 90}
    assert run("schedule", "-now", "0s") == "3 webhook(s) rescheduled\n"
    assert next_attempts(filled) == {1: 10, 2: 10, 3: 10}


def test_canceled_calls_are_retired(filled: Path, run: Run) -> None:
    assert run("cancel", "-ids", "1,3") == "2 webhook(s)s marked as canceled\n"
    assert ids(run("list")) == [2]
    # Account second keeps nothing.
    assert run("retired", "list").splitlines() == [
        "retired webhooks:",
        "    1 2027-01-15T08:00:01Z failure account:mjl last 0s error "
        '"canceled by admin" url http://127.0.0.1:1/out',
    ]
    found = json.loads(run("retired", "print", "1"))
    assert (found["Success"], found["SupersededByID"], found["Authorization"]) == (False, 0, True)
    assert found["Results"][1]["URL"] == ""
    assert (found["LastActivity"], found["KeepUntil"]) == (
        "2027-01-15T08:00:10Z",
        "2027-01-15T09:00:10Z",
    )
    assert "NextAttempt" not in found
    assert run("cancel") == "1 webhook(s)s marked as canceled\n"


def test_retired_are_chosen(filled: Path, run: Run) -> None:
    run("cancel", "-account", "mjl")
    assert ids(run("retired", "list")) == [2, 1]
    assert ids(run("retired", "list", "-event", "incoming")) == [2]
    assert ids(run("retired", "list", "-lastactivity", "<-1s")) == []
    assert ids(run("retired", "list", "-sort", "submitted", "-asc")) == [1, 2]
