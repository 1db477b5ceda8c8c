"""Logins end to end but for the network: a real store, real limits, real threads."""

from __future__ import annotations

import _thread
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace

import gevent
import pytest

from mox import logfmt
from mox.sasl import client as sasl_client
from mox.sasl.outcome import Challenge, Reason
from mox.serving import passwords as passwords_module
from mox.serving.limits import Limits
from mox.serving.login import (
    Authenticator,
    Client,
    LoggedIn,
    LoginFailed,
    LoginSession,
    Step,
    load_secret,
)
from mox.serving.passwords import GoodPasswords, Passwords
from mox.store import Store, open_store
from mox.store.credentials import Credentials, make_credentials
from mox.store.ephemeral import open_ephemeral

LOG = logfmt.logger("test")
USER, OTHER, NOBODY = "user@mox.example", "other@mox.example", "nobody@mox.example"
PASSWORD = "right password"
IP = ip_address("192.0.2.1")


@pytest.fixture(scope="module")
def record() -> Credentials:
    return make_credentials(PASSWORD)


@dataclass
class FakeLookup:
    accounts: dict[str, str]

    def login(self, address: str) -> str | None:
        return self.accounts.get(address)


class FakeContext:
    """A configuration with two accounts; no password is set for the second."""

    hostname = "mox.example"

    def __init__(self, data_dir: Path, store: Store) -> None:
        self.data_dir = data_dir
        self.store = store
        self.limits = Limits(open_ephemeral(data_dir), 1, clock=lambda: 1000.0)
        accounts = {name: SimpleNamespace(login_disabled="") for name in ("user", "other")}
        self.config = SimpleNamespace(
            lookup=FakeLookup({USER: "user", "user+x@mox.example": "user", OTHER: "other"}),
            dynamic=SimpleNamespace(accounts=accounts),
        )


@pytest.fixture
def ctx(tmp_path: Path, record: Credentials) -> Iterator[FakeContext]:
    store = open_store(tmp_path)
    store.account("user").set_credentials(record)
    store.account("other")
    yield FakeContext(tmp_path, store)
    store.close()


CLIENT = Client(kind="imap", ip=IP, has_tls=True)


def session(ctx: FakeContext, client: Client = CLIENT) -> LoginSession:
    return Authenticator(ctx).session(client, LOG)


def exchange(ours: LoginSession, name: str, user: str = USER, password: str = PASSWORD) -> Step:
    """Log in with our client's mechanism."""
    theirs = sasl_client.mechanism(
        name,
        user,
        password,
        announced=ours.mechanisms(),
        binding=ours.client.binding,
        random=lambda count: b"c" * count,
    )
    running = ours.begin(name)
    step = running.step(theirs.initial())
    while isinstance(step, Challenge):
        failed = step.data.startswith(b"e=")
        step = running.step(b"" if failed else theirs.step(step.data))
    if isinstance(step, LoggedIn):
        theirs.finish()
    return step


def exporter(kind: str) -> bytes | None:
    return b"e" * 32 if kind == "tls-exporter" else None


BOUND = replace(CLIENT, announce_binding=True, binding=exporter)
MECHANISMS = ("SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "PLAIN", "LOGIN")
PLUS = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS")


@pytest.mark.parametrize("name", [*MECHANISMS, *PLUS])
def test_all_mechanisms(ctx: FakeContext, name: str) -> None:
    assert exchange(session(ctx, BOUND), name) == LoggedIn("user", USER)
    for user, password in ((USER, "wrong"), (NOBODY, PASSWORD), (OTHER, PASSWORD)):
        failed = exchange(session(ctx, BOUND), name, user, password)
        assert isinstance(failed, LoginFailed)
        assert failed.reason is Reason.CREDENTIALS


def test_login_command(ctx: FakeContext) -> None:
    assert session(ctx).login(USER, PASSWORD) == LoggedIn("user", USER)
    alias = "user+x@mox.example"
    assert session(ctx).login(alias, PASSWORD) == LoggedIn("user", alias)
    failed = session(ctx).login(USER, "wrong")
    assert failed == LoginFailed(Reason.CREDENTIALS, "bad user or password")


@pytest.mark.parametrize(
    ("client", "now", "later"),
    [
        (CLIENT, MECHANISMS, ()),
        (replace(CLIENT, binding=exporter), MECHANISMS, ()),
        (BOUND, PLUS + MECHANISMS, ()),
        (replace(BOUND, binding=lambda kind: None), MECHANISMS, ()),
        (replace(CLIENT, certificate=LoggedIn("user", USER)), ("EXTERNAL", *MECHANISMS), ()),
        (replace(CLIENT, has_tls=False), (), PLUS + MECHANISMS),
        (
            replace(CLIENT, has_tls=False, plaintext_allowed=True),
            MECHANISMS,
            PLUS + MECHANISMS,
        ),
    ],
)
def test_what_is_announced(
    ctx: FakeContext, client: Client, now: tuple[str, ...], later: tuple[str, ...]
) -> None:
    ours = session(ctx, client)
    assert ours.mechanisms() == now
    assert ours.mechanisms_after_tls() == later
    assert ours.password_allowed == bool(now)


def test_certificates(ctx: FakeContext) -> None:
    ours = session(ctx, replace(CLIENT, certificate=LoggedIn("user", USER)))
    assert ours.begin("EXTERNAL").step(b"") == LoggedIn("user", USER)
    alias = b"user+x@mox.example"
    assert ours.begin("EXTERNAL").step(alias) == LoggedIn("user", alias.decode())
    assert isinstance(ours.begin("EXTERNAL").step(OTHER.encode()), LoginFailed)
    # a password must be that of the certificate's account
    assert ours.login(USER, PASSWORD) == LoggedIn("user", USER)
    ours = session(ctx, replace(CLIENT, certificate=LoggedIn("other", OTHER)))
    assert isinstance(ours.login(USER, PASSWORD), LoginFailed)


def test_disabled_login_is_told_only_after_the_right_password(ctx: FakeContext) -> None:
    ctx.config.dynamic.accounts["user"].login_disabled = "closed on request"
    ours = session(ctx)
    failed = ours.login(USER, "wrong")
    assert isinstance(failed, LoginFailed)
    assert failed.reason is Reason.CREDENTIALS
    assert ours.login(USER, PASSWORD) == LoginFailed(Reason.DISABLED, "closed on request")
    assert exchange(ours, "SCRAM-SHA-256") == LoginFailed(Reason.DISABLED, "closed on request")


def test_failures_of_a_connection(ctx: FakeContext) -> None:
    ours = session(ctx)
    states = []
    for _ in range(7):
        ours.login(USER, "wrong")
        states.append((ours.failures, ours.is_slow, ours.delay_s))
    # A client that tries every mechanism with one mistyped password fails three times.
    assert states[2:] == [
        (3, False, 0.0),
        (4, False, 0.0),
        (5, False, 0.0),
        (6, True, 0.0),
        (7, True, 1.0),
    ]
    ours.begin("PLAIN").cancel()
    ours.count_failure("other", "unknown")
    assert ours.failures == 9
    assert ours.login(USER, PASSWORD) == LoggedIn("user", USER)
    assert not ours.is_slow


def test_failures_of_a_network_limit_everybody_there(ctx: FakeContext) -> None:
    ours = session(ctx)
    for _ in range(10):
        assert ours.begin("CRAM-MD5").step(b"x") == LoginFailed(
            Reason.MALFORMED, "malformed message"
        )
    assert ours.login(USER, PASSWORD) == LoginFailed(Reason.LIMITED, "too many failed logins")
    assert ours.begin("PLAIN").step(b"x") == LoginFailed(Reason.LIMITED, "too many failed logins")
    elsewhere = replace(CLIENT, ip=ip_address("198.51.100.1"))
    assert session(ctx, elsewhere).login(USER, PASSWORD) == LoggedIn("user", USER)


def test_success_forgives(ctx: FakeContext) -> None:
    ours = session(ctx)
    for _ in range(3):
        for _ in range(5):
            ours.login(USER, "wrong")
        assert isinstance(ours.login(USER, PASSWORD), LoggedIn)


def test_new_password_ends_the_memory_of_the_old(ctx: FakeContext) -> None:
    ours = session(ctx)
    assert isinstance(ours.login(USER, PASSWORD), LoggedIn)
    assert isinstance(ours.login(USER, PASSWORD), LoggedIn)
    ctx.store.account("user").set_credentials(make_credentials("new password"))
    assert isinstance(ours.login(USER, PASSWORD), LoginFailed)
    assert isinstance(ours.login(USER, "new password"), LoggedIn)


def test_a_right_password_is_hashed_once(ctx: FakeContext, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = session(ctx)
    message = f"\0{USER}\0{PASSWORD}".encode()
    assert isinstance(ours.begin("PLAIN").step(message), LoggedIn)
    monkeypatch.setattr(passwords_module, "verify_password", lambda *args: False)
    for _ in range(3):
        assert isinstance(ours.begin("PLAIN").step(message), LoggedIn)


def test_memory_ends_after_a_while(record: Credentials, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    calls = []
    monkeypatch.setattr(
        passwords_module, "verify_password", lambda *args: calls.append(args) or True
    )
    checks = Passwords(clock=lambda: now[0], good=GoodPasswords())
    for at, expected in ((0.0, 1), (899.0, 1), (901.0, 2), (902.0, 2)):
        now[0] = at
        assert checks.check(USER, record, PASSWORD)
        assert len(calls) == expected
    assert checks.check(OTHER, record, PASSWORD)
    assert len(calls) == 3


def test_memory_is_shared_with_processes_forked_later() -> None:
    good = GoodPasswords()
    pid = os.fork()
    digest = good.digest(USER, PASSWORD, b"1")
    if pid == 0:
        good.remember(digest, 100.0)
        os._exit(0)
    os.waitpid(pid, 0)
    assert good.knows(digest, 99.0)
    for wrong in ((OTHER, PASSWORD, b"1"), (USER, "other", b"1"), (USER, PASSWORD, b"2")):
        assert not good.knows(good.digest(*wrong), 99.0)
    assert not good.knows(digest, 100.0)
    other = GoodPasswords()
    assert other.digest(USER, PASSWORD, b"1") != digest
    assert not other.knows(digest, 99.0)


def test_many_connections_with_one_right_password_cost_one_check(
    record: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    gate = _thread.allocate_lock()

    def verify(_: Credentials, password: str) -> bool:
        calls.append(password)
        with gate:
            return password == PASSWORD

    monkeypatch.setattr(passwords_module, "verify_password", verify)
    checks = Passwords(good=GoodPasswords())
    with gevent.Timeout(20):
        for password, expected in ((PASSWORD, 1), ("wrong", 5)):
            calls.clear()
            with gate:  # until all have asked
                jobs = [gevent.spawn(checks.check, USER, record, password) for _ in range(5)]
                gevent.sleep(0)
            gevent.joinall(jobs, raise_error=True)
            assert {job.value for job in jobs} == {password == PASSWORD}
            assert len(calls) == expected


def test_a_check_that_is_given_up_does_not_hold_up_the_same_one(record: Credentials) -> None:
    checks = Passwords(good=GoodPasswords())
    with gevent.Timeout(20):
        jobs = [gevent.spawn(checks.check, USER, record, PASSWORD) for _ in range(3)]
        gevent.sleep(0)
        jobs[0].kill()
        gevent.joinall(jobs[1:], raise_error=True)
    assert [job.value for job in jobs[1:]] == [True, True]


def test_the_same_password_too_often_at_once_tries_later(
    record: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords_module, "MAX_WAITING", 3)
    checks = Passwords(good=GoodPasswords())
    with gevent.Timeout(20):
        jobs = [gevent.spawn(checks.check, USER, record, PASSWORD) for _ in range(5)]
        gevent.joinall(jobs)
    assert [isinstance(job.exception, passwords_module.Busy) for job in jobs].count(True) == 2


def test_too_many_at_once_try_later(ctx: FakeContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords_module, "MAX_WAITING", 3)
    authenticator = Authenticator(ctx)

    def login(number: int) -> LoggedIn | LoginFailed:
        return authenticator.session(CLIENT, LOG).login(USER, f"wrong {number}")

    with gevent.Timeout(20):
        jobs = [gevent.spawn(login, number) for number in range(5)]
        gevent.joinall(jobs)
    reasons = [job.value.reason for job in jobs]
    assert reasons.count(Reason.CREDENTIALS) == 3
    assert reasons.count(Reason.TRY_LATER) == 2
    assert login(9).reason is Reason.CREDENTIALS


def test_loop_goes_on_while_passwords_are_checked(ctx: FakeContext) -> None:
    ours = session(ctx)
    ours.login(USER, "warm up")
    job = gevent.spawn(ours.login, USER, "wrong")
    turns = 0
    while not job.ready():
        gevent.sleep(0.001)
        turns += 1
    assert turns > 3


def test_unknown_users_take_as_long(ctx: FakeContext, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[bool] = []
    real = passwords_module.verify_password

    def verify(record: Credentials | None, password: str) -> bool:
        hashed.append(record is not None)
        return real(record, password)

    monkeypatch.setattr(passwords_module, "verify_password", verify)
    ours = session(ctx)
    for user in (NOBODY, USER):
        assert isinstance(ours.login(user, "wrong"), LoginFailed)
    assert hashed == [False, True], "both cost a hash"


def test_secret_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    secret = load_secret(path)
    assert len(secret) == 32
    assert load_secret(path) == secret
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["secret"]
