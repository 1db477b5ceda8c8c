"""What is known of an incoming message before any recipient is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from mox.address import Address, Domain, Path
from mox.delivery.headers import Headers
from mox.mailauth.results import Authentication, DMARCStatus, SPFStatus
from mox.mailauth.suffixes import organizational_domain
from mox.message.mailboxes import mailboxes
from mox.message.trace import Received
from mox.message.words import decode_header
from mox.networks import network_keys
from mox.store.origin import Origin, Validation

# RFC 5322 §2.1.1: no line is longer; what is longer is no Message-ID.
_MAX_MESSAGE_ID = 998
# Of To, and of Cc, that are read.
_MAX_FIELDS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageFacts:
    """The message and its delivery. `authentication` None: it comes from one of our users.

    received: as for the trace field; is_sampled: the lots were drawn, and the DMARC policy is for
    this message.
    """

    reverse_path: Path
    header_from: Address | None  # None: missing, several, or not an address
    message_id: str  # as written, "" when missing
    size: int  # octets in wire form
    headers: Headers
    received: Received
    has_8bit: bool = False
    authentication: Authentication | None = None
    is_sampled: bool = True

    @property
    def subject(self) -> str:
        return decode_header(self.headers.first(b"subject"))

    @property
    def verified_domains(self) -> tuple[Domain, ...]:
        """Domains that SPF or DKIM vouch for."""
        found = self.authentication
        if found is None:
            # It was submitted with a password, from an address of the account.
            return (self.header_from.domain,) if self.header_from else ()
        spf = (found.spf.domain,) if found.spf.status is SPFStatus.PASS else ()
        return (*(domain for domain in spf if domain is not None), *found.dkim_domains)

    @property
    def validation(self) -> Validation:
        """What ties the From field to who sent the message."""
        if self.header_from is None:
            return "none"
        found = self.authentication
        author = self.header_from.domain
        domains = self.verified_domains
        if author in domains:
            return "strict"
        if org_domain(author) not in map(org_domain, domains):
            return "none"
        is_dmarc = found is not None and found.dmarc.status is DMARCStatus.PASS
        return "dmarc" if is_dmarc else "relaxed"

    def is_addressed_to(self, path: Path) -> bool:
        """Whether a recipient, as given in SMTP, is named in To or Cc.

        An empty localpart (a trap for programs that cannot write it) counts as named.
        """
        if path.address is None or not path.localpart:
            return True
        localpart = path.localpart.encode()
        for name in (b"to", b"cc"):
            # RFC 5322 §3.6: there is one of each; some programs write several.
            for value in self.headers.raw(name)[:_MAX_FIELDS]:
                if localpart not in value:
                    continue
                if any(mailbox.address == path.address for mailbox in mailboxes(value)):
                    return True
        return False


def origin_of(facts: MessageFacts, recipient: Path) -> Origin:
    """Return what is kept of the delivery to one recipient."""
    found = facts.authentication
    received, reverse_path = facts.received, facts.reverse_path
    author = facts.header_from
    is_foreign = found is not None and received.remote_ip is not None
    helo = received.helo if isinstance(received.helo, Domain) and is_foreign else None
    has_spf_pass = found is not None and found.spf.status is SPFStatus.PASS
    identity = found.spf.identity if found is not None and has_spf_pass else ""
    sender, to = reverse_path.address, recipient.address
    assert received.remote_ip is not None or not is_foreign
    return Origin(
        remote_ip=str(received.remote_ip) if is_foreign else "",
        networks=network_keys(received.remote_ip) if is_foreign and received.remote_ip else (),
        ehlo_domain=helo.unicode if helo else "",
        mail_from_localpart=reverse_path.localpart,
        mail_from_domain=sender.domain.unicode if sender else "",
        rcpt_to_localpart=recipient.localpart,
        rcpt_to_domain=to.domain.unicode if to else "",
        from_localpart=author.localpart if author else "",
        from_domain=author.domain.unicode if author else "",
        from_org_domain=org_domain(author.domain).unicode if author else "",
        ehlo_validated=identity == "helo",
        mail_from_validated=identity == "mailfrom",
        from_validation=facts.validation,
        dkim_domains=tuple(d.unicode for d in found.dkim_domains) if found else (),
        message_id=facts.message_id[:_MAX_MESSAGE_ID],
    )


@lru_cache(maxsize=4096)
def org_domain(domain: Domain) -> Domain:
    """Return the organizational domain; the same domains come again and again."""
    return organizational_domain(domain)
