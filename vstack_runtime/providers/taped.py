"""A provider that answers from a folder: each question that was asked once, with its answer.

Nothing else of an exchange is kept, so that a whole application runs without a model and always the same way. A
question is known by its digest: whatever a model would see differently is another question.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import re
from pathlib import Path

import anyio
import msgspec

from vstack_proto.values import ModelRequest, Usage
from vstack_runtime.backends import Provider, ProviderError
from vstack_runtime.logs import get_logger
from vstack_runtime.providers.common import Reply
from vstack_runtime.spending import spent

_log = get_logger()

# Says which model is asked where a request names none.
ABOUT = "provider.json"
# Of a prompt, as much as tells two traces apart; and so many files are looked through for the nearest question.
_COMPARED_CHARS = 4_000
_MAX_COMPARED = 200
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")
_SHOWN_CHARS = 80


class Recorded(msgspec.Struct, frozen=True):
    """A question and its answer, as a file holds them."""

    request: ModelRequest
    reply: Reply


class About(msgspec.Struct, frozen=True):
    """What the folder knows of the provider that answered."""

    default_model: str


def request_digest(request: ModelRequest) -> str:
    """Sixteen hex digits that name a question, whatever the other passes of its analysis are."""
    told = {name: getattr(request, name) for name in request.__struct_fields__ if name != "schemas"}
    return hashlib.sha256(msgspec.json.encode(told, order="sorted")).hexdigest()[:16]


class TapeProvider:
    """Answers what is recorded; what is not is asked of another provider and recorded, or refused."""

    name = "tape"

    def __init__(
        self, folder: str | os.PathLike[str], *, inner: Provider | None = None, default_model: str | None = None
    ) -> None:
        """
        Args:
            folder: Holds one file a question.
            inner: Answers what is not recorded yet; None: such a question is an error.
            default_model: Asked where a request names none; by default the one that was when the folder was recorded.

        Raises:
            ValueError: The folder holds nothing, and nobody is there to answer.
            OSError: It cannot be made or read.
        """
        self.folder = Path(folder)
        self._inner = inner
        if inner is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.default_model = default_model or inner.default_model
            (self.folder / ABOUT).write_bytes(msgspec.json.encode(About(self.default_model)))
        else:
            self.default_model = default_model or self._recorded_model()

    def _recorded_model(self) -> str:
        try:
            return msgspec.json.decode((self.folder / ABOUT).read_bytes(), type=About).default_model
        except FileNotFoundError:
            found = self._files()  # recorded before the folder said which model it was
        except msgspec.MsgspecError as error:
            raise ValueError(f"its {ABOUT} cannot be read: {error}") from None
        first = next(iter(found), None)
        if first is None:
            raise ValueError("it holds no recorded answer")
        try:
            return _read(first).request.model
        except ProviderError as error:
            raise ValueError(error.message) from None

    def _files(self) -> list[Path]:
        return sorted(path for path in self.folder.glob("*.json") if path.name != ABOUT)

    def _path(self, request: ModelRequest) -> Path:
        return self.folder / f"{_UNSAFE.sub('_', request.name)}-{request_digest(request)}.json"

    async def ask(self, request: ModelRequest, within: float) -> Reply:
        """The recorded answer; or a new one, which is recorded.

        Raises:
            ProviderError: ``rejected`` where the question is not recorded and nobody is there to answer; or as the
                provider that was asked says.
        """
        path = self._path(request)
        # What the other passes of an analysis are is nothing that a model is asked.
        shown = msgspec.structs.replace(request, schemas=())
        found = await anyio.to_thread.run_sync(_found, path)
        if found is not None:
            return found.reply
        if self._inner is None:
            raise ProviderError("rejected", await anyio.to_thread.run_sync(self._unknown, shown))
        told = await self._inner.ask(request, within)
        usage: Usage = told.usage
        spent(usage)  # whoever leaves while it is written down has paid for it
        reply = Reply(told.text, usage, getattr(told, "model", ""))
        await anyio.to_thread.run_sync(_write, path, Recorded(shown, reply))
        return reply

    def _unknown(self, request: ModelRequest) -> str:
        """What a caller is told of a question that is not recorded; the log has the place where it differs."""
        told = f"no answer is recorded for this question of pass {request.name}, {request_digest(request)}"
        path = self._nearest(request)
        if path is None:
            return f"{told}, nor any other of this pass"
        other = _read(path).request
        names = [name for name in request.__struct_fields__ if getattr(request, name) != getattr(other, name)]
        _log.warning(
            "a question is not recorded",
            nearest=path.name,
            **{name: _place(getattr(other, name), getattr(request, name)) for name in names},
        )
        return f"{told}; the nearest is {path.name}, which differs in {', '.join(names)}"

    def _nearest(self, request: ModelRequest) -> Path | None:
        """The file with the question that is most like this one, of the same pass."""
        prefix = f"{_UNSAFE.sub('_', request.name)}-"
        best: tuple[float, Path] | None = None
        for path in [path for path in self._files() if path.name.startswith(prefix)][:_MAX_COMPARED]:
            likeness = _likeness(_read(path).request, request)
            if best is None or likeness > best[0]:
                best = likeness, path
        return None if best is None else best[1]

    async def aclose(self) -> None:
        """Close what the other provider holds."""
        close = getattr(self._inner, "aclose", None)
        if close is not None:
            await close()


def _found(path: Path) -> Recorded | None:
    return _read(path) if path.exists() else None


def _read(path: Path) -> Recorded:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Recorded)
    except (OSError, msgspec.MsgspecError) as error:
        _log.warning("a recorded answer cannot be read", file=str(path), error=str(error))
        raise ProviderError("rejected", f"the recorded answer {path.name} cannot be read") from None


def _write(path: Path, recorded: Recorded) -> None:
    """One file, whole or not at all; readable, for it is compared and kept with the code."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_bytes(msgspec.json.format(msgspec.json.encode(recorded), indent=2))
    part.replace(path)


def _likeness(one: ModelRequest, other: ModelRequest) -> float:
    """How like two questions are: the fields that are equal, and how much of the trace and of the task is."""
    likeness = float(sum(getattr(one, name) == getattr(other, name) for name in one.__struct_fields__))
    for a, b in ((one.shared, other.shared), (one.instruction, other.instruction)):
        likeness += difflib.SequenceMatcher(None, a[:_COMPARED_CHARS], b[:_COMPARED_CHARS], False).quick_ratio()
    return likeness


def _place(old: object, new: object) -> str:
    """Where two values begin to differ."""
    one, other = (value.decode() if isinstance(value, bytes) else str(value) for value in (old, new))
    at = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return (
        f"from character {at}: {one[at : at + _SHOWN_CHARS]!r} is recorded, {other[at : at + _SHOWN_CHARS]!r} is asked"
    )
