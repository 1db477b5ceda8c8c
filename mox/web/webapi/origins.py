"""Who made a browser call: with the password that it remembers, any page could have it send mail.

Programs send none of these header fields, and are let through.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment


def is_of_another_site(environ: WSGIEnvironment) -> bool:
    """Return whether a browser makes the request for a page of another origin."""
    # W3C Fetch Metadata §2.3: "none" is the user's own doing. Browsers send it over TLS, and to
    # this machine.
    relation: str | None = environ.get("HTTP_SEC_FETCH_SITE")
    if relation is not None:
        return relation not in ("same-origin", "none")
    # RFC 6454 §7: null is an origin that the browser does not tell.
    origin: str | None = environ.get("HTTP_ORIGIN")
    if origin is None:
        return False
    try:
        host = urlsplit(origin).netloc
    except ValueError:
        return True
    return not host or host.lower() != environ.get("HTTP_HOST", "").lower()
