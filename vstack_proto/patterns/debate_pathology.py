"""Debate pathology: did the agents' debate make them wiser, or did agreement, extremity or mood decide?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, cast

import msgspec

from vstack_proto.errors import TraceNotReadable
from vstack_proto.patterns import debate_pathology_passes as passes
from vstack_proto.patterns import debate_pathology_signs as rules
from vstack_proto.patterns import debate_pathology_texts as texts
from vstack_proto.patterns import signs, talk
from vstack_proto.patterns.common import (
    Answers,
    BaselineComparison,
    Case,
    Count,
    Detection,
    Evidence,
    Fault,
    Pattern,
    Reading,
    Severity,
    Share,
    Signal,
    Source,
    Step,
    attach_playbooks,
    banded,
    facts,
)
from vstack_proto.patterns.debate_pathology_passes import MODE_OF, DebateIntervention
from vstack_proto.patterns.debate_pathology_signs import DebateMessage, convergence_round, flips, one_voice, shift
from vstack_proto.patterns.debate_pathology_texts import PATHOLOGIES
from vstack_proto.trace import CanonicalTrace

SOURCES = (
    Source("Stoner, J. A. F.", "1968", "Risky and cautious shifts in group decisions"),
    Source("Janis, I. L.", "1972", "Victims of Groupthink"),
    Source("Hatfield, E.; Cacioppo, J. T.; Rapson, R. L.", "1993", "Emotional contagion"),
    Source("Sunstein, C. R.", "2002", "The law of group polarization"),
    Source("Page, S. E.", "2007", "The Difference"),
    Source("Kahneman, D.", "2011", "Thinking, Fast and Slow"),
)


class MultiAgentDebateTrace(msgspec.Struct, frozen=True):
    """A debate in rounds, and what it decided."""

    task: str
    agents: tuple[str, ...]
    messages: tuple[DebateMessage, ...]
    final_decision: str
    outcome: str
    success: bool
    debate_id: str | None = None
    framework: str | None = None
    metadata: dict[str, Any] = {}


class PathologyFound(msgspec.Struct, frozen=True):
    """How strongly one pathology shows."""

    pathology: texts.Pathology
    score: Share
    severity: signs.Gravity
    explanation: str
    evidence_quotes: tuple[str, ...] = ()
    confidence: Share = 0.5


class ConvergenceAudit(msgspec.Struct, frozen=True):
    """How far apart the positions were in the first and the last round that states any; 1: all differ, 0: all equal."""

    initial_position_diversity: Share = 0.5
    final_position_diversity: Share = 0.5
    convergence_round: int | None = None
    abrupt_convergence: bool = False
    explanation: str = ""


class ToneCascadeAudit(msgspec.Struct, frozen=True):
    """How the tone went round: neutral turns count as calm; ``cascade_strength`` is the share that caught a tone."""

    heated_turn_count: Count = 0
    calm_turn_count: Count = 0
    tone_flip_count: Count = 0
    dominant_tone: rules.Tone = "unknown"
    cascade_strength: Share = 0.0
    explanation: str = ""


class DebatePathologyDetection(Detection, frozen=True):
    """What went wrong with the debate, if anything."""

    dominant_pathology: Literal["groupthink", "polarization", "contagion", "none-observed"]
    pathology_scores: dict[str, float]
    pathologies: tuple[PathologyFound, ...]
    debate_quality: texts.Quality
    interventions: tuple[DebateIntervention, ...]
    debate_id: str | None = None
    convergence_round: int | None = None
    success: bool = False
    severity: Severity = "moderate"
    profile_pattern: texts.Profile = "indeterminate"
    convergence_audit: ConvergenceAudit | None = None
    tone_cascade_audit: ToneCascadeAudit | None = None
    baseline: BaselineComparison | None = None
    attached_playbooks: tuple[texts.DebatePlaybook, ...] = ()


def from_trace(canonical: CanonicalTrace) -> MultiAgentDebateTrace:
    """One message a step; ``metadata`` of a step may hold ``round``, ``position`` and ``emotional_tone``.

    Where rounds are not given, a round ends when an agent speaks again after others did. The decision is
    ``metadata["final_decision"]``, else the last step of type ``decision``, else the outcome.
    """
    speaking = [step.agent for step in canonical.steps if signs.role_of(step) == "agent"]
    agents = tuple(dict.fromkeys([*canonical.listed, *speaking]))
    if len(agents) < 2 or len(canonical.steps) < 2:
        raise TraceNotReadable(
            f"debate_pathology reads messages of 2 or more agents; the trace has {len(agents)} that speak for "
            f"themselves, and {len(canonical.steps)} steps"
        )
    told = canonical.metadata.get("final_decision")
    decided = [step.content for step in canonical.steps if step.type == "decision" and step.content.strip()]
    decision = told if isinstance(told, str) and told.strip() else (decided or [canonical.outcome])[-1]
    if not decision.strip():
        raise TraceNotReadable("debate_pathology needs what was decided: an outcome, or a step of type `decision`")
    return MultiAgentDebateTrace(
        canonical.goal,
        agents,
        tuple(_messages(canonical)),
        decision,
        canonical.outcome,
        canonical.success is True,
        framework=canonical.framework,
        metadata=canonical.metadata,
    )


def _messages(canonical: CanonicalTrace) -> Iterator[DebateMessage]:
    number, spoke, last = 1, set[str](), ""
    for step in canonical.steps:
        role, told = signs.role_of(step), step.metadata
        if role == "agent":
            if step.agent in spoke and step.agent != last:
                number, spoke = number + 1, set()
            spoke.add(step.agent)
            last = step.agent
        own = signs.carried(told, DebateMessage, "round", "position", "emotional_tone")
        marked = {**told, "type": "observation" if role == "observation" else step.type}
        own = {"round": number, **own, "timestamp": step.timestamp, "metadata": marked}
        yield DebateMessage(from_agent=step.agent, content=step.content, **own)


def read(trace: MultiAgentDebateTrace) -> Reading:
    """Facts of the debate, then the messages; a message's kind says its round, and its position and tone if known."""
    known = facts(trace, "task", "agents", "final_decision", "outcome", "success")
    return Reading(tuple(known), tuple(Step(m.from_agent, _kind(m), m.content) for m in trace.messages))


def _kind(message: DebateMessage) -> str:
    if message.metadata.get("type") == "observation":
        return "observation"
    position = f", position {message.position.strip()}" if message.position.strip() else ""
    tone = f", {message.emotional_tone}" if message.emotional_tone != "unknown" else ""
    return f"round {message.round}{position}{tone}"


def preconditions(trace: MultiAgentDebateTrace) -> Iterable[Fault]:
    """Two agents and two messages make a debate."""
    for name, number in (("agents", len(set(trace.agents))), ("messages", len(trace.messages))):
        if number < 2:
            yield Fault(f"/{name}", f"must hold 2 or more, got {number}")


def signals(trace: MultiAgentDebateTrace, reading: Reading) -> tuple[Signal, ...]:
    """Named by failure mode: flips without a reason, one voice from the start, growing numbers, caught tones, words."""
    tones = [rules.tone_of(message) for message in trace.messages]
    found = [
        *signs.find(reading, rules.RULES),
        *flips(trace.messages),
        *one_voice(trace.messages),
        *shift(trace.messages),
    ]
    for number, source, mode, was_calm in rules.caught(trace.messages, tones):
        message = trace.messages[number]
        weight = 0.2 if message.emotional_tone == "unknown" else 0.4 if was_calm else 0.25
        claim = f"{message.from_agent} turns {tones[number]} right after step {source}, which was {tones[source]}"
        found.append(Signal(mode, claim, (number,), signs.first_line(message.content), weight))
    return signs.strongest(signal for signal in found if signal.quote)


def assess_offline(case: Case[MultiAgentDebateTrace]) -> DebatePathologyDetection:
    """From positions, tones and telling words alone."""
    return conclude(case, {})


def conclude(case: Case[MultiAgentDebateTrace], answers: Answers) -> DebatePathologyDetection:
    """Scores as far as quotations bear them out; rounds, diversity, counts and labels are computed."""
    trace, judged, moved = case.trace, passes.judged_of(case, answers), passes.flips_of(case, answers)
    scores = {label: one.score for label, one in judged.items()}
    converged, quality = convergence_round(trace.agents, trace.messages), texts.quality_of(max(scores.values()))
    profile = texts.profile_of(scores, quality, converged)
    audit: passes.AuditAnswer | None = answers.get("audit")
    shown = [label for label in PATHOLOGIES if scores[label] >= signs.SHOWS]
    # Without a model the proofs are the signals already.
    seen = [signal for signal in case.signals if MODE_OF[signal.name] in shown] if "debate" in answers else []
    proofs = [proof for label in shown for proof in judged[label].proofs]
    evidence = signs.each_once(
        [*proofs, *(case.ground(audit.evidence) if audit else ()), *signs.proofs(case, seen), *_movers(moved)]
    )
    interventions = _interventions(case, answers, scores, profile)
    sure = signs.confidence(case.signals, len(trace.messages))
    if "debate" in answers:
        sure = min(0.9, sure + 0.1 + 0.02 * (len(proofs) + len(moved)))
    payload = {"pathology_scores": scores, "convergence_round": converged}
    return DebatePathologyDetection(
        dominant_pathology=cast("Any", signs.leading(scores)),
        pathology_scores=scores,
        pathologies=tuple(
            PathologyFound(label, one.score, signs.gravity(one.score), one.explanation, one.quotes, round(sure, 2))
            for label, one in zip(PATHOLOGIES, judged.values(), strict=True)
        ),
        debate_quality=quality,
        interventions=interventions,
        debate_id=trace.debate_id,
        convergence_round=converged,
        success=trace.success,
        severity=banded(max(scores.values()), signs.BANDS),
        profile_pattern=profile,
        convergence_audit=_convergence(trace, converged, audit, moved),
        tone_cascade_audit=_tones(trace, audit),
        attached_playbooks=attach_playbooks(texts.PLAYBOOKS, texts.ATTACH, interventions),
        composition_handoff=texts.COMPOSITION.handoff({"profile_pattern": profile}, trace.framework, payload),
        evidence=evidence,
        confidence=round(sure, 2),
    )


def _interventions(
    case: Case[Any], answers: Answers, scores: Mapping[str, float], profile: texts.Profile
) -> tuple[DebateIntervention, ...]:
    showing = {one for one, score in scores.items() if score >= signs.SHOWS}
    computed = signs.remedies(DebateIntervention, case.signals, scores, texts.PLAYBOOKS, texts.ATTACH)
    return talk.proposed(answers, "debate", texts.COMPOSITION, profile, showing) or computed


Moved = Sequence[tuple[passes.Mover, int, str]]


def _movers(moved: Moved) -> Iterator[Evidence]:
    for kind, step, quote in moved:
        if kind in passes.SHOWN_BY.values():
            yield Evidence(f"This moved another to its position, by {kind} and not by argument", (step,), quote)


def _convergence(
    trace: MultiAgentDebateTrace, converged: int | None, audit: passes.AuditAnswer | None, moved: Moved
) -> ConvergenceAudit:
    spread = {number: rules.diversity(stated) for number, stated in rules.rounds_of(trace.messages).items()}
    told = audit.convergence.strip() if audit else ""
    if moved:
        counts = Counter(kind for kind, _, _ in moved)
        told += f" What moved members: {', '.join(f'{kind} {count}' for kind, count in counts.items())}."
    if not spread:
        return ConvergenceAudit(explanation=told.strip() or "No message states a position as a field.")
    first, last = next(iter(spread.values())), [*spread.values()][-1]
    before = [one for number, one in spread.items() if converged is not None and number < converged]
    path = ", ".join(f"round {number}: {one:g}" for number, one in [*spread.items()][:20])
    abrupt = bool(before) and before[-1] >= 0.5
    return ConvergenceAudit(first, last, converged, abrupt, f"{told} Diversity by {path}.".strip())


def _tones(trace: MultiAgentDebateTrace, audit: passes.AuditAnswer | None) -> ToneCascadeAudit:
    tones = [rules.tone_of(message) for message in trace.messages]
    last: dict[str, rules.Tone] = {}
    flips, known = 0, Counter(tone for tone in tones if tone != "unknown")
    for message, tone in zip(trace.messages, tones, strict=True):
        if tone != "unknown":
            flips += last.get(message.from_agent, tone) != tone
            last[message.from_agent] = tone
    catches = list(rules.caught(trace.messages, tones))
    steps = ", ".join(f"{number} from {source}" for number, source, _, _ in catches[:20])
    told = audit.tone.strip() if audit else ""
    return ToneCascadeAudit(
        heated_turn_count=known["heated"],
        calm_turn_count=known["calm"] + known["neutral"],
        tone_flip_count=flips,
        dominant_tone=known.most_common(1)[0][0] if known else "unknown",
        cascade_strength=round(len(catches) / max(1, known.total() - 1), 4),
        explanation=f"{told} {f'Tone caught in steps {steps}.' if steps else 'No tone was caught.'}".strip(),
    )


PATTERN = Pattern(
    name="debate_pathology", number=26, friendly="Debate Pathology", group="Module 2 / Team",
    summary="Finds where a debate of agents ended in groupthink, polarization or a caught mood instead of an argument.",
    framework=texts.FRAMEWORK, sources=SOURCES, trace=MultiAgentDebateTrace, detection=DebatePathologyDetection,
    from_trace=from_trace, read=read, signals=signals, assess_offline=assess_offline, passes=passes.PASSES,
    conclude=conclude, playbooks=texts.PLAYBOOKS, attach=texts.ATTACH, composition=texts.COMPOSITION,
    non_blank=("task", "final_decision"), preconditions=preconditions,
)  # fmt: skip
