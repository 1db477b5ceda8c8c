"""What the server announces to a client, by its connection, login and account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mox.imap import capability

if TYPE_CHECKING:
    from mox.imapd.session import Session


def capabilities(session: Session) -> list[str]:
    """The capability names for this connection as it is now."""
    service, conn, login = session.service, session.conn, session.login
    situation = capability.Situation(
        state=session.state.state,
        tls=conn.tls is not None,
        starttls=conn.tls_context is not None,
        plaintext_login=login.password_allowed,
        mechanisms=login.mechanisms(),
        append_limit=service.append_limit(conn.listen.listener),
    )
    return capability.capabilities(situation, disabled=disabled_capabilities(session))


def disabled_capabilities(session: Session) -> frozenset[str]:
    """Names that the configuration takes away from this account, upper case."""
    if session.account is None:
        return frozenset()
    config = session.service.account_config(session.account.name)
    names = () if config is None else config.imap_capabilities_disabled
    return frozenset(name.upper() for name in names)
