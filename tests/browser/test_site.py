"""The site that ``make docs`` builds, in Chromium."""

from __future__ import annotations

import functools
import http.server
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.conftest import Open, views, violations

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(path.stem for path in (ROOT / "docs").glob("*.md"))

pytestmark = pytest.mark.slow


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and logs nothing."""

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """The site, built as strictly as ``make docs`` builds it: its folder, and where it is served."""
    folder = tmp_path_factory.mktemp("site")
    mkdocs = Path(sys.executable).with_name("mkdocs")
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(
        [mkdocs, "build", "--strict", "-d", folder], cwd=ROOT, env=env, capture_output=True, text=True
    )
    assert built.returncode == 0, built.stderr
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_every_page_is_in_the_navigation_and_asks_no_other_host(site: tuple[Path, str]) -> None:
    folder, _ = site
    index = (folder / "index.html").read_text("utf-8")
    for page in PAGES:
        text = (folder / f"{page}.html").read_text("utf-8")
        assert f'href="{"./" if page == "index" else f"{page}.html"}"' in index or page == "index"
        fetched = re.findall(r"<(?:script|img|source|iframe)[^>]* src=\"([^\"]+)|<link[^>]* href=\"([^\"]+)", text)
        assert not [one for pair in fetched for one in pair if re.match(r"(https?:)?//", one)]


@pytest.mark.parametrize("page", PAGES)
def test_it_reads_well_on_a_telephone_and_at_a_desk_by_day_and_by_night(
    site: tuple[Path, str], opened: Open, page: str
) -> None:
    with opened(f"{site[1]}/{page}.html") as shown:
        for scheme, width in views(shown):
            theme = shown.evaluate("document.body.dataset.mdColorScheme")
            assert theme == {"light": "default", "dark": "slate"}[scheme]
            assert violations(shown) == [], (scheme, width)


def test_the_search_finds_a_setting_without_asking_anybody(site: tuple[Path, str], opened: Open) -> None:
    # What is typed before the page listens is lost; its address is read whenever it comes to that.
    with opened(f"{site[1]}/index.html?q=VSTACK_DRAIN_DELAY") as page:
        page.locator(".md-search-result__item").first.wait_for()
