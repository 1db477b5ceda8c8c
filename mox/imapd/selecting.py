"""SELECT, EXAMINE, CLOSE, UNSELECT (RFC 9051 §6.3.2, §6.3.3, §6.4.1, §6.4.2; RFC 7162 §3.2.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mox.imap import codes, responses
from mox.imap.commands import Fetch
from mox.imap.fetchatt import Plain
from mox.imap.sequence import STAR, SequenceSet
from mox.imap.state import Feature
from mox.imap.uidbatches import MIN_SIZE, batches
from mox.imapd.answer import Done, Refusal, bad, no_such_mailbox
from mox.imapd.describe import list_line
from mox.imapd.fetch import fetch_messages
from mox.imapd.objectids import mailbox_id
from mox.imapd.selected import account_of, view_of
from mox.imapd.transfer import expunge_deleted
from mox.imapd.updates import flags_lines
from mox.imapd.view import View
from mox.store.model import Flag, FlagColumn, Mailbox, MailboxId

if TYPE_CHECKING:
    from mox.imap import commands, uidbatches
    from mox.imapd.session import Session
    from mox.store.account import Account

# Tells octets of flags without \\Seen.
_UNSEEN = bytes(not flags & Flag.SEEN for flags in range(256))


def cmd_select(session: Session, command: commands.Select) -> Done:
    if command.qresync is not None and not session.state.qresync:
        # RFC 7162 §3.2.5
        raise bad("QRESYNC is not enabled")
    if session.state.uidonly and command.qresync is not None and command.qresync.numbers:
        # RFC 9586 §3.1
        raise bad("UIDONLY is enabled: no sequence numbers", codes.UIDREQUIRED)
    account = account_of(session)
    if session.view is not None:
        session.deselect()
        # RFC 9051 §7.1: what follows is about another mailbox, or none.
        session.write(responses.untagged("OK", "previous mailbox closed", codes.CLOSED))
    if command.condstore:
        session.state.enable(Feature.CONDSTORE)
    mailbox = account.mailbox(command.mailbox)
    if mailbox is None:
        raise no_such_mailbox()
    account.refresh(mailbox.id)
    session.select(_open(session, account, mailbox.id, read_only=command.read_only))
    if command.qresync is not None:
        _resynchronise(session, command.tag, command.qresync)
    if command.read_only:
        return Done("examined", codes.READ_ONLY)
    return Done("selected", codes.READ_WRITE)


def _open(session: Session, account: Account, id_: MailboxId, *, read_only: bool) -> View:
    """Make a view of the mailbox as it is now and describe it to the client."""
    assert session.feed is not None, "logged in"
    # The order matters: whatever changes after a step is told later as a change.
    claim = not read_only and not session.state.rev2
    recent_from = account.claim_recent(id_) if claim else 0
    modseq = session.feed.advance()
    mailbox = account.mailbox_by_id(id_)
    column = account.flag_column(id_)
    if mailbox is None or column is None:
        raise no_such_mailbox()
    view = View(id_, mailbox.name, mailbox.uidvalidity, read_only=read_only)
    view.modseq = modseq
    view.append(column.uids)
    view.flag_column = column
    view.uidnext = max(view.uidnext, mailbox.uidnext)
    view.keywords = mailbox.keywords
    view.recent_from = recent_from or mailbox.recent_from
    view.recent_claimed = mailbox.recent_from
    _describe(session, view, mailbox, column)
    view.watch = account.watch_files(id_)
    return view


def _describe(session: Session, view: View, mailbox: Mailbox, column: FlagColumn) -> None:
    """RFC 9051 §6.3.2, RFC 3501 §6.3.1: the untagged responses of SELECT."""
    lines = [*flags_lines(view), responses.exists(view.exists)]
    if not session.state.rev2:
        lines.append(responses.recent(view.recent))
        # RFC 9586 §3.2: the code has a sequence number.
        unseen = 0 if session.state.uidonly else _first_unseen(column)
        if unseen:
            lines.append(responses.untagged("OK", "first unseen", codes.unseen(unseen)))
    lines.append(responses.untagged("OK", "uids are valid", codes.uidvalidity(view.uidvalidity)))
    lines.append(responses.untagged("OK", "next uid", codes.uidnext(view.uidnext)))
    # RFC 7162 §3.1.2.1: told on every SELECT, whether CONDSTORE is enabled or not.
    modseq = max(mailbox.modseq, 1)
    lines.append(responses.untagged("OK", "highest modseq", codes.highestmodseq(modseq)))
    code = codes.mailboxid(mailbox_id(mailbox))
    lines.append(responses.untagged("OK", "mailbox id", code))
    if session.state.rev2:
        # To IMAP4rev1 clients it would be an answer to a LIST that they did not send.
        lines.append(list_line(session, mailbox))
    for line in lines:
        session.write(line)


def _first_unseen(column: FlagColumn) -> int:
    """The sequence number of the first message without \\Seen, 0 when there is none."""
    return column.flags.translate(_UNSEEN).find(1) + 1


def _resynchronise(session: Session, tag: str, known: commands.Qresync) -> None:
    """RFC 7162 §3.2.5.1: tell what happened since the client was here."""
    if known.uidvalidity != view_of(session).uidvalidity:
        return
    # The sequence match data would save the client from hearing of removals that it has seen;
    # our history tells exactly what was removed since its modseq, so it adds nothing.
    uids = known.known_uids or SequenceSet(((1, STAR),))
    items = (Plain.UID, Plain.FLAGS, Plain.MODSEQ)
    fetch_messages(
        session, Fetch(tag, uids, items, uid=True, changed_since=known.modseq, vanished=True)
    )


def cmd_close(session: Session, command: commands.Close) -> Done:
    """RFC 9051 §6.4.1: removes messages with \\Deleted without telling, then leaves."""
    view = session.view
    assert view is not None, "checked by the command loop"
    modseq = 0
    if not view.read_only and not view.gone:
        modseq = expunge_deleted(session, view, command.tag)
    qresync = session.state.qresync
    session.deselect()
    # RFC 7162 §3.2.7
    return Done("closed", codes.highestmodseq(modseq) if qresync and modseq else b"")


def cmd_unselect(session: Session, _: commands.Unselect) -> Done:
    session.deselect()
    return Done("unselected")


def cmd_check(_session: Session, _: commands.Check) -> Done:
    """RFC 3501 §6.4.1: nothing is pending here, everything told is durable."""
    return Done("check done")


def cmd_uidbatches(session: Session, command: uidbatches.UidBatches) -> Done:
    """RFC 10022 §3.1: cut the mailbox into batches for later commands."""
    if command.size < MIN_SIZE:
        raise Refusal(f"batches have at least {MIN_SIZE} messages", codes.TOOFEW)
    if command.chosen is not None and command.chosen[0] > command.chosen[1]:
        raise bad("the first batch is after the last one", codes.CLIENTBUG)
    ranges = batches(view_of(session).uids, command.size, command.chosen)
    session.write(responses.uidbatches(command.tag, ranges))
    return Done("uidbatches done")
