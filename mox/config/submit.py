"""The configuration of `mox sendmail`: the account through which programs of this machine send."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from mox.address import AddressError, parse_address
from mox.config.decode import decode
from mox.config.errors import ConfigErrors
from mox.config.load import open_report
from mox.config.schema import Field
from mox.config.transport import KNOWN_MECHANISMS


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitConfig:
    """The fields of moxsubmit.conf."""

    local_hostname: Annotated[
        str, Field("LocalHostname", "Name of this machine, for EHLO.", example="host.example.org")
    ]
    host: Annotated[
        str, Field("Host", "Name of the submission server.", example="mail.example.org")
    ]
    port: Annotated[int, Field("Port", "Its port: 465 with TLS, 587 with STARTTLS.")]
    tls: Annotated[bool, Field("TLS", "TLS from the first byte.")]
    starttls: Annotated[bool, Field("STARTTLS", "Begin in clear and go on with TLS.")]
    tls_insecure_skip_verify: Annotated[
        bool, Field("TLSInsecureSkipVerify", "Accept any certificate.")
    ] = False
    username: Annotated[str, Field("Username", "Name to log in with.", example="host@example.org")]
    password: Annotated[str, Field("Password", "Password to log in with.", example="secret")] = ""
    client_auth_ed25519_private_key: Annotated[
        str, Field("ClientAuthEd25519PrivateKey", "Key to log in with; not supported yet.")
    ] = ""
    client_auth_cert_private_key_pem_file: Annotated[
        str,
        Field(
            "ClientAuthCertPrivateKeyPEMFile",
            "File with a certificate and key to log in with; not supported yet.",
        ),
    ] = ""
    auth_method: Annotated[
        str,
        Field("AuthMethod", "SASL mechanism, such as SCRAM-SHA-256; empty: the best there is."),
    ]
    from_: Annotated[str, Field("From", "Sender of all messages.", example="host@example.org")]
    default_destination: Annotated[
        str,
        Field(
            "DefaultDestination",
            "Who gets mail for local users, such as root.",
            example="admin@example.org",
        ),
    ] = ""
    require_tls: Annotated[
        str,
        Field(
            "RequireTLS",
            'Ask for verified TLS on the whole way ("yes"), or for delivery without ("no").',
        ),
    ] = ""


def load_submit(path: Path) -> SubmitConfig:
    """Read and check the file. Raises ConfigErrors with all that is wrong."""
    report = open_report(path)
    config = decode(SubmitConfig, report)
    if config.tls and config.starttls:
        report.add_error(("STARTTLS",), "cannot be used together with TLS")
    if config.client_auth_ed25519_private_key:
        report.add_error(("ClientAuthEd25519PrivateKey",), "not supported yet, use Password")
    if config.client_auth_cert_private_key_pem_file:
        report.add_error(("ClientAuthCertPrivateKeyPEMFile",), "not supported yet, use Password")
    if not config.password:
        report.add_error(("Password",), "needed to log in")
    if config.auth_method and config.auth_method not in KNOWN_MECHANISMS:
        report.add_error(("AuthMethod",), f"must be one of {', '.join(KNOWN_MECHANISMS)}")
    if config.require_tls not in ("", "yes", "no"):
        report.add_error(("RequireTLS",), 'must be "yes" or "no"')
    for name, text in (
        ("From", config.from_),
        ("DefaultDestination", config.default_destination),
    ):
        try:
            if text or name == "From":
                parse_address(text)
        except AddressError as e:
            report.add_error((name,), str(e))
    if report.errors:
        raise ConfigErrors(report.errors)
    return config
