"""Commands on mailboxes: CREATE, DELETE, RENAME, SUBSCRIBE, STATUS.

RFC 9051 §6.3.4 to §6.3.8 and §6.3.11, RFC 6154 §3 (CREATE with USE).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mox.imap import codes
from mox.imap.commands import StatusItem
from mox.imapd.answer import Done, Refusal, no_such_mailbox
from mox.imapd.describe import list_line, status_line
from mox.imapd.objectids import mailbox_id
from mox.imapd.selected import account_of

if TYPE_CHECKING:
    from mox.imap import commands
    from mox.imapd.session import Session
    from mox.store.account import Account
    from mox.store.model import Mailbox

# RFC 6154 §2: uses that a mailbox can be given here. \All and \Flagged would be virtual mailboxes.
SPECIAL_USES = frozenset({"\\Archive", "\\Drafts", "\\Junk", "\\Sent", "\\Trash", "\\Important"})


def existing(account: Account, name: str) -> Mailbox:
    """The mailbox of this name; refuses when there is none."""
    mailbox = account.mailbox(name)
    if mailbox is None:
        raise no_such_mailbox()
    return mailbox


def cmd_create(session: Session, command: commands.Create) -> Done:
    unknown = set(command.special_use) - SPECIAL_USES
    if unknown:
        # RFC 6154 §3
        raise Refusal(f"special use is not supported: {min(unknown)}", codes.USEATTR)
    # RFC 9051 §6.3.4: a trailing delimiter only says that names below it will follow.
    name = command.mailbox.removesuffix("/")
    made = account_of(session).create_mailbox(name, command.special_use)
    if session.state.rev2 and made and made[-1].name != name:
        # RFC 9051 §6.3.4: tell the client which name its own became.
        session.write(list_line(session, made[-1], oldname=name))
    # RFC 8474 §4.1
    return Done("created", codes.mailboxid(mailbox_id(made[-1])) if made else b"")


def cmd_delete(session: Session, command: commands.Delete) -> Done:
    account = account_of(session)
    mailbox = existing(account, command.mailbox)
    account.delete_mailbox(mailbox.id)
    return Done("deleted")


def cmd_rename(session: Session, command: commands.Rename) -> Done:
    account = account_of(session)
    mailbox = existing(account, command.mailbox)
    new_name = command.new_name.removesuffix("/")
    account.rename_mailbox(mailbox.id, new_name)
    renamed = account.mailbox(new_name)
    if session.state.rev2 and renamed is not None and renamed.id == mailbox.id:
        # RFC 9051 §6.3.6.1
        session.write(list_line(session, renamed, oldname=mailbox.name))
    return Done("renamed")


def cmd_subscribe(session: Session, command: commands.Subscribe) -> Done:
    account_of(session).subscribe(command.mailbox)
    return Done("subscribed")


def cmd_unsubscribe(session: Session, command: commands.Unsubscribe) -> Done:
    account = account_of(session)
    if command.mailbox not in account.subscriptions() and account.mailbox(command.mailbox) is None:
        raise no_such_mailbox()
    account.unsubscribe(command.mailbox)
    return Done("unsubscribed")


def cmd_status(session: Session, command: commands.Status) -> Done:
    account = account_of(session)
    account.refresh(existing(account, command.mailbox).id)
    mailbox = existing(account, command.mailbox)
    if StatusItem.HIGHESTMODSEQ in command.items:
        session.use_condstore()
    session.write(status_line(session, mailbox, command.items))
    return Done("status done")
