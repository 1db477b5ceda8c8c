"""LIST and LSUB (RFC 9051 §6.3.9, RFC 3501 §6.3.9, RFC 5819)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mox.imap import responses
from mox.imap.commands import ListReturn
from mox.imap.listing import ListEntry, MailboxInfo, list_entries, lsub_entries
from mox.imapd.answer import Done
from mox.imapd.describe import status_line
from mox.imapd.metadata import metadata_line
from mox.imapd.rights import rights_line
from mox.imapd.selected import account_of

if TYPE_CHECKING:
    from mox.imap import commands
    from mox.imapd.session import Session


def cmd_list(session: Session, command: commands.List) -> Done:
    account = account_of(session)
    mailboxes = {mailbox.name: mailbox for mailbox in account.mailboxes()}
    infos = [MailboxInfo(mailbox.name, mailbox.special_use) for mailbox in mailboxes.values()]
    for entry in list_entries(command, infos, account.subscriptions()):
        session.write(_line(session, entry))
        if ListReturn.MYRIGHTS in command.returns and entry.name in mailboxes:
            # RFC 8440 §3
            session.write(rights_line(session, entry.name))
        # RFC 5819 §2: STATUS follows its LIST line, for mailboxes that can be selected.
        if command.status and entry.name in mailboxes:
            mailbox = mailboxes[entry.name]
            session.write(status_line(session, mailbox, command.status))
        if command.metadata is not None and entry.name in mailboxes:
            # RFC 9590 §3
            mailbox = mailboxes[entry.name]
            session.write(metadata_line(session, mailbox.name, mailbox.id, command.metadata))
    return Done("list done")


def cmd_lsub(session: Session, command: commands.Lsub) -> Done:
    for entry in lsub_entries(command, account_of(session).subscriptions()):
        line = responses.list_line(
            entry.name, entry.attributes, utf8=session.state.utf8, verb="LSUB"
        )
        session.write(line)
    return Done("lsub done")


def _line(session: Session, entry: ListEntry) -> bytes:
    return responses.list_line(
        entry.name, entry.attributes, childinfo=entry.childinfo, utf8=session.state.utf8
    )
