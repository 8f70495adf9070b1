"""The plugin for pytest: tapes as tests.

    def test_the_refund_is_diagnosed_as_it_was(vstack_replay):
        vstack_replay("tapes/refund.tape.jsonl")

    @pytest.mark.vstack_replay("tapes/refund.tape.jsonl", "tapes/*.tape.gz")
    def test_every_tape(vstack_tape):
        assert vstack_tape.end.status == 200

Paths are relative to the test's file. With ``--vstack-record``, what today's code does is written on the tapes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

# Nothing of vstack at import: pytest loads this at every start, also where no test replays a tape.
if TYPE_CHECKING:
    from vstack_proto.replay import Tape

OPTION = "--vstack-record"
MARK = "vstack_replay"
FIXTURE = "vstack_tape"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    group = parser.getgroup("vstack", "tapes of vstack")
    group.addoption(OPTION, action="store_true", help="write what today's code does on the tapes that tests replay")


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    told = (
        f"{MARK}(path, ...): run the test for each tape, replayed; patterns are allowed; the fixture {FIXTURE} has it"
    )
    config.addinivalue_line("markers", told)


class Replay:
    """What the fixture ``vstack_replay`` gives: call it with the path of a tape."""

    def __init__(self, folder: Path, *, recording: bool) -> None:
        self._folder = folder
        self.recording = recording

    def __call__(
        self, path: str | Path, *, record: Callable[[], Tape] | None = None, policy: dict[str, Any] | None = None
    ) -> Tape:
        """Replay a tape.

        Args:
            path: Relative to the test's file.
            record: Makes the tape anew where ``--vstack-record`` is given; without it, today's commands are written
                beside the events that are on the tape.
            policy: Fields of ``Policy`` to try in the place of the tape's.

        Returns:
            The tape.

        Raises:
            pytest.fail.Exception: It is not there, cannot be read, or today's code does something else.
        """
        from vstack_proto.replay import TapeError, run
        from vstack_runtime.replaying import service_for

        file, told = self._folder / path, ""
        try:
            if self.recording:
                self._record(file, record)
            tape = self._read(file)
            report = run(tape, service_for(tape, policy))
        except TapeError as error:
            told = f"{file}: {error}"
        else:
            if not report.differences:
                return tape
            told = _shown(file, tape, report)
        pytest.fail(told, pytrace=False)

    def _read(self, file: Path) -> Tape:
        from vstack_proto.replay import TapeError, decode

        if not file.exists():
            raise TapeError(f"there is no such tape; {OPTION} makes one where the test says how")
        return decode(file.read_bytes())

    def _record(self, file: Path, record: Callable[[], Tape] | None) -> None:
        from vstack_proto.replay import accepted, encode, run
        from vstack_runtime.replaying import service_for

        if record is not None:
            tape = record()
        else:
            tape = self._read(file)
            service = service_for(tape)
            if not run(tape, service).differences:
                return
            tape = accepted(tape, service)
        data = encode(tape, compress=file.suffix == ".gz")
        if not file.exists() or file.read_bytes() != data:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)


def _shown(file: Path, tape: Any, report: Any) -> str:
    import io

    from rich.console import Console

    from vstack_runtime.replay_show import show_report

    text = io.StringIO()
    show_report(file.name, tape, report, Console(file=text, width=120, highlight=False, markup=False, emoji=False))
    return f"{text.getvalue()}{OPTION} accepts what differs"


@pytest.fixture
def vstack_replay(request: pytest.FixtureRequest) -> Replay:
    """Replays tapes: ``vstack_replay("path")``."""
    return Replay(request.path.parent, recording=request.config.getoption(OPTION))


@pytest.fixture
def vstack_tape(request: pytest.FixtureRequest, vstack_replay: Replay) -> Any:
    """The tape of a test with the mark ``vstack_replay``; it has been replayed."""
    return vstack_replay(request.param)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each tape of the mark."""
    mark = metafunc.definition.get_closest_marker(MARK)
    if mark is None or FIXTURE not in metafunc.fixturenames:
        return
    folder = metafunc.definition.path.parent
    paths = []
    for text in mark.args:
        found = sorted(path.relative_to(folder).as_posix() for path in folder.glob(text))
        paths += found or [text]
    metafunc.parametrize(FIXTURE, paths, indirect=True)
