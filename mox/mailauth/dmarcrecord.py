"""DMARC policy records: text to `DMARCRecord` and back.

RFC 9989 §4.7 and §4.8; RFC 7489 §6.3 and §6.4 for `pct`, `ri` and sizes after addresses. A record
is recognised strictly, by its version. What follows is read as the RFCs ask: unknown tags and
values that do not fit are passed over, each as if it were not there.

>>> record = parse_record("v=DMARC1; p=reject; rua=mailto:D@example.org!10m; t=y")
>>> record.policy, record.aggregate_reports, record.testing
('reject', (('mailto:D@example.org', 10485760),), True)
>>> format_record(record)
'v=DMARC1;p=reject;t=y;rua=mailto:D@example.org!10485760'
"""

from __future__ import annotations

import re
from typing import Final, Literal, cast

from mox.errors import MoxError
from mox.mailauth.results import DMARCPolicy, DMARCRecord

# Real records have 50 to 300 octets; a TXT record could bring 64 KiB.
MAX_RECORD_OCTETS: Final = 8192
# RFC 7489 §6.2 asks for at least two; nobody needs a multiplier for reports.
MAX_REPORT_URIS: Final = 10
DEFAULT_INTERVAL_S: Final = 86400

# RFC 9989 §4.8: dmarc-version = "v" equals %s"DMARC1", then dmarc-sep or the end.
_VERSION: Final = re.compile(r"[vV][ \t]*=[ \t]*DMARC1[ \t]*(?:;|\Z)")
# RFC 9989 §4.8: dmarc-tag = 1*ALPHA equals 1*dmarc-value
_TAG: Final = re.compile(r"([A-Za-z]+)[ \t]*=[ \t]*([ -:<-~]+)")
# RFC 3986 §3, without comma and exclamation mark, which have to be encoded here.
_URI: Final = re.compile(
    r"([A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9._~:/?#\[\]@$&'()*+;=%-]+)(?:!([0-9]{1,18})([kmgt]?))?",
    re.IGNORECASE,
)
_UNITS: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_POLICIES: Final = ("none", "quarantine", "reject")
_FAILURE_OPTIONS: Final = frozenset({"0", "1", "d", "s"})


class RecordError(MoxError):
    """A DMARC record that cannot be used. `public_suffix` is its psd tag, as far as readable.

    The record still marks its domain as taking part, which the tree walk looks for.
    """

    def __init__(self, problem: str, public_suffix: Literal["y", "n", "u"] = "u") -> None:
        super().__init__(problem)
        self.public_suffix = public_suffix


def is_record(text: str) -> bool:
    """Whether a TXT record is meant for DMARC; all others are to be passed over."""
    return _VERSION.match(text) is not None


def parse_record(text: str) -> DMARCRecord:
    """Read a record. Raises RecordError when no policy can be had from it."""
    version = _VERSION.match(text)
    if version is None:
        raise RecordError("not a DMARC record: it must begin with v=DMARC1")
    if len(text) > MAX_RECORD_OCTETS:
        raise RecordError(f"record is longer than {MAX_RECORD_OCTETS} octets")
    tags = _tags(text[version.end() :])
    aggregate_reports = _uris(tags.get("rua", ""))
    policy, subdomain_policy, nonexistent_policy = _policies(tags, bool(aggregate_reports))
    return DMARCRecord(
        policy=policy,
        subdomain_policy=subdomain_policy,
        nonexistent_policy=nonexistent_policy,
        dkim_strict=tags.get("adkim", "").lower() == "s",
        spf_strict=tags.get("aspf", "").lower() == "s",
        aggregate_reports=aggregate_reports,
        failure_reports=_uris(tags.get("ruf", "")),
        percent=_number(tags.get("pct"), 100, 100),
        testing=tags.get("t", "").lower() == "y",
        public_suffix=_public_suffix(tags),
        failure_options=_failure_options(tags.get("fo", "")),
        interval_s=_number(tags.get("ri"), DEFAULT_INTERVAL_S, (1 << 32) - 1),
        text=text,
    )


def parse_report_permission(text: str) -> DMARCRecord:
    """Read a record by which a host agrees to get reports of others: only addresses count.

    RFC 9990 §3, RFC 7489 §7.1: the policy is absent there. Raises RecordError.
    """
    version = _VERSION.match(text)
    if version is None or len(text) > MAX_RECORD_OCTETS:
        raise RecordError("not a DMARC record: it must begin with v=DMARC1")
    tags = _tags(text[version.end() :])
    return DMARCRecord(
        aggregate_reports=_uris(tags.get("rua", "")),
        failure_reports=_uris(tags.get("ruf", "")),
        text=text,
    )


def format_record(record: DMARCRecord) -> str:
    """Return the shortest record with this meaning; what is a default is left out."""
    defaults = DMARCRecord()
    tags = [
        ("p", record.policy, ""),
        ("sp", record.subdomain_policy or "", ""),
        ("np", record.nonexistent_policy or "", ""),
        ("adkim", "s" if record.dkim_strict else "r", "r"),
        ("aspf", "s" if record.spf_strict else "r", "r"),
        ("psd", record.public_suffix, defaults.public_suffix),
        ("t", "y" if record.testing else "n", "n"),
        ("pct", str(record.percent), str(defaults.percent)),
        ("ri", str(record.interval_s), str(defaults.interval_s)),
        ("fo", record.failure_options, defaults.failure_options),
        ("rua", _format_uris(record.aggregate_reports), ""),
        ("ruf", _format_uris(record.failure_reports), ""),
    ]
    given = [f"{name}={value}" for name, value, default in tags if value != default]
    return ";".join(["v=DMARC1", *given])


def _tags(text: str) -> dict[str, str]:
    """The readable tags, names in lower case. Raises RecordError when one comes twice."""
    tags: dict[str, str] = {}
    twice = ""
    for part in text.split(";"):
        match = _TAG.fullmatch(part.strip(" \t"))
        # RFC 9989 §4.8: syntax errors in the remainder of the record are discarded.
        if match is None:
            continue
        name = match[1].lower()
        if name in tags:
            twice = name
        tags[name] = match[2]
    if twice:
        # RFC 6376 §3.2: a name that comes twice makes the whole list invalid. Which of two
        # policies was meant is not for us to say.
        raise RecordError(f"tag {twice!r} is there twice", _public_suffix(tags))
    return tags


def _policies(
    tags: dict[str, str], has_reports: bool
) -> tuple[DMARCPolicy, DMARCPolicy | None, DMARCPolicy | None]:
    policy, subdomain, nonexistent = (tags.get(name, "").lower() for name in ("p", "sp", "np"))
    if policy in _POLICIES and all(p in _POLICIES for p in (subdomain, nonexistent) if p):
        return (
            cast(DMARCPolicy, policy),
            cast(DMARCPolicy | None, subdomain or None),
            cast(DMARCPolicy | None, nonexistent or None),
        )
    # RFC 9989 §4.10.1, RFC 7489 §6.6.3: whoever wants reports gets them, under p=none; without
    # reports there is nothing left to do.
    if has_reports:
        return "none", None, None
    problem = "no valid policy: p is missing" if not policy else "no valid policy in p, sp or np"
    raise RecordError(f"{problem}, and there is no address for reports", _public_suffix(tags))


def _public_suffix(tags: dict[str, str]) -> Literal["y", "n", "u"]:
    value = tags.get("psd", "").lower()
    return cast(Literal["y", "n"], value) if value in ("y", "n") else "u"


def _uris(text: str) -> tuple[tuple[str, int], ...]:
    """RFC 9989 §4.8: dmarc-urilist; what is no URI is left out. Sizes in octets, 0: any."""
    found = []
    for part in text.split(","):
        match = _URI.fullmatch(part.strip(" \t"))
        if match is not None:
            found.append((match[1], int(match[2] or 0) * _UNITS[(match[3] or "").lower()]))
    return tuple(dict.fromkeys(found))[:MAX_REPORT_URIS]


def _format_uris(uris: tuple[tuple[str, int], ...]) -> str:
    return ",".join(f"{uri}!{size}" if size else uri for uri, size in uris)


def _failure_options(text: str) -> str:
    options = text.lower().split(":")
    stripped = [option.strip(" \t") for option in options]
    return ":".join(stripped) if _FAILURE_OPTIONS.issuperset(stripped) else "0"


def _number(text: str | None, default: int, largest: int) -> int:
    """A decimal number from 0 to `largest`, else the default."""
    stripped = (text or "").strip(" \t")
    if not stripped.isdecimal() or not stripped.isascii() or len(stripped) > 10:
        return default
    number = int(stripped)
    return number if number <= largest else default
