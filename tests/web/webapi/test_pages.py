"""The pages that document the webapi."""

from __future__ import annotations

from html.parser import HTMLParser

import msgspec
import pytest

from mox.web.webapi import pages
from mox.webapi.decoding import decode_request
from mox.webapi.methods import METHODS

VOID = {"meta", "link", "input", "br"}


class Read(HTMLParser):
    """A page's elements; every one that is opened has to be closed, in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text: dict[str, str] = {}
        self._inside = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.elements.append((tag, found))
        self._inside = found.get("id", tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self._inside = ""

    def handle_data(self, data: str) -> None:
        self.text[self._inside] = self.text.get(self._inside, "") + data

    def of(self, tag: str) -> list[dict[str, str]]:
        return [attrs for name, attrs in self.elements if name == tag]


def page(name: str) -> Read:
    found = pages.find_page(name, "/webapi/")
    assert found is not None
    assert found.content_type == "text/html; charset=utf-8"
    return Read(found.body.decode())


@pytest.mark.parametrize("name", ["", *METHODS])
def test_nothing_is_inline_or_from_elsewhere(name: str) -> None:
    read = page(name)
    assert [link["href"] for link in read.of("link")] == ["page.css"]
    assert [script["src"] for script in read.of("script")] == ["page.js"]
    assert not read.of("style")
    for _, attrs in read.elements:
        assert not [attr for attr in attrs if attr.startswith("on") or attr == "style"]
        assert "//" not in attrs.get("src", "") + attrs.get("href", "")
    [robots] = [meta for meta in read.of("meta") if meta.get("name") == "robots"]
    assert robots["content"] == "noindex,nofollow"
    assert read.of("html") == [{"lang": "en"}]


def test_the_index_lists_the_methods_in_order() -> None:
    read = page("")
    assert read.text["title"] == "Webapi - Mox"
    links = [link["href"] for link in read.of("a")]
    assert links == [*sorted(METHODS), "openapi.json"]
    assert len(links) == 13


@pytest.mark.parametrize("name", METHODS)
def test_a_method_has_a_form_with_a_request_that_is_one(name: str) -> None:
    read = page(name)
    assert read.text["title"] == f"Method {name} - WebAPI - Mox"
    [form] = read.of("form")
    assert (form["method"], form["enctype"]) == ("post", "multipart/form-data")
    assert form["action"] == name
    decode_request(read.text["request"].encode(), METHODS[name].request)
    buttons = {button["type"] for button in read.of("button")}
    assert buttons == {"submit", "reset"}
    files = [field["name"] for field in read.of("input") if field["type"] == "file"]
    assert bool(files) == (name == "Send")


@pytest.mark.parametrize("name", METHODS)
def test_a_method_shows_a_response_that_is_one(name: str) -> None:
    kind = METHODS[name].response
    read = page(name)
    if kind is None:
        assert "response" not in read.text
        assert "not JSON" in "".join(read.text.values())
    else:
        msgspec.json.decode(read.text["response"], type=kind)


def test_every_label_is_of_a_field() -> None:
    for name in METHODS:
        read = page(name)
        ids = {attrs["id"] for _, attrs in read.elements if "id" in attrs}
        assert {label["for"] for label in read.of("label") if "for" in label} <= ids


def test_there_is_nothing_else() -> None:
    for name in ("send", "Send/", "../pages.py", "static/page.css", "index", "page.html"):
        assert pages.find_page(name, "/webapi/") is None
    style, script = (pages.find_page(name, "/") for name in ("page.css", "page.js"))
    assert style is not None
    assert script is not None
    assert style.content_type == "text/css; charset=utf-8"
    assert script.content_type == "text/javascript; charset=utf-8"


def test_the_policy_allows_no_inline_code() -> None:
    policy = pages.HEADERS["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
