"""The plugin for pytest: tapes as tests.

    def test_the_refund_is_diagnosed_as_it_was(vstack_replay):
        vstack_replay("tapes/refund.tape.jsonl")

    @pytest.mark.vstack_replay("tapes/refund.tape.jsonl", "tapes/*.tape.gz")
    def test_every_tape(vstack_tape):
        assert vstack_tape.end.status == 200

Paths are relative to the test's file. With ``--vstack-record``, what today's code does is written on the tapes.
"""

from __future__ import annotations

import glob
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

# Nothing of vstack at import: pytest loads this at every start, also where no test replays a tape.
if TYPE_CHECKING:
    from vstack_proto.replay import Tape

OPTION = "--vstack-record"
MARK = "vstack_replay"
FIXTURE = "vstack_tape"
_MARKED = f'@pytest.mark.{MARK}("refund.tape.jsonl")'
_UNDER_POLICY = f"this is under the policy that the test tries; {OPTION} writes what the tape's own leads to"


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
                beside the events that are on the tape. It returns the ``Tape``, such as
                ``vstack_runtime.rehearsal.record`` gives one.
            policy: Fields of ``Policy`` to try in the place of the tape's. What differs under it is never recorded.

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
        except OSError as error:
            told = f"{file}: {error.strerror}"
        else:
            if not report.differences:
                return tape
            advice = f"{OPTION} accepts what differs" if policy is None else _UNDER_POLICY
            told = f"{_shown(file, tape, report)}{advice}"
        pytest.fail(told, pytrace=False)

    def _read(self, file: Path) -> Tape:
        from vstack_proto.replay import TapeError, decode

        if not file.exists():
            raise TapeError(f"there is no such tape; {OPTION} makes one where the test says how")
        if file.is_dir():
            raise TapeError(f"it is a folder; the mark {MARK} takes its tapes, such as {file.name}/*.tape.jsonl")
        return decode(file.read_bytes())

    def _record(self, file: Path, record: Callable[[], Tape] | None) -> None:
        from vstack_proto.replay import accepted, encode, run
        from vstack_runtime.replaying import service_for

        if record is not None:
            tape = _made(record)
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


def _made(record: Callable[[], Any]) -> Tape:
    from vstack_proto.replay import Tape, TapeError

    tape = record()
    if isinstance(tape, Tape):
        return tape
    if isinstance(tape, Coroutine):
        tape.close()
    raise TapeError(f"record= returned no Tape but a {type(tape).__name__}; a coroutine is run by anyio.run")


def _shown(file: Path, tape: Any, report: Any) -> str:
    import io

    from rich.console import Console

    from vstack_runtime.replay_show import show_report

    text = io.StringIO()
    show_report(file.name, tape, report, Console(file=text, width=120, highlight=False, markup=False, emoji=False))
    return text.getvalue()


@pytest.fixture
def vstack_replay(request: pytest.FixtureRequest) -> Replay:
    """Replays tapes: ``vstack_replay("path")``."""
    return Replay(request.path.parent, recording=request.config.getoption(OPTION))


@pytest.fixture
def vstack_tape(request: pytest.FixtureRequest, vstack_replay: Replay) -> Any:
    """The tape of a test with the mark ``vstack_replay``; it has been replayed."""
    if not hasattr(request, "param"):
        pytest.fail(f"{FIXTURE} is the tape of a mark, and there is none: {_MARKED}", pytrace=False)
    return vstack_replay(request.param)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each tape of the mark."""
    mark = metafunc.definition.get_closest_marker(MARK)
    if mark is None:
        return
    where = metafunc.definition.nodeid
    if not mark.args or mark.kwargs:
        pytest.fail(f"{where}: the mark {MARK} takes the paths of tapes, and nothing else: {_MARKED}", pytrace=False)
    if FIXTURE not in metafunc.fixturenames:
        # Without it nothing would be replayed, and the test would pass.
        told = f"{where}: the mark {MARK} is for tests with the fixture {FIXTURE}: def {metafunc.function.__name__}"
        pytest.fail(f"{told}({FIXTURE})", pytrace=False)
    folder = metafunc.definition.path.parent
    paths: list[str] = []
    for text in map(str, mark.args):
        found = sorted(Path(path).as_posix() for path in glob.glob(text, root_dir=folder, recursive=True))
        paths += found or [text]
    metafunc.parametrize(FIXTURE, paths, indirect=True)
