"""The life of MTA-STS policies that we keep: when to look, to fetch, to use and to forget them.

RFC 8461 §3.3, §5.1 and §10.2. A cached policy is what protects against those who can make DNS or
HTTPS fail. Looking up, fetching and the time are arguments; what is to be kept is in the result.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import structs

from mox.errors import MoxError
from mox.tlspolicy.mtasts import Found, Mode, MTASTSError, Policy, RecordLookup, parse_policy
from mox.tlspolicy.report import Problem, ResultType

# For a first fetch, which a message waits for, and for one that only replaces what we have.
FETCH_TIMEOUT_S: Final = 60.0
REFETCH_TIMEOUT_S: Final = 30.0
# RFC 8461 §3.3: no new fetch sooner than this after one that failed.
BACKOFF_S: Final = 300.0
# Uses are noted no more precisely: it costs a write.
USE_GRAIN_S: Final = 3600.0
UNUSED_S: Final = 180 * 86400.0
REFRESH_AGE_S: Final = 12 * 3600.0
REFRESH_SPREAD_S: Final = 3 * 3600.0

_FALLBACK: Final = "+fallback-to-cached-policy"


class CachedPolicy(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What is kept of a domain. Times are seconds since the epoch.

    backoff: there is a record, but no policy could be had; `reason` tells why.
    """

    domain: str  # A-labels
    inserted: float
    valid_end: float
    last_update: float
    last_use: float
    backoff: bool = False
    record_id: str = ""
    mode: str = "none"
    mx: tuple[str, ...] = ()
    max_age_s: int = 0
    text: str = ""
    reason: str = ""

    @property
    def policy(self) -> Policy | None:
        """The policy; None while backing off."""
        if self.backoff:
            return None
        return Policy(Mode(self.mode), self.mx, self.max_age_s, self.text)


class FetchFailed(MoxError):
    """A policy file could not be had. `problem` is for reports; `absent`: there is none."""

    def __init__(self, text: str, problem: Problem, *, absent: bool = False) -> None:
        super().__init__(text)
        self.problem = problem
        self.absent = absent


# Take a domain; `Fetch` also the time it may take, and raises FetchFailed.
Lookup = Callable[[str], RecordLookup]
Fetch = Callable[[str, float], str]


@dataclass(frozen=True, slots=True)
class Consulted:
    """What to do about mail for a domain.

    policy: in enforce or testing mode; None: nothing to follow.
    problems: for reports. error: why, for the log.
    unavailable: nobody can say whether there is a policy; mail has to wait.
    keep: the record that replaces the one before; None: nothing has changed.
    result: what happened, as a label of metrics.
    """

    policy: Policy | None = None
    problems: tuple[Problem, ...] = ()
    error: str = ""
    unavailable: bool = False
    keep: CachedPolicy | None = None
    result: str = "ok"


def consult(
    domain: str, cached: CachedPolicy | None, lookup: Lookup, fetch: Fetch, now: float
) -> Consulted:
    """Say what the policy for mail to `domain` (A-labels) is. Takes as long as lookup and fetch."""
    # RFC 8461 §3.3: a policy whose max_age is over does not count any more.
    if cached is None or cached.valid_end <= now:
        return _first(domain, lookup, fetch, now)
    if cached.backoff:
        reason = "back-off-after-recent-fetch-error"
        problem = Problem(ResultType.STS_POLICY_FETCH_ERROR, reason)
        return Consulted(None, (problem,), cached.reason or reason, result="backoff")
    return _again(cached, lookup(domain), fetch, now)


def _first(domain: str, lookup: Lookup, fetch: Fetch, now: float) -> Consulted:
    found = lookup(domain)
    if found.record is None:
        return _without_record(found)
    try:
        policy = _fetched(domain, fetch, FETCH_TIMEOUT_S)
    except FetchFailed as e:
        keep = _backoff(domain, found.record.id, str(e), now)
        return Consulted(None, (e.problem,), str(e), keep=keep, result="fetcherror")
    keep = _cached(domain, found.record.id, policy, now, now)
    return Consulted(_followed(policy), keep=keep)


def _without_record(found: RecordLookup) -> Consulted:
    if found.found is Found.NONE:
        return Consulted(result="norecord")
    problem = Problem(ResultType.STS_POLICY_FETCH_ERROR, found.found.value)
    error = found.error or found.found.value
    is_temporary = found.found is Found.TEMPORARY
    return Consulted(None, (problem,), error, unavailable=is_temporary, result="lookuperror")


def _again(cached: CachedPolicy, found: RecordLookup, fetch: Fetch, now: float) -> Consulted:
    policy = cached.policy
    assert policy is not None
    used = structs.replace(cached, last_use=now) if _is_use_worth_noting(cached, now) else None
    if found.record is None:
        # RFC 8461 §5.1: a record that is gone does not end a policy: that takes mode none.
        problem = Problem(ResultType.STS_POLICY_FETCH_ERROR, found.found.value + _FALLBACK)
        return _of_cached(policy, problem, found.error or found.found.value, used, "lookuperror")
    if found.record.id == cached.record_id:
        return Consulted(_followed(policy), keep=used)
    try:
        new = _fetched(cached.domain, fetch, REFETCH_TIMEOUT_S)
    except FetchFailed as e:
        problem = Problem(e.problem.result_type, e.problem.reason + _FALLBACK)
        return _of_cached(policy, problem, str(e), used, "fetcherror")
    keep = _cached(cached.domain, found.record.id, new, now, cached.inserted)
    return Consulted(_followed(new), keep=keep)


def _of_cached(
    policy: Policy, problem: Problem, error: str, keep: CachedPolicy | None, result: str
) -> Consulted:
    followed = _followed(policy)
    # With nothing to fall back to there is nothing to report either.
    problems = (problem,) if followed is not None else ()
    return Consulted(followed, problems, error, keep=keep, result=result)


def _followed(policy: Policy) -> Policy | None:
    # RFC 8461 §5: mode none is as if there were no policy.
    return None if policy.mode is Mode.NONE else policy


def _is_use_worth_noting(cached: CachedPolicy, now: float) -> bool:
    return now - cached.last_use >= USE_GRAIN_S


def _fetched(domain: str, fetch: Fetch, timeout_s: float) -> Policy:
    text = fetch(domain, timeout_s)
    try:
        return parse_policy(text)
    except MTASTSError as e:
        problem = Problem(ResultType.STS_POLICY_INVALID, "policy-syntax-error")
        raise FetchFailed(f"policy of {domain}: {e}", problem) from e


def _cached(
    domain: str, record_id: str, policy: Policy, now: float, inserted: float
) -> CachedPolicy:
    return CachedPolicy(
        domain=domain,
        inserted=inserted,
        valid_end=now + policy.max_age_s,
        last_update=now,
        last_use=now,
        record_id=record_id,
        mode=policy.mode.value,
        mx=policy.mx,
        max_age_s=policy.max_age_s,
        text=policy.text,
    )


def _backoff(domain: str, record_id: str, reason: str, now: float) -> CachedPolicy:
    return CachedPolicy(
        domain=domain,
        inserted=now,
        valid_end=now + BACKOFF_S,
        last_update=now,
        last_use=now,
        backoff=True,
        record_id=record_id,
        reason=reason[:500],
    )


# ---- refresh


@dataclass(frozen=True, slots=True)
class RefreshPlan:
    """`forget`: domains to delete. `refresh`: seconds from now, and the domain; ascending."""

    forget: tuple[str, ...]
    refresh: tuple[tuple[float, str], ...]


def plan_refresh(entries: Iterable[CachedPolicy], now: float, chance: random.Random) -> RefreshPlan:
    """Say what is to be done about all entries, as it is due once a day.

    RFC 8461 §10.2: refreshing before the end leaves an attacker nothing to wait for.
    """
    forget: list[str] = []
    due: list[str] = []
    for entry in entries:
        is_over = entry.valid_end <= now
        if now - entry.last_use > UNUSED_S or (entry.backoff and is_over):
            forget.append(entry.domain)
        elif not entry.backoff and now - entry.last_update > REFRESH_AGE_S:
            due.append(entry.domain)
    chance.shuffle(due)
    step_s = REFRESH_SPREAD_S / len(due) if due else 0.0
    times = [(n + chance.random() / 2) * step_s for n in range(len(due))]
    return RefreshPlan(tuple(forget), tuple(zip(times, due, strict=True)))


@dataclass(frozen=True, slots=True)
class Refreshed:
    """`keep` replaces the entry; `forget`: it is to be deleted; neither: it stays as it is."""

    keep: CachedPolicy | None = None
    forget: bool = False
    error: str = ""


def refresh(cached: CachedPolicy, lookup: Lookup, fetch: Fetch, now: float) -> Refreshed:
    """Look whether a kept policy is still the current one."""
    found = lookup(cached.domain)
    if found.record is None:
        if found.found is Found.NONE and cached.mode == Mode.NONE:
            return Refreshed(forget=True)
        return Refreshed(error=found.error or found.found.value)
    if found.record.id == cached.record_id and cached.valid_end > now:
        end = now + cached.max_age_s
        return Refreshed(structs.replace(cached, last_update=now, valid_end=end))
    try:
        policy = _fetched(cached.domain, fetch, REFETCH_TIMEOUT_S)
    except FetchFailed as e:
        return Refreshed(error=str(e))
    new = _cached(cached.domain, found.record.id, policy, now, cached.inserted)
    return Refreshed(structs.replace(new, last_use=cached.last_use))
