"""The messages of an APPEND or REPLACE while they come in, literal by literal or put together.

What is wrong with mailbox, size or quota is found out before the client is told to go on, and
nothing is stored before the command is complete.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from mox.imap import codes, responses
from mox.imap.sequence import STAR
from mox.imap.url import UrlError, parse
from mox.imapd.answer import Done, Refusal, bad, from_store
from mox.imapd.bodies import cut, read_message
from mox.imapd.flagtext import split_flags
from mox.imapd.selected import account_of, writable_view
from mox.store.errors import MessageGone, StoreError
from mox.store.model import MailboxId, NewMessage

if TYPE_CHECKING:
    from mox.imap.events import AppendStart, CatenateText, Replaced
    from mox.imapd.session import Session
    from mox.store.model import Appended


class Incoming:
    """An APPEND or REPLACE command while it comes in."""

    def __init__(self, session: Session, first: AppendStart) -> None:
        self.session = session
        self._account = account_of(session)
        self._mailbox_id = self._account.mailbox_id(first.mailbox)
        self._quota = session.service.quota(self._account.name)
        self._octets = 0  # announced so far, of all messages
        self._own_octets = 0  # of the present one
        self._replaced: tuple[MailboxId, int] | None = None
        self.messages: list[NewMessage] = []
        self.refusal: Refusal | None = None

    # ---- what the reader tells; each takes what comes or refuses it

    def start(self, event: AppendStart) -> None:
        """A message is announced."""
        self._finish_message()
        self._own_octets = 0
        refusal = self.refusal or self._objection(event) or self._grow(event.size)
        if refusal is not None:
            self._refuse(refusal)
            return
        flags, keywords = split_flags(event.flags)
        received = event.date or (int(time.time()), 0)
        spool = self.session.service.store.spool()
        self.messages.append(NewMessage(spool, received, flags, keywords))
        self._accept(sync=event.sync)

    def text(self, event: CatenateText) -> None:
        """A part is announced (RFC 4469 §3)."""
        refusal = self._grow(event.size)
        if refusal is not None:
            self._refuse(refusal)
        else:
            self._accept(sync=event.sync)

    def url(self, url: str) -> None:
        """A part is taken from another message (RFC 4469 §3)."""
        try:
            data = self._read(url)
        except (UrlError, MessageGone) as e:
            self._refuse(Refusal(str(e), codes.badurl(url)))
            return
        refusal = self._grow(len(data))
        if refusal is None:
            self._write(data)
            refusal = self.refusal
        if refusal is not None:
            self._refuse(refusal)
        else:
            self._accept(sync=False)

    def chunk(self, data: bytes) -> None:
        if self.session.log.trace_enabled():
            self.session.log.trace_protocol("C: ", data, "data")
        self._write(data)
        if self.refusal is not None:
            self.session.reader.refuse_literal()

    def _accept(self, *, sync: bool) -> None:
        if sync:
            self.session.write(responses.continuation("go ahead"))
            self.session.flush()
        self.session.reader.accept_literal()

    def _refuse(self, refusal: Refusal) -> None:
        self.refusal = refusal
        self.session.reader.refuse_literal()

    # ---- what can be wrong

    def _objection(self, event: AppendStart) -> Refusal | None:
        if self._mailbox_id is None:
            # RFC 9051 §6.3.12: the client may create it and try again.
            return Refusal("no such mailbox", codes.TRYCREATE)
        if event.size == 0 and not event.catenate:
            # RFC 3502 §3: an empty message cancels the command.
            return Refusal("empty message, nothing is appended")
        if event.replaced is not None:
            try:
                self._replaced = _find(self.session, event.replaced)
            except Refusal as e:
                return e
        return None

    def _grow(self, octets: int) -> Refusal | None:
        """Count octets that are about to come."""
        self._octets += octets
        self._own_octets += octets
        limit = self.session.service.append_limit(self.session.conn.listen.listener)
        if self._own_octets > limit:
            # RFC 7889 §4
            return Refusal(f"message is larger than {limit} octets", codes.TOOBIG)
        if 0 < self._quota < self._account.usage().octets + self._octets and not self._replaced:
            text = f"account over maximum total message size {self._quota}"
            return Refusal(text, codes.OVERQUOTA)
        return None

    def _read(self, url: str) -> bytes:
        """The octets that a URL stands for. Raises UrlError, MessageGone."""
        view = self.session.view
        wanted = parse(url, "" if view is None else view.name)
        mailbox = self._account.mailbox(wanted.mailbox)
        if mailbox is None:
            raise UrlError("no such mailbox")
        if wanted.uidvalidity not in (None, mailbox.uidvalidity):
            raise UrlError("mailbox has another UIDVALIDITY")
        if self._account.message(mailbox.id, wanted.uid) is None:
            raise UrlError("no such message")
        message = read_message(self._account, mailbox.id, wanted.uid)
        data = cut(message.section(wanted.section), wanted.partial)
        if data is None:
            raise UrlError("message has no such part")
        return data

    # ---- storing

    def _write(self, data: bytes) -> None:
        try:
            # Deviation from RFC 9051 §6.3.12, which wants CRLF only: clients that send bare LF mean
            # line ends, which is what the store takes them for.
            self.messages[-1].spool.write(data)
        except StoreError as e:
            self.session.log.error("storing a message that comes in", err=e)
            self.refusal = from_store(e)

    def _finish_message(self) -> None:
        if self.messages and self.refusal is None and not self._own_octets:
            self.refusal = Refusal("empty message, nothing is appended")

    def store(self) -> Done:
        """Store what came in, all or nothing. Raises Refusal, StoreError."""
        self._finish_message()
        if self.refusal is not None:
            raise self.refusal
        assert self._mailbox_id is not None, "else refused"
        marks = self.session.service.marks(self._account.name)
        target, quota = self._mailbox_id, self._quota
        if self._replaced is None:
            appended = self._account.append(target, self.messages, quota, marks)
            self._note_own(appended)
            return Done("appended", codes.appenduid(appended.uidvalidity, appended.uids))
        appended = self._account.replace(self._replaced, target, self.messages[0], quota, marks)
        self._note_own(appended)
        # RFC 8508 §3.3: the new message's uid comes before the removal of the old one is told.
        code = codes.appenduid(appended.uidvalidity, appended.uids)
        self.session.write(responses.untagged("OK", "replacement is stored", code))
        qresync = self.session.state.qresync
        return Done("replaced", codes.highestmodseq(appended.modseq) if qresync else b"")

    def _note_own(self, appended: Appended) -> None:
        view = self.session.view
        if view is None or view.mailbox_id != self._mailbox_id:
            return
        mailbox = self._account.mailbox_by_id(view.mailbox_id)
        # A client need not be told of the flags that it gave, but of those the mailbox gave.
        marks = self.session.service.marks_what_enters
        if mailbox is not None and not marks(self._account.name, mailbox):
            view.note_own(appended.modseq)

    def close(self) -> None:
        for message in self.messages:
            message.spool.close()


def _find(session: Session, replaced: Replaced) -> tuple[MailboxId, int]:
    """The mailbox and uid of the message that a REPLACE is about. Raises Refusal."""
    if session.state.uidonly and not replaced.uid:
        # RFC 9586 §3.1
        raise bad("UIDONLY is enabled: no sequence numbers", codes.UIDREQUIRED)
    view = writable_view(session)
    uids = view.uids
    if replaced.number == STAR and uids:
        return view.mailbox_id, uids[-1]
    if replaced.uid or replaced.number == STAR:
        if not view.sequence_of(replaced.number):
            raise Refusal("no such message", codes.NONEXISTENT)
        return view.mailbox_id, replaced.number
    if replaced.number > view.exists:
        raise bad("no such message sequence number")
    return view.mailbox_id, uids[replaced.number - 1]
