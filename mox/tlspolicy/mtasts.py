"""MTA-STS records and policies: read, written, and compared with MX hosts (RFC 8461 §3, §4.1).

found = lookup_record(query, "example.org")
policy = parse_policy(text)
policy.covers("mx1.example.org")
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mox.dns import Answer, Status
from mox.errors import MoxError

Query = Callable[[str, str], Answer]

# RFC 8461 §3.2: about a year; more is this much.
MAX_MAX_AGE_S: Final = 31557600
# RFC 8461 §3.3: a policy may be refused when it is larger.
MAX_POLICY_OCTETS: Final = 64 << 10
_MAX_MX: Final = 500
_VERSION: Final = "STSv1"
# RFC 8461 §3.1: sts-id, sts-ext-name and sts-ext-value.
_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_EXT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
_EXT_VALUE = re.compile(r"[!-:<>-~]+")
_MAX_AGE = re.compile(r"[0-9]{1,10}")
_DELIMITER = re.compile(r"[ \t]{0,100};[ \t]{0,100}")
_HOST = re.compile(r"(?:\*\.)?(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)(?:\.[a-z0-9_-]{1,63})*+")


class MTASTSError(MoxError):
    """A record or a policy does not follow the grammar."""


class Mode(StrEnum):
    """RFC 8461 §5."""

    ENFORCE = "enforce"
    TESTING = "testing"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Record:
    """The TXT record that tells of a policy. `id` changes whenever the policy does."""

    id: str
    extensions: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        fields = [f"v={_VERSION}", f"id={self.id}", *(f"{k}={v}" for k, v in self.extensions)]
        return "; ".join(fields)


@dataclass(frozen=True, slots=True)
class Policy:
    """`mx`: A-labels in lower case, perhaps with a leading "*.". `text`: as it was served."""

    mode: Mode
    mx: tuple[str, ...]
    max_age_s: int
    text: str = ""

    def covers(self, host: str) -> bool:
        """Say whether an MX host (A-labels) is one of the policy's.

        RFC 8461 §4.1: a wildcard stands for exactly one label, the leftmost.
        """
        name = host.rstrip(".").lower()
        return name in self.mx or f"*.{name.partition('.')[2]}" in self.mx

    @property
    def lines(self) -> tuple[str, ...]:
        """The policy's lines, as reports show them."""
        fields = [f"version: {_VERSION}", f"mode: {self.mode.value}"]
        fields += [f"mx: {name}" for name in self.mx]
        return (*fields, f"max_age: {self.max_age_s}")


class Found(StrEnum):
    """What looking for a record came to."""

    RECORD = "record"
    NONE = "no-record"
    SEVERAL = "multiple-mta-sts-records"
    BAD = "record-syntax-error"
    TEMPORARY = "dns-lookup"


@dataclass(frozen=True, slots=True)
class RecordLookup:
    """`record` is set for RECORD; `error` says more about BAD and TEMPORARY."""

    found: Found
    record: Record | None = None
    error: str = ""
    authentic: bool = False


def lookup_record(query: Query, domain: str) -> RecordLookup:
    """Look for the record of a domain (A-labels)."""
    answer = query(f"_mta-sts.{domain}", "TXT")
    if answer.status is Status.TEMPORARY:
        return RecordLookup(Found.TEMPORARY, error=answer.error)
    texts = [record.text.decode("latin-1") for record in answer.records]
    # RFC 8461 §3.1: other TXT records at the name do not count.
    texts = [text for text in texts if re.match(r"v=STSv1[ \t]*(?:;|$)", text)]
    if not texts:
        return RecordLookup(Found.NONE, authentic=answer.authentic)
    if len(texts) > 1:
        return RecordLookup(Found.SEVERAL, authentic=answer.authentic)
    try:
        return RecordLookup(Found.RECORD, parse_record(texts[0]), authentic=answer.authentic)
    except MTASTSError as e:
        return RecordLookup(Found.BAD, error=str(e), authentic=answer.authentic)


def parse_record(text: str) -> Record:
    """Read a TXT record. Raises MTASTSError."""
    version, *fields = _DELIMITER.split(text.rstrip(" \t"))
    if version != f"v={_VERSION}":
        raise MTASTSError(f"record does not begin with v={_VERSION}")
    if fields and not fields[-1]:
        fields.pop()  # RFC 8461 §3.1: a delimiter may stand at the end
    ids: list[str] = []
    extensions: list[tuple[str, str]] = []
    for field in fields:
        name, separator, value = field.partition("=")
        if name == "id" and _ID.fullmatch(value):
            ids.append(value)
        elif (
            name != "id" and separator and _EXT_NAME.fullmatch(name) and _EXT_VALUE.fullmatch(value)
        ):
            extensions.append((name, value))
        else:
            raise MTASTSError(f"record has a field that cannot be read: {field[:80]!r}")
    if len(ids) != 1:
        raise MTASTSError("record has several ids" if ids else "record has no id")
    return Record(ids[0], tuple(extensions))


def parse_policy(text: str) -> Policy:
    """Read a policy file. Raises MTASTSError."""
    fields: dict[str, str] = {}
    mx: list[str] = []
    for key, value in _policy_fields(text):
        if key == "mx":
            mx.append(_mx_pattern(value))
        else:
            # RFC 8461 §3.2: of fields that may stand only once the first counts.
            fields.setdefault(key, value)
    if fields.get("version") != _VERSION:
        raise MTASTSError(f"policy is not of version {_VERSION}")
    try:
        mode = Mode(fields.get("mode", ""))
    except ValueError as e:
        raise MTASTSError("policy's mode is not enforce, testing or none") from e
    max_age = fields.get("max_age", "")
    if not _MAX_AGE.fullmatch(max_age):
        raise MTASTSError("policy has no max_age in seconds")
    if not mx and mode is not Mode.NONE:
        raise MTASTSError("policy names no mx")
    if len(mx) > _MAX_MX:
        raise MTASTSError(f"policy names more than {_MAX_MX} mx")
    return Policy(mode, tuple(dict.fromkeys(mx)), min(int(max_age), MAX_MAX_AGE_S), text)


def _policy_fields(text: str) -> list[tuple[str, str]]:
    if len(text) > MAX_POLICY_OCTETS:
        raise MTASTSError(f"policy is larger than {MAX_POLICY_OCTETS} octets")
    fields = []
    for line in text.split("\n"):
        stripped = line.removesuffix("\r").rstrip(" \t")
        key, colon, value = stripped.partition(":")
        if not stripped:
            continue
        if not colon or not _EXT_NAME.fullmatch(key):
            raise MTASTSError(f"policy has a line that cannot be read: {line[:80]!r}")
        fields.append((key, value.lstrip(" \t")))
    return fields


def _mx_pattern(value: str) -> str:
    name = value.lower()
    if len(name) > 255 or not _HOST.fullmatch(name):
        raise MTASTSError(f"policy has an mx that is no host name: {value[:80]!r}")
    return name


def format_policy(mode: Mode, mx: Sequence[str], max_age_s: int) -> str:
    """Return a policy file to be served (RFC 8461 §3.2)."""
    return "".join(f"{line}\n" for line in Policy(mode, tuple(mx), max_age_s).lines)
