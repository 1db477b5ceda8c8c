"""The text of an APPEND or REPLACE between its literals, as a list of events.

The framing reader gives each piece of text that a literal or the command's end follows. See
mox.imap.grammar.append for the grammar, mox.imap.events for what comes out.
"""

from __future__ import annotations

from collections.abc import Iterator

from mox.imap.events import AppendEnd, AppendStart, CatenateText, CatenateUrl, Event
from mox.imap.grammar.append import APPEND, MessageHead, Upload, message_head, upload
from mox.imap.grammar.cursor import MAX_NUMBER64, Cursor, SyntaxFailure
from mox.imap.literalmark import LiteralMark


class UploadText:
    """What has been read of one APPEND or REPLACE so far."""

    __slots__ = ("_first_part", "_in_catenate", "_in_utf8", "_messages", "_name", "_tag", "_upload")

    def __init__(self, tag: str, name: str) -> None:
        self._tag = tag
        self._name = name
        self._upload: Upload | None = None
        self._messages = 0
        self._in_utf8 = False  # a message or part in UTF8 (…), its ")" not read yet
        self._in_catenate = False
        self._first_part = False

    @property
    def may_end(self) -> bool:
        """Whether the command may end here: messages are complete, nothing is open."""
        return self._messages > 0 and not self._in_utf8 and not self._in_catenate

    def events(self, cursor: Cursor, mark: LiteralMark | None) -> Iterator[Event | int]:
        """What a piece of text says; `mark` is the literal after it, None at the command's end.

        A literal that is a URL is told as the position from where the text has to be read again
        once the literal is there. Raises SyntaxFailure.
        """
        if self._upload is None:
            self._upload = upload(cursor, self._name)
        elif self._in_utf8:
            cursor.take(b")")
            self._in_utf8 = False
        while True:
            if self._in_catenate:
                yield from self._parts(cursor, mark)
                if self._in_catenate:
                    return
            start = cursor.at
            if mark is None and cursor.at_end():
                self._check_end(cursor)
                yield AppendEnd(self._tag)
                return
            cursor.at = start
            head = message_head(cursor)
            yield self._start(head, mark)
            if not head.catenate:
                return

    def _check_end(self, cursor: Cursor) -> None:
        if not self._messages:
            cursor.fail("expected a literal")

    def _start(self, head: MessageHead, mark: LiteralMark | None) -> AppendStart:
        assert self._upload is not None, "read before"
        if self._messages and self._name != APPEND:
            # RFC 8508 §3.1: one message takes the place of one other.
            raise SyntaxFailure("one message only")
        index, self._messages = self._messages, self._messages + 1
        self._in_catenate = self._first_part = head.catenate
        self._in_utf8 = head.utf8
        if head.catenate:
            mark = LiteralMark(0, sync=False, binary=False)
        return AppendStart(
            self._tag,
            self._upload.mailbox,
            index,
            _size(mark),
            head.flags,
            head.date,
            _is_sync(mark),
            _is_binary(mark),
            head.utf8,
            catenate=head.catenate,
            replaced=self._upload.replaced,
        )

    def _parts(self, cursor: Cursor, mark: LiteralMark | None) -> Iterator[Event | int]:
        """The parts of a CATENATE, up to a literal or the closing parenthesis."""
        while True:
            if not self._first_part:
                if cursor.maybe(b")"):
                    self._in_catenate = False
                    return
                cursor.space()
            self._first_part = False
            start = cursor.at
            kind = cursor.word("TEXT or URL")
            cursor.space()
            if kind == "URL":
                if mark is not None and cursor.at == len(cursor.text):
                    self._first_part = True
                    yield start
                    return
                yield CatenateUrl(cursor.unicode(cursor.astring("a URL"), "URL"))
                continue
            if kind == "UTF8":
                cursor.take(b"(")
                self._in_utf8 = True
            elif kind != "TEXT":
                cursor.fail("unknown part")
            if cursor.at < len(cursor.text):
                cursor.fail("expected a literal")
            yield CatenateText(_size(mark), _is_sync(mark))
            return


def _size(mark: LiteralMark | None) -> int:
    if mark is None:
        raise SyntaxFailure("expected a literal")
    if mark.size > MAX_NUMBER64:
        raise SyntaxFailure("literal too large", "TOOBIG")
    return mark.size


def _is_sync(mark: LiteralMark | None) -> bool:
    return mark is not None and mark.sync


def _is_binary(mark: LiteralMark | None) -> bool:
    return mark is not None and mark.binary
