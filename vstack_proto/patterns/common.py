"""What patterns share: the severity scale, evidence, playbooks, composition, and the shape of a pattern itself."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec

from vstack_proto.analysis.grounding import find_quote
from vstack_proto.trace import CanonicalTrace

Mode = Literal["quick", "standard", "forensic"]
MODES: tuple[Mode, ...] = ("quick", "standard", "forensic")
Severity = Literal["none", "trace", "low", "moderate", "medium", "high", "critical"]
Effort = Literal["1h", "1d", "1w", "1m", "ongoing"]
Level = Literal["high", "medium", "low"]
Risk = Literal["low", "medium", "high"]
Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Amount = Annotated[float, msgspec.Meta(ge=0.0)]


class Source(msgspec.Struct, frozen=True):
    """A publication that a pattern stands on."""

    author: str
    year: str
    title: str


class Step(msgspec.Struct, frozen=True, gc=False):
    """One numbered step of a trace as a pattern reads it; evidence quotes ``content``."""

    agent: str
    kind: str
    content: str


class Reading(msgspec.Struct, frozen=True):
    """A trace laid out for a reader: labelled facts first, then the steps, numbered from 0."""

    facts: tuple[tuple[str, str], ...]
    steps: tuple[Step, ...]


_CALLED = {"agent_id": "agent", "model_name": "model", "crew_id": "crew", "run_count": "runs"}


def facts(trace: msgspec.Struct, *names: str) -> list[tuple[str, str]]:
    """Fields of a trace as labelled facts: a flag as yes or no, members once each; what is None or "" is left out."""
    known = ((name, getattr(trace, name)) for name in names)
    return [
        (_CALLED.get(name, name.replace("_", " ")), _told(value)) for name, value in known if value not in (None, "")
    ]


def _told(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(dict.fromkeys(value))
    return f"{value:g}" if isinstance(value, float) else str(value)


class Signal(msgspec.Struct, frozen=True, gc=False):
    """Evidence computed from the trace without a model.

    Attributes:
        name: Which rule saw it, such as ``tool_error``; the same word in every detection.
        claim: What it means, as a sentence for a reader.
        steps: The steps that prove it, numbered from 0.
        quote: Words that stand, letter for letter, in the first of those steps.
        weight: How much it counts, from 0 (a hint) to 1 (decisive).
    """

    name: str
    claim: str
    steps: tuple[int, ...]
    quote: str
    weight: float


class Evidence(msgspec.Struct, frozen=True, gc=False):
    """A claim, the steps (numbered from 0) that prove it, and words found in one of those steps."""

    claim: str
    steps: tuple[int, ...]
    quote: str


class Grounding(msgspec.Struct, frozen=True, gc=False):
    """How many quotations were cited, how many stand in the step they cite, how many were dropped."""

    cited: Count = 0
    verified: Count = 0
    dropped: Count = 0


class BaselineComparison(msgspec.Struct, frozen=True):
    """How this detection differs from an earlier one of the same agent."""

    historical_baseline_id: str | None = None
    historical_generated_at: dt.datetime | None = None
    baseline_profile_pattern: str | None = None
    score_deltas: dict[str, float] = {}
    drift_severity: Literal["none", "minor", "moderate", "severe"] = "none"
    notes: str = ""


class CompositionHandoff(msgspec.Struct, frozen=True):
    """Which patterns to look through before and after this one."""

    upstream_patterns: tuple[str, ...] = ()
    downstream_patterns: tuple[str, ...] = ()
    handoff_payload: dict[str, Any] = {}
    rationale: str = ""


class Detection(msgspec.Struct, frozen=True, kw_only=True):
    """What every detection carries besides its pattern's own fields. The analysis fills these in."""

    generated_at: dt.datetime = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    generator_model: str | None = None
    mode: Mode = "standard"
    composition_handoff: CompositionHandoff | None = None
    evidence: tuple[Evidence, ...] = ()
    confidence: Share = 0.5
    grounding: Grounding = Grounding()
    run_id: str | None = None
    cost_usd: Amount = 0.0
    tokens_total: Count = 0
    tokens_input: Count = 0
    tokens_output: Count = 0
    llm_calls: Count = 0
    elapsed_ms: Amount = 0.0
    injection_detected: bool = False


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of what a model must answer in a pass: strict, so that an extra field is a fault and not a loss."""


class Composition(msgspec.Struct, frozen=True, kw_only=True):
    """A pattern's neighbours.

    Attributes:
        upstream: Patterns worth running first.
        downstream: By label field of the detection (``profile_pattern`` ...), by its value: patterns to run next.
        framework_overlays: By agent framework: patterns to run next.
        intervention_overlays: By intervention type: the pattern that carries it out.
    """

    upstream: tuple[str, ...]
    downstream: dict[str, dict[str, tuple[str, ...]]]
    framework_overlays: dict[str, tuple[str, ...]] = {}
    intervention_overlays: dict[str, str] = {}

    def first(self, label: str, field: str = "profile_pattern") -> str | None:
        """The pattern to look through first after a detection with this label; None where there is none."""
        return next(iter(self.downstream[field].get(label, ())), None)

    def handoff(
        self,
        labels: Mapping[str, str],
        framework: str | None,
        payload: dict[str, Any],
        interventions: Iterable[str] = (),
    ) -> CompositionHandoff:
        """The neighbours for one detection; ``labels`` gives the detection's value of each label field."""
        after: dict[str, None] = {}
        for field, by_label in self.downstream.items():
            after.update(dict.fromkeys(by_label.get(labels[field], ())))
        after.update(dict.fromkeys(self.framework_overlays.get(framework or "", ())))
        overlays = self.intervention_overlays
        after.update(dict.fromkeys(overlays[kind] for kind in interventions if kind in overlays))
        told = ", ".join(f"{field} {label}" for field, label in labels.items())
        return CompositionHandoff(self.upstream, tuple(after), payload, f"neighbours of {told}" if told else "")


T = TypeVar("T", bound=msgspec.Struct)
D = TypeVar("D", bound=Detection)
P = TypeVar("P", bound=msgspec.Struct)


class Case(Generic[T]):
    """What a pattern gets for one analysis: the trace, its reading, signals, and a ledger of quotations."""

    def __init__(self, trace: T, reading: Reading, signals: tuple[Signal, ...], mode: Mode) -> None:
        self.trace = trace
        self.reading = reading
        self.signals = signals
        self.mode: Mode = mode
        self._cited = 0
        self._verified = 0

    def aside(self) -> Case[T]:
        """The same case with a ledger of its own: quotations looked up between two passes are not counted."""
        return Case(self.trace, self.reading, self.signals, self.mode)

    @property
    def grounding(self) -> Grounding:
        """What ``quoted``, ``proof`` and ``ground`` have counted so far."""
        return Grounding(self._cited, self._verified, self._cited - self._verified)

    def quoted(self, quote: str, steps: Iterable[int]) -> tuple[str, tuple[int, ...]] | None:
        """Look a quotation up in the steps it cites, and count it.

        Returns:
            The words as they stand in the trace (line breaks may differ from the quotation's) with those of the cited
            steps that hold them, or None where no cited step does.
        """
        self._cited += 1
        texts = self.reading.steps
        known = [number for number in dict.fromkeys(steps) if 0 <= number < len(texts)]
        for number in known:
            found = find_quote(quote, texts[number].content)
            if found is not None:
                self._verified += 1
                return found, tuple(n for n in known if found in texts[n].content)
        return None

    def proof(self, claim: str, quote: str, step: int) -> Evidence | None:
        """A claim with the words that prove it in one step, or None where they do not stand there."""
        found = self.quoted(quote, (step,))
        return Evidence(claim, (step,), found[0]) if found else None

    def ground(self, evidence: Iterable[Evidence]) -> tuple[Evidence, ...]:
        """Keep the evidence whose quotation stands in a step it cites; the rest is dropped and counted."""
        kept = []
        for item in evidence:
            found = self.quoted(item.quote, item.steps)
            if found is not None:
                kept.append(Evidence(item.claim, found[1], found[0]))
        return tuple(kept)

    def evidence_of_signals(self) -> tuple[Evidence, ...]:
        """The signals as evidence, the weightiest first."""
        ranked = sorted(self.signals, key=lambda signal: -signal.weight)
        return self.ground(Evidence(signal.claim, signal.steps, signal.quote) for signal in ranked)


Answers = Mapping[str, Any]
"""The decoded answers so far, by the name of the pass that asked for them."""


def always(case: Case[Any], answers: Answers) -> bool:
    """The condition of a pass that is never skipped."""
    return True


def asks(text: str) -> Callable[[Case[Any], Answers], str]:
    """The instruction of a pass that asks the same of every case."""
    return lambda case, answers: text


class Pass(msgspec.Struct, frozen=True):
    """One model call of a mode.

    Attributes:
        name: The key of its answer in ``Answers``.
        answer: The Struct that the model's answer must fit; its JSON Schema is sent along.
        instruction: What this call asks, given the case and the answers of earlier passes. The trace itself is never
            repeated here: it is the shared prefix of all passes.
        wanted: Whether the call is needed at all; a call that cannot change the detection is not made.
    """

    name: str
    answer: type[Answer]
    instruction: Callable[[Case[Any], Answers], str]
    wanted: Callable[[Case[Any], Answers], bool] = always


class Fault(msgspec.Struct, frozen=True):
    """One thing wrong with a request's body: where (a JSON pointer) and what."""

    pointer: str
    message: str


def no_preconditions(trace: Any) -> Iterable[Fault]:
    """For a pattern whose Struct says it all."""
    return ()


def not_empty(name: str) -> Callable[[Any], Iterable[Fault]]:
    """The precondition of a pattern that needs one field to hold something."""
    return lambda trace: () if getattr(trace, name) else (Fault(f"/{name}", "must not be empty"),)


class Pattern(msgspec.Struct, Generic[T, D], frozen=True, kw_only=True):
    """A lens from organisational behaviour, as data and functions; one file defines one and calls it ``PATTERN``.

    Attributes:
        name: The word in the URL, such as ``social_loafing``.
        number: Its place in the catalogue, from 1.
        friendly, group, summary: For people; ``summary`` is one sentence.
        framework: What the framework says, how it shows in an agent's trace, what it must not be confused with and what
            counts as evidence; it stands in the system prompt of every pass.
        sources: What it stands on.
        trace, detection: What it takes and gives.
        non_blank: Fields of the trace that must not be blank.
        preconditions: What else must hold of a trace, each breach with its JSON pointer.
        from_trace: Reads a canonical trace, or raises TraceNotReadable.
        read: Lays a trace out as facts and numbered steps.
        signals: What can be computed without a model.
        assess_offline: A complete detection from the signals alone.
        passes: The model calls of each mode, in order.
        conclude: Signals and answers to a detection. Numbers that can be computed are computed here.
        playbooks: What to do, each a Struct whose first two fields are its key.
        attach: (target, intervention type) -> failure mode: which playbook an intervention brings along.
        composition: Its neighbours.
    """

    name: str
    number: int
    friendly: str
    group: str
    summary: str
    framework: str
    sources: tuple[Source, ...]
    trace: type[T]
    detection: type[D]
    from_trace: Callable[[CanonicalTrace], T]
    read: Callable[[T], Reading]
    signals: Callable[[T, Reading], tuple[Signal, ...]]
    assess_offline: Callable[[Case[T]], D]
    passes: Mapping[Mode, tuple[Pass, ...]]
    conclude: Callable[[Case[T], Answers], D]
    playbooks: tuple[msgspec.Struct, ...]
    attach: Mapping[tuple[str, str], str]
    composition: Composition
    non_blank: tuple[str, ...] = ()
    preconditions: Callable[[T], Iterable[Fault]] = no_preconditions

    def faults(self, trace: T) -> list[Fault]:
        """Everything wrong with a trace that its Struct alone cannot say."""
        blank = [Fault(f"/{name}", "must not be blank") for name in self.non_blank if not getattr(trace, name).strip()]
        return [*blank, *self.preconditions(trace)]


def attach_playbooks(
    playbooks: Sequence[P], attach: Mapping[tuple[str, str], str], interventions: Iterable[msgspec.Struct]
) -> tuple[P, ...]:
    """The playbooks that interventions bring along by target and type, their first two fields."""
    return paired_playbooks(playbooks, attach, (msgspec.structs.astuple(one)[:2] for one in interventions))


def paired_playbooks(
    playbooks: Sequence[P], attach: Mapping[tuple[str, str], str], pairs: Iterable[tuple[Any, ...]]
) -> tuple[P, ...]:
    """The playbooks that (target, intervention type) pairs bring along, each once, in order of first mention."""
    by_key: dict[Hashable, P] = {}
    for playbook in playbooks:
        first, second = playbook.__struct_fields__[:2]
        by_key[getattr(playbook, first), getattr(playbook, second)] = playbook
    chosen: dict[Hashable, P] = {}
    for target, kind in pairs:
        key = (target, attach.get((target, kind)))
        if key in by_key:
            chosen[key] = by_key[key]
    return tuple(chosen.values())


def banded(score: float, bands: Sequence[tuple[float, Severity]]) -> Severity:
    """The label of the highest band that starts at or below ``score``; bands ascend from 0."""
    label: Severity = bands[0][1]
    for start, name in bands:
        if score >= start:
            label = name
    return label
