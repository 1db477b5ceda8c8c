"""Who may come in: HTTP basic authentication (RFC 7617) with an address and the password.

Failures count together with those of the other protocols. There are no sessions: each request
logs in, and passwords that were right are remembered for a while (mox.serving.passwords).
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mox.sasl.outcome import Reason
from mox.serving.login import Authenticator, Client, LoggedIn, LoginFailed
from mox.store.model import AccountId
from mox.web.request import request_of

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

    from mox.serving.context import Context

_MECHANISM: Final = "httpbasic"
# An address and a password, in base64.
_MAX_CREDENTIALS: Final = 4096
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Login:
    """Who makes the request. `login_address` is as the client gave it, in Unicode's form C."""

    account_id: AccountId
    account: str
    login_address: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The answer to a request that may not come in: send it as it is."""

    status: str
    headers: Sequence[tuple[str, str]]
    text: str


def refuse(
    refused: Refused, start_response: StartResponse, headers: Iterable[tuple[str, str]] = ()
) -> Iterable[bytes]:
    """Give the answer, with `headers` in addition."""
    body = f"{refused.text}\n".encode()
    fixed = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    start_response(refused.status, [*fixed, *refused.headers, *headers])
    return [body]


class Access:
    """The logins of one process."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._authenticator = Authenticator(ctx)

    def authenticate(self, environ: WSGIEnvironment, kind: str) -> Login | Refused:
        """Check the Authorization field; may wait for a thread that checks the password.

        `kind` is the service ("webapi"): for metrics, and the realm that browsers show. Raises
        StoreError when the credentials cannot be read.
        """
        credentials = parse_basic(environ.get("HTTP_AUTHORIZATION", ""))
        if credentials is None:
            return _unauthorized(kind, "use http basic auth with email address as username")
        request = request_of(environ)
        client = Client(kind=kind, ip=request.remote_ip, has_tls=request.is_https)
        log = request.log.bind(protocol=kind, user_agent=environ.get("HTTP_USER_AGENT", "")[:200])
        if request.tls is not None:
            log = log.bind(tls=request.tls.version, cipher=request.tls.cipher)
        result = self._authenticator.session(client, log).login(*credentials, variant=_MECHANISM)
        if isinstance(result, LoginFailed):
            return _refusal(kind, result)
        return self._login(result)

    def _login(self, result: LoggedIn) -> Login:
        account = self._ctx.store.account(result.account)
        return Login(AccountId(account.id), result.account, result.login_address)


def _refusal(kind: str, failed: LoginFailed) -> Refused:
    match failed.reason:
        case Reason.LIMITED:
            return Refused("429 Too Many Requests", (), "429 - too many auth attempts")
        case Reason.TRY_LATER:
            text = "503 - too many passwords are being checked, try again later"
            return Refused("503 Service Unavailable", (("Retry-After", "5"),), text)
        case Reason.DISABLED:
            return _unauthorized(kind, "login is disabled for this account")
        case _:
            return _unauthorized(kind, "use http basic auth with email address as username")


def _unauthorized(realm: str, hint: str) -> Refused:
    # RFC 9110 §11.6.1: a 401 says how to log in.
    headers = (("WWW-Authenticate", f"Basic realm={realm}"),)
    return Refused("401 Unauthorized", headers, f"401 - unauthorized - {hint}")


def parse_basic(authorization: str) -> tuple[str, str] | None:
    """Take user name and password out of an Authorization field; None: there are none."""
    scheme, _, encoded = authorization.partition(" ")
    # RFC 9110 §11.1: the scheme's case does not matter.
    if scheme.lower() != "basic" or len(encoded) > _MAX_CREDENTIALS:
        return None
    try:
        text = binascii.a2b_base64(encoded.strip(" "), strict_mode=True).decode()
    except (ValueError, UnicodeDecodeError):
        return None
    # RFC 7617 §2: a user name has no colon, and neither part has control characters.
    username, colon, password = text.partition(":")
    if not colon or _CONTROL.search(text):
        return None
    return username, password
