"""Handlers of the webserver in domains.conf."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from mox.config.schema import Field


@dataclass(frozen=True, slots=True, kw_only=True)
class WebStatic:
    """Files from a directory."""

    strip_prefix: Annotated[
        str,
        Field(
            "StripPrefix",
            "Take this off the path before looking for a file. Other paths are not found.",
            example="/dir/",
        ),
    ] = ""
    root: Annotated[
        str,
        Field(
            "Root",
            "Directory with the files, relative to the working directory of the server.",
            example="web/example.org",
        ),
    ]
    list_files: Annotated[
        bool, Field("ListFiles", "Show the content of directories without index.html.")
    ] = False
    continue_not_found: Annotated[
        bool, Field("ContinueNotFound", "Try the next handlers when there is no such file.")
    ] = False
    response_headers: Annotated[
        Mapping[str, str],
        Field(
            "ResponseHeaders",
            "Headers to add to responses.",
            key="Cache-Control",
            example="max-age=86400",
        ),
    ] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebRedirect:
    """Another address for the same thing."""

    base_url: Annotated[
        str,
        Field(
            "BaseURL",
            "Scheme and host of the new address; path and query stay. A path makes no sense here.",
            example="https://www.example.org",
        ),
    ] = ""
    orig_path_regexp: Annotated[
        str,
        Field(
            "OrigPathRegexp",
            "Pattern for paths that are to be replaced, together with ReplacePath. Other paths are "
            "not found.",
            example="^/old/(.*)",
        ),
    ] = ""
    replace_path: Annotated[
        str,
        Field(
            "ReplacePath",
            "New path; $1 stands for the first group of the pattern.",
            example="/new/$1",
        ),
    ] = ""
    status_code: Annotated[int, Field("StatusCode", "HTTP status, 300 to 399.")] = 308


@dataclass(frozen=True, slots=True, kw_only=True)
class WebForward:
    """Another web server behind this one."""

    strip_path: Annotated[
        bool, Field("StripPath", "Take what PathRegexp matched off the path.")
    ] = False
    url: Annotated[
        str,
        Field(
            "URL",
            "Address to forward to; its path comes before that of the request.",
            example="http://127.0.0.1:8888/",
        ),
    ]
    response_headers: Annotated[
        Mapping[str, str],
        Field(
            "ResponseHeaders",
            "Headers to add to responses.",
            key="X-Served-By",
            example="mox",
        ),
    ] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebInternal:
    """One of the server's own services at a further place."""

    base_path: Annotated[
        str,
        Field("BasePath", "Path of the service, with a slash at both ends.", example="/webmail/"),
    ]
    service: Annotated[
        str, Field("Service", "admin, account, webmail or webapi.", example="webmail")
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class WebHandler:
    """Answer to requests for a host and paths: exactly one of the actions."""

    log_name: Annotated[
        str,
        Field(
            "LogName",
            "Name in logs and metrics. Without it the position in the list, from 0.",
            example="site",
        ),
    ] = ""
    domain: Annotated[str, Field("Domain", "Host name of the requests.", example="example.org")]
    path_regexp: Annotated[
        str, Field("PathRegexp", "Pattern for the path, beginning with ^.", example="^/")
    ]
    dont_redirect_plain_http: Annotated[
        bool,
        Field("DontRedirectPlainHTTP", "Answer requests without TLS, instead of redirecting them."),
    ] = False
    compress: Annotated[bool, Field("Compress", "Compress responses for which it pays.")] = False
    web_static: Annotated[WebStatic | None, Field("WebStatic", "Serve files from a directory.")] = (
        None
    )
    web_redirect: Annotated[
        WebRedirect | None, Field("WebRedirect", "Redirect to another address.")
    ] = None
    web_forward: Annotated[
        WebForward | None, Field("WebForward", "Forward to another web server.")
    ] = None
    web_internal: Annotated[
        WebInternal | None,
        Field("WebInternal", "Offer one of the server's own services."),
    ] = None
