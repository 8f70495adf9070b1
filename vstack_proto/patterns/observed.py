"""Traces whose behaviours are plain text: who showed them, and what else of the trace can be quoted."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from vstack_proto.patterns import common
from vstack_proto.patterns.common import Reading, Signal, Step
from vstack_proto.patterns.signs import PERSON, first_line, gist, role_of, speaks, strongest, words
from vstack_proto.trace import CanonicalTrace

# Patterns that look at one agent and its terms are followed, in frameworks of teams, by patterns of teams.
OVERLAYS = {
    "langgraph": ("vstack.grpi",), "crewai": ("vstack.grpi", "vstack.social_loafing"),
    "autogen": ("vstack.grpi", "vstack.social_loafing"), "claude-agent-sdk": ("vstack.process_gain_loss",),
    "openai-agents-sdk": ("vstack.process_gain_loss",), "mastra": ("vstack.grpi",), "strands": ("vstack.grpi",),
}  # fmt: skip

# Kinds of step that are the agent's surroundings and none of its behaviour.
PROMPTS = frozenset({"system prompt", "system"})


def observed(canonical: CanonicalTrace) -> dict[str, Any]:
    """The metadata of a canonical trace, and who showed each behaviour in what kind of step."""
    known = ((step, role_of(step)) for step in canonical.steps)
    pairs = [[step.agent, step.type if role in ("agent", "tool") else role] for step, role in known]
    return {**canonical.metadata, "observed": pairs}


OBSERVED = "observed_steps"


def with_steps(canonical: CanonicalTrace) -> dict[str, Any]:
    """The metadata of a canonical trace with its steps, for a pattern whose own trace has no place for them."""
    return {**canonical.metadata, OBSERVED: [[step.agent, step.type, step.content] for step in canonical.steps]}


def kept_steps(metadata: Mapping[str, Any]) -> tuple[Step, ...]:
    """The steps that ``with_steps`` kept: they come first in a reading, so that step i stays step i."""
    with contextlib.suppress(msgspec.ValidationError):
        return tuple(Step(*one) for one in msgspec.convert(metadata.get(OBSERVED, ()), list[tuple[str, str, str]]))
    return ()


def facts(trace: Any) -> list[tuple[str, str]]:
    """What a trace of one agent says of it and its task, where it says it."""
    own = ("task", "task_class", "outcome", "success", "run_count", "agent_id", "model_name", "framework")
    return common.facts(trace, *own)


def behaviours(shown: Sequence[str], metadata: Mapping[str, Any], agent: str | None) -> list[Step]:
    """Behaviours as steps, each with its agent and kind where ``observed`` told them."""
    told: tuple[tuple[str, str], ...] = ()
    # Metadata is the client's own: where it is no such list, it is not meant for us.
    with contextlib.suppress(msgspec.ValidationError):
        told = msgspec.convert(metadata.get("observed", ()), tuple[tuple[str, str], ...])
    if len(told) != len(shown):
        told = ((agent or "agent", "behaviour"),) * len(shown)
    return [Step(who, kind, content) for (who, kind), content in zip(told, shown, strict=True)]


def steps_of(kind: str, texts: Iterable[str], agent: str | None) -> list[Step]:
    """Other texts of the trace as steps, so that they can be quoted; blank ones prove nothing and are kept out."""
    return [Step(agent or "agent", kind, text) for text in texts if text.strip()]


def own(step: Step) -> bool:
    """Whether a step tells what an agent says or does itself."""
    return speaks(step) and step.kind not in PROMPTS


def prompting(step: Step) -> bool:
    """Whether a step tells the agent what to do and under which terms."""
    return step.kind in PROMPTS


TERMS = PROMPTS | {"extrinsic signal", "user"}


def terms(step: Step) -> bool:
    """Whether a step sets the terms of the work: the prompt, a signal from outside, the person who asks."""
    return step.kind in TERMS or PERSON.match(step.agent) is not None


SENTENCE = re.compile(r"[.!?\n]+")
DEMANDS = words(r"must|never|always|shall|do not|don't|have to|only")


def commanding(name: str, reading: Reading) -> Iterator[Signal]:
    """A prompt of which most sentences command, three at least."""
    for number, step in enumerate(reading.steps):
        if step.kind not in PROMPTS:
            continue
        said = [sentence for sentence in SENTENCE.split(step.content) if sentence.strip()]
        commands = [sentence for sentence in said if DEMANDS.search(sentence)]
        if len(commands) >= 3 and 2 * len(commands) > len(said):
            claim = f"{len(commands)} of {len(said)} sentences of the prompt command"
            yield Signal(name, claim, (number,), first_line(commands[0]), min(0.5, 0.1 * len(commands)))


def emphasised(signals: Iterable[Signal], steps: Sequence[Step], kinds: frozenset[str], factor: float) -> list[Signal]:
    """The signals, those of steps of some kinds counting ``factor`` times as much (0.9 at most)."""
    return [
        msgspec.structs.replace(signal, weight=round(min(0.9, signal.weight * factor), 4))
        if steps[signal.steps[0]].kind in kinds
        else signal
        for signal in strongest(signals)
    ]


def repeated(
    name: str, claim: str, weight: float, reading: Reading, of: Callable[[Step], bool] = own
) -> Iterator[Signal]:
    """The same content of one agent for the third time; ``{agent}`` and ``{step}`` of the claim are filled in.

    Turn-taking is short and repeats in good runs, so what has fewer than 30 characters is passed over.
    """
    seen = Counter[tuple[str, str]]()
    for number, step in enumerate(reading.steps):
        key = (step.agent, gist(step.content))
        if len(key[1]) < 30 or not of(step):
            continue
        seen[key] += 1
        if seen[key] == 3 and (quote := first_line(step.content)):
            yield Signal(name, claim.format(agent=step.agent, step=number), (number,), quote, weight)
