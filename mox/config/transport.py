"""Ways out: transports (mox.conf) and the routes that choose them (both files)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from mox.config.schema import Field

# In this order of preference. PLAIN sends the password itself and must be listed to be used.
DEFAULT_MECHANISMS = (
    "SCRAM-SHA-256-PLUS",
    "SCRAM-SHA-256",
    "SCRAM-SHA-1-PLUS",
    "SCRAM-SHA-1",
    "CRAM-MD5",
)
KNOWN_MECHANISMS = (*DEFAULT_MECHANISMS, "PLAIN")


@dataclass(frozen=True, slots=True, kw_only=True)
class SMTPAuth:
    """Credentials for another server."""

    username: Annotated[str, Field("Username", "Name to log in with.", example="user@example.org")]
    password: Annotated[str, Field("Password", "Password to log in with.", example="secret")]
    mechanisms: Annotated[
        tuple[str, ...],
        Field(
            "Mechanisms",
            "SASL mechanisms that may be used, best first. Without it: SCRAM-SHA-256-PLUS, "
            "SCRAM-SHA-256, SCRAM-SHA-1-PLUS, SCRAM-SHA-1, CRAM-MD5. PLAIN is used only when "
            "listed.",
            example="SCRAM-SHA-256",
        ),
    ] = ()

    @property
    def allowed_mechanisms(self) -> tuple[str, ...]:
        """List the mechanisms that may be used, best first."""
        return self.mechanisms or DEFAULT_MECHANISMS


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportSMTP:
    """Delivery of everything to one server."""

    host: Annotated[
        str,
        Field(
            "Host",
            "Name of the server; its certificate must be for this name.",
            example="relay.example.net",
        ),
    ]
    port: Annotated[
        int,
        Field(
            "Port",
            "TCP port. Without it 465 for Submissions, 587 for Submission, 25 for SMTP.",
        ),
    ] = 0
    starttls_insecure_skip_verify: Annotated[
        bool,
        Field(
            "STARTTLSInsecureSkipVerify",
            "Accept any certificate after STARTTLS: protects against listeners only. Not allowed "
            "with Submissions.",
        ),
    ] = False
    no_starttls: Annotated[
        bool,
        Field(
            "NoSTARTTLS",
            "Do not use TLS at all, not even when offered. Not allowed with Submissions.",
        ),
    ] = False
    auth: Annotated[
        SMTPAuth | None, Field("Auth", "Log in with these credentials before sending.")
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportSocks:
    """Normal delivery, with the connections made by a SOCKS5 proxy."""

    address: Annotated[
        str, Field("Address", "Host and port of the proxy.", example="proxy.example.org:1080")
    ]
    remote_ips: Annotated[
        tuple[str, ...],
        Field(
            "RemoteIPs",
            "Addresses from which the proxy connects; SPF records must allow them. Only the "
            "address families that are here are used.",
            example="198.51.100.7",
        ),
    ]
    remote_hostname: Annotated[
        str,
        Field(
            "RemoteHostname",
            "Name that those addresses resolve back to, used in EHLO.",
            example="out.example.org",
        ),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportDirect:
    """Normal delivery over one address family."""

    disable_ipv4: Annotated[bool, Field("DisableIPv4", "Connect over IPv6 only.")] = False
    disable_ipv6: Annotated[bool, Field("DisableIPv6", "Connect over IPv4 only.")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportFail:
    """No delivery: each attempt fails at once."""

    smtp_code: Annotated[
        int,
        Field(
            "SMTPCode",
            "Code to fail with: 4xx is tried again later, 5xx is final.",
        ),
    ] = 554
    smtp_message: Annotated[
        str,
        Field(
            "SMTPMessage",
            "Text to fail with, in printable ASCII, at most 256 characters.",
            example="delivery is disabled",
        ),
    ] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transport:
    """One way to deliver: at most one of the methods."""

    submissions: Annotated[
        TransportSMTP | None,
        Field("Submissions", "Hand over to a server with TLS from the first byte."),
    ] = None
    submission: Annotated[
        TransportSMTP | None,
        Field("Submission", "Hand over to a submission server, with STARTTLS."),
    ] = None
    smtp: Annotated[
        TransportSMTP | None,
        Field("SMTP", "Hand over to a mail server that relays for us."),
    ] = None
    socks: Annotated[
        TransportSocks | None, Field("Socks", "Deliver normally through a SOCKS5 proxy.")
    ] = None
    direct: Annotated[
        TransportDirect | None, Field("Direct", "Deliver normally over one address family.")
    ] = None
    fail: Annotated[TransportFail | None, Field("Fail", "Let deliveries fail at once.")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Which transport a message takes. The first route that matches is used."""

    from_domain: Annotated[
        tuple[str, ...],
        Field(
            "FromDomain",
            "Matches messages whose sender is at one of these domains; with a dot in front also "
            "at their subdomains. Without it any sender matches.",
            example="example.org",
        ),
    ] = ()
    to_domain: Annotated[
        tuple[str, ...],
        Field(
            "ToDomain",
            "The same for the recipient's domain.",
            example=".example.net",
        ),
    ] = ()
    minimum_attempts: Annotated[
        int,
        Field(
            "MinimumAttempts",
            "Matches only after this many attempts, for example to try another way later on.",
        ),
    ] = 0
    transport: Annotated[
        str, Field("Transport", "Name of a transport in mox.conf.", example="relay")
    ]
