"""What the site needs beside the pages: links into the repository become the names of what they led to, and the theme's
search dialog gets a name that a screen reader can say."""

from __future__ import annotations

import re
from typing import Any

_OUT = re.compile(r"\[([^]]+)\]\(\.\./([^)#]+)(?:#[^)]*)?\)")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by MkDocs for each page."""
    return _OUT.sub(_named, markdown)


def on_post_page(output: str, **_: Any) -> str:
    """Called by MkDocs with the HTML of each page."""
    return output.replace('role="dialog"', 'role="dialog" aria-label="Search"')


def _named(link: re.Match[str]) -> str:
    text, path = link.groups()
    return text if text.strip("`") in path else f"{text} (`{path}`)"
