"""Lencioni's five dysfunctions: at which level of the pyramid does a team stop being one?"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any, Literal, cast, get_args

import msgspec

from vstack_proto.errors import TraceNotReadable
from vstack_proto.patterns import lencioni_signs as words
from vstack_proto.patterns import lencioni_texts as texts
from vstack_proto.patterns import shapes, signs, talk
from vstack_proto.patterns.common import (
    Answers,
    BaselineComparison,
    Case,
    Count,
    Detection,
    Evidence,
    Fault,
    Pass,
    Pattern,
    Reading,
    Severity,
    Share,
    Signal,
    Source,
    Step,
    asks,
    attach_playbooks,
    banded,
    facts,
)  # fmt: skip
from vstack_proto.patterns.lencioni_texts import Dysfunction, LencioniIntervention
from vstack_proto.trace import CanonicalTrace, TraceStep

SOURCES = (
    Source("Lencioni, P.", "2002", "The Five Dysfunctions of a Team"),
    Source("Lencioni, P.", "2005", "Overcoming the Five Dysfunctions of a Team"),
    Source("Schein, E. H.", "1990", "Organizational Culture and Leadership"),
    Source("Edmondson, A. C.", "1999", "Psychological safety and learning behavior in work teams"),
    Source("Hackman, J. R.", "2002", "Leading Teams"),
    Source("Salas, E.; Reyes, D. L.; McDaniel, S. H.", "2018", "The science of teamwork"),
)

# From the base of the pyramid up.
DYSFUNCTIONS: tuple[Dysfunction, ...] = get_args(Dysfunction)
LEVEL_OF = {mode: dysfunction for (dysfunction, _), mode in texts.ATTACH.items()}
Health = Literal["healthy", "stressed", "dysfunctional"]
Profile = Literal[
    "healthy_team", "foundational_trust_collapse", "conflict_avoidance", "commitment_collapse", "accountability_void",
    "results_inattention", "full_pyramid_dysfunction", "foundation_unstable_top_strong", "indeterminate",
]  # fmt: skip
MessageType = Literal[
    "task", "response", "challenge", "agreement", "question", "vote", "decision", "observation", "tool_call",
    "tool_result",
]  # fmt: skip


class TeamMessage(shapes.Dated, frozen=True):
    """One message of the team, or a call that a member made and what came back."""

    timestamp: shapes.Moment
    from_agent: str
    content: str
    message_type: MessageType
    to_agent: str | None = None
    metadata: dict[str, Any] = {}


class MultiAgentTrace(msgspec.Struct, frozen=True):
    """What a team said and did about a goal."""

    goal: str
    agents: tuple[str, ...]
    messages: tuple[TeamMessage, ...]
    outcome: str
    team_id: str | None = None
    framework: str | None = None
    success: bool = False
    cost_usd: float | None = None
    latency_seconds: float | None = None
    metadata: dict[str, Any] = {}


class DysfunctionFound(msgspec.Struct, frozen=True):
    """How strongly one dysfunction shows."""

    dysfunction: Dysfunction
    severity: signs.Gravity
    score: Share
    explanation: str
    evidence_quotes: tuple[str, ...] = ()
    confidence: Share = 0.5


class CascadeAudit(msgspec.Struct, frozen=True):
    """Whether the base carries the rest: the mean of the two lowest levels against that of the three above."""

    foundation_dominant: bool = False
    cascade_strength: Share = 0.0
    bottom_two_score: Share = 0.0
    top_three_score: Share = 0.0
    explanation: str = ""


class PsychSafetyAudit(msgspec.Struct, frozen=True):
    """Objections made against objections swallowed; 0.5 where nothing was seen of either."""

    challenge_signal_count: Count = 0
    silent_dissent_count: Count = 0
    safety_estimate: Share = 0.5
    explanation: str = ""


class LencioniDiagnosis(Detection, frozen=True):
    """Where the team's pyramid gives way."""

    dominant_dysfunction: Literal[
        "absence-of-trust", "fear-of-conflict", "lack-of-commitment", "avoidance-of-accountability",
        "inattention-to-results", "none-observed",
    ]  # fmt: skip
    pyramid_score: dict[str, float]
    dysfunctions: tuple[DysfunctionFound, ...]
    interventions: tuple[LencioniIntervention, ...]
    overall_team_health: Health
    team_id: str | None = None
    success: bool = False
    severity: Severity = "moderate"
    profile_pattern: Profile = "indeterminate"
    cascade_audit: CascadeAudit | None = None
    psych_safety_audit: PsychSafetyAudit | None = None
    baseline: BaselineComparison | None = None
    attached_playbooks: tuple[texts.LencioniPlaybook, ...] = ()


EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def from_trace(canonical: CanonicalTrace) -> MultiAgentTrace:
    """One message a step; ``metadata`` may hold ``team_id``, ``cost_usd`` and ``latency_seconds``.

    A step without a moment has that of the step before, the first the epoch: no rule reads moments. An unknown
    ``success`` counts as none.
    """
    speaking = [step.agent for step in canonical.steps if signs.role_of(step) in ("agent", "tool")]
    agents = tuple(dict.fromkeys([*canonical.listed, *speaking]))
    if len(agents) < 2:
        raise TraceNotReadable(f"lencioni reads a team of 2 or more agents that speak; the trace has {len(agents)}")
    messages, moment = [], EPOCH
    for step in canonical.steps:
        moment = step.timestamp or moment
        named = to if isinstance(to := step.metadata.get("to_agent"), str) else None
        messages.append(TeamMessage(moment, step.agent, step.content, message_type(step), named, step.metadata))
    return MultiAgentTrace(
        canonical.goal, agents, tuple(messages), canonical.outcome, framework=canonical.framework,
        success=canonical.success is True, metadata=canonical.metadata,
        **signs.carried(canonical.metadata, MultiAgentTrace, "team_id", "cost_usd", "latency_seconds"),
    )  # fmt: skip


def message_type(step: TraceStep) -> MessageType:
    """What a step is to the team: by its type, its speaker, else its words."""
    kind, role, text = step.plain_type, signs.role_of(step), step.content
    if role in ("tool", "observation"):
        return "tool_call" if role == "tool" else "tool_result"
    if kind in get_args(MessageType):
        return cast("MessageType", kind)
    if role != "agent":
        return "task"
    if words.OBJECTS.search(text):
        return "challenge"
    if text.rstrip().endswith("?"):
        return "question"
    return "agreement" if len(text.split()) <= 12 and words.ASSENTS.match(text) else "response"


def read(trace: MultiAgentTrace) -> Reading:
    """Facts of the team, then the messages."""
    known = facts(trace, "goal", "agents", "outcome", "success")
    known += [(name, told) for name, told in (("team", trace.team_id), ("framework", trace.framework)) if told]
    return Reading(tuple(known), tuple(Step(m.from_agent, m.message_type, m.content) for m in trace.messages))


def preconditions(trace: MultiAgentTrace) -> Iterable[Fault]:
    """A team, and something that it said."""
    if len(set(trace.agents)) < 2:
        yield Fault("/agents", f"must name 2 or more, got {len(set(trace.agents))}")
    if not trace.messages:
        yield Fault("/messages", "must not be empty")


def signals(trace: MultiAgentTrace, reading: Reading) -> tuple[Signal, ...]:
    """Named by failure mode: telling words, then what became of objections, of questions for an owner, of errors."""
    found = [*signs.find(reading, words.RULES), *words.by_course(reading)]
    return signs.strongest(signal for signal in found if signal.quote)


def health_of(highest: float) -> Health:
    """What the worst level leaves of the team."""
    return "dysfunctional" if highest > 0.6 else "stressed" if highest > 0.3 else "healthy"


def means(scores: Mapping[str, float]) -> tuple[float, float]:
    """The mean of the two lowest levels, and of the three above; rounded, so that equal scores make equal means."""
    told = [scores[one] for one in DYSFUNCTIONS]
    return round(sum(told[:2]) / 2, 9), round(sum(told[2:]) / 3, 9)


BY_DOMINANT: dict[str, Profile] = dict(
    zip(DYSFUNCTIONS, cast("tuple[Profile, ...]", get_args(Profile)[1:6]), strict=True)
)


def profile_of(scores: Mapping[str, float]) -> Profile:
    """The contract's rules; the first that holds."""
    if health_of(max(scores.values())) == "healthy":
        return "healthy_team"
    if min(scores.values()) >= 0.5:
        return "full_pyramid_dysfunction"
    bottom, top = means(scores)
    if bottom >= 0.5 and top < 0.3:
        return "foundation_unstable_top_strong"
    return BY_DOMINANT.get(signs.leading(scores), "indeterminate")


def _judged(case: Case[Any], answers: Answers) -> dict[str, signs.Judged]:
    answer: texts.PyramidAnswer | None = answers.get("pyramid")
    found = [(f.dysfunction, f.score, f.explanation, f.evidence) for f in answer.dysfunctions] if answer else None
    return signs.judge_all(case, LEVEL_OF, DYSFUNCTIONS, found)


def _scores(case: Case[Any], answers: Answers) -> dict[str, float]:
    return {label: one.score for label, one in _judged(case.aside(), answers).items()}


def ask_changes(case: Case[Any], answers: Answers) -> str:
    """What to change, given what the scores say."""
    return texts.ASK_REMEDY.format(found=signs.scored(_scores(case, answers))) + texts.ASK_CHANGES


def ask_cascade(case: Case[Any], answers: Answers) -> str:
    """Which level led to which, given what the scores say."""
    return texts.ASK_CASCADE.format(found=signs.scored(_scores(case, answers)))


def is_stacked(case: Case[Any], answers: Answers) -> bool:
    """A link needs two levels that show."""
    return sum(score >= signs.SHOWS for score in _scores(case, answers).values()) > 1


def is_dysfunctional(case: Case[Any], answers: Answers) -> bool:
    """Where no dysfunction was observed there is nothing to change."""
    return signs.leading(_scores(case, answers)) != "none-observed"


READ = Pass("pyramid", texts.PyramidAnswer, asks(texts.TASK))
AUDIT = Pass("audit", talk.Events[texts.SafetyKind], asks(texts.ASK_AUDIT))
CASCADE = Pass("cascade", texts.CascadeAnswer, ask_cascade, is_stacked)
CHANGES = Pass("interventions", texts.RemedyAnswer, ask_changes, is_dysfunctional)


def assess_offline(case: Case[MultiAgentTrace]) -> LencioniDiagnosis:
    """From types, sequences and telling words alone."""
    return conclude(case, {})


def conclude(case: Case[MultiAgentTrace], answers: Answers) -> LencioniDiagnosis:
    """Scores as far as quotations bear them out; labels, means and counts are computed."""
    trace, judged = case.trace, _judged(case, answers)
    scores = {label: one.score for label, one in judged.items()}
    profile = profile_of(scores)
    shown = [label for label in DYSFUNCTIONS if scores[label] >= signs.SHOWS]
    # Without a model the proofs are the signals already.
    seen = [signal for signal in case.signals if LEVEL_OF[signal.name] in shown] if "pyramid" in answers else []
    proofs = [proof for label in shown for proof in judged[label].proofs]
    links = _links(case, answers.get("cascade"), scores)
    interventions = _interventions(case, answers, scores, profile, {link.lower for link, _ in links})
    sure = signs.confidence(case.signals, len(trace.messages))
    if "pyramid" in answers:
        sure = min(0.9, sure + 0.1 + 0.02 * len(proofs))
    forensic, payload = case.mode == "forensic", {"pyramid_score": scores}
    return LencioniDiagnosis(
        dominant_dysfunction=cast("Any", signs.leading(scores)),
        pyramid_score=scores,
        dysfunctions=tuple(
            DysfunctionFound(label, signs.gravity(one.score), one.score, one.explanation, one.quotes, round(sure, 2))
            for label, one in zip(DYSFUNCTIONS, judged.values(), strict=True)
        ),
        interventions=interventions,
        overall_team_health=health_of(max(scores.values())),
        team_id=trace.team_id,
        success=trace.success,
        severity=banded(max(scores.values()), signs.BANDS),
        profile_pattern=profile,
        cascade_audit=_cascade(scores, [link for link, _ in links]) if forensic else None,
        psych_safety_audit=_safety(case, answers.get("audit")) if forensic else None,
        attached_playbooks=attach_playbooks(texts.PLAYBOOKS, texts.ATTACH, interventions),
        composition_handoff=texts.COMPOSITION.handoff({"profile_pattern": profile}, trace.framework, payload),
        evidence=signs.each_once([*proofs, *(proof for _, own in links for proof in own), *signs.proofs(case, seen)]),
        confidence=round(sure, 2),
    )


def _interventions(
    case: Case[Any], answers: Answers, scores: Mapping[str, float], profile: Profile, roots: Container[str]
) -> tuple[LencioniIntervention, ...]:
    showing = {label for label in DYSFUNCTIONS if scores[label] >= signs.SHOWS}
    computed = signs.remedies(LencioniIntervention, case.signals, scores, texts.PLAYBOOKS, texts.ATTACH)
    chosen = talk.proposed(answers, "pyramid", texts.COMPOSITION, profile, showing) or computed
    # What led to the rest comes first: what rests on it may mend itself.
    return tuple(sorted(chosen, key=lambda one: one.target_dysfunction not in roots))


Linked = tuple[texts.Link, tuple[Evidence, ...]]


def _links(case: Case[Any], answer: texts.CascadeAnswer | None, scores: Mapping[str, float]) -> tuple[Linked, ...]:
    """The links between levels that show, upwards and forwards, both ends of which stand in the run."""
    found: dict[tuple[str, str], Linked] = {}
    for link in answer.links if answer else ():
        ends = (link.lower, link.cause, "Cause"), (link.upper, link.effect, "Effect")
        stands = case.ground(Evidence(f"{name}: {link.claim}", (at.step,), at.quote) for _, at, name in ends)
        upwards = DYSFUNCTIONS.index(link.lower) < DYSFUNCTIONS.index(link.upper)
        shown = min(scores[link.lower], scores[link.upper]) >= signs.SHOWS
        if len(stands) == len(ends) and upwards and shown and link.cause.step <= link.effect.step:
            found.setdefault((link.lower, link.upper), (link, stands))
    return tuple(found.values())


def _cascade(scores: Mapping[str, float], links: Sequence[texts.Link]) -> CascadeAudit:
    bottom, top = (round(mean, 4) for mean in means(scores))
    said = f"The two lowest levels score {bottom:g} on average, the three above them {top:g}."
    led = (f" Step {one.cause.step}, {one.lower}, led to step {one.effect.step}, {one.upper}." for one in links)
    # The base leads where it is weaker, or where the run shows it to have brought down a level above it.
    reached = any(one.lower in DYSFUNCTIONS[:2] and one.upper in DYSFUNCTIONS[2:] for one in links)
    # A cascade needs both ends: a weak base, and something above that gives way on it.
    return CascadeAudit(bottom > top or reached, min(bottom, top), bottom, top, said + "".join(led))


def _safety(case: Case[MultiAgentTrace], audit: talk.Events[texts.SafetyKind] | None) -> PsychSafetyAudit:
    events = {("challenge", n) for n, step in enumerate(case.reading.steps) if step.kind == "challenge"}
    events |= {("silent_dissent", one.steps[0]) for one in case.signals if one.name == "false_consensus"}
    for one in audit.events if audit else ():
        if case.quoted(one.quote, (one.step,)):
            events.add((one.kind, one.step))
    counts = Counter(kind for kind, _ in events)
    made, swallowed = counts["challenge"], counts["silent_dissent"]
    # The rule of succession: few events move the estimate little away from 0.5.
    estimate = round((made + 1) / (made + swallowed + 2), 4)
    return PsychSafetyAudit(made, swallowed, estimate, f"{made} objections or admissions, {swallowed} swallowed.")


PATTERN = Pattern(
    name="lencioni", number=17, friendly="Lencioni Five Dysfunctions", group="Module 2 / Team",
    summary="Finds at which level a team gives way: trust, conflict, commitment, accountability or results.",
    framework=texts.FRAMEWORK, sources=SOURCES, trace=MultiAgentTrace, detection=LencioniDiagnosis,
    from_trace=from_trace, read=read, signals=signals, assess_offline=assess_offline,
    passes={
        "quick": (Pass("pyramid", texts.QuickAnswer, asks(f"{texts.TASK}\n\n{texts.ASK_CHANGES}")),),
        "standard": (READ, CHANGES),
        "forensic": (READ, AUDIT, CASCADE, CHANGES),
    },
    conclude=conclude, playbooks=texts.PLAYBOOKS, attach=texts.ATTACH, composition=texts.COMPOSITION,
    non_blank=("goal", "outcome"), preconditions=preconditions)  # fmt: skip
