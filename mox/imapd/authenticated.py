"""Commands after login that are not about one mailbox.

ENABLE, NAMESPACE (RFC 9051 §6.3.1, §6.3.10), quotas (RFC 9208), COMPRESS (RFC 4978),
UNAUTHENTICATE (RFC 8437).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mox.imap import codes, responses
from mox.imapd.answer import Done, Refusal, bad
from mox.imapd.capabilities import disabled_capabilities
from mox.imapd.selected import account_of

if TYPE_CHECKING:
    from mox.imap import commands
    from mox.imapd.session import Session

# RFC 9208 §5.1: storage is counted in units of so many octets.
_UNIT = 1024
# How many messages a mailbox can have, and mailboxes an account: uids and ids are 32 bits wide.
_NUMBERS = 2**32 - 1


def cmd_enable(session: Session, command: commands.Enable) -> Done:
    state = session.state
    if session.view is not None and session.reader.pedantic:
        # RFC 5161 §3.1
        raise bad("ENABLE is for the authenticated state")
    had_condstore, had_metadata = state.condstore, state.metadata
    names = state.enable_named(command.names, disabled=disabled_capabilities(session))
    session.reader.utf8 = state.utf8
    session.write(responses.enabled(names))
    if state.metadata and not had_metadata and session.interest is None:
        assert session.feed is not None, "logged in"
        session.heard = session.feed.advance()
    if state.condstore and not had_condstore:
        session.tell_modseq()
    return Done("enabled")


def cmd_namespace(session: Session, _: commands.Namespace) -> Done:
    session.write(responses.namespace())
    return Done("namespace done")


def cmd_compress(session: Session, _: commands.Compress) -> Done:
    if session.compression is not None:
        # RFC 4978 §3
        raise Refusal("compression is active already", codes.COMPRESSIONACTIVE)
    session.then = session.start_compression
    return Done("compression begins now")


def cmd_unauthenticate(session: Session, _: commands.Unauthenticate) -> Done:
    session.log_out()
    # RFC 8437 §3: the answer is the last that is compressed.
    session.then = session.end_compression
    return Done("unauthenticate done")


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
        usage = account.usage()
        resources = [
            ("STORAGE", -(-usage.octets // _UNIT), -(-limit // _UNIT)),
            # RFC 9208 §5.2, §5.3: nobody sets limits for these, the numbers end there.
            ("MESSAGE", usage.messages, _NUMBERS),
            ("MAILBOX", len(account.mailboxes()), _NUMBERS),
        ]
        session.write(responses.quota("", resources))


def cmd_setquota(_session: Session, command: commands.SetQuota) -> Done:
    if command.root:
        raise Refusal("no such quota root", codes.NONEXISTENT)
    # RFC 9208 §4.1.3: limits are the administrator's, who sets them in the configuration.
    raise Refusal("limits are set by the administrator", codes.NOPERM)
