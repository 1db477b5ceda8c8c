"""Domains of domains.conf: addresses' rules, DKIM, reports, MTA-STS, aliases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated

from mox.config.schema import Field
from mox.config.transport import Route

DEFAULT_SIGNED_HEADERS = (
    "From",
    "To",
    "Cc",
    "Bcc",
    "Reply-To",
    "References",
    "In-Reply-To",
    "Subject",
    "Date",
    "Message-Id",
    "Content-Type",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Canonicalization:
    """Which changes on the way a signature survives (RFC 6376 §3.4)."""

    header_relaxed: Annotated[
        bool,
        Field("HeaderRelaxed", "Changes of space and case in headers are fine.", example="true"),
    ]
    body_relaxed: Annotated[
        bool, Field("BodyRelaxed", "Changes of space in the body are fine.", example="true")
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """A key for DKIM signatures."""

    hash: Annotated[str, Field("Hash", "sha256 or, outdated, sha1.")] = "sha256"
    canonicalization: Annotated[
        Canonicalization,
        Field("Canonicalization", "How much a message may change on the way. Without it: nothing."),
    ] = Canonicalization(header_relaxed=False, body_relaxed=False)
    headers: Annotated[
        tuple[str, ...],
        Field(
            "Headers",
            "Headers to sign; From must be among them. Without it: "
            + ", ".join(DEFAULT_SIGNED_HEADERS)
            + ".",
            example="From",
        ),
    ] = ()
    dont_seal_headers: Annotated[
        bool,
        Field(
            "DontSealHeaders",
            "Allow that more headers of the signed names are added on the way.",
        ),
    ] = False
    expiration: Annotated[
        str,
        Field(
            "Expiration",
            "How long signatures are valid, such as 72h. Without it they do not end.",
            example="72h",
        ),
    ] = ""
    private_key_file: Annotated[
        str,
        Field(
            "PrivateKeyFile",
            "PEM file in PKCS8 form with an RSA or Ed25519 key, relative to the directory of this "
            "file.",
            example="dkim/2026a._domainkey.example.org.rsa2048.privatekey.pkcs8.pem",
        ),
    ]

    @property
    def signed_headers(self) -> tuple[str, ...]:
        """List the headers that signatures cover."""
        return self.headers or DEFAULT_SIGNED_HEADERS


@dataclass(frozen=True, slots=True, kw_only=True)
class DKIM:
    """Signatures on outgoing mail."""

    selectors: Annotated[
        Mapping[str, Selector],
        Field(
            "Selectors",
            "Keys by the selector under which DNS has the public half, as in "
            "<selector>._domainkey.<domain>.",
            key="2026a",
        ),
    ]
    sign: Annotated[
        tuple[str, ...],
        Field("Sign", "Selectors to sign with. One signature is added for each.", example="2026a"),
    ] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DMARC:
    """Address for DMARC aggregate reports from others."""

    localpart: Annotated[
        str, Field("Localpart", "Localpart of the address, in ASCII.", example="dmarcreports")
    ]
    domain: Annotated[
        str,
        Field(
            "Domain",
            "Domain of the address, when it is another of the configured ones.",
            example="example.net",
        ),
    ] = ""
    account: Annotated[
        str, Field("Account", "Account that the reports are delivered to.", example="mjl")
    ]
    mailbox: Annotated[str, Field("Mailbox", "Mailbox of that account.", example="DMARC")]


@dataclass(frozen=True, slots=True, kw_only=True)
class MTASTS:
    """Promise to sending servers that our servers have TLS (RFC 8461)."""

    policy_id: Annotated[
        str,
        Field(
            "PolicyID",
            "Version of the policy, also in DNS: change both when the policy changes. A time does "
            "well.",
            example="20260102T150405",
        ),
    ]
    mode: Annotated[
        str,
        Field(
            "Mode",
            "enforce: do not deliver without TLS. testing: deliver, but report. none: to give up a "
            "policy.",
            example="enforce",
        ),
    ]
    max_age: Annotated[
        timedelta,
        Field("MaxAge", "How long others may remember the policy.", example="24h0m0s"),
    ]
    mx: Annotated[
        tuple[str, ...],
        Field(
            "MX",
            "Names of servers that may take mail, also with *. in front. Without it the Hostname "
            "of mox.conf.",
            example="mail.example.org",
        ),
    ] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TLSRPT:
    """Address for reports about TLS from others (RFC 8460)."""

    localpart: Annotated[
        str, Field("Localpart", "Localpart of the address, in ASCII.", example="tlsreports")
    ]
    domain: Annotated[
        str,
        Field(
            "Domain",
            "Domain of the address, when it is another of the configured ones.",
            example="example.net",
        ),
    ] = ""
    account: Annotated[
        str, Field("Account", "Account that the reports are delivered to.", example="mjl")
    ]
    mailbox: Annotated[str, Field("Mailbox", "Mailbox of that account.", example="TLSRPT")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """An address that delivers to several local addresses."""

    addresses: Annotated[
        tuple[str, ...],
        Field("Addresses", "Members: full addresses of accounts here.", example="mjl@example.org"),
    ]
    post_public: Annotated[
        bool,
        Field(
            "PostPublic",
            "Anyone may write to it. Otherwise only members may, whose From is proven by a login, "
            "or by SPF or DKIM.",
        ),
    ] = False
    list_members: Annotated[bool, Field("ListMembers", "Members can see who else is one.")] = False
    allow_msg_from: Annotated[
        bool, Field("AllowMsgFrom", "Members may send with this address in From.")
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """A domain that we take mail for."""

    disabled: Annotated[
        bool,
        Field(
            "Disabled",
            "Turn mail to and from the domain away for now, with temporary errors, and request no "
            "certificates. Logins go on working.",
        ),
    ] = False
    description: Annotated[
        str, Field("Description", "For your own notes.", example="my first domain")
    ] = ""
    client_settings_domain: Annotated[
        str,
        Field(
            "ClientSettingsDomain",
            "Host name to give to mail programs, so that the domain can move elsewhere without "
            "new settings for its users. Without it the Hostname of mox.conf.",
            example="mail.example.org",
        ),
    ] = ""
    localpart_catchall_separator: Annotated[
        str,
        Field(
            "LocalpartCatchallSeparator",
            "What comes after this in a localpart does not matter for delivery: with + as "
            "separator user+shop@ is delivered to user@.",
            example="+",
        ),
    ] = ""
    localpart_catchall_separators: Annotated[
        tuple[str, ...],
        Field(
            "LocalpartCatchallSeparators",
            "The same with several separators, instead of the field above. The first is used "
            "where the server makes addresses.",
            example="+",
        ),
    ] = ()
    localpart_case_sensitive: Annotated[
        bool, Field("LocalpartCaseSensitive", "User@ and user@ are different addresses.")
    ] = False
    dkim: Annotated[DKIM, Field("DKIM", "Signatures on mail from this domain.")] = DKIM(
        selectors={}
    )
    dmarc: Annotated[
        DMARC | None,
        Field("DMARC", "Take DMARC aggregate reports at an address. DNS must name it."),
    ] = None
    mtasts: Annotated[
        MTASTS | None,
        Field("MTASTS", "Promise TLS to other servers. Needs a listener with MTASTSHTTPS."),
    ] = None
    tlsrpt: Annotated[
        TLSRPT | None,
        Field("TLSRPT", "Take reports about TLS at an address. DNS must name it."),
    ] = None
    routes: Annotated[
        tuple[Route, ...],
        Field("Routes", "For messages from this domain, tried after those of the account."),
    ] = ()
    aliases: Annotated[
        Mapping[str, Alias],
        Field("Aliases", "Addresses with several recipients, by localpart.", key="team"),
    ] = field(default_factory=dict)

    @property
    def separators(self) -> tuple[str, ...]:
        """List the catch-all separators, in the order in which they are applied."""
        if self.localpart_catchall_separators:
            return self.localpart_catchall_separators
        single = self.localpart_catchall_separator
        return (single,) if single else ()
