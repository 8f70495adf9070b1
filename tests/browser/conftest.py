"""A real browser, and what a page may do in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Literal
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from tests.conftest import Service

Scheme = Literal["light", "dark"]
# What people have: a small telephone and a desk.
VIEWS: tuple[tuple[Scheme, int], ...] = (("light", 360), ("light", 1440), ("dark", 360), ("dark", 1440))

Open = Callable[..., AbstractContextManager[Page]]


# For a module, not for all: Playwright keeps an event loop running in this thread, and no other can run until it ends.
@pytest.fixture(scope="module")
def browser(service: Service) -> Iterator[Browser]:
    """Chromium as the system has it."""
    chromium = service("chromium")
    with sync_playwright() as playwright:
        # As root, and in containers, its own sandbox cannot be made; it sees our pages only.
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: Browser) -> Open:
    """Open a page as a person would: ``with opened(url, "dark", 360) as page``.

    At the end, its console must be silent, no other host asked, and nothing wider than the window.
    """

    @contextmanager
    def visit(url: str, scheme: Scheme = "light", width: int = 1440) -> Iterator[Page]:
        context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
        page = context.new_page()
        said: list[str] = []
        asked: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("requestfailed", lambda request: said.append(f"failed: {request.url}"))
        page.on("request", lambda request: asked.append(request.url))
        try:
            page.goto(url, wait_until="load")
            yield page
            _fits(page, width)
        finally:
            context.close()
        here = urlsplit(url)[:2]
        assert not said
        assert not [one for one in asked if urlsplit(one)[:2] != here and not one.startswith(("data:", "blob:"))]

    return visit


def _fits(page: Page, width: int) -> None:
    wide, window = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide <= window == width


def views(page: Page) -> Iterator[tuple[Scheme, int]]:
    """Show a page that is open in each view, one after the other; nothing is wider than the window in any.

    As where somebody makes the window narrower and evening comes: the page is not loaded again.
    """
    for scheme, width in VIEWS:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        # Colours may fade from one to the other: those on the way are nobody's to judge.
        page.evaluate("Promise.allSettled(document.getAnimations().map(one => one.finished))")
        yield scheme, width
        _fits(page, width)


def violations(page: Page) -> list[tuple[str, str]]:
    """What axe-core has against a page: the rule, and the first element that breaks it."""
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [(one["id"], one["nodes"][0]["html"]) for one in found]
