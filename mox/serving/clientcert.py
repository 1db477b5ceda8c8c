"""Who a client is by its TLS certificate, for SASL EXTERNAL (RFC 4422 appendix A).

A certificate says nothing but that the client has the key; the account is the one that the key is
registered for. A key that is not registered is ignored, as if there were no certificate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mox.serving.login import LoggedIn
from mox.store.tlskeys import find_key, fingerprint
from mox.tlsio.session import TLSSession

if TYPE_CHECKING:
    from mox.serving.connection import Connection
    from mox.serving.context import Context


@dataclass(frozen=True, slots=True)
class Certified:
    """What a client's certificate stands for. `preauth`: IMAP may begin logged in."""

    login: LoggedIn
    preauth: bool


def certified(ctx: Context, conn: Connection) -> Certified | None:
    """What the client's certificate stands for; None without one, or when it is not known."""
    session = conn.session
    if not isinstance(session, TLSSession):
        return None
    chain = session.peer_chain()
    key = find_key(ctx.store.dbs, fingerprint(chain[0])) if chain else None
    if key is None or ctx.config.lookup.login(key.login_address) != key.account:
        return None
    if not ctx.limits.auth_allowed(conn.remote_ip):
        return None
    return Certified(LoggedIn(key.account, key.login_address), not key.no_preauth)
