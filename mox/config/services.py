"""The services of a listener with their ports, and which of them exclude each other."""

from __future__ import annotations

from mox.config.listener import (
    Listener,
    ListenerIMAP,
    ListenerIMAPS,
    ListenerSMTP,
    ListenerSubmission,
    ListenerSubmissions,
)
from mox.config.report import Scope
from mox.config.static import Static
from mox.config.webservice import (
    MetricsHTTP,
    PprofHTTP,
    WebHTTP,
    WebHTTPS,
    WebserverHTTP,
    WebserverHTTPS,
    WellKnownHTTPS,
)

Service = (
    ListenerSMTP
    | ListenerSubmission
    | ListenerSubmissions
    | ListenerIMAP
    | ListenerIMAPS
    | MetricsHTTP
    | PprofHTTP
    | WebHTTP
    | WebHTTPS
    | WebserverHTTP
    | WebserverHTTPS
    | WellKnownHTTPS
)


def web_services(listener: Listener) -> dict[str, WebHTTP | WebHTTPS]:
    """Return the services that have a path, by field name."""
    return {
        "AccountHTTP": listener.account_http,
        "AccountHTTPS": listener.account_https,
        "AdminHTTP": listener.admin_http,
        "AdminHTTPS": listener.admin_https,
        "WebmailHTTP": listener.webmail_http,
        "WebmailHTTPS": listener.webmail_https,
        "WebAPIHTTP": listener.webapi_http,
        "WebAPIHTTPS": listener.webapi_https,
    }


def enabled_ports(listener: Listener) -> dict[str, tuple[int, str]]:
    """Map the field name of each enabled service to its port and the kind of its server.

    Services of one kind can share a port only when the kind is http or https.
    """
    auto, mtasts = listener.autoconfig_https, listener.mtasts_https
    services: dict[str, tuple[Service, str]] = {
        "SMTP": (listener.smtp, "smtp"),
        "Submission": (listener.submission, "submission"),
        "Submissions": (listener.submissions, "submissions"),
        "IMAP": (listener.imap, "imap"),
        "IMAPS": (listener.imaps, "imaps"),
        "MetricsHTTP": (listener.metrics_http, "http"),
        "PprofHTTP": (listener.pprof_http, "pprof"),
        "AutoconfigHTTPS": (auto, "http" if auto.non_tls else "https"),
        "MTASTSHTTPS": (mtasts, "http" if mtasts.non_tls else "https"),
        "WebserverHTTP": (listener.webserver_http, "http"),
        "WebserverHTTPS": (listener.webserver_https, "https"),
    }
    for name, service in web_services(listener).items():
        services[name] = (service, "https" if name.endswith("HTTPS") else "http")
    return {
        name: (service.port, kind) for name, (service, kind) in services.items() if service.enabled
    }


def check_ports(static: Static, scope: Scope) -> None:
    """Report bad ports, and services that want the same port of the same address."""
    taken: dict[tuple[str, int], tuple[str, str, str]] = {}
    for name, listener in static.listeners.items():
        for service, (port, kind) in enabled_ports(listener).items():
            if not 0 < port < 65536:
                scope.error("must be a port from 1 to 65535", name, service, "Port")
                continue
            for ip in listener.ips:
                first, other, its_kind = taken.setdefault((ip, port), (name, service, kind))
                if (first, other) == (name, service):
                    continue
                # Services of the web share a port of their listener; a port has one listener.
                if first != name or kind != its_kind or kind not in ("http", "https"):
                    by = f"{first}.{other}, which serves {its_kind}"
                    scope.error(f"port {port} of {ip} is taken by {by}", name, service)
                    break
