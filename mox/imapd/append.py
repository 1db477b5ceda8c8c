"""APPEND (RFC 9051 §6.3.12) and REPLACE (RFC 8508) as they come in.

Several messages at once (RFC 3502), with NUL and UTF-8 (RFC 3516, RFC 6855), from parts of other
messages (RFC 4469).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from mox.imap import codes, responses
from mox.imap.events import (
    AppendEnd,
    AppendStart,
    BadCommand,
    CatenateText,
    CatenateUrl,
    Fatal,
    LiteralChunk,
    LiteralEnd,
    NeedContinuation,
)
from mox.imapd.answer import Done, Refusal, bad, wrong_state
from mox.imapd.incoming import Incoming

if TYPE_CHECKING:
    from mox.imap.events import Event
    from mox.imapd.session import Session


def cmd_append(session: Session, first: AppendStart) -> Done:
    if not session.state.allows(first.name):
        session.reader.refuse_literal()
        _until_end(session)
        raise wrong_state()
    incoming = Incoming(session, first)
    try:
        event: Event = first
        while not isinstance(event, AppendEnd):
            _take(incoming, event)
            event = session.next_event()
        if incoming.refusal is not None:
            raise incoming.refusal
        return incoming.store()
    finally:
        incoming.close()


def _until_end(session: Session) -> None:
    """Let a refused command go by."""
    event = session.next_event()
    while not isinstance(event, AppendEnd):
        _give_up(session, event, None)
        event = session.next_event()


def _take(incoming: Incoming, event: Event) -> None:
    match event:
        case AppendStart():
            incoming.start(event)
        case CatenateText():
            incoming.text(event)
        case CatenateUrl(url):
            incoming.url(url)
        case LiteralChunk(data):
            incoming.chunk(data)
        case LiteralEnd():
            # Of a message, or of a part: what follows tells.
            return
        case NeedContinuation():
            incoming.session.write(responses.continuation("go ahead"))
            incoming.session.flush()
            incoming.session.reader.accept_literal()
        case _:
            _give_up(incoming.session, event, incoming.refusal)


def _give_up(session: Session, event: Event, refusal: Refusal | None) -> NoReturn:
    """The command is malformed, or so large that it is not even read to its end."""
    if isinstance(event, BadCommand):
        raise bad(event.text, event.code.encode())
    text = event.text if isinstance(event, Fatal) else "line too long"
    session.write(responses.untagged("BYE", text, codes.ALERT))
    session.finished = True
    raise refusal or bad(text)
