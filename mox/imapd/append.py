"""APPEND (RFC 9051 §6.3.12), several messages at once (RFC 3502), with NUL and UTF-8 (RFC 6855).

The messages are streamed: what is wrong with mailbox, size or quota is found out before the
client is told to go on, and nothing is stored before the command is complete.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NoReturn

from mox.imap import codes, responses
from mox.imap.events import AppendEnd, AppendStart, BadCommand, Fatal, LiteralChunk, LiteralEnd
from mox.imapd.answer import Done, Refusal, bad, from_store, wrong_state
from mox.imapd.flagtext import split_flags
from mox.imapd.selected import account_of
from mox.store.errors import StoreError
from mox.store.model import NewMessage

if TYPE_CHECKING:
    from mox.imap.events import Event
    from mox.imapd.session import Session
    from mox.store.model import Mailbox


class LineEnds:
    """Makes the bare LFs of a stream of chunks CRLF; a lone CR stays.

    Deviation from RFC 9051 §6.3.12, which wants messages with CRLF only: clients that send bare
    LF mean line ends, and a message is kept rather than refused.
    """

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = b""

    def feed(self, chunk: bytes) -> bytes:
        """The next octets to store. A CR at the end waits for what follows it."""
        chunk = self._held + chunk
        self._held = b""
        if chunk.endswith(b"\r"):
            chunk, self._held = chunk[:-1], b"\r"
        if chunk.count(b"\n") == chunk.count(b"\r\n"):
            return chunk
        return chunk.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")

    def end(self) -> bytes:
        """What is left when no more follows."""
        held, self._held = self._held, b""
        return held


class _Append:
    """An APPEND command while it comes in."""

    def __init__(self, session: Session, first: AppendStart) -> None:
        self.session = session
        self._account = account_of(session)
        self._mailbox: Mailbox | None = self._account.mailbox(first.mailbox)
        self._quota = session.service.quota(self._account.name)
        self._octets = 0
        self._line_ends = LineEnds()
        self.messages: list[NewMessage] = []
        self.refusal: Refusal | None = None

    def start(self, event: AppendStart) -> None:
        """A message is announced: take it or refuse it."""
        reader = self.session.reader
        self.refusal = self._objection(event)
        if self.refusal is not None:
            reader.refuse_literal()
            return
        self._octets += event.size
        flags, keywords = split_flags(event.flags)
        received = event.date or (int(time.time()), 0)
        spool = self.session.service.store.spool()
        self.messages.append(NewMessage(spool, received, flags, keywords))
        if event.sync:
            self.session.write(responses.continuation("go ahead"))
            self.session.flush()
        reader.accept_literal()

    def _objection(self, event: AppendStart) -> Refusal | None:
        if self._mailbox is None:
            # RFC 9051 §6.3.12: the client may create it and try again.
            return Refusal("no such mailbox", codes.TRYCREATE)
        if event.size == 0:
            # RFC 3502 §3: an empty message cancels the command.
            return Refusal("empty message, nothing is appended")
        limit = self.session.service.append_limit(self.session.conn.listen.listener)
        if event.size > limit:
            # RFC 7889 §4
            return Refusal(f"message is larger than {limit} octets", codes.TOOBIG)
        used = self._account.usage().octets + self._octets + event.size
        if 0 < self._quota < used:
            text = f"account over maximum total message size {self._quota}"
            return Refusal(text, codes.OVERQUOTA)
        return None

    def chunk(self, data: bytes) -> None:
        if self.session.log.trace_enabled():
            self.session.log.trace_protocol("C: ", data, "data")
        self._write(self._line_ends.feed(data))

    def end_of_message(self) -> None:
        self._write(self._line_ends.end())

    def _write(self, data: bytes) -> None:
        try:
            self.messages[-1].spool.write(data)
        except StoreError as e:
            self.session.log.error("storing a message that comes in", err=e)
            self.refusal = from_store(e)
            self.session.reader.refuse_literal()

    def store(self) -> Done:
        """Store what came in, all or nothing."""
        assert self._mailbox is not None, "else refused"
        marks = self.session.service.marks(self._account.name)
        appended = self._account.append(self._mailbox.id, self.messages, self._quota, marks)
        view = self.session.view
        if view is not None and view.mailbox_id == self._mailbox.id:
            view.own.append(appended.modseq)
        return Done("appended", codes.appenduid(appended.uidvalidity, appended.uids))

    def close(self) -> None:
        for message in self.messages:
            message.spool.close()


def cmd_append(session: Session, first: AppendStart) -> Done:
    if not session.state.allows(first.name):
        session.reader.refuse_literal()
        _until_end(session)
        raise wrong_state()
    append = _Append(session, first)
    try:
        event: Event = first
        while not isinstance(event, AppendEnd):
            _take(append, event)
            event = session.next_event()
        if append.refusal is not None:
            raise append.refusal
        return append.store()
    finally:
        append.close()


def _until_end(session: Session) -> None:
    """Let a refused command go by."""
    event = session.next_event()
    while not isinstance(event, AppendEnd):
        _give_up(session, event, None)
        event = session.next_event()


def _take(append: _Append, event: Event) -> None:
    match event:
        case AppendStart():
            append.start(event)
        case LiteralChunk(data):
            append.chunk(data)
        case LiteralEnd():
            append.end_of_message()
        case _:
            _give_up(append.session, event, append.refusal)


def _give_up(session: Session, event: Event, refusal: Refusal | None) -> NoReturn:
    """The command is malformed, or so large that it is not even read to its end."""
    if isinstance(event, BadCommand):
        raise bad(event.text, event.code.encode())
    text = event.text if isinstance(event, Fatal) else "line too long"
    session.write(responses.untagged("BYE", text, codes.ALERT))
    session.finished = True
    raise refusal or bad(text)
