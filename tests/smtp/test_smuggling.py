"""SMTP smuggling: an end of data that is none must never begin a second transaction.

The sequences are those of the disclosure of December 2023 and its followers.
"""

from __future__ import annotations

import itertools

import pytest

from tests.smtp.shell import Shell, delivery

SECOND = b"MAIL FROM:<evil@b.example>\r\nRCPT TO:<victim@b.example>\r\nDATA\r\nsmuggled\r\n.\r\n"
PARTS = [b"\r\n", b"\n", b"\r", b"\r\r\n", b"\r\0\n"]
ENDS = [
    *(before + b"." + after for before, after in itertools.product(PARTS, repeat=2)),
    *(b"\n\r.\r\n", b"\r\n\r.\r\n", b"\r\n.\0\r\n", b"\r\n. \r\n"),
]
FALSE_ENDS = [end for end in ENDS if b"\r\n.\r\n" not in end]


def begin() -> Shell:
    shell = Shell.start(delivery())
    shell.feed(b"EHLO a.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@b.example>\r\n")
    return shell


class TestSmuggling:
    @pytest.mark.parametrize("bytewise", [False, True])
    @pytest.mark.parametrize("end", FALSE_ENDS, ids=repr)
    def test_false_end_of_data(self, end: bytes, bytewise: bool) -> None:
        shell = begin()
        shell.feed(b"DATA\r\n")
        feed = shell.feed_bytewise if bytewise else shell.feed
        answer = feed(b"Subject: x\r\n\r\nhello" + end + SECOND)
        # One transaction, one answer: all of it was one message, or a refused one.
        assert answer.count(b"\r\n") == 1
        assert len(shell.messages) + len(shell.problems) == 1
        bare = end.replace(b"\r\n", b"").strip(b". \0")
        assert [problem.code for problem in shell.problems] == ([500] if bare else [])
        assert shell.server.mail is None
        assert shell.feed(b"NOOP\r\n") == b"250 2.0.0 ok\r\n"

    def test_true_end_after_a_bare_cr_refuses_the_first_message(self) -> None:
        shell = begin()
        shell.feed(b"DATA\r\n")
        assert shell.feed(b"hello\r\r\n.\r\n").startswith(b"500 5.5.2 ")

    @pytest.mark.parametrize("bare", [b"\r", b"\n", b"\n\r"])
    def test_bare_line_end_in_chunks(self, bare: bytes) -> None:
        shell = begin()
        octets = b"hello" + bare + b"." + bare + SECOND
        answer = shell.feed(b"BDAT %d LAST\r\n" % len(octets) + octets)
        assert answer.startswith(b"500 5.5.2 ")
        assert answer.count(b"\r\n") == 1
        assert not shell.messages

    def test_commands_before_tls_are_not_obeyed(self) -> None:
        shell = Shell.start(delivery(starttls=True))
        shell.feed(b"EHLO a.example\r\n")
        answer = shell.feed(b"STARTTLS\r\nEHLO evil.example\r\nMAIL FROM:<evil@b.example>\r\n")
        assert answer == b"220 2.0.0 go!\r\n"
        assert shell.server.hello is None
        assert shell.feed(b"NOOP\r\n") == b"250 2.0.0 ok\r\n"

    def test_commands_after_an_address_with_line_ends(self) -> None:
        shell = Shell.start(delivery())
        shell.feed(b"HELO a.example\r\n")
        answer = shell.feed(b'MAIL FROM:<"a\nRCPT TO:<x@y.example>"@b.example>\r\n')
        assert answer.startswith(b"500 5.5.2 ")
        assert shell.server.mail is None
