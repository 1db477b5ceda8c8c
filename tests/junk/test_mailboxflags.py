from __future__ import annotations

import pytest

from mox.junk.mailboxflags import MailboxFlags, Mark, wanted_mark


def mailbox_flags(junk: str = "", neutral: str = "", not_junk: str = "") -> MailboxFlags:
    return MailboxFlags(junk=junk, neutral=neutral, not_junk=not_junk)


USUAL = mailbox_flags("^(junk|spam)", "^(inbox|introbox|neutral|postmaster|dmarc|tlsrpt|rejects)")
ALL = mailbox_flags("^spam", "^inbox", "^archive")


@pytest.mark.parametrize(
    ("rules", "mailbox", "mark"),
    [
        (USUAL, "INBOX", Mark.NONE),
        (USUAL, "Inbox/lists", Mark.NONE),
        (USUAL, "Rejects", Mark.NONE),
        (USUAL, "Junk", Mark.JUNK),
        (USUAL, "Spam/2026", Mark.JUNK),
        (USUAL, "Archive", Mark.HAM),
        (USUAL, "Not junk", Mark.HAM),
        (USUAL, "Trash", Mark.HAM),
        (ALL, "Archive/2026", Mark.HAM),
        (ALL, "Spam", Mark.JUNK),
        (ALL, "Lists", None),
        (mailbox_flags("^spam", "", "^archive"), "Lists", Mark.NONE),
        (mailbox_flags("", "^inbox", "^archive"), "Lists", Mark.JUNK),
        (mailbox_flags("^spam"), "Spam", Mark.JUNK),
        (mailbox_flags("^spam"), "Lists", None),
        (mailbox_flags("", "^inbox"), "Lists", None),
        (mailbox_flags("", "", "archive"), "Old/Archive", Mark.HAM),
        (mailbox_flags(), "Junk", None),
        # The order of the patterns decides where several match.
        (mailbox_flags("mail", "mail", "mail"), "mail", Mark.JUNK),
        (mailbox_flags("x", "mail", "mail"), "mail", Mark.NONE),
    ],
)
def test_mark_by_name(rules: MailboxFlags, mailbox: str, mark: Mark | None) -> None:
    assert rules.mark(mailbox, ()) is mark


@pytest.mark.parametrize("rules", [USUAL, ALL, mailbox_flags()])
def test_special_use_junk_comes_first(rules: MailboxFlags) -> None:
    assert rules.mark("Archive", ("\\Archive", "\\Junk")) is Mark.JUNK
    assert rules.mark("Inbox", ("\\junk",)) is Mark.JUNK


def test_contradicting_flags_teach_nothing() -> None:
    assert wanted_mark(junk=True, not_junk=False) is Mark.JUNK
    assert wanted_mark(junk=False, not_junk=True) is Mark.HAM
    assert wanted_mark(junk=True, not_junk=True) is Mark.NONE
    assert wanted_mark(junk=False, not_junk=False) is Mark.NONE
