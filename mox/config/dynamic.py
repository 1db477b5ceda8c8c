"""The fields of domains.conf: what changes while the server runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from mox.config.account import Account
from mox.config.domain import Domain
from mox.config.schema import Field
from mox.config.transport import Route
from mox.config.webhandler import WebHandler


@dataclass(frozen=True, slots=True, kw_only=True)
class Dynamic:
    """The whole of domains.conf."""

    domains: Annotated[
        Mapping[str, Domain],
        Field(
            "Domains",
            "Domains that we take mail for, by name in lower case, not in the xn-- form. A domain "
            "without any address is not taken mail for, it can only have its reports sent to an "
            "address elsewhere.",
            key="example.org",
        ),
    ]
    accounts: Annotated[
        Mapping[str, Account],
        Field(
            "Accounts",
            "Users, by the name of their directory in DataDir/accounts. The name is no address and "
            "cannot be used to log in.",
            key="mjl",
        ),
    ]
    web_domain_redirects: Annotated[
        Mapping[str, str],
        Field(
            "WebDomainRedirects",
            "Redirect all web requests for a host to another host, with https.",
            key="example.net",
            example="www.example.net",
        ),
    ] = field(default_factory=dict)
    web_handlers: Annotated[
        tuple[WebHandler, ...],
        Field(
            "WebHandlers",
            "What the webserver answers. The first handler that matches is used.",
        ),
    ] = ()
    routes: Annotated[
        tuple[Route, ...],
        Field("Routes", "For all messages, tried after those of account and domain."),
    ] = ()
    monitor_dnsbls: Annotated[
        tuple[str, ...],
        Field(
            "MonitorDNSBLs",
            "DNS block lists to look for our own addresses in, for the metrics.",
            example="sbl.spamhaus.org",
        ),
    ] = ()
