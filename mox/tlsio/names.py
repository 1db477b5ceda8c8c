"""Which hosts a certificate is for (RFC 9525, RFC 6125)."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

# What the library raises for certificates of strangers, at first reading or at a later look.
UNREADABLE: Final = (
    ValueError,
    TypeError,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)

IP = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class CertificateNames:
    """Names in A-label form, lower case, perhaps with a leading "*." label; and addresses."""

    dns: frozenset[str]
    ips: frozenset[IP]

    def cover(self, host: str) -> bool:
        """Say whether `host`, an A-label name or an address, is one of these."""
        ip = parse_ip(host)
        if ip is not None:
            return ip in self.ips
        host = host.rstrip(".").lower()
        if not host:
            return False
        # RFC 9525 §6.3: a wildcard stands for exactly one whole label, the leftmost.
        return host in self.dns or f"*.{host.partition('.')[2]}" in self.dns


def names_of(cert: x509.Certificate) -> CertificateNames:
    """Read the names of a certificate; a broken extension counts as no names."""
    try:
        san = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return CertificateNames(frozenset(_common_names(cert)), frozenset())
    except UNREADABLE:
        return CertificateNames(frozenset(), frozenset())
    dns = {name.rstrip(".").lower() for name in san.get_values_for_type(x509.DNSName)}
    addresses = [a for a in san.get_values_for_type(x509.IPAddress) if isinstance(a, IP)]
    return CertificateNames(frozenset(filter(_is_sound, dns)), frozenset(addresses))


def _common_names(cert: x509.Certificate) -> list[str]:
    # RFC 9525 §6.1 drops the common name; certificates made by hand for mail servers still
    # carry nothing else, and with one of those TLS beats none.
    try:
        attributes = cert.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except UNREADABLE:
        return []
    names = [a.value.lower() for a in attributes if isinstance(a.value, str)]
    return [name for name in names if _is_sound(name)]


def _is_sound(name: str) -> bool:
    """Refuse wildcards anywhere but as the whole first of at least three labels."""
    rest = name.removeprefix("*.")
    return "*" not in rest and (rest == name or "." in rest)


def parse_ip(host: str) -> IP | None:
    """Return the address that `host` is, also in brackets; None for a name."""
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None
