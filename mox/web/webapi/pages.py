"""The webapi's documentation as pages: what GET gives, without login.

Each page is made when it is first asked for; they depend on nothing but the version of mox.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from typing import Final

from bottle import SimpleTemplate

from mox.webapi import examples, hooks, openapi
from mox.webapi.fields import tables
from mox.webapi.hookexamples import HOOK_EXAMPLES
from mox.webapi.methods import FILE_FIELDS, METHODS, Method
from mox.webapi.types import ERROR_MEANINGS

_HERE: Final = Path(__file__).parent
_HTML: Final = "text/html; charset=utf-8"
_STATIC: Final = {
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
}

# For all that is in here: nothing but its own files, no frames, no other target for the form.
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "deny",
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True, slots=True)
class Page:
    """The body of a response, and what it is."""

    content_type: str
    body: bytes


def find_page(name: str, base: str) -> Page | None:
    """Return what is at a path below `v0/`: "" is the index; None when there is nothing.

    `base` is the path of the webapi itself, with slashes at both ends.
    """
    if name == "openapi.json":
        return _description(base)
    return _page(name) if name == "" or name in METHODS or name in _STATIC else None


@cache
def _description(base: str) -> Page:
    return Page("application/json", openapi.document(base))


@cache
def _page(name: str) -> Page:
    if name == "":
        return Page(_HTML, _index().encode())
    if name in METHODS:
        return Page(_HTML, _method(METHODS[name]).encode())
    return Page(_STATIC[name], (_HERE / "static" / name).read_bytes())


def _index() -> str:
    return _template("index.html").render(
        methods=METHODS.values(),
        errors=ERROR_MEANINGS,
        send_request='{"To": [{"Address": "ada@example.org"}], "Text": "Hello"}',
        id_header=hooks.ID_HEADER,
        hooks=[*tables(hooks.Outgoing), *tables(hooks.Incoming)],
        hook_examples={name: examples.hook_json(name) for name in HOOK_EXAMPLES},
        text=text,
    )


def _method(method: Method) -> str:
    return _template("method.html").render(
        method=method,
        request=examples.request_json(method.name),
        response=examples.response_json(method.name),
        request_tables=tables(method.request),
        response_tables=[] if method.response is None else tables(method.response),
        files=[*FILE_FIELDS] if method.name == "Send" else [],
        errors=ERROR_MEANINGS,
        text=text,
    )


def _template(name: str) -> SimpleTemplate:
    return SimpleTemplate(name=name, lookup=[str(_HERE / "templates")])


def text(plain: str) -> str:
    """Return a description as HTML; what is in backticks is code.

    >>> text("`a < b` & c")
    '<code>a &lt; b</code> &amp; c'
    """
    pieces = escape(plain).split("`")
    return "".join(f"<code>{piece}</code>" if i % 2 else piece for i, piece in enumerate(pieces))
