"""The incremental reader: octets in, events out.

RFC 9051 §2.2, §4.3 (literals), RFC 7888 (LITERAL+), RFC 3516 (literal8), RFC 3502 (MULTIAPPEND).
The shell feeds what it receives and then asks for events until there is none:

    reader.feed(data)
    while (event := reader.next_event()) is not None: …

Act on one event before asking for the next: `utf8`, `limits` and expect_line() take effect there.
After NeedContinuation, AppendStart, CatenateText and CatenateUrl the reader waits for
accept_literal() or refuse_literal(). An APPEND gives, per message, AppendStart, LiteralChunk…,
LiteralEnd, and in the end AppendEnd.
After LineTooLong or Fatal there are no further events. The reader holds no more than one command
and what it was fed beyond that; feed again only when next_event() gave None.

>>> reader = Reader()
>>> reader.feed(b"a1 login jane {6+}\\r\\nsecret\\r\\n")
>>> reader.next_event()
CommandReady(command=Login(tag='a1', username='jane'))
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from mox.imap.events import (
    AppendEnd,
    BadCharset,
    BadCommand,
    CommandReady,
    Event,
    Fatal,
    LineTooLong,
    LiteralChunk,
    LiteralEnd,
    NeedContinuation,
    RawLine,
)
from mox.imap.grammar.append import UPLOADS, names_mailbox
from mox.imap.grammar.command import read_arguments, read_name, read_tag
from mox.imap.grammar.cursor import CharsetFailure, Cursor, Literal, SyntaxFailure
from mox.imap.limits import LIMITS, Limits
from mox.imap.linebuffer import LineBuffer, LineOverflow
from mox.imap.literalmark import LiteralMark, split_mark
from mox.imap.uploads import UploadText


class _Again:
    """A step made progress without an event."""


_AGAIN = _Again()
_Result = Event | _Again | None

# Events that end a command whose rest is only read to be dropped.
_Verdict = BadCommand | AppendEnd


@dataclass(slots=True)
class _Partial:
    """The command being read."""

    text: bytearray = field(default_factory=bytearray)  # NUL where each literal stood
    literals: list[Literal] = field(default_factory=list)
    tag: str = "*"
    name: str = ""
    arguments_at: int = 0  # in `text`
    line_octets: int = 0
    literal_count: int = 0
    literal_octets: int = 0
    # Set once the command is lost: what to tell when its last octet has been read.
    verdict: _Verdict | None = None
    swallow_left: int = 0
    # Set once an APPEND or REPLACE has come to its first message.
    upload: UploadText | None = None

    def cursor(self, reader: Reader) -> Cursor:
        text = bytes(self.text)
        return Cursor(
            text,
            self.literals,
            reader.utf8,
            reader.limits,
            self.arguments_at,
            reader.pedantic,
        )


# Of a reader between commands, which most are most of the time: shared, and never changed.
_NO_PARTIAL = _Partial()
_NO_MARK = LiteralMark(0, sync=False, binary=False)
_NOTHING_TOLD: deque[Event] = deque(maxlen=0)


class Reader:
    """Turns the client's octets into events; raises nothing on any input."""

    __slots__ = (
        "_buffer",
        "_collected",
        "_mark",
        "_marked",
        "_partial",
        "_raw_limit",
        "_remaining",
        "_step",
        "_streams",
        "_told",
        "limits",
        "pedantic",
        "utf8",
    )

    def __init__(
        self, limits: Limits = LIMITS, *, utf8: bool = False, pedantic: bool = False
    ) -> None:
        self.limits = limits
        self.utf8 = utf8
        self.pedantic = pedantic
        self._buffer = LineBuffer()
        self._partial = _NO_PARTIAL
        self._step: Callable[[Reader], _Result] = Reader._line
        # The literal announced last, what is still to come of it, and what came when it is kept.
        self._mark = _NO_MARK
        self._remaining = 0
        self._collected: bytearray | None = None
        self._raw_limit = 0
        # Of an APPEND: what its text says and has not been told; and whether a literal follows.
        self._told = _NOTHING_TOLD
        self._marked = False
        self._streams = False  # the literal that comes is a message's, not kept

    # ---- what the shell calls ----------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        """Add received octets."""
        self._buffer.feed(data)

    def next_event(self) -> Event | None:
        """Give the next event; None when more octets or an answer from the shell are needed."""
        while True:
            result = self._step(self)
            if not isinstance(result, _Again):
                return result

    def accept_literal(self) -> None:
        """Go on after an event that waits for it; `+ ` is sent when the client waits."""
        assert self._step is Reader._wait
        if self._told or not self._marked:
            self._step = Reader._tell
        else:
            self._begin_literal()

    def refuse_literal(self) -> None:
        """Give up the command after an event that waits, or amid a message's data.

        After NeedContinuation the command is over: the shell answers it. In an APPEND, AppendEnd
        follows when the rest of the command has gone by: the shell answers then.
        """
        partial = self._partial
        waiting = self._step is Reader._wait
        assert waiting or self._step is Reader._stream
        self._told = _NOTHING_TOLD
        if partial.upload is None:
            self._reset()
            return
        partial.verdict = AppendEnd(partial.tag, refused=True)
        partial.swallow_left = self.limits.append_swallow
        if waiting and (self._mark.sync or not self._marked):
            self._step = Reader._complete
        elif waiting:
            self._swallow_or_give_up(self._mark.size)
        else:
            self._swallow_or_give_up(self._remaining)

    def expect_line(self, limit: int = 16 * 1024) -> None:
        """Make the next event a RawLine: AUTHENTICATE's continuation, IDLE's DONE."""
        assert self._step is Reader._line and not self._partial.line_octets
        self._raw_limit = limit
        self._step = Reader._raw_line

    def take_rest(self) -> bytes:
        """Take the octets behind the last command: after STARTTLS (to drop) or COMPRESS."""
        return self._buffer.drain()

    @property
    def at_command_start(self) -> bool:
        """Whether nothing of a next command has been received."""
        return self._step is Reader._line and not self._partial.line_octets and not self._buffer

    # ---- steps: each does one thing and gives an event, None to wait for more, or _AGAIN -------

    def _line(self) -> _Result:
        partial = self._partial
        try:
            line = self._buffer.take_line(self.limits.line - partial.line_octets)
        except LineOverflow:
            return self._close(LineTooLong())
        if line is None:
            return None
        if partial is _NO_PARTIAL:
            partial = self._partial = _Partial()
        partial.line_octets += len(line) + 1
        text, mark = split_mark(line)
        if partial.verdict is None:
            problem = self._add_text(text)
            if problem is not None:
                return self._lose(problem, mark)
        return self._complete() if mark is None else self._announced(mark)

    def _raw_line(self) -> _Result:
        try:
            line = self._buffer.take_line(self._raw_limit)
        except LineOverflow:
            return self._close(LineTooLong())
        if line is None:
            return None
        self._step = Reader._line
        return RawLine(line)

    def _wait(self) -> _Result:
        return None

    def _tell(self) -> _Result:
        """Give the next of the events that an APPEND's text came to."""
        if not self._told:
            self._begin_literal()
            return _AGAIN
        event = self._told.popleft()
        if isinstance(event, AppendEnd):
            self._reset()
        else:
            self._step = Reader._wait
        return event

    def _collect(self) -> _Result:
        data = self._buffer.take(self._remaining)
        if self._collected is None:
            self._collected = bytearray()
        self._collected += data
        self._remaining -= len(data)
        if self._remaining:
            return None
        self._partial.text.append(0)
        self._partial.literals.append(Literal(bytes(self._collected), self._mark.binary))
        self._collected = None
        self._step = Reader._line
        return _AGAIN

    def _stream(self) -> _Result:
        if self._remaining:
            data = self._buffer.take(self._remaining)
            self._remaining -= len(data)
            return LiteralChunk(data) if data else None
        self._step = Reader._line
        return LiteralEnd()

    def _swallow(self) -> _Result:
        self._remaining -= self._buffer.discard(self._remaining)
        if self._remaining:
            return None
        self._step = Reader._line
        return _AGAIN

    def _complete(self) -> _Result:
        """The command's last octet is read: say what it was."""
        partial = self._partial
        if partial.verdict is None and partial.name in UPLOADS:
            if not partial.text and partial.upload is not None and partial.upload.may_end:
                self._reset()
                return AppendEnd(partial.tag)
            return self._read_upload(None)
        self._reset()
        if partial.verdict is not None:
            return partial.verdict
        cursor = partial.cursor(self)
        try:
            return CommandReady(read_arguments(cursor, partial.tag, partial.name))
        except SyntaxFailure as err:
            return BadCommand(partial.tag, str(err), err.code)
        except CharsetFailure:
            return BadCharset(partial.tag)

    # ---- what the steps use --------------------------------------------------------------------

    def _reset(self) -> None:
        self._partial = _NO_PARTIAL
        self._mark = _NO_MARK
        self._told = _NOTHING_TOLD
        self._step = Reader._line

    def _close(self, event: Event) -> Event:
        self._reset()
        self._step = Reader._wait
        return event

    def _add_text(self, text: bytes) -> BadCommand | None:
        """Add a line's text; on the first line check the tag and the command's name at once."""
        partial = self._partial
        try:
            if partial.tag == "*":
                cursor = Cursor(text, limits=self.limits)
                partial.tag = read_tag(cursor)
                partial.name = read_name(cursor)
                partial.arguments_at = cursor.at
            if 0 in text:
                raise SyntaxFailure("NUL in a command")
        except SyntaxFailure as err:
            return BadCommand(partial.tag, str(err), err.code)
        partial.text += text
        return None

    def _announced(self, mark: LiteralMark) -> _Result:
        """Decide what to do with an announced literal."""
        partial = self._partial
        self._mark = mark
        if partial.verdict is not None:
            return self._lose(partial.verdict, mark)
        partial.literal_count += 1
        if partial.literal_count > self.limits.literal_count:
            return self._lose(BadCommand(partial.tag, "too many literals", "TOOBIG"), mark)
        self._marked = True
        if partial.name in UPLOADS and not self._names_mailbox():
            return self._read_upload(mark)
        self._streams = False
        if self._is_too_large(mark):
            return self._lose(BadCommand(partial.tag, "literal too large", "TOOBIG"), mark)
        if mark.sync:
            self._step = Reader._wait
            return NeedContinuation(partial.tag, mark.size)
        self._begin_literal()
        return _AGAIN

    def _is_too_large(self, mark: LiteralMark) -> bool:
        """Count a literal that is kept; whether it goes beyond the limits."""
        partial = self._partial
        partial.literal_octets += mark.size
        most = self.limits.literals
        return mark.size > self.limits.literal or partial.literal_octets > most

    def _names_mailbox(self) -> bool:
        """Whether the next literal of an APPEND or REPLACE is the mailbox's name."""
        partial = self._partial
        text = bytes(partial.text[partial.arguments_at :])
        return partial.upload is None and names_mailbox(partial.name, text)

    def _read_upload(self, mark: LiteralMark | None) -> _Result:
        """Take in what an APPEND or REPLACE says before a literal, or before its end."""
        partial = self._partial
        if partial.upload is None:
            partial.upload = UploadText(partial.tag, partial.name)
        text_kept = b""
        cursor = partial.cursor(self)
        self._marked = mark is not None
        self._streams = True
        told: list[Event] = []
        try:
            for event in partial.upload.events(cursor, mark):
                if isinstance(event, int):
                    text_kept = cursor.text[event:]
                else:
                    told.append(event)
            if text_kept and mark is not None:
                self._streams = False
                if self._is_too_large(mark):
                    raise SyntaxFailure("literal too large", "TOOBIG")
                if mark.sync:
                    told.append(NeedContinuation(partial.tag, mark.size))
        except SyntaxFailure as err:
            return self._lose(BadCommand(partial.tag, str(err), err.code), mark)
        partial.text[:] = text_kept
        partial.literals.clear()
        partial.arguments_at = 0
        self._told = deque(told)
        return self._tell()

    def _begin_literal(self) -> None:
        self._remaining = self._mark.size
        self._step = Reader._stream if self._streams else Reader._collect

    def _lose(self, verdict: _Verdict, mark: LiteralMark | None) -> _Result:
        """Give the command up; what the client sends of it anyway is read and dropped.

        RFC 7888 §4: a refused synchronising literal is not sent, a non-synchronising one is.
        """
        partial = self._partial
        if partial.verdict is None:
            partial.verdict = verdict
            partial.swallow_left = self.limits.swallow
        if mark is None or mark.sync:
            return self._complete()
        self._swallow_or_give_up(mark.size)
        return _AGAIN

    def _swallow_or_give_up(self, size: int) -> None:
        if size > self._partial.swallow_left:
            self._step = Reader._give_up
            return
        self._partial.swallow_left -= size
        self._remaining = size
        self._step = Reader._swallow

    def _give_up(self) -> Event:
        verdict = self._partial.verdict
        text = verdict.text if isinstance(verdict, BadCommand) else "literal too large"
        return self._close(Fatal(self._partial.tag, text))
