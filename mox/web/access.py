"""Who may come in: HTTP basic authentication (RFC 7617) with an address and the password.

Failures count together with those of the other protocols. There are no sessions: each request
logs in. Passwords that were right are remembered for a while (mox.serving.passwords), and for a
second also that nothing else was against them: programs make many requests in a row.
"""

from __future__ import annotations

import binascii
import hashlib
import os
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bottle import HTTPResponse

from mox.sasl.outcome import Reason
from mox.serving.login import Authenticator, Client, LoggedIn, LoginFailed, count_success
from mox.store.model import AccountId
from mox.web.request import request_of

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

    from mox.config import Config
    from mox.networks import IP
    from mox.serving.context import Context

_MECHANISM: Final = "httpbasic"
# An address and a password, in base64.
_MAX_CREDENTIALS: Final = 4096
_RECENT_S: Final = 1.0
_MAX_RECENT: Final = 1000
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


def refuse(refused: Refused, headers: Iterable[tuple[str, str]] = ()) -> HTTPResponse:
    """Return the answer, with `headers` in addition."""
    fields = [("Content-Type", "text/plain; charset=utf-8"), *refused.headers, *headers]
    return HTTPResponse(f"{refused.text}\n".encode(), refused.status, fields)


@dataclass(frozen=True, slots=True)
class _Recent:
    """A login, and what it stands on."""

    login: Login
    version: bytes  # of the password
    config: Config
    until: float


class _RecentLogins:
    """Logins of the last second, by a keyed hash of the address and the credentials."""

    def __init__(self, ctx: Context, clock: Callable[[], float]) -> None:
        self._ctx = ctx
        self._clock = clock
        self._key = os.urandom(32)
        self._found: dict[bytes, _Recent] = {}

    def find(self, ip: IP, authorization: str) -> Login | None:
        """The login, unless the configuration or the password has changed since."""
        recent = self._found.get(self._place(ip, authorization))
        if recent is None or recent.until <= self._clock():
            return None
        if recent.config is not self._ctx.config:
            return None
        record = self._ctx.store.credentials(recent.login.account_id)
        is_same = record is not None and record.version == recent.version
        return recent.login if is_same else None

    def remember(self, ip: IP, authorization: str, login: Login) -> None:
        record = self._ctx.store.credentials(login.account_id)
        if record is None:
            return  # removed since
        if len(self._found) >= _MAX_RECENT:
            self._found.clear()
        until = self._clock() + _RECENT_S
        recent = _Recent(login, record.version, self._ctx.config, until)
        self._found[self._place(ip, authorization)] = recent

    def forget(self) -> None:
        """Look at everybody again: a failure may have been the one too many of a network."""
        self._found.clear()

    def _place(self, ip: IP, authorization: str) -> bytes:
        text = f"{ip} {authorization}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(text, key=self._key, digest_size=32).digest()


class Access:
    """The logins of one process."""

    def __init__(self, ctx: Context, clock: Callable[[], float] = time.monotonic) -> None:
        self._ctx = ctx
        self._authenticator = Authenticator(ctx)
        self._recent = _RecentLogins(ctx, clock)

    def authenticate(self, environ: WSGIEnvironment, kind: str) -> Login | Refused:
        """Check the Authorization field; may wait for a thread that checks the password.

        `kind` is the service ("webapi"): for metrics, and the realm that browsers show. Raises
        StoreError when the credentials cannot be read.
        """
        authorization = environ.get("HTTP_AUTHORIZATION", "")
        request = request_of(environ)
        login = self._recent.find(request.remote_ip, authorization)
        if login is not None:
            count_success(kind, _MECHANISM)
            return login
        credentials = parse_basic(authorization)
        if credentials is None:
            return _unauthorized(kind, "use http basic auth with email address as username")
        client = Client(kind=kind, ip=request.remote_ip, has_tls=request.is_https)
        log = request.log.bind(protocol=kind, user_agent=environ.get("HTTP_USER_AGENT", "")[:200])
        if request.tls is not None:
            log = log.bind(tls=request.tls.version, cipher=request.tls.cipher)
        result = self._authenticator.session(client, log).login(*credentials, variant=_MECHANISM)
        if isinstance(result, LoginFailed):
            self._recent.forget()
            return _refusal(kind, result)
        login = self._login(result)
        self._recent.remember(request.remote_ip, authorization, login)
        return login

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
