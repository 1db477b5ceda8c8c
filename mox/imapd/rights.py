"""MYRIGHTS, GETACL, SETACL, DELETEACL, LISTRIGHTS (RFC 4314) of one's own mailboxes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mox.imap import codes, responses
from mox.imap.acl import RIGHTS, result_of
from mox.imapd.answer import Done, Refusal, bad
from mox.imapd.mailboxes import existing
from mox.imapd.selected import account_of

if TYPE_CHECKING:
    from mox.imap import acl
    from mox.imapd.session import Session

_NOT_SHARED = "mailboxes cannot be shared"


def cmd_myrights(session: Session, command: acl.MyRights) -> Done:
    name = existing(account_of(session), command.mailbox).name
    session.write(rights_line(session, name))
    return Done("myrights done")


def rights_line(session: Session, name: str) -> bytes:
    """The MYRIGHTS response for a mailbox of the account."""
    return responses.myrights(name, RIGHTS, utf8=session.state.utf8)


def cmd_getacl(session: Session, command: acl.GetAcl) -> Done:
    name = existing(account_of(session), command.mailbox).name
    session.write(responses.acl(name, [(session.user, RIGHTS)], utf8=session.state.utf8))
    return Done("getacl done")


def cmd_listrights(session: Session, command: acl.ListRights) -> Done:
    name = existing(account_of(session), command.mailbox).name
    # RFC 4314 §3.7: an owner has all rights always, others can be given none.
    required = RIGHTS if _is_owner(session, command.identifier) else ""
    line = responses.listrights(name, command.identifier, required, utf8=session.state.utf8)
    session.write(line)
    return Done("listrights done")


def cmd_setacl(session: Session, command: acl.SetAcl) -> Done:
    existing(account_of(session), command.mailbox)
    if not set(command.rights.lstrip("+-")) <= set(RIGHTS):
        # RFC 4314 §3.1: rights that the server does not know are an error.
        raise bad("unknown right")
    if not _is_owner(session, command.identifier):
        raise Refusal(_NOT_SHARED, codes.NOPERM)
    if result_of(command.rights) != set(RIGHTS):
        raise Refusal("an owner has all rights", codes.NOPERM)
    return Done("setacl done")


def cmd_deleteacl(session: Session, command: acl.DeleteAcl) -> Done:
    existing(account_of(session), command.mailbox)
    if _is_owner(session, command.identifier):
        raise Refusal("an owner has all rights", codes.NOPERM)
    # RFC 4314 §3.2: there is nothing to remove for anybody else, which is no error.
    return Done("deleteacl done")


def _is_owner(session: Session, identifier: str) -> bool:
    """Whether an identifier is a login name of the session's account."""
    if identifier == session.user:
        return True
    return session.service.authenticator.account_of(identifier) == account_of(session).name
