"""pyspf with our DNS, and with what it does otherwise than RFC 7208 put right.

pyspf gives the mechanisms that need DNS (a, mx, ptr, exists, include) and the macros. From us are:

- DNS: the resolver, with limits and whether all answers were authentic, belongs to one check.
- The record's grammar (`mox.mailauth.spfrecord`): pyspf takes `%{d0}`, `%{dx}` and capital
  `REDIRECT=` for good, and looks for the end of macros in quadratic time.
- The order of terms: pyspf expands all domains before it looks at the first term, counts a
  `redirect=` that is not followed, and fetches `exp=` also for a pass, hiding all exceptions.
- `ip4`, `ip6` and `all`, which need nothing but the parsed record.
- DNS trouble with `ptr` and `%{p}` (no match, "unknown"); `%{p}` counts as a look-up; names longer
  than 253 characters lose as many labels as it takes; an MX set is read until a host matches.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import Final

import spf

from mox.dns import Resolver, Status
from mox.dns.record import Record
from mox.mailauth.spfrecord import (
    Directive,
    SPFRecord,
    SPFSyntaxError,
    is_record,
    macro_letters,
    parse_record,
)

MAX_EXPLANATION: Final = 800

_MAX_NAME: Final = 253
_RESULTS: Final = {"+": "pass", "-": "fail", "~": "softfail", "?": "neutral"}
_LOCALPART_MACROS: Final = frozenset("sl")
# RFC 7208 §7.1, for texts that are known to be valid.
_MACRO: Final = re.compile(r"%(?:[^{]|\{[^}]*+\})")

Outcome = tuple[str, int, str]
_NONE: Final[Outcome] = ("none", 250, "")


class OutOfTime(spf.TempError):
    """The time for the whole check is used up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """What a check is about. `ip` is no IPv4-mapped address; names are A-labels.

    localpart: unquoted. now: seconds since the epoch, for the macro t.
    """

    ip: IPv4Address | IPv6Address
    localpart: str
    domain: str
    helo: str
    receiver: str
    now: float


class SPFQuery(spf.query):
    """One check: `run` once, then read `matched`, `is_authentic` and `explanation`."""

    def __init__(
        self, resolver: Resolver, client: Client, timeout_s: float, clock: Callable[[], float]
    ) -> None:
        sender = f"{client.localpart}@{client.domain}"
        # Without the address, which pyspf would read from text and write out again.
        super().__init__("", sender, client.helo, receiver=client.receiver)
        self.ipaddr = client.ip
        self.iplist = False
        self.c, self.i, self.A, self.v, self.cidrmax = _address(client.ip)
        # pyspf would split at the first "@", which may be inside of a quoted localpart.
        self.l, self.o, self.d = client.localpart, client.domain, client.domain
        self.t = str(int(client.now))
        self.perm_error = None
        self.matched = ""
        self.is_authentic = True
        self._ip = client.ip
        self._resolver = resolver
        self._clock = clock
        self._end = clock() + timeout_s
        self._names: list[str] | None = None
        self._explanation: tuple[str, str] | None = None  # domain-spec, current domain

    def run(self) -> str:
        """Evaluate; returns the result's word. Raises spf.PermError and spf.TempError."""
        return self.check1(self.dns_spf(self.d), self.d, 0)[0]

    # Records and terms.

    def dns_spf(self, domain: str) -> str | None:
        """Return the SPF record of a domain, None when there is none. RFC 7208 §4.3 to §4.5."""
        labels = domain.removesuffix(".").split(".")
        if len(labels) < 2 or not all(0 < len(label) < 64 for label in labels):
            return None
        found = [text for text in self.dns_txt(domain) if is_record(text)]
        if len(found) > 1:
            raise spf.PermError(f"more than one SPF record: {domain}")
        if not found:
            return None
        try:
            return found[0].decode("ascii")
        except UnicodeDecodeError as e:
            raise spf.PermError(f"SPF record is not ASCII: {domain}") from e

    def check0(self, text: str | None, recursion: int) -> Outcome:
        """Evaluate a record for the current domain; `recursion` counts includes."""
        if text is None:
            return _NONE
        record = self._parse(text)
        for directive in record.directives:
            if self._matches(directive, recursion):
                return self._matched(directive, record, recursion)
        if record.redirect:
            return self._redirected(record.redirect, recursion)
        # RFC 7208 §4.7: nothing matched.
        if recursion == 0:
            self.matched = "default"
        return ("neutral", 250, "")

    def _parse(self, text: str) -> SPFRecord:
        try:
            return parse_record(text)
        except SPFSyntaxError as e:
            raise spf.PermError(f"SPF record of {self.d}: {e}") from e

    def _matches(self, directive: Directive, recursion: int) -> bool:
        if directive.network is not None:
            return self._ip in directive.network
        if directive.mechanism == "all":
            return True
        # RFC 8616 §4: a localpart that is not ASCII matches nothing.
        if directive.macros & _LOCALPART_MACROS and not self.l.isascii():
            return False
        # An explicit macro: pyspf would expand the name of an included domain once more.
        domain = directive.domain or "%{d}"
        term = f"v=spf1 +{directive.mechanism}:{domain}{directive.lengths}"
        return super().check0(term, recursion)[0] == "pass"

    def _matched(self, directive: Directive, record: SPFRecord, recursion: int) -> Outcome:
        if recursion == 0:
            self.matched = directive.text
            # RFC 7208 §6.2: an included domain's explanation is not used.
            if record.explanation and directive.qualifier == "-":
                self._explanation = record.explanation, self.d
        return (_RESULTS[directive.qualifier], 250, "")

    def _redirected(self, redirect: str, recursion: int) -> Outcome:
        """RFC 7208 §6.1: the target's record takes the place of this one."""
        self.check_lookups()
        target = self.expand(redirect)
        record = self.dns_spf(target)
        if record is None:
            raise spf.PermError(f"redirect to a domain without SPF record: {target}")
        return self.check1(record, target, recursion)

    # Macros.

    def expand(self, s: str, stripdot: bool = True) -> str:
        """Expand macros in a domain, or with `stripdot` false in an explanation."""
        if not stripdot:
            # pyspf shortens long texts like names.
            return _MACRO.sub(lambda macro: super(SPFQuery, self).expand(macro[0], False), s)
        name = super().expand(s)
        # RFC 7208 §7.3: labels are dropped from the left.
        while len(name) > _MAX_NAME and "." in name:
            name = name.partition(".")[2]
        return name

    def getp(self) -> str:
        """Find the macro p: a validated name of the client, best one of the current domain."""
        # RFC 7208 §4.6.4: it counts like the ptr mechanism.
        if self._names is None:
            self.check_lookups()
        names = self.validated_ptrs()
        domain = self.d.lower()
        below = [name for name in names if name.endswith(f".{domain}")]
        best = [domain] if domain in names else below or names
        self.p = best[0] if best else "unknown"
        return self.p

    def explanation(self) -> str:
        """Return the domain's reason for a fail, printable ASCII, "" when there is none.

        RFC 7208 §6.2: whatever goes wrong here does not change the result.
        """
        if self._explanation is None:
            return ""
        spec, self.d = self._explanation
        self.lookups = self.void_lookups = 0
        try:
            texts = self.dns_txt(self.expand(spec), ignore_void=True)
            if len(texts) != 1 or len(texts[0]) > 2 * MAX_EXPLANATION:
                return ""
            text = texts[0].decode("ascii")
            macro_letters(text, is_explanation=True)
            return printable(self.expand(text, stripdot=False))[:MAX_EXPLANATION]
        except (UnicodeDecodeError, SPFSyntaxError, spf.PermError, spf.TempError):
            return ""

    # DNS.

    def dns(
        self, name: str, qtype: str, cnames: object = None, ignore_void: bool = False
    ) -> list[object]:
        """Look up records in the form of pyspf; the resolver follows CNAMEs."""
        name = name.removesuffix(".")
        if not all(0 < len(label) < 64 for label in name.split(".")):
            return []
        left_s = self._end - self._clock()
        if left_s <= 0:
            raise OutOfTime("the check took too long")
        answer = self._resolver.query(name, qtype, left_s)
        if answer.status is Status.TEMPORARY:
            raise spf.TempError(answer.error)
        self.is_authentic &= answer.authentic
        # Deviation from RFC 7208 §4.6.4: because many hosts have no IPv6 address, and records like
        # "v=spf1 a mx a:…" would be errors for the clients that do.
        has_other = answer.status is Status.NODATA and qtype == "AAAA"
        if answer.status is not Status.OK and not has_other and not ignore_void:
            self._count_void(name)
        return [_VALUES[qtype](record) for record in answer.records]

    def _count_void(self, name: str) -> None:
        # RFC 7208 §4.6.4: two are allowed.
        self.void_lookups += 1
        if self.void_lookups > spf.MAX_VOID_LOOKUPS:
            raise spf.PermError(f"too many void look-ups: {name}")

    def dns_txt(self, domainname: str, rr: str = "TXT", ignore_void: bool = False) -> list[bytes]:
        """RFC 7208 §3.3: the strings of one record belong together."""
        return self.dns(domainname, rr, ignore_void=ignore_void)  # type: ignore[return-value]

    def dns_mx(self, domainname: str) -> Iterator[str]:
        """Yield the addresses of the MX hosts, by preference.

        RFC 7208 §4.6.4: an error when more than ten hosts have to be looked at.
        """
        hosts: list[tuple[int, str]] = self.dns(domainname, "MX")  # type: ignore[assignment]
        for count, (_, host) in enumerate(sorted(hosts)):
            if count >= spf.MAX_MX:
                raise spf.PermError(f"more than {spf.MAX_MX} MX hosts: {domainname}")
            yield from self.dns_a(host, self.A)

    def cidrmatch(self, ipaddrs: Iterable[str], n: int) -> bool:
        """Like pyspf's, but with no more addresses asked for than it takes."""
        matches = super().cidrmatch
        return any(matches([address], n) for address in ipaddrs)

    def validated_ptrs(self) -> list[str]:
        """Find the names of the client that lead back to it; asked for once in a check.

        RFC 7208 §5.5: trouble with the PTR records means no names, with a name's address that
        the name is left out. Ten names are looked at.
        """
        if self._names is None:
            self._names = []
            for name in self._or_nothing(self.dns_ptr, self.i)[: spf.MAX_PTR]:
                addresses = self._or_nothing(self.dns_a, name, self.A)
                if self.cidrmatch(addresses, self.cidrmax):
                    self._names.append(name)
        return self._names

    def _or_nothing(self, look_up: Callable[..., list[str]], *args: str) -> list[str]:
        try:
            return look_up(*args)
        except OutOfTime:
            raise
        except spf.TempError:
            return []


# Clients send many messages, and a message asks for several records.
@lru_cache(maxsize=1024)
def _address(ip: IPv4Address | IPv6Address) -> tuple[str, str, str, str, int]:
    """Return the macros c and i, the type of address records, the macro v, and the bits of `ip`."""
    text = str(ip)
    if isinstance(ip, IPv4Address):
        return text, text, "A", "in-addr", ip.max_prefixlen
    # RFC 7208 §7.3: dotted nibbles.
    nibbles = ".".join(ip.exploded.replace(":", "").upper())
    return text, nibbles, "AAAA", "ip6", ip.max_prefixlen


def printable(text: str) -> str:
    """Replace all that is not printable ASCII."""
    return "".join(c if " " <= c <= "~" else "?" for c in text)


_VALUES: Final[dict[str, Callable[[Record], object]]] = {
    "A": lambda record: str(record.address),
    "AAAA": lambda record: str(record.address),
    "MX": lambda record: (record.preference, record.host),
    "PTR": lambda record: record.host.lower(),
    "TXT": lambda record: record.text,
}
