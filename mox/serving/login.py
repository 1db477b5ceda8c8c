"""Logging in to an account, for SMTP submission and IMAP: SASL mechanisms and plain LOGIN.

One `Authenticator` per worker process, one `LoginSession` per connection. Calls may wait: for a
thread that checks a password, or for the shared counters of failures. Who fails often from one
network is refused before anything is looked at; what a connection should do about its own
failures (`is_slow`, `delay_s`) is told to the shell, which does the waiting.

    session = authenticator.session("imap", ip, has_tls=True, …)
    exchange = session.begin("SCRAM-SHA-256")
    outcome = exchange.step(initial_response)  # Challenge, LoggedIn or LoginFailed
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import TYPE_CHECKING

from mox import logfmt, metrics
from mox.sasl import server as sasl
from mox.sasl.outcome import Challenge, Failure, Outcome, Reason, Success
from mox.sasl.prepare import prepare_username
from mox.sasl.scramserver import BINDING_TYPES, Binding
from mox.sasl.verifiers import CramMD5Verifier, ScramHash, ScramVerifier
from mox.serving.passwords import Busy, Passwords

if TYPE_CHECKING:
    from prometheus_client import Counter

    from mox.serving.context import Context
    from mox.store.credentials import Credentials

IP = IPv4Address | IPv6Address

# From this failure on a connection is slow; later attempts wait a second more each. Clients that
# try one mechanism after the other make three failures of one mistyped password.
SLOW_AFTER = 6
SALT_KEY_FILE = "fakesalt.key"

_ATTEMPTS = metrics.counter(
    "mox_authentication_total",
    "Login attempts, by kind of server, mechanism and result.",
    ("kind", "variant", "result"),
)
_LIMITED = metrics.counter(
    "mox_authentication_ratelimited_total",
    "Login attempts refused because of earlier failures from the same network.",
    ("kind",),
)
_RESULTS = {
    Reason.CREDENTIALS: "badcreds",
    Reason.AUTHZID: "badauthz",
    Reason.BINDING: "badchanbind",
    Reason.ENCODING: "badprotocol",
    Reason.MALFORMED: "badprotocol",
    Reason.PROTOCOL: "badprotocol",
    Reason.NEEDS_TLS: "badprotocol",
    Reason.DISABLED: "logindisabled",
    Reason.TRY_LATER: "error",
    Reason.LIMITED: "ratelimited",
}
# These say nothing about a guess.
_NOT_COUNTED = frozenset({Reason.TRY_LATER, Reason.LIMITED, Reason.DISABLED})


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """The client may use `account`; `login_address` is the name it gave."""

    account: str
    login_address: str


@dataclass(frozen=True, slots=True)
class LoginFailed:
    """The login failed; `text` may be shown to the client."""

    reason: Reason
    text: str


Step = Challenge | LoggedIn | LoginFailed


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """What counts about a connection that wants to log in."""

    kind: str  # "submission", "imap", "webapi", …, for metrics
    ip: IP
    has_tls: bool
    plaintext_allowed: bool = False  # the service's NoRequireSTARTTLS
    announce_binding: bool = False  # the listener's SASLChannelBinding
    binding: Binding | None = None  # Connection.channel_binding
    certificate: LoggedIn | None = None  # what the client's certificate stands for


class Authenticator:
    """The logins of one worker process."""

    def __init__(self, ctx: Context, passwords: Passwords | None = None) -> None:
        self._ctx = ctx
        self.passwords = passwords or Passwords()
        # The secret behind the salts of unknown users, the same in all workers. At start, because
        # a disk that is full later must not keep anybody from logging in.
        self.salt_key = load_secret(ctx.data_dir / SALT_KEY_FILE)

    def session(self, client: Client, log: logfmt.Logger) -> LoginSession:
        """Begin to serve a connection; after STARTTLS a new session is needed."""
        return LoginSession(self, self._ctx, client, log)

    def account_of(self, username: str) -> str | None:
        return self._ctx.config.lookup.login(username)

    def credentials(self, username: str) -> Credentials | None:
        """Return the verifiers of the account that logs in as `username`."""
        name = self.account_of(username)
        account = self._ctx.store.find_account(name) if name is not None else None
        return account.credentials() if account is not None else None


class LoginSession:
    """The login attempts of one connection."""

    __slots__ = ("_authenticator", "_ctx", "_log", "client", "failures")

    def __init__(
        self, authenticator: Authenticator, ctx: Context, client: Client, log: logfmt.Logger
    ) -> None:
        self.client = client
        self.failures = 0
        self._authenticator = authenticator
        self._ctx = ctx
        self._log = log

    @property
    def is_slow(self) -> bool:
        """The connection has failed often enough to be put into slow mode."""
        return self.failures >= SLOW_AFTER

    @property
    def delay_s(self) -> float:
        """How long to wait before the next attempt is looked at."""
        return float(max(0, self.failures - SLOW_AFTER))

    @property
    def password_allowed(self) -> bool:
        """Whether logins are allowed on this connection as it is."""
        return self.client.has_tls or self.client.plaintext_allowed

    def mechanisms(self) -> tuple[str, ...]:
        """Return what to announce now; nothing where TLS has to come first."""
        return self._all() if self.password_allowed else ()

    def mechanisms_after_tls(self) -> tuple[str, ...]:
        """Return what the client can use once it has TLS: 538 rather than 504."""
        return () if self.client.has_tls else (*sasl.WITH_BINDING, *self._all())

    def _all(self) -> tuple[str, ...]:
        external = ("EXTERNAL",) if self.client.certificate is not None else ()
        bound = sasl.WITH_BINDING if self.client.announce_binding and self._can_bind() else ()
        return (*external, *bound, *sasl.HASHED, *sasl.PLAINTEXT)

    def _can_bind(self) -> bool:
        binding = self.client.binding
        return binding is not None and any(binding(kind) is not None for kind in BINDING_TYPES)

    def begin(self, mechanism: str) -> Exchange:
        """Begin a SASL exchange with one of `mechanisms()`, in upper case."""
        client = self.client
        secrets = _AccountSecrets(self._authenticator, client)
        surroundings = sasl.Surroundings(
            secrets=secrets,
            announced=self.mechanisms(),
            hostname=self._ctx.hostname,
            salt_key=self._authenticator.salt_key,
            random=os.urandom,
            binding=client.binding if client.has_tls else None,
        )
        return Exchange(self, mechanism, sasl.mechanism(mechanism, surroundings))

    def login(
        self, username: str, password: str, *, variant: str = "login"
    ) -> LoggedIn | LoginFailed:
        """Check a user name and password: IMAP's LOGIN, or HTTP's basic authentication."""
        name = prepare_username(username)
        secrets = _AccountSecrets(self._authenticator, self.client)

        def check() -> Outcome:
            if secrets.check_password(name, password):
                return Success(name)
            return Failure(Reason.CREDENTIALS, name)

        result = self.refusal(variant) or self.conclude(variant, check)
        assert not isinstance(result, Challenge)
        return result

    def count_failure(self, variant: str, result: str = "aborted") -> None:
        """Count an attempt that no mechanism saw the end of: cancelled, unknown, bad base64."""
        self.failures += 1
        self._ctx.limits.auth_failed(self.client.ip)
        _ATTEMPTS.labels(self.client.kind, variant, result).inc()

    def refusal(self, variant: str) -> LoginFailed | None:
        """Return the answer to an attempt that is not looked at: too many failures before."""
        if self._ctx.limits.auth_allowed(self.client.ip):
            return None
        _LIMITED.labels(self.client.kind).inc()
        return self._failed(variant, Failure(Reason.LIMITED))

    def conclude(self, variant: str, step: Callable[[], Outcome]) -> Step:
        """Run a step of an attempt and draw the conclusions from what it comes to."""
        try:
            outcome = step()
        except Busy:
            outcome = Failure(Reason.TRY_LATER)
        if isinstance(outcome, Challenge):
            return outcome
        if isinstance(outcome, Failure):
            return self._failed(variant, outcome)
        return self._succeeded(variant, outcome)

    def _succeeded(self, variant: str, success: Success) -> LoggedIn | LoginFailed:
        username = success.username
        account = self._authenticator.account_of(username)
        certificate = self.client.certificate
        if account is None or (certificate is not None and certificate.account != account):
            return self._failed(variant, Failure(Reason.CREDENTIALS, username))
        disabled = self._ctx.config.dynamic.accounts[account].login_disabled
        if disabled:
            return self._failed(variant, Failure(Reason.DISABLED, username), disabled)
        self.failures = 0
        self._ctx.limits.auth_succeeded(self.client.ip)
        _ATTEMPTS.labels(self.client.kind, variant, "ok").inc()
        self._log.debug("logged in", account=account, login_address=username, mechanism=variant)
        return LoggedIn(account, username)

    def _failed(self, variant: str, failure: Failure, text: str = "") -> LoginFailed:
        reason = failure.reason
        if reason not in _NOT_COUNTED:
            self.failures += 1
            self._ctx.limits.auth_failed(self.client.ip)
        _ATTEMPTS.labels(self.client.kind, variant, _RESULTS[reason]).inc()
        self._log.info(
            "login failed",
            login_address=failure.username,
            mechanism=variant,
            reason=reason.value,
            detail=failure.detail,
        )
        return LoginFailed(reason, text or reason.value)


def count_success(kind: str, variant: str) -> None:
    """Count a login that need not be looked at again."""
    _successes(kind, variant).inc()


@cache
def _successes(kind: str, variant: str) -> Counter:
    return _ATTEMPTS.labels(kind, variant, "ok")


class Exchange:
    """One SASL exchange; over once `step` returns something else than a `Challenge`."""

    def __init__(self, session: LoginSession, name: str, mechanism: sasl.Mechanism) -> None:
        self._session = session
        self._variant = name.lower()
        self._mechanism = mechanism
        self._begun = False

    def step(self, data: bytes | None) -> Step:
        """Take the initial response (None: there was none), then each answer of the client."""
        session = self._session
        if not self._begun:
            self._begun = True
            refusal = session.refusal(self._variant)
            if refusal is not None:
                return refusal
        return session.conclude(self._variant, lambda: self._mechanism.step(data))

    def cancel(self) -> None:
        """Note that the client or bad base64 has ended the exchange; counts as a failure."""
        self._session.count_failure(self._variant)


class _AccountSecrets:
    """The accounts' verifiers, for the mechanisms."""

    def __init__(self, authenticator: Authenticator, client: Client) -> None:
        self._authenticator = authenticator
        self._client = client

    def check_password(self, username: str, password: str) -> bool:
        record = self._authenticator.credentials(username)
        return self._authenticator.passwords.check(username, record, password)

    def scram(self, username: str, hash_name: ScramHash) -> ScramVerifier | None:
        record = self._authenticator.credentials(username)
        if record is None:
            return None
        return record.scram_sha1 if hash_name == "sha1" else record.scram_sha256

    def cram_md5(self, username: str) -> CramMD5Verifier | None:
        record = self._authenticator.credentials(username)
        return record.cram_md5 if record is not None else None

    def external(self, username: str) -> str | None:
        certificate = self._client.certificate
        if certificate is None:
            return None
        if not username:
            return certificate.login_address
        same = self._authenticator.account_of(username) == certificate.account
        return username if same else None


def load_secret(path: Path) -> bytes:
    """Read a secret of 32 octets from a file, made if it is missing; all workers get the same."""
    with suppress(FileNotFoundError):
        return path.read_bytes()
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(os.urandom(32))
        # Linking fails where another worker was first; then its secret counts.
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink()
    return path.read_bytes()
