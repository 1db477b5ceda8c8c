"""What must hold for the webserver: redirects of domains, and handlers."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from mox.config.check_account import check_http_url
from mox.config.dynamic import Dynamic
from mox.config.names import check_domain, check_pattern
from mox.config.report import Scope
from mox.config.static import Static
from mox.config.webhandler import WebForward, WebHandler, WebInternal, WebRedirect, WebStatic

_SERVICES = ("admin", "account", "webmail", "webapi")


def check_web(dynamic: Dynamic, static: Static, scope: Scope) -> None:
    """Report what is wrong with WebDomainRedirects and WebHandlers."""
    has_webserver = any(
        listener.webserver_http.enabled or listener.webserver_https.enabled
        for listener in static.listeners.values()
    )
    for field, value in (
        ("WebDomainRedirects", dynamic.web_domain_redirects),
        ("WebHandlers", dynamic.web_handlers),
    ):
        if value and not has_webserver:
            scope.error("no listener has WebserverHTTP or WebserverHTTPS", field)
    _check_redirects(dynamic.web_domain_redirects, scope.at("WebDomainRedirects"))
    for index, handler in enumerate(dynamic.web_handlers):
        _check_handler(handler, scope.at("WebHandlers", index))


def _check_redirects(redirects: Mapping[str, str], scope: Scope) -> None:
    seen: set[str] = set()
    for source, target in redirects.items():
        from_domain = check_domain(scope, source, source)
        to_domain = check_domain(scope, target, source)
        if from_domain is None:
            continue
        if from_domain == to_domain:
            scope.error("redirects to itself", source)
        if from_domain.ascii in seen:
            scope.error(f"duplicate domain {from_domain.unicode}", source)
        seen.add(from_domain.ascii)


def _check_handler(handler: WebHandler, scope: Scope) -> None:
    check_domain(scope, handler.domain, "Domain")
    if not handler.path_regexp.startswith("^"):
        scope.error("must begin with ^", "PathRegexp")
    check_pattern(scope, handler.path_regexp, "PathRegexp")
    actions = (
        handler.web_static,
        handler.web_redirect,
        handler.web_forward,
        handler.web_internal,
    )
    if sum(action is not None for action in actions) != 1:
        scope.error("one of WebStatic, WebRedirect, WebForward, WebInternal is needed")
    if handler.web_static is not None:
        _check_static_files(handler.web_static, scope.at("WebStatic"))
    if handler.web_redirect is not None:
        _check_redirect(handler.web_redirect, scope.at("WebRedirect"))
    if handler.web_forward is not None:
        _check_forward(handler.web_forward, scope.at("WebForward"))
    if handler.web_internal is not None:
        _check_internal(handler.web_internal, scope.at("WebInternal"))


def _check_static_files(static_files: WebStatic, scope: Scope) -> None:
    if static_files.strip_prefix and not static_files.strip_prefix.startswith("/"):
        scope.error("must begin with a slash", "StripPrefix")
    _check_headers(static_files.response_headers, scope.at("ResponseHeaders"))


def _check_headers(headers: Mapping[str, str], scope: Scope) -> None:
    for name in headers:
        if not name or name != name.strip():
            scope.error("header name is empty or has space around it", name)


def _check_redirect(redirect: WebRedirect, scope: Scope) -> None:
    if redirect.base_url:
        check_http_url(scope, redirect.base_url, "BaseURL")
        _check_no_path(redirect.base_url, scope)
    check_pattern(scope, redirect.orig_path_regexp, "OrigPathRegexp")
    if bool(redirect.orig_path_regexp) != bool(redirect.replace_path):
        scope.error("OrigPathRegexp and ReplacePath are needed together")
    elif not redirect.base_url and not redirect.orig_path_regexp:
        scope.error("BaseURL, or OrigPathRegexp with ReplacePath, is needed")
    if not 300 <= redirect.status_code <= 399:
        scope.error("must be from 300 to 399", "StatusCode")


def _check_no_path(url: str, scope: Scope) -> None:
    try:
        parts = urlsplit(url)
    except ValueError:
        return  # reported with the address
    if parts.path not in ("", "/"):
        scope.error("must not have a path", "BaseURL")


def _check_forward(forward: WebForward, scope: Scope) -> None:
    check_http_url(scope, forward.url, "URL")
    _check_headers(forward.response_headers, scope.at("ResponseHeaders"))


def _check_internal(internal: WebInternal, scope: Scope) -> None:
    if not internal.base_path.startswith("/") or not internal.base_path.endswith("/"):
        scope.error("must begin and end with a slash", "BasePath")
    if internal.service not in _SERVICES:
        scope.error(
            f"unknown service {internal.service!r}: one of {', '.join(_SERVICES)}", "Service"
        )
