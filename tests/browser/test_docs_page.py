"""``/docs`` of a running server, in Chromium: under its own policy, in light and dark, narrow and wide."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.browser.conftest import Open, views, violations
from tests.e2e.conftest import Serve
from tests.e2e.conftest import serve as serve

pytestmark = pytest.mark.slow


@pytest.fixture
def small(serve: Serve) -> str:
    """The page of a server with few patterns, which axe-core goes through in seconds."""
    server = serve("asyncio", argv=[sys.executable, str(Path(__file__).with_name("few_patterns.py"))])
    return f"http://127.0.0.1:{server.port}/docs"


def test_every_part_of_the_whole_page_is_within_the_policy_and_the_window(serve: Serve, opened: Open) -> None:
    server = serve("asyncio")
    with opened(f"http://127.0.0.1:{server.port}/docs") as page:
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        links = page.evaluate("[...document.querySelectorAll('nav a')].map(one => one.getAttribute('href'))")
        assert len(links) > 40
        assert page.evaluate("links => links.every(one => document.querySelector(one))", links)
        for scheme, _ in views(page):
            # The style applies, and applies to the scheme: a policy that blocked it would leave white and black.
            colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert colour == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 27)"}[scheme]


def test_nothing_keeps_anybody_out(small: str, opened: Open) -> None:
    with opened(small) as page:
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        for scheme, width in views(page):
            assert violations(page) == [], (scheme, width)


def test_the_first_key_leads_past_the_navigation(small: str, opened: Open) -> None:
    with opened(small, "light", 360) as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Enter")
        assert page.evaluate("location.hash") == "#main"
        # On a telephone the navigation leaves room for what it leads to.
        assert page.evaluate("document.querySelector('nav').getBoundingClientRect().height < innerHeight * 0.7")
