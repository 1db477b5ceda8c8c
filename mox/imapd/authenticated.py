"""Commands after login that are not about one mailbox: ENABLE, NAMESPACE, quotas.

RFC 9051 §6.3.1, §6.3.10; RFC 9208.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mox.imap import codes, responses
from mox.imapd.answer import Done, Refusal
from mox.imapd.capabilities import disabled_capabilities
from mox.imapd.selected import account_of

if TYPE_CHECKING:
    from mox.imap import commands
    from mox.imapd.session import Session

# RFC 9208 §5.1: storage is counted in units of so many octets.
_UNIT = 1024


def cmd_enable(session: Session, command: commands.Enable) -> Done:
    state = session.state
    had_condstore = state.condstore
    names = state.enable_named(command.names, disabled=disabled_capabilities(session))
    session.reader.utf8 = state.utf8
    session.write(responses.enabled(names))
    if state.condstore and not had_condstore:
        session.tell_modseq()
    return Done("enabled")


def cmd_namespace(session: Session, _: commands.Namespace) -> Done:
    session.write(responses.namespace())
    return Done("namespace done")


def cmd_getquota(session: Session, command: commands.GetQuota) -> Done:
    if command.root:
        raise Refusal("no such quota root", codes.NONEXISTENT)
    _write_quota(session)
    return Done("getquota done")


def cmd_getquotaroot(session: Session, command: commands.GetQuotaRoot) -> Done:
    session.write(responses.quotaroot(command.mailbox, utf8=session.state.utf8))
    _write_quota(session)
    return Done("getquotaroot done")


def _write_quota(session: Session) -> None:
    """RFC 9208 §4.2: the account's only root, if there is a limit."""
    account = account_of(session)
    limit = session.service.quota(account.name)
    if limit:
        used = -(-account.usage().octets // _UNIT)
        session.write(responses.quota("", [("STORAGE", used, -(-limit // _UNIT))]))
