"""Chromium of Debian, without a window, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, sync_playwright


@contextmanager
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium")
    assert path, "chromium is not installed; `make tools` does it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def new_page(browser: Browser, user: str = "", password: str = "") -> Iterator[Page]:
    """A page with its own cookies and logins; errors in its console fail the test."""
    login = {"username": user, "password": password} if user else None
    context = browser.new_context(http_credentials=login)  # type: ignore[arg-type]
    try:
        page = context.new_page()
        page.set_default_timeout(20_000)
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda said: said.type == "error" and problems.append(said.text))
        yield page
        assert problems == []
    finally:
        context.close()
