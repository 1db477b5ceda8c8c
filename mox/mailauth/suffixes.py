"""Organizational domains by the public suffix list.

RFC 7489 §3.2; for DMARC by the tree walk of RFC 9989 see `mox.mailauth.dmarc`. Used besides for
reputation, for DKIM (nobody signs for all of `co.uk`) and for the addresses of reports.

Only the list's ICANN section counts: what companies register for their customers' hosts in the
private section is about cookies, and says nothing of who answers for mail.

>>> from mox.address import parse_domain
>>> str(organizational_domain(parse_domain("a.b.example.co.uk")))
'example.co.uk'
>>> is_public_suffix(parse_domain("co.uk"))
True
"""

from __future__ import annotations

from functools import cache

from publicsuffixlist import PublicSuffixList

from mox.address import Domain


def preload() -> None:
    """Read the list. Takes 50 ms once, so do it before there are connections to serve."""
    _list()


def organizational_domain(domain: Domain) -> Domain:
    """Return the domain that somebody registered: the public suffix and one label more.

    A public suffix is returned as it is, and so is a name of one label. A top-level domain that is
    not in the list counts as a public suffix.
    """
    registered = _list().privatesuffix(domain.ascii)
    if registered is None:
        return domain
    return parent(domain, registered.count(".") + 1)


def is_public_suffix(domain: Domain) -> bool:
    """Whether different parties register names directly below."""
    return _list().privatesuffix(domain.ascii) is None


def parent(domain: Domain, labels: int) -> Domain:
    """Return the domain's last labels, all of them when there are not more."""
    return Domain(
        ".".join(domain.ascii.split(".")[-labels:]),
        ".".join(domain.unicode.split(".")[-labels:]),
    )


@cache
def _list() -> PublicSuffixList:
    return PublicSuffixList(only_icann=True)
