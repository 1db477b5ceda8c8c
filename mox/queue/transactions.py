"""Messages of one submission over one session: as few transactions as the server allows."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from mox.queue.session import Session, SessionFailed
from mox.queue.verdict import Verdict, of_lack, of_result
from mox.smtp.clientevents import Done, Message, RecipientResult, Unsendable
from mox.smtp.dsnparameters import DsnRequest
from mox.smtp.errors import BadMessage
from mox.store.errors import StoreError
from mox.store.outgoing import Outgoing
from mox.store.outgoing_records import QueueMessage

# RFC 5321 §4.5.3.1.8: every server takes 100 recipients.
MAX_RECIPIENTS: Final = 100
# RFC 5321 §4.5.3.1.10: "too many recipients" is 452; 552 is the same from old servers.
_TOO_MANY: Final = (452, 552)


def send(
    session: Session, outgoing: Outgoing, messages: Sequence[QueueMessage]
) -> dict[int, Verdict]:
    """Send a message to the recipients of all its records; returns verdicts by id.

    Messages that the server wanted to take in another session have none.
    """
    verdicts: dict[int, Verdict] = {}
    todo = list(messages)
    while todo and (session.is_usable or not verdicts):
        count = min(session.extensions.rcpt_max or MAX_RECIPIENTS, MAX_RECIPIENTS, len(todo))
        batch, todo = todo[:count], todo[count:]
        found, again = _send_batch(session, outgoing, batch)
        verdicts.update(found)
        todo = again + todo
    host, ip, tls_mode = session.setup.host, session.stream.remote_ip, session.tls_mode
    passes = session.extensions.dsn
    return {
        id: replace(verdict.at(host, ip, tls_mode), passed_requests=passes)
        for id, verdict in verdicts.items()
    }


def _send_batch(
    session: Session, outgoing: Outgoing, batch: list[QueueMessage]
) -> tuple[dict[int, Verdict], list[QueueMessage]]:
    """Do one transaction; returns verdicts, and what has to go into the next one."""
    try:
        done = _transact(session, outgoing, batch)
    except Unsendable as e:
        verdict = of_lack(e.lack, temporary=e.temporary)
    except BadMessage as e:
        verdict = Verdict(permanent=True, secode="6.0", error=str(e))
    except StoreError as e:
        verdict = Verdict(error=str(e))
    except SessionFailed as e:
        verdict = e.verdict
    else:
        return _sort(session, done, batch)
    return {msg.id: verdict for msg in batch}, []


def _transact(session: Session, outgoing: Outgoing, batch: list[QueueMessage]) -> Done:
    first, extensions = batch[0], session.extensions
    size, is_8bit, smtputf8 = first.size, first.has_8bit, first.smtputf8
    if first.dsn_utf8 and extensions.smtputf8 and extensions.eight_bit:
        # RFC 6533 §6: internationalized notifications go where they are understood.
        content = iter([first.dsn_utf8])
        size, is_8bit, smtputf8 = len(first.dsn_utf8), True, True
    else:
        pieces = outgoing.chunks(first)
        # The file must be there before the server is asked for anything.
        content = itertools.chain([next(pieces, b"")], pieces)
    message = Message(
        reverse_path=first.sender.path(),
        forward_paths=tuple(msg.recipient.path() for msg in batch),
        size=size,
        is_8bit=is_8bit,
        smtputf8=smtputf8,
        requiretls=first.require_tls is True,
        ret=first.ret,
        envid=first.envid,
        requests=tuple(DsnRequest(msg.notify, msg.orcpt) for msg in batch),
    )
    return session.transact(message, content)


def _sort(
    session: Session, done: Done, batch: list[QueueMessage]
) -> tuple[dict[int, Verdict], list[QueueMessage]]:
    verdicts: dict[int, Verdict] = {}
    again: list[QueueMessage] = []
    # Without one that was taken there is no reason to think that fewer would be.
    made_room = any(result.delivered for result in done.results)
    for msg, result in zip(batch, done.results, strict=True):
        if made_room and _was_too_many(result):
            again.append(msg)
        else:
            verdict = of_result(result, done.problem)
            late = session.timed_out and result.reply is None
            verdicts[msg.id] = replace(verdict, timed_out=late)
    return verdicts, again


def _was_too_many(result: RecipientResult) -> bool:
    if result.delivered or not result.temporary:
        return False
    return not result.tried or (result.reply is not None and result.reply.code in _TOO_MANY)
