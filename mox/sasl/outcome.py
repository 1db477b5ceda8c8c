"""What one step of a server mechanism comes to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Reason(Enum):
    """Why a login failed. The comments have the replies of SMTP; IMAP has NO but where said."""

    CREDENTIALS = "bad user or password"  # 535 5.7.8, [AUTHENTICATIONFAILED]
    AUTHZID = "authorization identity must be the login name"  # 535 5.7.8, [AUTHORIZATIONFAILED]
    BINDING = "channel binding does not match"  # 535 5.7.7
    ENCODING = "bad encoding in exchange"  # 535 5.7.0, BAD
    MALFORMED = "malformed message"  # 501 5.5.4, BAD
    PROTOCOL = "error in exchange"  # SCRAM's own errors: 455 4.7.0
    NEEDS_TLS = "channel binding needs tls"  # 538 5.7.11, [PRIVACYREQUIRED]
    DISABLED = "login disabled"  # 525 5.7.13; only after the password was right
    TRY_LATER = "too many logins at the moment, try again later"  # 454 4.3.0, [UNAVAILABLE]
    LIMITED = "too many failed logins"  # 454 4.7.0, [LIMIT]


@dataclass(frozen=True, slots=True)
class Challenge:
    """Send this and give the client's answer to the next `step`."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Success:
    """The client is `username`. Nothing more is sent by the mechanism."""

    username: str
    authzid: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """The exchange is over. `detail` is for the log."""

    reason: Reason
    username: str = ""  # as far as it is known
    detail: str = ""


Outcome = Challenge | Success | Failure
