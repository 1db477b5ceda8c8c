from __future__ import annotations

from pathlib import Path

import gevent

from mox.serving.limits import Refusal
from mox.serving.receivedids import load_received_ids
from mox.smtpd.worker import refuse
from tests.smtpd.harness import Site

MESSAGE = b"From: <a@remote.example>\r\n\r\nhello\r\n"


def test_refusals_are_temporary() -> None:
    conn = None
    assert refuse(conn, Refusal.SHUTTING_DOWN) == b"421 4.3.2 shutting down\r\n"  # type: ignore[arg-type]
    assert refuse(conn, Refusal.AUTH_FAILURES) == b"421 4.7.0 too many auth failures\r\n"  # type: ignore[arg-type]


def test_key_of_received_ids_is_made_once(tmp_path: Path) -> None:
    first = load_received_ids(tmp_path)
    assert load_received_ids(tmp_path).decode(first.encode(7)) == 7
    [file] = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_received_id_leads_to_the_connection(site: Site) -> None:
    client = site.connect()
    code, text = client.say("RCPT TO:<x@example.org>")
    shown = text.rpartition("(")[2].rstrip(")")
    assert code == 503
    client.deliver("a@remote.example", "mjl@example.org", message=MESSAGE)
    assert f"id {shown}".encode() in site.messages()[0].replace(b"\r\n\t", b" ")
    assert load_received_ids(site.ctx.data_dir).decode(shown)


def test_parallel_first_deliveries_to_a_new_account_all_succeed(site: Site) -> None:
    def deliver() -> int:
        return site.connect().deliver("a@remote.example", "mjl@example.org", message=MESSAGE)[0]

    running = [gevent.spawn(deliver) for _ in range(30)]
    gevent.joinall(running, timeout=20)
    assert [each.value for each in running] == [250] * 30
    assert len(site.messages()) == 30
