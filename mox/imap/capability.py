"""Which capabilities to announce, by TLS and login.

RFC 9051 §7.2.2 and §11.1 (LOGINDISABLED), RFC 3501 §6.2.1. What is announced is what works;
accounts can have names suppressed for the sake of broken clients.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mox.imap.acl import NEW_RIGHTS
from mox.imap.state import State

_ALWAYS = ("IMAP4rev2", "IMAP4rev1", "SASL-IR", "LITERAL+", "ENABLE", "ID", "IDLE")

_AFTER_LOGIN = (
    *("NAMESPACE", "CHILDREN", "UNSELECT", "UIDPLUS", "MOVE", "MULTIAPPEND", "BINARY"),
    *("SORT", "SORT=DISPLAY", "ESORT", "CONTEXT=SEARCH", "CONTEXT=SORT", "PARTIAL"),
    *("THREAD=ORDEREDSUBJECT", "THREAD=REFERENCES", "THREAD=REFS", "MULTISEARCH"),
    *("SEARCH=FUZZY", "FILTERS", "I18NLEVEL=1", "OBJECTID", "SAVEDATE", "PREVIEW"),
    *("UIDONLY", "UIDBATCHES", "INPROGRESS"),
    *("ESEARCH", "SEARCHRES", "WITHIN", "CONDSTORE", "QRESYNC", "UTF8=ACCEPT"),
    *("LIST-EXTENDED", "LIST-STATUS", "SPECIAL-USE", "CREATE-SPECIAL-USE", "STATUS=SIZE"),
    *("QUOTA", "QUOTA=RES-STORAGE", "QUOTA=RES-MESSAGE", "QUOTA=RES-MAILBOX", "QUOTASET"),
    *(
        "ACL",
        f"RIGHTS={NEW_RIGHTS}",
        "LIST-MYRIGHTS",
        "METADATA",
        "LIST-METADATA",
        "NOTIFY",
        "REPLACE",
    ),
    *("CATENATE", "URL-PARTIAL"),
    *("COMPRESS=DEFLATE", "UNAUTHENTICATE"),
)

# Mechanisms that show the password to whoever listens.
_PLAINTEXT = frozenset({"PLAIN", "LOGIN", "OAUTHBEARER", "XOAUTH2"})
# Deviation from RFC 7889 §3, which has 63 bits: clients read larger values as 0 (imapflow, 2025).
MAX_APPENDLIMIT = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Situation:
    """What the list depends on."""

    state: State
    tls: bool  # the connection is encrypted
    starttls: bool  # TLS can be started here
    plaintext_login: bool  # passwords are accepted without TLS
    mechanisms: Sequence[str] = ()  # SASL, in order of preference
    append_limit: int = MAX_APPENDLIMIT  # octets


def capabilities(situation: Situation, *, disabled: Iterable[str] = ()) -> list[str]:
    """Give the names in the order to announce them, without those `disabled` (upper case)."""
    names = list(_ALWAYS)
    if situation.state is State.NOT_AUTHENTICATED:
        names += _login(situation)
    else:
        names += _AFTER_LOGIN
        names.append(f"APPENDLIMIT={min(situation.append_limit, MAX_APPENDLIMIT)}")
    suppressed = frozenset(disabled)
    return [name for name in names if name.upper() not in suppressed]


def _login(situation: Situation) -> list[str]:
    names = []
    if situation.starttls and not situation.tls:
        names.append("STARTTLS")
    open_to_passwords = situation.tls or situation.plaintext_login
    # RFC 9051 §6.2.3: without protection LOGIN must be announced as disabled.
    if not open_to_passwords:
        names.append("LOGINDISABLED")
    for mechanism in situation.mechanisms:
        if open_to_passwords or mechanism not in _PLAINTEXT:
            names.append("AUTH=" + mechanism)
    return names
