"""The webapi's pages on a real server, in a browser that logs in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, expect

from tests.support.browser import chromium, new_page
from tests.support.server import PASSWORD, USER, Server, eventually


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


def test_a_message_is_sent_from_the_page(shared: Server, browser: Browser) -> None:
    with new_page(browser, USER, PASSWORD) as page:
        page.goto(f"http://localhost:{shared.http}/webapi/")
        page.get_by_role("link", name="Send", exact=True).click()
        request = {"To": [{"Address": USER}], "Subject": "From a page", "Text": "ä"}
        page.get_by_label("Request").fill(json.dumps(request))
        page.get_by_role("button", name="Call").click()
        expect(page.locator("#status")).to_have_text("200 OK")
        answer = json.loads(page.locator("#content").inner_text())
    assert answer["MessageID"].startswith("<")
    eventually(lambda: shared.count() == 1)


def test_the_form_works_without_scripts(shared: Server, browser: Browser, tmp_path: Path) -> None:
    """And what was not chosen is not attached."""
    (tmp_path / "ß.txt").write_text("hello")
    login = {"username": USER, "password": PASSWORD}
    context = browser.new_context(http_credentials=login, java_script_enabled=False)
    try:
        page = context.new_page()
        page.goto(f"http://localhost:{shared.http}/webapi/v0/Send")
        request = {"To": [{"Address": USER}], "Text": "x"}
        page.get_by_label("Request").fill(json.dumps(request))
        page.get_by_label("inlinefile").set_input_files(tmp_path / "ß.txt")
        page.get_by_role("button", name="Call").click()
        expect(page.get_by_text('"MessageID"')).to_be_visible()
    finally:
        context.close()
    eventually(lambda: shared.count() == 1)
    client = shared.imap_client()
    client.select("INBOX")
    [(_, raw), *_] = client.fetch("1", "(BODY.PEEK[])")[1]
    client.logout()
    parts = [part for part in message_from_bytes(raw).walk() if not part.is_multipart()]
    assert [part.get_content_disposition() for part in parts] == [None, "inline"]
    assert parts[1].get_payload(decode=True) == b"hello"


def test_pages_need_no_login(shared: Server) -> None:
    with urlopen(f"http://localhost:{shared.http}/webapi/v0/openapi.json", timeout=20) as answer:
        document = json.load(answer)
    assert document["servers"] == [{"url": "/webapi/v0"}]
    for path in document["paths"]:
        address = f"http://localhost:{shared.http}{document['servers'][0]['url']}{path}"
        with urlopen(address, timeout=20) as answer:
            assert answer.headers.get_content_type() == "text/html"
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_a_page_of_another_site_cannot_send(shared: Server, browser: Browser) -> None:
    """Though the browser knows the password."""
    address = f"http://localhost:{shared.http}/webapi/v0/SuppressionAdd"
    field = '<input name="request" value="{&quot;EmailAddress&quot;:&quot;a@b.example&quot;}">'
    form = f'<form method="post" action="{address}">{field}<button>Win</button></form>'
    context = browser.new_context(http_credentials={"username": USER, "password": PASSWORD})
    try:
        page = context.new_page()
        page.goto(address)
        evil = "http://evil.example/"
        page.route(evil, lambda route: route.fulfill(body=form, content_type="text/html"))
        page.goto(evil)
        with page.expect_response(address) as answer:
            page.get_by_role("button", name="Win").click()
        assert answer.value.status == 403
    finally:
        context.close()
