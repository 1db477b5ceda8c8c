"""A history of senders in memory, which keeps to what the real one promises."""

from __future__ import annotations

from dataclasses import dataclass, field

from mox.store.arrivals import Rate
from mox.store.history import Verdict
from mox.store.history_txn import VALIDATED, identities
from mox.store.origin import Kind, Origin, address_name, digest

NOW = 1_700_000_000
DAY = 86400
NETWORKS = (b"one", b"two", b"three")


def origin(sender: str = "a@sub.x.example", **fields: object) -> Origin:
    """A delivery whose From, MAIL FROM and DKIM domain are all of one sender."""
    localpart, _, domain = sender.partition("@")
    known: dict[str, object] = {
        "remote_ip": "192.0.2.1",
        "networks": NETWORKS,
        "ehlo_domain": domain,
        "mail_from_localpart": localpart,
        "mail_from_domain": domain,
        "mail_from_validated": True,
        "from_localpart": localpart,
        "from_domain": domain,
        "from_org_domain": ".".join(domain.split(".")[-2:]),
        "from_validation": "strict",
        "dkim_domains": (domain,),
    }
    return Origin(**known | fields)  # type: ignore[arg-type]


@dataclass
class FakeHistory:
    judged: list[tuple[Origin, bool, int]] = field(default_factory=list)  # junk, when
    sent: list[tuple[str, int]] = field(default_factory=list)  # address, when
    rates: dict[bytes, Rate] = field(default_factory=dict)

    def add(self, sender: Origin, verdicts: str, days_ago: float = 1) -> FakeHistory:
        """Add messages, oldest first: `j` for junk, `n` for wanted, a second apart."""
        start = NOW - int(days_ago * DAY) - len(verdicts)
        for i, verdict in enumerate(verdicts):
            self.judged.append((sender, verdict == "j", start + i))
        return self

    def verdicts(
        self, kind: Kind, name: bytes, since: int, most: int, *, validated: bool = False
    ) -> list[Verdict]:
        wanted = kind | VALIDATED if validated else int(kind)
        found = [
            (when, Verdict(junk, digest(sender.from_localpart.encode())))
            for sender, junk, when in self.judged
            if when >= since and (wanted, name) in [(int(k), n) for k, n in identities(sender)]
        ]
        found.sort(key=lambda pair: -pair[0])
        return [verdict for _, verdict in found[:most]]

    def sent_to(self, kind: Kind, name: bytes, since: int) -> bool:
        for address, when in self.sent:
            localpart, _, domain = address.partition("@")
            names = {
                Kind.SENT_ADDRESS: address_name(localpart, domain),
                Kind.SENT_DOMAIN: domain,
                Kind.SENT_ORG_DOMAIN: ".".join(domain.split(".")[-2:]),
            }
            if when >= since and names[kind].encode() == name:
                return True
        return False

    def rate(self, network: bytes, now: int) -> Rate:
        return self.rates.get(network, Rate(0, 0, 0, 0))
