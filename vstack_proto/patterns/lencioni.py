"""Lencioni's five dysfunctions: at which level of the pyramid does a team stop being one?"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, cast, get_args

import msgspec

from vstack_proto.errors import TraceNotReadable
from vstack_proto.patterns import lencioni_texts as texts
from vstack_proto.patterns import signs
from vstack_proto.patterns.common import (
    Answers,
    BaselineComparison,
    Case,
    Count,
    Detection,
    Fault,
    Pass,
    Pattern,
    Reading,
    Severity,
    Share,
    Signal,
    Source,
    Step,
    attach_playbooks,
    banded,
)  # fmt: skip
from vstack_proto.patterns.lencioni_texts import Dysfunction, LencioniIntervention
from vstack_proto.trace import CanonicalTrace, TraceStep, utc

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
Moment = Annotated[dt.datetime, msgspec.Meta(extra_json_schema={"format": "date-time"})]


class TeamMessage(msgspec.Struct, frozen=True):
    """One message of the team, or a call that a member made and what came back."""

    timestamp: Moment
    from_agent: str
    content: str
    message_type: MessageType
    to_agent: str | None = None
    metadata: dict[str, Any] = {}

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "timestamp", utc(self.timestamp))


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
    listed = [one if isinstance(one, str) else one.agent_id for one in canonical.agents]
    speaking = [step.agent for step in canonical.steps if signs.role_of(step) in ("agent", "tool")]
    agents = tuple(dict.fromkeys([*listed, *speaking]))
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
    kind, role, text = step.type.strip().lower().replace("-", "_"), signs.role_of(step), step.content
    if role in ("tool", "observation"):
        return "tool_call" if role == "tool" else "tool_result"
    if kind in get_args(MessageType):
        return cast("MessageType", kind)
    if role != "agent":
        return "task"
    if texts.OBJECTS.search(text):
        return "challenge"
    if text.rstrip().endswith("?"):
        return "question"
    return "agreement" if len(text.split()) <= 12 and texts.ASSENTS.match(text) else "response"


def read(trace: MultiAgentTrace) -> Reading:
    """Facts of the team, then the messages."""
    named = (("team", trace.team_id), ("framework", trace.framework))
    facts = [("goal", trace.goal), ("agents", ", ".join(dict.fromkeys(trace.agents))), ("outcome", trace.outcome)]
    facts += [("success", "yes" if trace.success else "no"), *((name, told) for name, told in named if told)]
    return Reading(tuple(facts), tuple(Step(m.from_agent, m.message_type, m.content) for m in trace.messages))


def preconditions(trace: MultiAgentTrace) -> Iterable[Fault]:
    """A team, and something that it said."""
    if len(set(trace.agents)) < 2:
        yield Fault("/agents", f"must name 2 or more, got {len(set(trace.agents))}")
    if not trace.messages:
        yield Fault("/messages", "must not be empty")


def signals(trace: MultiAgentTrace, reading: Reading) -> tuple[Signal, ...]:
    """Named by failure mode: telling words, then what became of objections, of questions for an owner, of errors."""
    found = [*signs.find(reading, texts.RULES), *_objections(reading), *_follow_ups(reading), *_one_voice(reading)]
    return signs.strongest(signal for signal in found if signal.quote)


def _objections(reading: Reading) -> Iterator[Signal]:
    """An objection that the next speaker cuts off, or that its author drops without a reason."""
    pressed: dict[str, int] = {}
    last: tuple[int, Step] | None = None
    for number, step in enumerate(reading.steps):
        if not texts.spoken(step):
            continue
        quote = signs.first_line(step.content)
        if last is not None and last[1].agent != step.agent and texts.DISMISSES.search(step.content):
            claim = f"Step {number}: {step.agent} cuts off the objection of step {last[0]} and does not answer it."
            yield Signal("artificial_harmony", claim, (number,), quote, 0.45)
        before = pressed.pop(step.agent, None)
        if before is not None and step.kind == "agreement" and not texts.REASON.search(step.content):
            claim = f"Step {number}: {step.agent} drops its objection of step {before} and names no reason."
            yield Signal("false_consensus", claim, (number,), quote, 0.45)
        last = (number, step) if step.kind == "challenge" else None
        if last is not None:
            pressed[step.agent] = number


def _follow_ups(reading: Reading) -> Iterator[Signal]:
    """A question for an owner that no owner follows; a failed result that is reported as success."""
    asked: tuple[int, Step] | None = None
    failed: int | None = None
    for number, step in enumerate(reading.steps):
        if step.kind == "tool_result":
            failed = number if texts.FAILED.search(step.content) else None
        if not texts.spoken(step):
            continue
        if asked is not None and asked[1].agent != step.agent:
            if not texts.OWNS.search(step.content):
                claim = f"Step {asked[0]}: {asked[1].agent} asks who owns it, and step {number} names nobody."
                yield Signal("peer_accountability_gap", claim, (asked[0],), signs.first_line(asked[1].content), 0.4)
            asked = None
        if texts.ASKS_OWNER.search(step.content):
            asked = (number, step)
        if failed is not None and texts.CLAIMED.search(step.content) and not texts.DOUBTED.search(step.content):
            claim = f"Step {number}: {step.agent} reports success although the result of step {failed} failed."
            yield Signal("metric_gaming", claim, (number,), signs.first_line(step.content), 0.35)
        failed = None


def _one_voice(reading: Reading) -> Iterator[Signal]:
    """Many agreements by several and not one question or objection: nothing was argued."""
    said = [(number, step) for number, step in enumerate(reading.steps) if texts.spoken(step)]
    kinds = Counter(step.kind for _, step in said)
    agreeing = [(number, step) for number, step in said if step.kind == "agreement"]
    if len(agreeing) < 4 or len({step.agent for _, step in agreeing}) < 3 or kinds["challenge"] or kinds["question"]:
        return
    number, last = agreeing[-1]
    claim = f"{len(agreeing)} agreements up to step {number}, and nobody asks or objects once."
    yield Signal("artificial_harmony", claim, (number,), signs.first_line(last.content), 0.35)


# --- Assessment --------------------------------------------------------------------------------------------------


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
    # Asking must not count quotations: the ledger of this look is thrown away.
    judged = _judged(Case(case.trace, case.reading, case.signals, case.mode), answers)
    return {label: one.score for label, one in judged.items()}


def ask_changes(case: Case[Any], answers: Answers) -> str:
    """What to change, given what the scores say."""
    found = ", ".join(f"{label} {score:.2f}" for label, score in _scores(case, answers).items())
    return texts.ASK_REMEDY.format(found=found) + texts.ASK_CHANGES


def is_dysfunctional(case: Case[Any], answers: Answers) -> bool:
    """Where no dysfunction was observed there is nothing to change."""
    return signs.leading(_scores(case, answers)) != "none-observed"


READ = Pass("pyramid", texts.PyramidAnswer, lambda case, answers: texts.TASK)
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
    interventions = _interventions(case, answers, scores, profile)
    pairs = [(one.target_dysfunction, one.intervention_type) for one in interventions]
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
        cascade_audit=_cascade(scores) if forensic else None,
        psych_safety_audit=_safety(case, answers.get("audit")) if forensic else None,
        attached_playbooks=attach_playbooks(texts.PLAYBOOKS, texts.ATTACH, pairs),
        composition_handoff=texts.COMPOSITION.handoff({"profile_pattern": profile}, trace.framework, payload),
        evidence=signs.each_once([*proofs, *signs.proofs(case, seen)]),
        confidence=round(sure, 2),
    )


def _interventions(
    case: Case[Any], answers: Answers, scores: Mapping[str, float], profile: Profile
) -> tuple[LencioniIntervention, ...]:
    told = answers.get("interventions", answers.get("pyramid"))
    proposed = [one for one in getattr(told, "interventions", ()) if scores[one.target_dysfunction] >= signs.SHOWS]
    composed = next(iter(texts.COMPOSITION.downstream["profile_pattern"][profile]), None)
    computed = signs.remedies(LencioniIntervention, case.signals, scores, texts.PLAYBOOKS, texts.ATTACH)
    return signs.adopted(proposed, texts.COMPOSITION, composed) or computed


def _cascade(scores: Mapping[str, float]) -> CascadeAudit:
    bottom, top = (round(mean, 4) for mean in means(scores))
    said = f"The two lowest levels score {bottom:g} on average, the three above them {top:g}."
    # A cascade needs both ends: a weak base, and something above that gives way on it.
    return CascadeAudit(bottom > top, min(bottom, top), bottom, top, said)


def _safety(case: Case[MultiAgentTrace], audit: texts.AuditAnswer | None) -> PsychSafetyAudit:
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
        "quick": (Pass("pyramid", texts.QuickAnswer, lambda case, answers: f"{texts.TASK}\n\n{texts.ASK_CHANGES}"),),
        "standard": (READ, CHANGES),
        "forensic": (READ, Pass("audit", texts.AuditAnswer, lambda case, answers: texts.ASK_AUDIT), CHANGES),
    },
    conclude=conclude, playbooks=texts.PLAYBOOKS, attach=texts.ATTACH, composition=texts.COMPOSITION,
    non_blank=("goal", "outcome"), preconditions=preconditions)  # fmt: skip
