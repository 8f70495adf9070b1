"""One analysis, as a machine: it is given a model's answers, asks for the next, and ends with a detection."""

from __future__ import annotations

import base64
import datetime as dt
import functools
import hashlib
from typing import Any

import msgspec

from vstack_proto.analysis.injection import addresses_a_model
from vstack_proto.analysis.prompts import answer_schema, of_pattern, shared_prompt
from vstack_proto.events import ModelAnswered, ModelFailed
from vstack_proto.patterns.common import Case, Detection, Mode, Pass, Pattern, Reading, Signal
from vstack_proto.values import Failure, ModelRequest, Usage

OFFLINE = "offline"
"""The model name that stands for the signals alone."""


class AnalysisState(msgspec.Struct, kw_only=True):
    """All that an analysis knows; it can be encoded, stored and continued.

    Attributes:
        trace: Canonical JSON of the decoded trace.
        wall: When the request came, seconds since 1970.
        turn: Index of the pass that is being asked.
        asked_at: When the pending call was made (monotonic).
        complaint: Why the last answer did not fit; empty unless a repair is under way.
        answers: The accepted answers, encoded, by pass.
        spent: What the pending call has used so far.
        stand_in: A model that answered in the place of ``model``, if one did.
    """

    pattern: str
    mode: Mode
    model: str
    trace: bytes
    run_id: str
    wall: float
    turn: int = 0
    asked_at: float = 0.0
    previous: str = ""
    complaint: str = ""
    answers: dict[str, msgspec.Raw] = {}
    calls: int = 0
    usage: Usage = Usage()
    spent: Usage = Usage()
    waited: float = 0.0
    stand_in: str = ""


class Concluded(msgspec.Struct, frozen=True, gc=False):
    """The analysis is done; ``detection`` is encoded."""

    detection: bytes


Step = ModelRequest | Concluded | Failure
Seen = tuple[Reading, tuple[Signal, ...]]
"""What follows from a trace alone: the same for every pass."""


class Analysis:
    """Runs the passes of a mode, one call at a time, and concludes."""

    def __init__(
        self,
        pattern: Pattern[Any, Any],
        state: AnalysisState,
        trace: msgspec.Struct | None = None,
        seen: Seen | None = None,
    ) -> None:
        """Begin or continue an analysis.

        Args:
            pattern: The lens.
            state: Where it stands.
            trace: The decoded ``state.trace``, if it is at hand.
            seen: What was seen in it before, if that is at hand.
        """
        self.pattern = pattern
        self.state = state
        self.seen = seen
        self._trace = trace

    @functools.cached_property
    def case(self) -> Case[Any]:
        """The trace with its reading and signals."""
        trace = self._trace
        if trace is None:
            trace = msgspec.json.decode(self.state.trace, type=self.pattern.trace)
        if self.seen is None:
            reading = self.pattern.read(trace)
            self.seen = reading, tuple(self.pattern.signals(trace, reading))
        return Case(trace, *self.seen, self.state.mode)

    def begin(self, at: float) -> Step:
        """Take the first step."""
        if self.state.model == OFFLINE:
            return self._concluded(self.pattern.assess_offline(self.case))
        return self._ask(at)

    def handle(self, event: ModelAnswered | ModelFailed) -> Step:
        """Take a model's answer, or the news that there is none; return what comes next."""
        state = self.state
        state.calls += 1
        state.waited += event.at - state.asked_at
        state.usage, state.spent = _sum(state.usage, event.usage), Usage()
        if isinstance(event, ModelFailed):
            return _failure(event)
        state.stand_in = event.model or state.stand_in
        asked = self.pattern.passes[state.mode][state.turn]
        try:
            answer = msgspec.json.decode(unfenced(event.text), type=asked.answer)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            return self._repair(event, asked.name, str(error))
        state.answers[asked.name] = msgspec.Raw(msgspec.json.encode(answer))
        state.previous = state.complaint = ""
        state.turn += 1
        return self._ask(event.at)

    def _answers(self) -> dict[str, Any]:
        passes = self.pattern.passes[self.state.mode]
        kinds = {one.name: one.answer for one in passes}
        return {name: msgspec.json.decode(raw, type=kinds[name]) for name, raw in self.state.answers.items()}

    def _ask(self, at: float) -> Step:
        """The next pass that is wanted, or the conclusion."""
        state, passes, answers = self.state, self.pattern.passes[self.state.mode], self._answers()
        while state.turn < len(passes) and not passes[state.turn].wanted(self.case, answers):
            state.turn += 1
        if state.turn == len(passes):
            return self._concluded(self.pattern.conclude(self.case, answers))
        state.asked_at = at
        return self._request(answers)

    def _request(self, answers: dict[str, Any]) -> ModelRequest:
        state = self.state
        passes = self.pattern.passes[state.mode]
        asked = passes[state.turn]
        return ModelRequest(
            model=state.model,
            system=of_pattern(self.pattern),
            shared=shared_prompt(self.case.reading, state.trace),
            instruction=asked.instruction(self.case, answers),
            name=request_name(self.pattern.name, asked),
            schema=answer_schema(asked.answer),
            schemas=tuple(answer_schema(one.answer) for one in passes),
            previous=state.previous or None,
            complaint=state.complaint or None,
        )

    def _repair(self, event: ModelAnswered, name: str, error: str) -> Step:
        """Show the model once what did not fit."""
        if self.state.complaint:
            told = f"the model's answer in pass {name!r} did not fit its schema after a repair: {error}"
            return Failure(502, "analyzer_error", told)
        # An answer is shown back only so far as it can teach: a runaway one would double the cost.
        # Half of a surrogate pair, which JSON can spell, could be sent to nobody.
        self.state.previous = event.text[:20_000].encode(errors="replace").decode()
        self.state.complaint = error
        self.state.asked_at = event.at
        return self._request(self._answers())

    def _concluded(self, detection: Detection) -> Concluded:
        state, usage = self.state, self.state.usage
        stamped = msgspec.structs.replace(
            detection,
            generated_at=dt.datetime.fromtimestamp(state.wall, dt.UTC),
            generator_model=(state.stand_in or state.model) if state.calls or state.model == OFFLINE else None,
            mode=state.mode,
            run_id=state.run_id,
            grounding=self.case.grounding,
            cost_usd=usage.cost_usd,
            tokens_total=usage.input_tokens + usage.output_tokens,
            tokens_input=usage.input_tokens,
            tokens_output=usage.output_tokens,
            llm_calls=state.calls,
            elapsed_ms=round(state.waited * 1000, 3),
            injection_detected=injected(self.case),
        )
        return Concluded(msgspec.json.encode(stamped))


def request_name(pattern: str, asked: Pass) -> str:
    """What the question of a pass is called, to models and to whoever follows the analysis."""
    return f"{pattern}_{asked.name}"


def run_id(request_id: str, wall: float) -> str:
    """Twelve URL-safe characters that name a run, from what names its request."""
    digest = hashlib.sha256(f"{request_id}\n{wall!r}".encode()).digest()
    return base64.urlsafe_b64encode(digest[:9]).decode("ascii")


def injected(case: Case[Any]) -> bool:
    """Whether the trace holds words that address a model instead of describing a run."""
    texts = [value for _, value in case.reading.facts]
    return addresses_a_model("\n".join([*texts, *(step.content for step in case.reading.steps)]))


def abandon(state: AnalysisState) -> Usage:
    """Give the pending call up; returns what it has used."""
    spent, state.spent = state.spent, Usage()
    state.calls += 1
    state.usage = _sum(state.usage, spent)
    return spent


def unfenced(text: str) -> str:
    """The answer without the code fence that some models put around JSON; nothing else is forgiven."""
    text = text.strip()
    if text.startswith("```") and text.endswith("```") and "\n" in text:
        return text[text.index("\n") : -3]
    return text


def _sum(one: Usage, other: Usage) -> Usage:
    return Usage(
        one.input_tokens + other.input_tokens,
        one.output_tokens + other.output_tokens,
        one.cache_read_tokens + other.cache_read_tokens,
        one.cache_write_tokens + other.cache_write_tokens,
        one.cost_usd + other.cost_usd,
    )


def _failure(event: ModelFailed) -> Failure:
    if event.kind == "unresolved":
        return Failure(502, "llm_resolution_error", event.message)
    if event.kind == "overloaded":
        return Failure(503, "overloaded", event.message, event.retry_after or 1.0)
    if event.kind == "late":
        return Failure(504, "timeout", f"{event.message}; mode=quick makes fewer calls, and each has longer")
    if event.kind == "unavailable":
        return Failure(503, "provider_unavailable", event.message, event.retry_after or 1.0)
    return Failure(502, "analyzer_error", event.message)
