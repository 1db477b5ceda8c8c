"""ARC: is the chain of those who handled the message and sealed it unbroken (RFC 8617 §5.2).

    result = verify(resolver, content, time.time(), run=in_turns)

A set is ARC-Authentication-Results, ARC-Message-Signature and ARC-Seal of one instance. The chain
holds when it is complete, the newest message signature fits the message as it is, and every seal
fits what came before it. It proves who sealed, not that they are to be believed.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from mox.address import Domain
from mox.mailauth.canonical import Canonicalization, canonical_field
from mox.mailauth.content import Data, Run, SignedContent, run_here
from mox.mailauth.keyrecord import LOOKUP_BUDGET_S, FoundKey, KeyProblem, Keys
from mox.mailauth.results import ARCResult, ARCStatus
from mox.mailauth.signature import (
    MAX_FIELD_OCTETS,
    Signature,
    check_key,
    header_digest,
    is_signed,
    key_name,
    parse_algorithm,
    parse_base64,
    parse_sdid,
    parse_selector,
    parse_signature,
    parse_time,
    required,
)
from mox.mailauth.tags import TagError, parse_tags, without_signature

if TYPE_CHECKING:
    from mox.dns import Resolver

# RFC 8617 §4.2.1: instances go from 1 to 50.
MAX_INSTANCES: Final = 50
RESULTS: Final = b"arc-authentication-results"
MESSAGE_SIGNATURE: Final = b"arc-message-signature"
SEAL: Final = b"arc-seal"

# RFC 8617 §4.1.1: "i=" *DIGIT ";" comes first in ARC-Authentication-Results.
_RESULTS_INSTANCE: Final = re.compile(rb"[ \t\r\n]*i[ \t\r\n]*=[ \t\r\n]*([0-9]{1,2})[ \t\r\n]*;")


class _Broken(Exception):
    """The chain fails; the text says why."""


@dataclass(frozen=True, slots=True)
class _Seal:
    """The tags of an ARC-Seal field."""

    algorithm: str
    sdid: Domain
    selector: str
    signature: bytes
    cv: bytes


class _Set(NamedTuple):
    """The fields of one instance, as places in the message, and what two of them say."""

    results_at: int
    message_at: int
    seal_at: int
    message: Signature
    seal: _Seal


def verify(
    resolver: Resolver,
    message: Data | SignedContent,
    now: float,
    *,
    run: Run = run_here,
    budget_s: float = LOOKUP_BUDGET_S,
    clock: Callable[[], float] = time.monotonic,
) -> ARCResult:
    """Evaluate the chain of a message in stored form; the arguments are those of `dkim.verify`.

    Never raises.
    """
    content = message if isinstance(message, SignedContent) else SignedContent(message)
    if not any(content.count(name) for name in (RESULTS, MESSAGE_SIGNATURE, SEAL)):
        return ARCResult(ARCStatus.NONE)
    try:
        chain = _chain(content, now)
    except (TagError, _Broken) as e:
        return ARCResult(ARCStatus.FAIL, problem=str(e))
    keys = Keys(resolver, budget_s=budget_s, clock=clock)
    status, problem, oldest_pass = ARCStatus.PASS, "", 0
    try:
        _check_newest(content, chain, keys, run)
        oldest_pass = _oldest_pass(content, chain, keys, run)
        _check_seals(content, chain, keys)
    except _Broken as e:
        status, problem = ARCStatus.FAIL, str(e)
    except KeyProblem as e:
        # RFC 8617 §5.2 knows pass and fail only; what DNS does not tell now must not be kept as
        # a failure.
        status, problem = ARCStatus.TEMPERROR, str(e)
    sealers = tuple(each.seal.sdid for each in chain)
    return ARCResult(status, len(chain), sealers, oldest_pass, problem)


# ---- the chain's structure


def _chain(content: SignedContent, now: float) -> list[_Set]:
    """Return the sets, oldest first. Raises _Broken, TagError when they are no valid chain."""
    if not content.is_header_complete:
        raise _Broken("header is too long")
    results = _by_instance(content, RESULTS, _results_instance)
    messages = _by_instance(content, MESSAGE_SIGNATURE, _tags_instance)
    seals = _by_instance(content, SEAL, _tags_instance)
    # RFC 8617 §5.2 step 3: each instance from 1 on has one of each.
    expected = set(range(1, len(seals) + 1))
    for name, found in ((RESULTS, results), (MESSAGE_SIGNATURE, messages), (SEAL, seals)):
        if set(found) != expected:
            raise _Broken(f"instances of {name.decode()} are not complete")
    chain = [_set(content, i, results[i], messages[i], seals[i]) for i in sorted(expected)]
    newest = chain[-1].message
    if newest.expires_at is not None and newest.expires_at < now:
        raise _Broken("newest message signature has expired")
    return chain


def _by_instance(
    content: SignedContent, name: bytes, instance_of: Callable[[bytes], int]
) -> dict[int, int]:
    """Return the places of the fields with this name by their instance. Raises _Broken."""
    found: dict[int, int] = {}
    indices = content.indices(name)
    if len(indices) > MAX_INSTANCES:
        raise _Broken(f"more than {MAX_INSTANCES} instances")
    for index in indices:
        instance = instance_of(content.fields[index].partition(b":")[2])
        if not 1 <= instance <= MAX_INSTANCES:
            raise _Broken("instance is out of range")
        if found.setdefault(instance, index) != index:
            raise _Broken(f"instance {instance} of {name.decode()} twice")
    return found


def _results_instance(value: bytes) -> int:
    match = _RESULTS_INSTANCE.match(value)
    if match is None:
        raise _Broken("ARC-Authentication-Results without instance")
    return int(match[1])


def _tags_instance(value: bytes) -> int:
    if len(value) > MAX_FIELD_OCTETS:
        raise _Broken(f"field has more than {MAX_FIELD_OCTETS} octets")
    instance = required(parse_tags(value), "i")
    if not instance.isdigit() or len(instance) > 2:
        raise _Broken("instance is not a number")
    return int(instance)


def _set(content: SignedContent, instance: int, results: int, message: int, seal: int) -> _Set:
    message_tags = parse_tags(content.fields[message].partition(b":")[2])
    # RFC 8617 §4.1.2 takes over DKIM's tags and says nothing of c= left out; those who seal so
    # mean relaxed, and dkimpy, too, reads it so.
    parsed = parse_signature(message_tags, b"relaxed/relaxed")
    # RFC 8617 §4.1.2: h= is there, perhaps empty, and no seal is under a message signature.
    if "h" not in message_tags or SEAL in parsed.names:
        raise TagError("h= is missing" if "h" not in message_tags else "h= lists ARC-Seal")
    if "l" in message_tags:
        raise TagError("l= does not cover the whole body")
    found = _seal(parse_tags(content.fields[seal].partition(b":")[2]))
    # RFC 8617 §5.2 steps 2 and 3: cv= is none in the first seal and pass in all others.
    if found.cv != (b"none" if instance == 1 else b"pass"):
        raise _Broken(f"seal {instance} says cv={found.cv.decode('ascii', 'replace')[:10]}")
    return _Set(results, message, seal, parsed, found)


def _seal(tags: dict[str, bytes]) -> _Seal:
    # RFC 8617 §4.1.3: what is sealed is fixed.
    if "h" in tags:
        raise TagError("h= in ARC-Seal")
    parse_time(tags, "t")
    sdid = parse_sdid(tags)
    return _Seal(
        algorithm=parse_algorithm(tags),
        sdid=sdid,
        selector=parse_selector(tags, sdid),
        signature=parse_base64(tags, "b"),
        cv=required(tags, "cv"),
    )


# ---- signatures


def _check_newest(content: SignedContent, chain: list[_Set], keys: Keys, run: Run) -> None:
    # RFC 8617 §5.2 step 4: the newest message signature must fit.
    try:
        _check_message(content, chain[-1], keys, run)
    except _Broken as e:
        raise _Broken(f"message signature {len(chain)}: {e}") from e


def _oldest_pass(content: SignedContent, chain: list[_Set], keys: Keys, run: Run) -> int:
    """Return the oldest instance from which on all message signatures fit, 0 when all do."""
    # RFC 8617 §5.2 step 5: optional, and tells how far back the message is unchanged.
    for instance in range(len(chain) - 1, 0, -1):
        try:
            _check_message(content, chain[instance - 1], keys, run)
        except (_Broken, KeyProblem):
            return instance + 1
    return 0


def _check_message(content: SignedContent, each: _Set, keys: Keys, run: Run) -> None:
    signature = each.message
    found = _key(keys, signature.key_name, signature.algorithm)
    digest = header_digest(content, each.message_at, signature, run)
    if not is_signed(found, signature.signature, digest):
        raise _Broken("signature does not fit the header fields")
    content.prepare([signature.wanted_hash], run)
    if content.body_hash(signature.wanted_hash) != signature.body_hash:
        raise _Broken("body was changed")


def _check_seals(content: SignedContent, chain: list[_Set], keys: Keys) -> None:
    # RFC 8617 §5.1.1: a seal covers all sets up to its own, oldest first, each with its results,
    # message signature and seal, in relaxed form; its own b= is empty and without last CRLF.
    covered = hashlib.sha256()
    relaxed = Canonicalization.RELAXED
    for instance, each in enumerate(chain, 1):
        covered.update(content.canonical(each.results_at, relaxed))
        covered.update(content.canonical(each.message_at, relaxed))
        own = covered.copy()
        own.update(canonical_field(without_signature(content.fields[each.seal_at]), relaxed))
        found = _key(keys, key_name(each.seal.selector, each.seal.sdid), each.seal.algorithm)
        if not is_signed(found, each.seal.signature, own.digest()):
            raise _Broken(f"seal {instance} does not fit")
        covered.update(content.canonical(each.seal_at, relaxed))


def _key(keys: Keys, name: str, algorithm: str) -> FoundKey:
    """Return a usable key. Raises _Broken, or KeyProblem when that may change."""
    try:
        found = keys.find(name)
        check_key(found, algorithm)
    except KeyProblem as e:
        if e.is_temporary:
            raise
        raise _Broken(str(e)) from e
    return found
