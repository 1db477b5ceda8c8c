"""Listeners of mox.conf: addresses to bind and the services offered on them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from mox.config.schema import Field
from mox.config.webservice import (
    NO_METRICS_HTTP,
    NO_PPROF_HTTP,
    NO_WEB_HTTP,
    NO_WEB_HTTPS,
    NO_WEBSERVER_HTTP,
    NO_WEBSERVER_HTTPS,
    NO_WELL_KNOWN_HTTPS,
    MetricsHTTP,
    PprofHTTP,
    WebHTTP,
    WebHTTPS,
    WebserverHTTP,
    WebserverHTTPS,
    WellKnownHTTPS,
)

DEFAULT_MAX_MESSAGE_SIZE = 100 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyCert:
    """A certificate with its key."""

    cert_file: Annotated[
        str,
        Field(
            "CertFile",
            "PEM file with the certificate followed by its chain, relative to the directory of "
            "mox.conf.",
            example="mail.example.org-chain.crt.pem",
        ),
    ]
    key_file: Annotated[
        str,
        Field(
            "KeyFile",
            "PEM file with the private key. It is read before the server gives up root rights.",
            example="mail.example.org-key.pem",
        ),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerTLS:
    """Certificates and TLS settings of a listener."""

    acme: Annotated[
        str,
        Field(
            "ACME",
            "Get certificates from this entry of ACME. Either this or KeyCerts.",
            example="letsencrypt",
        ),
    ] = ""
    key_certs: Annotated[
        tuple[KeyCert, ...],
        Field("KeyCerts", "Certificates from files. The one for the requested name is used."),
    ] = ()
    min_version: Annotated[
        str,
        Field(
            "MinVersion",
            "Oldest version of TLS to accept: TLSv1.0, TLSv1.1, TLSv1.2 or TLSv1.3.",
        ),
    ] = "TLSv1.2"
    host_private_key_files: Annotated[
        tuple[str, ...],
        Field(
            "HostPrivateKeyFiles",
            "Long-lived keys for certificates from ACME, so that DANE records in DNS stay valid: "
            "one RSA key of 2048 bits, one ECDSA key on P-256. Relative to the directory of "
            "mox.conf.",
            example="hostkeys/mail.example.org.ecdsap256.privatekey.pkcs8.pem",
        ),
    ] = ()
    client_auth_disabled: Annotated[
        bool,
        Field(
            "ClientAuthDisabled",
            "Do not ask clients for certificates; some are confused by it.",
        ),
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerSMTP:
    """Incoming mail from other servers."""

    enabled: Annotated[bool, Field("Enabled", "Offer the service.", example="true")]
    port: Annotated[int, Field("Port", "TCP port.")] = 25
    no_starttls: Annotated[bool, Field("NoSTARTTLS", "Do not offer STARTTLS.")] = False
    require_starttls: Annotated[
        bool,
        Field(
            "RequireSTARTTLS",
            "Refuse mail over connections without TLS. Addresses that take TLS reports are exempt. "
            "Not all servers can do TLS: mail will be lost.",
        ),
    ] = False
    no_require_tls: Annotated[
        bool, Field("NoRequireTLS", "Do not announce REQUIRETLS (RFC 8689).")
    ] = False
    dnsbls: Annotated[
        tuple[str, ...],
        Field(
            "DNSBLs",
            "DNS block lists to ask about senders that nothing is known of.",
            example="sbl.spamhaus.org",
        ),
    ] = ()
    first_time_sender_delay: Annotated[
        timedelta,
        Field(
            "FirstTimeSenderDelay",
            "Wait before accepting a message from a sender that nothing is known of. 0s turns it "
            "off.",
            explicit_zero=True,
        ),
    ] = timedelta(seconds=15)
    tls_session_tickets_disabled: Annotated[
        bool,
        Field(
            "TLSSessionTicketsDisabled",
            "Do not give out TLS session tickets, which some servers fail to resume.",
            explicit_zero=True,
        ),
    ] = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerSubmission:
    """Outgoing mail from users, with STARTTLS."""

    enabled: Annotated[bool, Field("Enabled", "Offer the service.", example="true")]
    port: Annotated[int, Field("Port", "TCP port.")] = 587
    no_require_starttls: Annotated[
        bool,
        Field(
            "NoRequireSTARTTLS",
            "Allow login without TLS. Passwords can be read on the way: for tests.",
        ),
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerSubmissions:
    """Outgoing mail from users, with TLS from the first byte."""

    enabled: Annotated[bool, Field("Enabled", "Offer the service.", example="true")]
    port: Annotated[int, Field("Port", "TCP port.")] = 465
    enabled_on_https: Annotated[
        bool,
        Field(
            "EnabledOnHTTPS",
            "Also offer it on port 443 to clients that choose the ALPN protocol smtp, for networks "
            "that block other ports.",
        ),
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerIMAP:
    """Mailbox access, with STARTTLS."""

    enabled: Annotated[bool, Field("Enabled", "Offer the service.", example="true")]
    port: Annotated[int, Field("Port", "TCP port.")] = 143
    no_require_starttls: Annotated[
        bool,
        Field(
            "NoRequireSTARTTLS",
            "Allow login without TLS. Passwords can be read on the way: for tests.",
        ),
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerIMAPS:
    """Mailbox access, with TLS from the first byte."""

    enabled: Annotated[bool, Field("Enabled", "Offer the service.", example="true")]
    port: Annotated[int, Field("Port", "TCP port.")] = 993
    enabled_on_https: Annotated[
        bool,
        Field(
            "EnabledOnHTTPS",
            "Also offer it on port 443 to clients that choose the ALPN protocol imap, for networks "
            "that block other ports.",
        ),
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyProtocol:
    """Trust in load balancers that tell the client's address."""

    networks: Annotated[
        tuple[str, ...],
        Field(
            "Networks",
            "Addresses or networks (as in 192.0.2.0/24) of the proxies. A connection from one of "
            "them must begin with a PROXY header, version 1 or 2; one from elsewhere is taken as "
            "it is.",
            example="192.0.2.0/24",
        ),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Addresses, and the services on them."""

    ips: Annotated[
        tuple[str, ...],
        Field(
            "IPs",
            "Addresses to listen on. 0.0.0.0 means all of IPv4, :: all of IPv6.",
            example="203.0.113.10",
        ),
    ]
    nat_ips: Annotated[
        tuple[str, ...],
        Field(
            "NATIPs",
            "Public addresses that are forwarded to this listener, for DNS advice and checks.",
            example="198.51.100.10",
        ),
    ] = ()
    ips_nated: Annotated[
        bool,
        Field(
            "IPsNATed",
            "The addresses are behind NAT: leave out checks of addresses. Use NATIPs instead.",
            deprecated=True,
        ),
    ] = False
    hostname: Annotated[
        str,
        Field(
            "Hostname",
            "Name of this listener. Without it the Hostname of the server.",
            example="mail.example.org",
        ),
    ] = ""
    tls: Annotated[
        ListenerTLS | None,
        Field("TLS", "Certificates. Needed for all services with TLS."),
    ] = None
    smtp_max_message_size: Annotated[
        int,
        Field("SMTPMaxMessageSize", "Most bytes of a message, in both directions."),
    ] = DEFAULT_MAX_MESSAGE_SIZE
    proxy_protocol: Annotated[
        ProxyProtocol | None,
        Field(
            "ProxyProtocol",
            "Take the client's address from the PROXY protocol, for use behind a load balancer. "
            "Without it no proxy is trusted.",
            ours=True,
        ),
    ] = None
    sasl_channel_binding: Annotated[
        bool,
        Field(
            "SASLChannelBinding",
            "Announce the SCRAM mechanisms with -PLUS, which tie a login to its TLS connection. "
            "Off because some mail programs, mutt among them, choose them and then fail.",
            ours=True,
        ),
    ] = False
    smtp: Annotated[ListenerSMTP, Field("SMTP", "Mail from other servers.")] = ListenerSMTP(
        enabled=False
    )
    submission: Annotated[
        ListenerSubmission,
        Field("Submission", "Sending by users, with STARTTLS. Prefer Submissions."),
    ] = ListenerSubmission(enabled=False)
    submissions: Annotated[
        ListenerSubmissions, Field("Submissions", "Sending by users, always with TLS.")
    ] = ListenerSubmissions(enabled=False)
    imap: Annotated[
        ListenerIMAP, Field("IMAP", "Reading by users, with STARTTLS. Prefer IMAPS.")
    ] = ListenerIMAP(enabled=False)
    imaps: Annotated[ListenerIMAPS, Field("IMAPS", "Reading by users, always with TLS.")] = (
        ListenerIMAPS(enabled=False)
    )
    account_http: Annotated[
        WebHTTP,
        Field("AccountHTTP", "Pages where users change their settings."),
    ] = NO_WEB_HTTP
    account_https: Annotated[
        WebHTTPS,
        Field("AccountHTTPS", "The same with TLS."),
    ] = NO_WEB_HTTPS
    admin_http: Annotated[
        WebHTTP,
        Field("AdminHTTP", "Pages for the administrator. Not for public addresses."),
    ] = NO_WEB_HTTP
    admin_https: Annotated[
        WebHTTPS,
        Field("AdminHTTPS", "The same with TLS."),
    ] = NO_WEB_HTTPS
    webmail_http: Annotated[
        WebHTTP,
        Field("WebmailHTTP", "Reading and sending mail in a browser."),
    ] = NO_WEB_HTTP
    webmail_https: Annotated[
        WebHTTPS,
        Field("WebmailHTTPS", "The same with TLS."),
    ] = NO_WEB_HTTPS
    webapi_http: Annotated[
        WebHTTP,
        Field("WebAPIHTTP", "Sending and receiving by programs, over HTTP and JSON."),
    ] = NO_WEB_HTTP
    webapi_https: Annotated[
        WebHTTPS,
        Field("WebAPIHTTPS", "The same with TLS."),
    ] = NO_WEB_HTTPS
    metrics_http: Annotated[
        MetricsHTTP,
        Field("MetricsHTTP", "Numbers for Prometheus, at /metrics. Not for public addresses."),
    ] = NO_METRICS_HTTP
    pprof_http: Annotated[
        PprofHTTP,
        Field("PprofHTTP", "Profiles of the running server. Not for public addresses."),
    ] = NO_PPROF_HTTP
    autoconfig_https: Annotated[
        WellKnownHTTPS,
        Field(
            "AutoconfigHTTPS",
            "Settings for mail programs, at autoconfig.<domain> and autodiscover.<domain>.",
        ),
    ] = NO_WELL_KNOWN_HTTPS
    mtasts_https: Annotated[
        WellKnownHTTPS,
        Field("MTASTSHTTPS", "Policies for mail to our domains (RFC 8461), at mta-sts.<domain>."),
    ] = NO_WELL_KNOWN_HTTPS
    webserver_http: Annotated[
        WebserverHTTP,
        Field("WebserverHTTP", "The handlers and redirects of domains.conf."),
    ] = NO_WEBSERVER_HTTP
    webserver_https: Annotated[
        WebserverHTTPS,
        Field("WebserverHTTPS", "The same with TLS."),
    ] = NO_WEBSERVER_HTTPS
