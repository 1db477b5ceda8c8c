"""Port 25 in trouble: full disks, failures of ours, clients that stop in the middle."""

from __future__ import annotations

import pytest

from mox.store.errors import ErrorKind, StoreError
from tests.smtpd.harness import MESSAGE, Site


def test_unexpected_exception_is_a_temporary_error(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise ZeroDivisionError("surprise")

    client = site.connect()
    with monkeypatch.context() as patch:
        patch.setattr("mox.smtpd.incoming.incoming.deliver", fail)
        code, text = client.deliver("a@remote.example", "mjl@example.org", message=MESSAGE)
        assert (code, text.split()[0]) == (451, "4.3.0")
        assert "surprise" not in text
    assert "ZeroDivisionError" in capsys.readouterr().err
    assert client.deliver("a@remote.example", "mjl@example.org", message=MESSAGE)[0] == 250


def test_full_disk_while_reading_is_temporary(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise StoreError(ErrorKind.DISK_FULL, "no space left")

    client = site.connect()
    client.envelope("a@remote.example", "mjl@example.org")
    with monkeypatch.context() as patch:
        patch.setattr("mox.store.spool.Spool.write", full)
        code, text = client.data(MESSAGE * 100)
    assert (code, text.split()[0]) == (452, "4.3.1")
    assert client.deliver("a@remote.example", "mjl@example.org", message=MESSAGE)[0] == 250
    assert len(site.messages()) == 1


@pytest.mark.parametrize(
    ("kind", "code"),
    [(ErrorKind.DISK_FULL, "452 4.3.1"), (ErrorKind.INTERNAL, "451 4.3.0")],
)
def test_full_disk_while_storing_is_temporary(
    site: Site, monkeypatch: pytest.MonkeyPatch, kind: ErrorKind, code: str
) -> None:
    def full(*args: object) -> None:
        raise StoreError(kind, "no")

    client = site.connect()
    with monkeypatch.context() as patch:
        patch.setattr("mox.store.store.Store.deliver", full)
        got, text = client.deliver("a@remote.example", "mjl@example.org", message=MESSAGE)
    assert f"{got} {text}".startswith(code)
    assert client.deliver("a@remote.example", "mjl@example.org", message=MESSAGE)[0] == 250


def test_silent_client_is_told_and_left(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mox.smtpd.session.READ_TIMEOUT_S", 0.05)
    client = site.connect()
    code, text = client.reply()
    assert (code, text.split()[0]) == (421, "4.4.2")
    assert client.is_closed()


def test_message_that_never_ends_is_left(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mox.smtpd.transaction.DATA_LIMIT_S", 0.05)
    client = site.connect()
    client.envelope("a@remote.example", "mjl@example.org")
    client.send(b"DATA\r\n")
    assert client.reply()[0] == 354
    assert client.reply()[0] == 421
    assert client.is_closed()
    assert site.messages() == []


def test_connection_lost_within_a_message_delivers_nothing(site: Site) -> None:
    client = site.connect()
    client.envelope("a@remote.example", "mjl@example.org")
    client.send(b"DATA\r\n")
    client.send(MESSAGE)
    client.close()
    assert site.connect().say("NOOP")[0] == 250
    assert site.messages() == []
