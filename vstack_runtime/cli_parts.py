"""What the command lines share: how they print, complain and end.

Exit codes: 0 done, 1 it failed, 2 the command line was wrong.
"""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import typer

if TYPE_CHECKING:
    from rich.console import Console

DONE, FAILED, WRONG_COMMAND_LINE = 0, 1, 2

# Traces and models write these texts: what moves a terminal's cursor, colours it or turns its direction is left out.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]+")


class Program:
    """A console script."""

    def __init__(self, name: str, about: str) -> None:
        """
        Args:
            name: Of the script.
            about: What its help begins with.
        """
        self.name = name
        self.app = typer.Typer(
            name=name,
            help=about,
            no_args_is_help=True,
            add_completion=False,
            rich_markup_mode=None,
            pretty_exceptions_enable=False,
        )

    def main(self) -> None:
        """Run the command line, and exit."""
        try:
            self.app(prog_name=self.name)
        except Exception as error:
            from vstack_runtime.settings import SettingsError

            if isinstance(error, SettingsError):
                self.complain(str(error))
                sys.exit(FAILED)
            # A bug of ours, or of a package that contributes a pattern; whoever wants to look into it asks for debug.
            if os.environ.get("VSTACK_LOG_LEVEL", "").strip().lower() == "debug":
                raise
            self.complain(f"{type(error).__name__}: {error} (VSTACK_LOG_LEVEL=debug shows where)")
            sys.exit(FAILED)

    def complain(self, message: str) -> None:
        """Say what is wrong, in a line on stderr."""
        typer.echo(f"{self.name}: {plain(message)}", err=True)

    def fail(self, message: str, code: int = FAILED) -> NoReturn:
        """Say what is wrong, and end."""
        self.complain(message)
        raise typer.Exit(code)


def console(*, stderr: bool = False) -> Console:
    """Where tables go."""
    from rich.console import Console

    # The texts of a trace are no markup.
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def print_json(value: Any) -> None:
    """A value as JSON, for people and programs."""
    import msgspec

    typer.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def plain(text: str) -> str:
    """A text of anybody's, safe for a terminal."""
    return _CONTROL.sub(" ", text)


def short(text: str, limit: int = 300) -> str:
    """A text that is not longer than this."""
    return text if len(text) <= limit else f"{text[:limit]}…"
