"""A resolver without network: answers of a test's making, for what takes `mox.dns.Resolver`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import dns.rdataclass
import dns.rdatatype
from dns.rdtypes.ANY.TXT import TXT

from mox.dns import Answer, Resolver, Status


class TxtResolver(Resolver):
    """Has TXT records only: {"name": "text"}, a list of texts, or a Status to fail with."""

    def __init__(
        self,
        texts: Mapping[str, str | bytes | Sequence[str | bytes] | Status],
        *,
        authentic: bool = False,
    ) -> None:
        self._texts = texts
        self._authentic = authentic
        self.queries: list[str] = []

    def query(self, name: str, rdtype: str) -> Answer:
        assert rdtype == "TXT"
        self.queries.append(name)
        found = self._texts.get(name, Status.NXDOMAIN)
        if isinstance(found, Status):
            return Answer(found, authentic=self._authentic, error=f"{name}: {found.value}")
        texts = [found] if isinstance(found, (str, bytes)) else found
        records = tuple(_txt(text) for text in texts)
        return Answer(Status.OK, records, self._authentic, 300, name)


def _txt(text: str | bytes) -> TXT:
    octets = text.encode() if isinstance(text, str) else text
    # RFC 6376 §3.6.2.2: strings of a record are joined without anything between them.
    strings = [octets[at : at + 255] for at in range(0, len(octets), 255)] or [b""]
    return TXT(dns.rdataclass.IN, dns.rdatatype.TXT, strings)
