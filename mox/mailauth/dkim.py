"""DKIM: are the signatures of a message good, and may we rely on them (RFC 6376 §6).

    results = verify(resolver, spool.octets(), time.time(), run=in_turns)

One result per DKIM-Signature field, in the order of the message. A signature goes through
checks of its own tags (permerror), our policy (policy: it signs too little), its key (permerror,
temperror when DNS fails), the signature over the header (fail), and the hash of the body (fail).
The body is hashed once per form, and only for signatures that hold so far.

No exception leaves `verify`, whatever octets the message or DNS contain.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from mox.address import AddressError, Domain, parse_domain
from mox.mailauth.content import Data, Run, SignedContent, run_here
from mox.mailauth.keyrecord import LOOKUP_BUDGET_S, FoundKey, KeyProblem, Keys, Questions
from mox.mailauth.results import DKIMResult, DKIMStatus
from mox.mailauth.signature import (
    MAX_FIELD_OCTETS,
    Signature,
    check_key,
    header_digest,
    is_signed,
    parse_signature,
    required,
)
from mox.mailauth.suffixes import is_public_suffix
from mox.mailauth.tags import TagError, colon_list, parse_tags, without_white

FIELD: Final = b"dkim-signature"
# Each costs a look-up. Real mail has up to four.
MAX_SIGNATURES: Final = 10
# RFC 6008 §4: eight octets of b= tell signatures apart; more do not harm.
_SHOWN_SIGNATURE: Final = 12
_SHOWN_TAG: Final = 255


class _Refused(Exception):
    """Ends the evaluation of one signature with a status."""

    def __init__(self, status: DKIMStatus, problem: str) -> None:
        super().__init__(problem)
        self.status = status
        self.problem = problem


@dataclass(slots=True)
class _Evaluation:
    """One signature on its way through the checks; `result` is final when `is_open` is False."""

    index: int  # of the field
    result: DKIMResult
    signature: Signature | None = None
    identity: Domain | None = None  # of i=
    key: FoundKey | None = None
    is_open: bool = True

    def end(self, status: DKIMStatus, problem: str = "") -> None:
        # RFC 6376 §3.6.1: with t=y what does not verify is as if it were not signed.
        if self.key is not None and self.key.record.is_testing and status is not DKIMStatus.PASS:
            status, problem = DKIMStatus.NONE, f"key is for testing: {problem}"
        self.result = replace(self.result, status=status, problem=problem)
        self.is_open = False


def verify(
    resolver: Questions,
    message: Data | SignedContent,
    now: float,
    *,
    run: Run = run_here,
    budget_s: float = LOOKUP_BUDGET_S,
    clock: Callable[[], float] = time.monotonic,
    is_near: bool = False,
) -> tuple[DKIMResult, ...]:
    """Evaluate the first MAX_SIGNATURES signatures of a message in stored form.

    `now` is in seconds since the epoch. Give a `SignedContent` when ARC is verified, too, or for
    wire form. `run` is called with the hashing of long bodies and headers, in short steps
    (`mox.turns.in_turns`); everything else is short. Look-ups are done one after the other
    and take `budget_s` seconds at most. `is_near`: of programs on this machine, whose domain may be
    localhost. Never raises.
    """
    content = message if isinstance(message, SignedContent) else SignedContent(message)
    keys = Keys(resolver, budget_s=budget_s, clock=clock)
    evaluations = [
        _begin(content, index, now, is_near) for index in content.indices(FIELD)[:MAX_SIGNATURES]
    ]
    for evaluation in _open(evaluations):
        _check_header(content, evaluation, keys, run)
    _check_bodies(content, evaluations, run)
    return tuple(evaluation.result for evaluation in evaluations)


def ignored_signatures(content: SignedContent) -> int:
    """Return how many signatures of a message are beyond those that `verify` evaluates."""
    return max(content.count(FIELD) - MAX_SIGNATURES, 0)


def _open(evaluations: list[_Evaluation]) -> list[_Evaluation]:
    return [evaluation for evaluation in evaluations if evaluation.is_open]


# ---- what the field says


def _begin(content: SignedContent, index: int, now: float, is_near: bool) -> _Evaluation:
    """Read one field and check what it says by itself."""
    evaluation = _Evaluation(index, DKIMResult(DKIMStatus.NEUTRAL))
    try:
        tags = _tags(content, index)
        evaluation.result = _described(tags)
        # RFC 6376 §3.5: simple/simple without c=.
        signature = evaluation.signature = parse_signature(tags, b"simple/simple")
        evaluation.result = replace(evaluation.result, sdid=signature.sdid)
        evaluation.identity = _check_identity(tags, signature.sdid)
        _check_parameters(tags, signature, now)
        _check_domain(signature.sdid, is_near)
        _check_policy(tags, signature)
    except TagError as e:
        evaluation.end(DKIMStatus.PERMERROR, str(e))
    except _Refused as e:
        evaluation.end(e.status, e.problem)
    return evaluation


def _tags(content: SignedContent, index: int) -> dict[str, bytes]:
    field = content.fields[index]
    if not content.is_header_complete:
        raise TagError("header is too long")
    if len(field) > MAX_FIELD_OCTETS:
        raise TagError(f"signature field has more than {MAX_FIELD_OCTETS} octets")
    return parse_tags(field.partition(b":")[2])


def _described(tags: dict[str, bytes]) -> DKIMResult:
    """Return what can be said of a signature before it is known to be one."""
    signature = without_white(tags.get("b", b""))[:_SHOWN_SIGNATURE]
    domain = _shown(tags.get("d", b""))
    try:
        sdid = parse_domain(domain)
    except AddressError:
        sdid = None
    return DKIMResult(
        DKIMStatus.NEUTRAL,
        sdid=sdid,
        selector=_shown(tags.get("s", b"")),
        # RFC 6376 §3.5: without i= it is the d= domain with an empty localpart.
        auid=_shown(tags.get("i", b"")) or f"@{domain}",
        algorithm=_shown(tags.get("a", b"")),
        signature=signature.decode("ascii", "replace"),
    )


def _shown(value: bytes) -> str:
    return value[:_SHOWN_TAG].decode("utf-8", "replace")


def _check_parameters(tags: dict[str, bytes], signature: Signature, now: float) -> None:
    # RFC 6376 §6.1.1: these are permanent failures of this signature.
    if required(tags, "v") != b"1":
        raise TagError("unknown version")
    # RFC 6376 §5.4: From must be signed.
    required(tags, "h")
    if b"from" not in signature.names:
        raise TagError("From is not signed")
    methods = tags.get("q", b"dns/txt")
    if b"dns/txt" not in colon_list(methods):
        raise TagError("unknown way to get the key")
    _check_times(signature.signed_at, signature.expires_at, now)


def _check_domain(sdid: Domain, is_near: bool) -> None:
    # RFC 6761 §6.3: localhost is no registry; elsewhere it is another machine.
    if is_near and sdid.ascii == "localhost":
        return
    # RFC 6376 §6.1.1 leaves d= of a registry to the verifier: nobody may sign for all below it.
    if is_public_suffix(sdid):
        raise TagError("d= is a public suffix")


def _check_times(signed: int | None, expires: int | None, now: float) -> None:
    # RFC 6376 §3.5: x= is later than t=, and a signature is not good after x=. A t= in the future
    # is a clock that is ahead.
    if expires is None:
        return
    if signed is not None and signed >= expires:
        raise TagError("x= is not after t=")
    if expires < now:
        raise TagError("signature has expired")


def _check_identity(tags: dict[str, bytes], sdid: Domain) -> Domain:
    """Return the domain of the i= tag, d= without it. Raises TagError."""
    value = tags.get("i")
    if value is None:
        return sdid
    _, at, domain = without_white(value).rpartition(b"@")
    try:
        identity = parse_domain(domain.decode("utf-8"))
    except (AddressError, UnicodeDecodeError) as e:
        raise TagError(f"bad i=: {e}") from e
    # RFC 6376 §3.5: an address without or with localpart, in the domain d= or below it.
    if not at or not f".{identity.ascii}".endswith(f".{sdid.ascii}"):
        raise TagError("i= is no address in d= or below it")
    return identity


def _check_policy(tags: dict[str, bytes], signature: Signature) -> None:
    # RFC 6376 §8.2: with l= anybody can add to the message.
    if "l" in tags:
        raise _Refused(DKIMStatus.POLICY, "signature with l= does not cover the whole body")
    if b"subject" not in signature.names:
        raise _Refused(DKIMStatus.POLICY, "Subject is not signed")


# ---- what the key says


def _check_header(content: SignedContent, evaluation: _Evaluation, keys: Keys, run: Run) -> None:
    """Find the key and check the signature over the header fields."""
    signature = evaluation.signature
    assert signature is not None, "open evaluations have one"
    try:
        found = keys.find(signature.key_name)
        evaluation.key = found
        evaluation.result = replace(
            evaluation.result, key_bits=found.record.bits, authentic=found.authentic
        )
        check_key(found, signature.algorithm)
        # RFC 6376 §3.6.1: t=s, the domain of i= must be d= itself.
        if found.record.is_strict and evaluation.identity != signature.sdid:
            raise KeyProblem("key is not for names below its domain, as in i=")
    except KeyProblem as e:
        status = DKIMStatus.TEMPERROR if e.is_temporary else DKIMStatus.PERMERROR
        evaluation.end(status, str(e))
        return
    digest = header_digest(content, evaluation.index, signature, run)
    if not is_signed(found, signature.signature, digest):
        evaluation.end(DKIMStatus.FAIL, "signature does not fit the header fields")


# ---- what the body says


def _check_bodies(content: SignedContent, evaluations: list[_Evaluation], run: Run) -> None:
    still = [(each, each.signature) for each in _open(evaluations) if each.signature is not None]
    content.prepare([signature.wanted_hash for _, signature in still], run)
    for evaluation, signature in still:
        if content.body_hash(signature.wanted_hash) == signature.body_hash:
            evaluation.end(DKIMStatus.PASS)
        else:
            evaluation.end(DKIMStatus.FAIL, "body was changed")
