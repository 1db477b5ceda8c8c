"""The Authentication-Results field for a message: what was checked, and what came out.

RFC 8601; RFC 6008 for `header.b`, RFC 8616 for names in other scripts, RFC 8617 §11 for ARC and
RFC 9989 §9.1 for `policy.dmarc`. Nearly all values come from the network: what is no token gets
quoted, and what cannot be in a header field is replaced.

Fields of others that carry our name are the business of `mox.mailauth.authresclaims`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Final, Literal

from mox.address import Domain
from mox.mailauth.results import (
    ARCResult,
    ARCStatus,
    Authentication,
    DKIMResult,
    DKIMStatus,
    DMARCResult,
    IPRevResult,
    IPRevStatus,
    SPFResult,
    SPFStatus,
)
from mox.message.trace import FoldedField

# Why a DMARC policy was not applied (RFC 9990 §2.1.6; the first two only RFC 7489 Appendix C).
Override = Literal["forwarded", "sampled_out", "mailing_list", "local_policy", "policy_test_mode"]

# Explanations are for people; the field must stay readable.
MAX_REASON: Final = 200
# Longer values are left out: a part of one would be wrong. RFC 5322 §2.1.1: 998 octets a line.
MAX_VALUE: Final = 400

# RFC 2045 §5.1: token. RFC 8601 §2.2 takes such a value as it is.
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]+")
# RFC 8601 §2.2: pvalue may be [ [ local-part ] "@" ] domain-name without quotes.
_ADDRESS: Final = re.compile(r"(?:[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~.]+)?@[A-Za-z0-9_.-]+")
_KEY_TYPES: Final = ("rsa", "ed25519")


def authentication_results(
    authserv_id: Domain,
    remote_ip: IPv4Address | IPv6Address,
    found: Authentication,
    *,
    overrides: Sequence[Override] = (),
    smtputf8: bool = False,
) -> bytes:
    """Return the field in wire form, one method a line, folded as other trace fields.

    `overrides` say why a DMARC policy was not applied; testing mode need not be named. With
    `smtputf8` names have their U-labels; otherwise the field is ASCII.
    """
    form = _Form(smtputf8)
    methods = [_iprev(form, remote_ip, found.iprev), *_dkim(form, found.dkim)]
    methods += [_spf(form, found.spf), _dmarc(form, found.dmarc, overrides)]
    if found.arc.status is not ARCStatus.NONE:
        methods.append(_arc(form, found.arc))
    field = FoldedField("Authentication-Results")
    field.add(f"{authserv_id.pack(smtputf8)};")
    for method in methods[:-1]:
        field.newline()
        field.add(*method[:-1], f"{method[-1]};")
    field.newline()
    field.add(*methods[-1])
    return bytes(field)


# One method each: the tokens between two semicolons.


def _iprev(form: _Form, remote_ip: IPv4Address | IPv6Address, found: IPRevResult) -> list[str]:
    """RFC 8601 §3 and §2.7.3."""
    reason = form.reason(found.problem) if found.status is not IPRevStatus.PASS else []
    address = form.value(str(remote_ip))
    return [
        f"iprev={found.status}",
        f"({_dnssec(found.authentic)})",
        *reason,
        f"policy.iprev={address}",
    ]


def _dkim(form: _Form, found: Sequence[DKIMResult]) -> Iterator[list[str]]:
    """RFC 8601 §2.7.1, all signatures in their order."""
    if not found:
        yield ["dkim=none", *form.reason("no dkim signatures")]
    for result in found:
        tokens = [f"dkim={result.status}"]
        key_type = result.algorithm.partition("-")[0]
        if result.key_bits and key_type in _KEY_TYPES:
            tokens.append(f"({result.key_bits} bit {key_type}, {_dnssec(result.authentic)})")
        if result.status is not DKIMStatus.PASS:
            tokens += form.reason(result.problem)
        if result.sdid is not None:
            tokens.append(f"header.d={form.domain(result.sdid)}")
        for name, value in (
            ("header.s", result.selector),
            ("header.a", result.algorithm),
            # RFC 6008 §4: tells which of several signatures is meant.
            ("header.b", result.signature),
            ("header.i", result.auid),
        ):
            tokens += form.property(name, value)
        yield tokens


def _spf(form: _Form, found: SPFResult) -> list[str]:
    """RFC 8601 §2.7.2."""
    tokens = [f"spf={found.status}", f"({_dnssec(found.authentic)})"]
    if found.status is not SPFStatus.PASS:
        tokens += form.reason(found.problem)
    if found.domain is not None:
        name = "smtp.helo" if found.identity == "helo" else "smtp.mailfrom"
        tokens.append(f"{name}={form.domain(found.domain)}")
    return tokens


def _dmarc(form: _Form, found: DMARCResult, overrides: Sequence[Override]) -> list[str]:
    """RFC 9989 §9.1: header.from and policy.dmarc."""
    comment = _dnssec(found.authentic)
    if found.policy_test_mode:
        overrides = (*overrides, "policy_test_mode")
    if overrides:
        comment += f", override {','.join(overrides)}"
    tokens = [f"dmarc={found.status}", f"({comment})", *form.reason(found.problem)]
    if found.header_from is not None:
        tokens.append(f"header.from={form.domain(found.header_from)}")
    if found.record is not None:
        tokens.append(f"policy.dmarc={found.policy}")
    return tokens


def _arc(form: _Form, found: ARCResult) -> list[str]:
    """RFC 8617 §11.1 and §11.3."""
    tokens = [f"arc={found.status}"]
    if found.instance:
        tokens.append(f"(i={found.instance})")
    if found.status is ARCStatus.PASS:
        tokens.append(f"header.oldest-pass={found.oldest_pass}")
    else:
        tokens += form.reason(found.problem)
    return tokens


def _dnssec(authentic: bool) -> str:
    return "with dnssec" if authentic else "without dnssec"


class _Form:
    """How values are written: with or without characters outside ASCII."""

    __slots__ = ("_smtputf8",)

    def __init__(self, smtputf8: bool) -> None:
        self._smtputf8 = smtputf8

    def domain(self, domain: Domain) -> str:
        # RFC 8616 §5: U-labels only where the message may have them.
        return domain.pack(self._smtputf8)

    def property(self, name: str, value: str) -> list[str]:
        if not value or len(value) > MAX_VALUE:
            return []
        written = value if _ADDRESS.fullmatch(value) else self.value(value)
        return [f"{name}={written}"]

    def reason(self, text: str) -> list[str]:
        """RFC 8601 §2.2: reasonspec."""
        return [f"reason={self.value(text[:MAX_REASON])}"] if text else []

    def value(self, text: str) -> str:
        """RFC 2045 §5.1: a token as it is, all else as a quoted string."""
        if _TOKEN.fullmatch(text):
            return text
        if not (text.isprintable() and (self._smtputf8 or text.isascii())):
            text = "".join([c if self._may_stand(c) else "?" for c in text])
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    def _may_stand(self, character: str) -> bool:
        return character.isprintable() and (self._smtputf8 or character.isascii())
