"""What the command lines share: how they print, complain and end.

Exit codes: 0 done, 1 it failed, 2 the command line was wrong.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

from vstack_runtime.terminal import plain

if TYPE_CHECKING:
    from rich.console import Console

    from vstack_runtime.settings import Settings

T = TypeVar("T")

DONE, FAILED, WRONG_COMMAND_LINE = 0, 1, 2
# More would scroll the first ones, which matter most, off the screen.
MAX_SHOWN = 10
# Columns.
PIPED_WIDTH = 120

Json = Annotated[bool, typer.Option("--json", help="As JSON.")]


# What the settings of this run were already said to warn of: some commands read them several times.
_warned: set[str] = set()


def _version() -> str:
    import importlib.metadata

    return importlib.metadata.version("vstack")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(_version())
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version, and exit.")
]


class Program:
    """A console script."""

    def __init__(
        self,
        name: str,
        about: str,
        *examples: str,
        told: Callable[[], tuple[type[Exception], ...]] = tuple,
    ) -> None:
        """
        Args:
            name: Of the script.
            about: What its help begins with.
            examples: Command lines that its help ends with.
            told: Gives the exceptions whose text is all that a person needs; asked only once there is one.
        """
        self.name = name
        self._told = told
        self.app = typer.Typer(
            name=name,
            help=about,
            epilog=epilog(*examples),
            no_args_is_help=True,
            rich_markup_mode=None,
            pretty_exceptions_enable=False,
        )

    def takes_version(self) -> None:
        """Give a script of several commands the flag ``--version``."""

        @self.app.callback()
        def first(version: Version = False) -> None:
            """Come before every command."""

    def tells_version(self) -> None:
        """Give the script the command ``version``, and the flag."""
        self.takes_version()

        @self.app.command()
        def version(as_json: Json = False) -> None:
            """Print the version."""
            if as_json:
                print_json({"version": _version()})
            else:
                typer.echo(_version())

    def settings(self) -> Settings:
        """What the environment says; what looks like a mistake in it is told on stderr, once.

        Raises:
            SettingsError: A variable is malformed.
        """
        from vstack_runtime.settings import Settings

        settings = Settings.from_env(os.environ)
        for warning in settings.warnings:
            if warning not in _warned:
                self.complain(f"warning: {warning}")
        _warned.update(settings.warnings)
        return settings

    def main(self) -> NoReturn:
        """Run the command line, and exit."""
        _warned.clear()
        try:
            code = self.app(prog_name=self.name, standalone_mode=False)
            sys.stdout.flush()
        except Exception as error:
            code = self._failed(error)
        sys.exit(code if isinstance(code, int) else DONE)

    def _failed(self, error: Exception) -> int:
        """Say in a line what went wrong; the exit code."""
        if isinstance(error, BrokenPipeError):
            # Who was to read has left, as head does. Python would complain once more when it flushes at the end.
            with contextlib.suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            return FAILED
        if isinstance(error, typer.Abort):
            self.complain("stopped; nothing was done")
            return FAILED
        # Typer's own: what was wrong with the command line.
        if (explain := getattr(error, "format_message", None)) is not None:
            self._wrong(explain(), getattr(error, "ctx", None))
            return int(getattr(error, "exit_code", WRONG_COMMAND_LINE))
        from vstack_runtime.settings import SettingsError

        if isinstance(error, (SettingsError, *self._told())):
            self.complain(str(error))
            return FAILED
        from vstack_runtime.backends import StoreAway

        if isinstance(error, StoreAway):
            self.complain(f"{error}; start the Redis that VSTACK_LEARNINGS or VSTACK_TELEMETRY names, or name another")
            return FAILED
        # A bug of ours, or of a package that contributes a pattern; whoever wants to look into it asks for debug.
        if os.environ.get("VSTACK_LOG_LEVEL", "").strip().lower() == "debug":
            raise error
        if isinstance(error, OSError) and error.strerror and error.filename is not None:
            self.complain(f"{error.filename}: {error.strerror}")
        else:
            self.complain(f"{type(error).__name__}: {error} (VSTACK_LOG_LEVEL=debug shows where)")
        return FAILED

    def _wrong(self, message: str, context: Any) -> None:
        if context is not None and message == context.get_help():
            # Nothing was asked for: all the help there is.
            typer.echo(message, err=True)
            return
        path = context.command_path if context is not None else self.name
        # What the library of models behind a choice says before the reason.
        message = message.replace(": Value error, ", ": ")
        self.complain(f"{message.rstrip('.')}; {path} --help shows what there is")

    def complain(self, message: str) -> None:
        """Say what is wrong, in a line on stderr."""
        typer.echo(f"{self.name}: {plain(message)}", err=True)

    def fail(self, message: str, code: int = FAILED) -> NoReturn:
        """Say what is wrong, and end."""
        self.complain(message)
        raise typer.Exit(code)


def asked(store: Any, ask: Callable[[Any], Awaitable[T]]) -> T:
    """Ask a store, and close it."""
    import anyio

    async def run() -> T:
        try:
            return await ask(store)
        finally:
            await store.aclose()

    return anyio.run(run)


def console(*, stderr: bool = False, least: int = 0) -> Console:
    """Where tables go.

    Args:
        stderr: Not to stdout.
        least: Columns of what must not be cut, such as the id of a record; a narrower terminal folds the lines.
    """
    from rich.console import Console

    # What is piped has no window whose width could count, and is cut at 80 unless told otherwise.
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or os.environ.get("COLUMNS") else PIPED_WIDTH
    # The texts of a trace are no markup.
    made = Console(stderr=stderr, highlight=False, markup=False, emoji=False, width=width)
    made.width = max(made.width, least)
    return made


def unknown_pattern(name: str, known: Iterable[str]) -> str:
    """What to say of a pattern that is not among those that are ``known``."""
    import difflib

    near = difflib.get_close_matches(name[:100], list(known), n=3, cutoff=0.5)
    return f"no pattern is named {name[:100]!r}{_near(near)}"


def _near(names: Iterable[str]) -> str:
    told = ", ".join(names)
    return f"; did you mean {told}?" if told else "; vstack-api patterns lists them"


def print_json(value: Any) -> None:
    """A value as JSON, for people and programs."""
    import msgspec

    typer.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def short(text: str, limit: int = 300) -> str:
    """A text that is not longer than this."""
    return text if len(text) <= limit else f"{text[:limit]}…"


def epilog(*examples: str) -> str | None:
    """What a help text ends with: command lines that work as they are; None where there is none."""
    # A line with nothing but a backspace tells the help not to wrap what follows.
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in examples) if examples else None


def colour() -> bool | None:
    """Whether to colour: never under NO_COLOR (no-color.org) or TERM=dumb; None: where this is a terminal."""
    return False if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" else None


def explained(message: str, extra: Mapping[str, Any]) -> str:
    """Why a request was refused, in one line: the message, which names the first fault of a trace, and the others.

    Args:
        message: Of the refusal.
        extra: The further members of that answer, such as ``errors``.
    """
    if "nearest" in extra:
        # The service advises a request.
        return f"{message.rpartition('; ')[0]}{_near(extra['nearest'])}"
    errors = extra.get("errors", [])
    told = [f"{error['pointer']} {error['message']}" for error in errors[1:MAX_SHOWN]]
    if len(errors) > MAX_SHOWN:
        told.append(f"and {len(errors) - MAX_SHOWN} more")
    return " | ".join([message, *told])


def progress(items: Iterable[T], about: str, total: int) -> Iterator[T]:
    """The items, with a bar on stderr while they are worked off, where stderr is a terminal and there are several."""
    if total < 2 or not sys.stderr.isatty():
        yield from items
        return
    from rich.progress import track

    yield from track(items, about, total, console=console(stderr=True), transient=True)
