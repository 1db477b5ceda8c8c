"""Unique envelope senders: `localpart<separator>id@domain`, by which notices find their message.

For logins that an account lists in FromIDLoginAddresses. The separator is the first one that the
sender's domain has for its catch-all localparts.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from mox.address import Domain, Path

if TYPE_CHECKING:
    from mox.config import Config


def wanted(config: Config, account: str, login_address: str) -> bool:
    """Say whether messages of this login have such senders."""
    logins = config.dynamic.accounts[account].from_id_login_addresses
    return login_address.lower() in {login.lower() for login in logins}


def separator(config: Config, domain: Domain) -> str:
    """Return what separates the id in localparts of a domain, "" when it has no separator."""
    local = config.lookup.domain(domain)
    return local.rules.separators[0] if local is not None and local.rules.separators else ""


def new() -> str:
    """Make an id: 22 characters of base64url."""
    return secrets.token_urlsafe(16)


def sender(reverse_path: Path, separator: str, from_id: str) -> Path:
    """Return the envelope sender with an id."""
    base = reverse_path.localpart.partition(separator)[0]
    return Path(f"{base}{separator}{from_id}", reverse_path.domain)
