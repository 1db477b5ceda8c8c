from __future__ import annotations

from mox.store.model import Flag
from tests.imapd.harness import Site, message

FLAGS = "\\Answered \\Flagged \\Deleted \\Seen \\Draft $Forwarded"


def test_select_describes_the_mailbox(site: Site) -> None:
    site.add(message(1), flags=Flag.SEEN)
    site.add(message(2), message(3), keywords=("todo",))
    lines = site.login().ok("select inbox")
    assert lines[:5] == [
        f"* FLAGS ({FLAGS} todo)",
        f"* OK [PERMANENTFLAGS ({FLAGS} todo \\*)] flags that are kept",
        "* 3 EXISTS",
        "* 3 RECENT",
        "* OK [UNSEEN 2] first unseen",
    ]
    assert lines[5].startswith("* OK [UIDVALIDITY ")
    assert lines[6] == "* OK [UIDNEXT 4] next uid"
    assert lines[7].startswith("* OK [HIGHESTMODSEQ ")
    assert lines[8].startswith("* OK [MAILBOXID (F")
    assert len(lines) == 9


def test_select_for_rev2(site: Site) -> None:
    site.add(message(1))
    lines = site.login(enable="imap4rev2").ok("select inbox")
    text = "\n".join(lines)
    assert "RECENT" not in text
    assert "UNSEEN" not in text
    assert lines[-1] == '* LIST (\\HasNoChildren \\Subscribed) "/" INBOX'


def test_empty_mailbox(site: Site) -> None:
    lines = site.login().ok("select Archive")
    assert "* 0 EXISTS" in lines
    assert "UNSEEN" not in "\n".join(lines)


def test_select_says_read_write_and_examine_read_only(site: Site) -> None:
    client = site.login()
    assert client.command("select inbox").code == "READ-WRITE"
    answer = client.command("examine inbox")
    assert answer.code == "READ-ONLY"
    assert answer.lines[0] == "* OK [CLOSED] previous mailbox closed"
    assert "* OK [PERMANENTFLAGS ()] flags that are kept" in answer.lines


def test_select_of_an_absent_mailbox_deselects(site: Site) -> None:
    client = site.login("inbox")
    answer = client.command("select nowhere")
    assert answer.status == "NO"
    assert answer.code == "NONEXISTENT"
    assert answer.lines == ["* OK [CLOSED] previous mailbox closed"]
    assert client.bad("fetch 1 flags") == "command is not allowed in this state"


def test_examined_mailbox_cannot_be_changed(site: Site) -> None:
    site.add(message(1), flags=Flag.DELETED)
    client = site.login()
    client.ok("examine inbox")
    for command in ("store 1 +flags (\\Seen)", "expunge", "move 1 Archive", "uid expunge 1"):
        assert client.no(command) == "mailbox was opened read-only"
    client.ok("fetch 1 body[]")
    assert client.ok("fetch 1 flags") == ["* 1 FETCH (FLAGS (\\Deleted \\Recent))"]
    client.ok("close")
    assert "* 1 EXISTS" in client.ok("select inbox")


def test_recent_belongs_to_the_first_session(site: Site) -> None:
    site.add(message(1), message(2))
    examining = site.login()
    assert "* 2 RECENT" in examining.ok("examine inbox")
    assert "* 2 RECENT" in site.login().ok("select inbox")
    assert "* 0 RECENT" in site.login().ok("select inbox")
    site.add(message(3))
    client = site.login()
    assert "* 1 RECENT" in client.ok("select inbox")
    assert client.ok("fetch 1:* flags") == [
        "* 1 FETCH (FLAGS ())",
        "* 2 FETCH (FLAGS ())",
        "* 3 FETCH (FLAGS (\\Recent))",
    ]


def test_recent_mail_that_a_session_was_told_of_is_not_recent_afterwards(site: Site) -> None:
    client = site.login("inbox")
    site.add(message(1))
    assert client.ok("noop") == [
        "* 1 EXISTS",
        "* 1 RECENT",
        "* 1 FETCH (UID 1 FLAGS (\\Recent))",
    ]
    client.ok("unselect")
    assert "* 0 RECENT" in client.ok("select inbox")


def test_close_expunges_without_telling(site: Site) -> None:
    site.add(message(1), flags=Flag.DELETED)
    site.add(message(2))
    client = site.login("inbox")
    assert client.ok("close") == []
    assert "* 1 EXISTS" in client.ok("select inbox")


def test_unselect_does_not_expunge(site: Site) -> None:
    site.add(message(1), flags=Flag.DELETED)
    client = site.login("inbox")
    assert client.ok("unselect") == []
    assert "* 1 EXISTS" in client.ok("select inbox")


def test_check_does_nothing(site: Site) -> None:
    assert site.login("inbox").ok("check") == []


def test_deleted_mailbox_is_told_as_empty_and_then_as_absent(site: Site) -> None:
    account = site.account()
    site.login().ok("create Going")
    site.add(message(1), message(2), mailbox="Going")
    client = site.login("Going")
    box = account.mailbox("Going")
    assert box is not None
    account.delete_mailbox(box.id)
    assert client.ok("noop") == ["* 2 EXPUNGE", "* 1 EXPUNGE"]
    assert client.no("fetch 1:* flags").startswith("[NONEXISTENT]")
    client.ok("close")
    client.ok("select inbox")


def test_renamed_mailbox_stays_selected(site: Site) -> None:
    client = site.login()
    client.ok("create Before")
    site.add(message(1), mailbox="Before")
    client.ok("select Before")
    site.login().ok("rename Before After")
    client.ok("noop")
    assert client.ok("fetch 1 uid") == ["* 1 FETCH (UID 1)"]
    client.append("After", message(2))
    assert client.ok("fetch 2 uid") == ["* 2 FETCH (UID 2)"]


def test_message_dropped_by_another_program_shows_up_on_select(site: Site) -> None:
    client = site.login()
    directory = site.ctx.store.data_dir / "accounts/mjl/Maildir/new"
    (directory / "1700000000.x.host").write_bytes(b"Subject: dropped\n\nhi\n")
    assert "* 1 EXISTS" in client.ok("select inbox")
    assert client.ok("fetch 1 body.peek[text]") == ["* 1 FETCH (BODY[TEXT] {4}\r\nhi\r\n)"]
