"""The configuration of `mox sendmail`: the account through which programs of this machine send."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from mox.address import AddressError, parse_address
from mox.config.decode import decode
from mox.config.errors import ConfigErrors
from mox.config.load import open_report
from mox.config.report import Report
from mox.config.schema import Field
from mox.config.transport import KNOWN_MECHANISMS

# RFC 4422 appendix A: who it is says the client certificate.
EXTERNAL = "EXTERNAL"


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
        str,
        Field(
            "ClientAuthEd25519PrivateKey",
            "Instead of a password: the key of a TLS client certificate, an Ed25519 seed in "
            "URL-safe base64 without padding. A certificate is made for it.",
        ),
    ] = ""
    client_auth_cert_private_key_pem_file: Annotated[
        str,
        Field(
            "ClientAuthCertPrivateKeyPEMFile",
            "Instead of a password: PEM file with a TLS client certificate and its key.",
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

    @property
    def has_client_key(self) -> bool:
        """Whether the login is with a key and not with a password."""
        return bool(
            self.client_auth_ed25519_private_key or self.client_auth_cert_private_key_pem_file
        )


def load_submit(path: Path) -> SubmitConfig:
    """Read and check the file. Raises ConfigErrors with all that is wrong."""
    report = open_report(path)
    config = decode(SubmitConfig, report)
    if config.tls and config.starttls:
        report.add_error(("STARTTLS",), "cannot be used together with TLS")
    _check_login(config, report)
    if config.auth_method and config.auth_method not in (*KNOWN_MECHANISMS, EXTERNAL):
        report.add_error(
            ("AuthMethod",), f"must be one of {', '.join((*KNOWN_MECHANISMS, EXTERNAL))}"
        )
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


def _check_login(config: SubmitConfig, report: Report) -> None:
    """There must be one way to log in, and it must work with the rest."""
    ways = {
        "Password": config.password,
        "ClientAuthEd25519PrivateKey": config.client_auth_ed25519_private_key,
        "ClientAuthCertPrivateKeyPEMFile": config.client_auth_cert_private_key_pem_file,
    }
    given = [name for name, value in ways.items() if value]
    if not given:
        report.add_error(("Password",), "needed to log in")
    for name in given[1:]:
        report.add_error((name,), f"cannot be used together with {given[0]}")
    if config.has_client_key and not (config.tls or config.starttls):
        report.add_error((given[0],), "needs TLS or STARTTLS")
    if config.auth_method and (config.auth_method == EXTERNAL) != config.has_client_key:
        way = "a client certificate" if config.has_client_key else "a password"
        report.add_error(("AuthMethod",), f"does not work with {way}")
