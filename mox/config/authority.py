"""Certificate authorities in mox.conf: those to trust, and those to get certificates from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from mox.config.schema import Field


@dataclass(frozen=True, slots=True, kw_only=True)
class CA:
    """Certificate authorities for connections that the server makes."""

    additional_to_system: Annotated[
        bool,
        Field(
            "AdditionalToSystem",
            "Trust these authorities besides those of the operating system, not instead of them.",
        ),
    ] = False
    cert_files: Annotated[
        tuple[str, ...],
        Field(
            "CertFiles",
            "PEM files with certificates of authorities, relative to the directory of mox.conf.",
            example="/etc/ssl/my-authority.pem",
        ),
    ] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticTLS:
    """TLS settings for the whole server."""

    ca: Annotated[
        CA | None,
        Field(
            "CA",
            "Authorities that may vouch for other servers, for outgoing SMTP and HTTPS. Without "
            "this block those of the operating system are used.",
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalAccountBinding:
    """Ties an ACME account to an account that the authority knows already."""

    key_id: Annotated[
        str, Field("KeyID", "Key identifier that the authority gave out.", example="kid-1")
    ]
    key_file: Annotated[
        str,
        Field(
            "KeyFile",
            "File with the MAC key in base64url without padding, relative to the directory of "
            "mox.conf.",
            example="acme-eab.key",
        ),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class ACME:
    """An authority that issues certificates automatically (RFC 8555)."""

    directory_url: Annotated[
        str,
        Field(
            "DirectoryURL",
            "Address of the authority's ACME directory.",
            example="https://acme-v02.api.letsencrypt.org/directory",
        ),
    ]
    renew_before: Annotated[
        timedelta,
        Field(
            "RenewBefore",
            "How long before its end a certificate is renewed. Without it: 30 days, or a third of "
            "the lifetime when that is less.",
            example="720h0m0s",
        ),
    ] = timedelta()
    contact_email: Annotated[
        str,
        Field(
            "ContactEmail",
            "Address that the authority may write to about problems with certificates.",
            example="postmaster@example.org",
        ),
    ]
    port: Annotated[
        int,
        Field(
            "Port",
            "TCP port that answers the authority's tls-alpn-01 challenges. The authority always "
            "connects to port 443: another value is for machines whose port 443 is forwarded.",
        ),
    ] = 443
    issuer_domain_name: Annotated[
        str,
        Field(
            "IssuerDomainName",
            "Name of the authority for CAA records in DNS advice. Known without this for Let's "
            "Encrypt.",
            example="letsencrypt.org",
        ),
    ] = ""
    external_account_binding: Annotated[
        ExternalAccountBinding | None,
        Field("ExternalAccountBinding", "Credentials that some authorities require to sign up."),
    ] = None


NO_STATIC_TLS = StaticTLS()
