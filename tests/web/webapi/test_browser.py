"""The pages in a browser, with a server that answers calls as a test says."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest
from playwright.sync_api import Browser, Page, expect

from mox.web.webapi import pages
from tests.support.browser import chromium, new_page
from tests.support.server import eventually

pytestmark = pytest.mark.e2e

AXE = Path(sys.prefix) / "npm/node_modules/axe-core/axe.min.js"
JSON = "application/json; charset=utf-8"


@dataclass
class Site:
    url: str = ""
    answer: tuple[str, str, bytes] = ("200 OK", JSON, b"{}\n")
    bodies: list[bytes] = field(default_factory=list)

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "POST":
            self.bodies.append(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
            status, kind, body = self.answer
        else:
            page = pages.find_page(environ["PATH_INFO"].removeprefix("/webapi/v0/"), "/webapi/")
            status = "200 OK" if page else "404 Not Found"
            kind, body = (page.content_type, page.body) if page else ("text/plain", b"")
        start(status, [("Content-Type", kind), *pages.HEADERS.items()])
        return [body]


class Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    server = make_server("127.0.0.1", 0, site, handler_class=Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_port}/webapi/v0/"
    yield site
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with new_page(browser) as page:
        yield page


def call(page: Page) -> str:
    """Press the button; returns the status that is shown."""
    page.get_by_role("button", name="Call").click()
    expect(page.locator("#status")).to_have_text(re.compile("^([0-9]|No answer)"))
    return page.locator("#status").inner_text()


def test_from_the_index_to_a_call(site: Site, page: Page) -> None:
    site.answer = ("200 OK", JSON, b'{"Present":true}\n')
    page.goto(site.url)
    assert page.title() == "Webapi - Mox"
    page.get_by_role("link", name="SuppressionPresent").click()
    page.get_by_label("Request").fill('{"EmailAddress":"a@b.example"}')
    assert call(page) == "200 OK"
    assert page.locator("#content").inner_text() == '{\n  "Present": true\n}'
    [body] = site.bodies
    assert b'name="request"\r\n\r\n{"EmailAddress":"a@b.example"}\r\n' in body
    page.get_by_role("button", name="Reset").click()
    assert "ada@example.org" in page.get_by_label("Request").input_value()
    page.get_by_role("link", name="Webapi").click()
    page.wait_for_url(site.url)


def test_errors_are_shown(site: Site, browser: Browser) -> None:
    site.answer = ("400 Bad Request", JSON, b'{"Code":"user","Message":"<b>no</b>"}\n')
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{site.url}MessageMove")
    assert call(page).startswith("400")
    assert '"Message": "<b>no</b>"' in page.locator("#content").inner_text()
    site.answer = ("429 Too Many Requests", "text/plain", b"429 - too many auth attempts\n")
    assert call(page).startswith("429")
    assert "too many auth attempts" in page.locator("#content").inner_text()
    context.close()


def test_files_go_along_and_none_when_none_is_chosen(
    site: Site, page: Page, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("first")
    (tmp_path / "ß.txt").write_text("second")
    page.goto(f"{site.url}Send")
    call(page)
    assert b"filename" not in site.bodies[0]
    page.get_by_label("attachedfile").set_input_files([tmp_path / "a.txt", tmp_path / "ß.txt"])
    call(page)
    assert site.bodies[1].count(b'name="attachedfile"; filename=') == 2
    assert 'filename="ß.txt"'.encode() in site.bodies[1]
    assert b"\r\n\r\nsecond\r\n" in site.bodies[1]


def test_content_of_strangers_stays_text(site: Site, page: Page, tmp_path: Path) -> None:
    content = b"<script>document.title = 'taken'</script><b>x</b>\0\xff"
    site.answer = ("200 OK", "text/html", content)
    page.goto(f"{site.url}MessagePartGet")
    title = page.title()
    assert call(page) == f"200 OK, {len(content)} octets"
    assert page.locator("#content").inner_text().startswith("<script>document.title")
    assert page.locator("#content b").count() == 0
    assert page.title() == title
    with page.expect_download() as download:
        page.get_by_role("link", name="Save the content").click()
    assert download.value.suggested_filename == "MessagePartGet"
    download.value.save_as(tmp_path / "saved")
    assert (tmp_path / "saved").read_bytes() == content


def test_the_policy_is_in_force(site: Site, browser: Browser) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(site.url)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))

    def refused() -> list[str]:
        page.wait_for_timeout(1)  # lets the browser tell
        return [text for text in said if "Content Security Policy" in text]

    page.evaluate(
        """() => {
            const inline = document.createElement("script")
            inline.textContent = "document.title = 'taken'"
            document.body.append(inline)
            const image = document.createElement("img")
            image.src = "https://tracker.example/x.png"
            document.body.append(image)
        }"""
    )
    eventually(lambda: len(refused()) == 2)
    assert page.title() == "Webapi - Mox"
    context.close()


def test_keyboard_reaches_everything(site: Site, page: Page) -> None:
    page.goto(f"{site.url}SuppressionAdd")
    reached = []
    for _ in range(5):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.outerHTML.slice(0, 30)"))
    assert reached[0].startswith('<a href="./"')
    assert [piece.split()[0] for piece in reached[1:]] == [
        "<textarea",
        "<button",
        "<button",
        "<textarea",
    ]


@pytest.mark.parametrize("name", ["", "Send"])
def test_a_narrow_window_is_enough(site: Site, page: Page, name: str) -> None:
    page.set_viewport_size({"width": 360, "height": 640})
    page.goto(f"{site.url}{name}")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize("name", ["", "Send", "MessagePartGet"])
def test_axe_finds_no_barrier(site: Site, page: Page, name: str) -> None:
    """Rules of WCAG that a program can check, before and after a call."""
    page.goto(f"{site.url}{name}")
    page.evaluate(AXE.read_text() + ";0")
    found = page.evaluate("() => axe.run()")["violations"]
    if name:
        call(page)
        found += page.evaluate("() => axe.run()")["violations"]
    assert found == []
