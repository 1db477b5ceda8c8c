"""TLSRPT records: where a domain wants to hear about TLS that worked or failed (RFC 8460 §3)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import unquote

from mox.dns import Answer, Status
from mox.errors import MoxError

Query = Callable[[str, str], Answer]

_VERSION: Final = "TLSRPTv1"
_MAX_URIS: Final = 20
_DELIMITER = re.compile(r"[ \t]{0,100};[ \t]{0,100}")
_COMMA = re.compile(r"[ \t]{0,100},[ \t]{0,100}")
_EXT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
_EXT_VALUE = re.compile(r"[!-:<>-~]+")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+")


class TLSRPTError(MoxError):
    """A record does not follow the grammar."""


@dataclass(frozen=True, slots=True)
class Record:
    """`rua`: URIs in the record's order, their percent signs as published."""

    rua: tuple[str, ...]
    extensions: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        fields = [f"v={_VERSION}", f"rua={','.join(self.rua)}"]
        return "; ".join([*fields, *(f"{key}={value}" for key, value in self.extensions)])

    @property
    def mail_addresses(self) -> tuple[str, ...]:
        """The addresses of mailto: URIs, decoded; not checked any further."""
        found = (uri.partition(":") for uri in self.rua)
        return tuple(
            unquote(rest.partition("?")[0])
            for scheme, _, rest in found
            if scheme.lower() == "mailto"
        )


class Found(StrEnum):
    """What looking for a record came to."""

    RECORD = "ok"
    NONE = "notfound"
    SEVERAL = "multiple"
    BAD = "malformed"
    TEMPORARY = "temporary"


@dataclass(frozen=True, slots=True)
class RecordLookup:
    """`record` is set for RECORD; `error` says more about BAD and TEMPORARY."""

    found: Found
    record: Record | None = None
    error: str = ""
    authentic: bool = False


def lookup_record(query: Query, domain: str) -> RecordLookup:
    """Look for the record of a domain (A-labels)."""
    answer = query(f"_smtp._tls.{domain}", "TXT")
    if answer.status is Status.TEMPORARY:
        return RecordLookup(Found.TEMPORARY, error=answer.error)
    texts = [record.text.decode("latin-1") for record in answer.records]
    # RFC 8460 §3: other TXT records at the name do not count.
    texts = [text for text in texts if re.match(r"v=TLSRPTv1[ \t]*(?:;|$)", text)]
    if len(texts) != 1:
        found = Found.SEVERAL if texts else Found.NONE
        return RecordLookup(found, authentic=answer.authentic)
    try:
        return RecordLookup(Found.RECORD, parse_record(texts[0]), authentic=answer.authentic)
    except TLSRPTError as e:
        return RecordLookup(Found.BAD, error=str(e), authentic=answer.authentic)


def parse_record(text: str) -> Record:
    """Read a TXT record. Raises TLSRPTError."""
    version, *fields = _DELIMITER.split(text.rstrip(" \t"))
    if version != f"v={_VERSION}":
        raise TLSRPTError(f"record does not begin with v={_VERSION}")
    if fields and not fields[-1]:
        fields.pop()  # RFC 8460 §3: a delimiter may stand at the end
    uris: list[str] = []
    extensions: list[tuple[str, str]] = []
    for field in fields:
        name, _, value = (part.strip(" \t") for part in field.partition("="))
        if name == "rua":
            uris += _uris(value)
        elif _EXT_NAME.fullmatch(name) and _EXT_VALUE.fullmatch(value):
            extensions.append((name, value))
        else:
            raise TLSRPTError(f"record has a field that cannot be read: {field[:80]!r}")
    if not uris:
        raise TLSRPTError("record has no rua")
    return Record(tuple(dict.fromkeys(uris)), tuple(extensions))


def _uris(value: str) -> list[str]:
    # RFC 8460 §3: "," "!" and ";" within a URI are written with a percent sign.
    uris = _COMMA.split(value)
    if len(uris) > _MAX_URIS or not all(_URI.fullmatch(uri) and "!" not in uri for uri in uris):
        raise TLSRPTError(f"record has a rua that is no list of URIs: {value[:80]!r}")
    return uris
