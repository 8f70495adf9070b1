"""DANVA emotion reader: which emotions does the agent read in messages, which does it miss, and how strongly?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence, Sized
from collections.abc import Set as AbstractSet
from typing import Annotated, Any, Literal

import msgspec

from vstack_proto.errors import TraceNotReadable
from vstack_proto.patterns import danva_emotion_texts as texts
from vstack_proto.patterns import signs
from vstack_proto.patterns.common import (
    Amount,
    Answers,
    Case,
    Count,
    Detection,
    Evidence,
    Pass,
    Pattern,
    Reading,
    Severity,
    Share,
    Signal,
    Step,
    asks,
    attach_playbooks,
)
from vstack_proto.patterns.danva_emotion_numbers import (
    CascadeAnalysis,
    CircumplexProjection,
    ConfusionMatrix,
    Emotion,
    EmotionMetric,
    Explicitness,
    Inferred,
    IntensityCurve,
    Numbers,
    Profile,
    Quality,
    Weakest,
    measure,
    off,
    right,
)
from vstack_proto.patterns.danva_emotion_texts import ATTACH, COMPOSITION, PLAYBOOKS, DanvaIntervention, Target
from vstack_proto.trace import CanonicalTrace

Extended = Literal[
    "admiration", "amusement", "anger", "annoyance", "approval", "caring", "confusion", "curiosity", "desire",
    "disappointment", "disapproval", "disgust", "embarrassment", "excitement", "fear", "gratitude", "grief", "joy",
    "love", "nervousness", "optimism", "pride", "realization", "relief", "remorse", "sadness", "surprise", "neutral",
]  # fmt: skip


class EmotionItem(msgspec.Struct, frozen=True):
    """A message, the emotion it was written in, and what the agent read."""

    item_id: str
    user_input: str
    ground_truth_emotion: Emotion
    ground_truth_intensity: Share
    agent_inferred_emotion: Inferred
    agent_inferred_intensity: Share = 0.5
    cue_explicitness: Explicitness = "explicit"
    extended_emotion: Extended | None = None
    cultural_context: texts.Culture = "unknown"
    metadata: dict[str, Any] = {}


class AgentEmotionTrace(msgspec.Struct, frozen=True):
    """What an agent read in a set of messages."""

    items: Annotated[tuple[EmotionItem, ...], msgspec.Meta(min_length=1)]
    agent_id: str | None = None
    model_name: str | None = None
    framework: str | None = None
    run_count: Annotated[int, msgspec.Meta(ge=1)] = 1
    cultural_context: texts.Culture = "unknown"
    metadata: dict[str, Any] = {}


class ItemCalibration(msgspec.Struct, frozen=True):
    """The cues of one message. What a lexicon would add stays open: none is part of this package."""

    item_id: str
    nrc_vad_valence: float | None = None
    nrc_vad_arousal: float | None = None
    nrc_vad_dominance: float | None = None
    nrc_predicted_emotion: Emotion | None = None
    nrc_predicted_intensity: float = 0.5
    vad_divergence_from_agent: float = 0.0
    cue_signature: texts.CueSignature = texts.CueSignature()


class DanvaDetection(Detection, frozen=True):
    """How accurately emotions were read."""

    metrics: tuple[EmotionMetric, ...]
    overall_accuracy: Share
    overall_intensity_mae: Amount
    weakest_emotion: Weakest
    accuracy_quality: Quality
    interventions: tuple[DanvaIntervention, ...]
    n_items: Count
    agent_id: str | None = None
    model_name: str | None = None
    severity: Severity = "moderate"
    profile_pattern: Profile = "indeterminate"
    confusion_matrix: ConfusionMatrix | None = None
    intensity_curves: tuple[IntensityCurve, ...] = ()
    circumplex_projection: CircumplexProjection | None = None
    cultural_adjustment: texts.CulturalAdjustment | None = None
    cascade_analysis: CascadeAnalysis | None = None
    per_item_calibration: tuple[ItemCalibration, ...] = ()
    baseline: texts.DanvaBaseline | None = None
    attached_playbooks: tuple[texts.DanvaPlaybook, ...] = ()


NEEDED = (
    "danva_emotion compares what was felt with what was read: give one item a step, in `metadata.items` or in the "
    "step's `metadata`, with ground_truth_emotion, ground_truth_intensity and agent_inferred_emotion"
)


def from_trace(canonical: CanonicalTrace) -> AgentEmotionTrace:
    """One item a step: the message is the step's content, what was felt and read stands in the metadata."""
    listed = canonical.metadata.get("items")
    given = listed if isinstance(listed, list | tuple) else [step.metadata for step in canonical.steps]
    if len(given) != len(canonical.steps) or not all(isinstance(item, dict) for item in given):
        raise TraceNotReadable(NEEDED)
    items = []
    for number, (step, item) in enumerate(zip(canonical.steps, given, strict=True)):
        # An item for another message would be quoted from a step that does not hold it.
        known = {"item_id": str(number)} | item | {"user_input": step.content}
        if item.get("user_input", step.content) != step.content:
            raise TraceNotReadable(f"{NEEDED}; item {number} is not the message of step {number}")
        try:
            items.append(msgspec.convert(known, EmotionItem))
        except msgspec.ValidationError as error:
            raise TraceNotReadable(f"{NEEDED}; item {number}: {error}") from error
    names = ("agent_id", "model_name", "run_count", "cultural_context")
    return AgentEmotionTrace(
        items=tuple(items),
        framework=canonical.framework,
        metadata=canonical.metadata,
        **signs.carried(canonical.metadata, AgentEmotionTrace, *names),
    )


def read(trace: AgentEmotionTrace) -> Reading:
    """One step an item: its kind tells what was meant and what was read, its content is the message."""
    known = ("agent_id", "model_name", "framework", "cultural_context")
    facts = [("items", str(len(trace.items)))]
    facts += [(name, value) for name in known if (value := getattr(trace, name))]
    steps = []
    for item in trace.items:
        told = f"{item.cue_explicitness}; meant {item.ground_truth_emotion} {item.ground_truth_intensity:g}"
        kind = f"{told}; read {item.agent_inferred_emotion} {item.agent_inferred_intensity:g}"
        steps.append(Step("user", kind, item.user_input))
    return Reading(tuple(facts), tuple(steps))


# A strength that is off by this much calls for another answer.
FAR = 0.3
MISREAD: dict[tuple[str, str], tuple[Target, str]] = {
    ("angry", "neutral"): ("angry", "under_detection"),
    ("fearful", "sad"): ("fearful", "mis_as_sad"),
    ("fearful", "neutral"): ("fearful", "mis_as_neutral"),
    ("neutral", "happy"): ("happy", "false_positive_on_neutral"),
    ("surprise", "happy"): ("surprise", "mis_as_happy"),
}
BY_TRUTH: dict[str, tuple[Target, str]] = {
    "disgust": ("disgust", "missing"), "neutral": ("neutral", "over_classified"),
}  # fmt: skip


def fault_of(item: EmotionItem) -> tuple[Target, str] | None:
    """Whose reading failed and how: the key of a playbook where there is one."""
    true, read_as = item.ground_truth_emotion, item.agent_inferred_emotion
    if right(item):
        return (true, "intensity_collapse" if off(item) < 0 else "intensity_inflated") if _far(item) else None
    if read_as == "uncertain":
        return "all", "uncertain_dump"
    if item.cue_explicitness == "sarcastic" and read_as == "happy":
        return "happy", "sarcasm_blind"
    return MISREAD.get((true, read_as)) or BY_TRUTH.get(true) or (true, f"mis_as_{read_as}")


def _far(item: EmotionItem) -> bool:
    # Rounded, for 0.8 less 0.5 is a little more than 0.3 in floating point.
    return round(abs(off(item)), 9) >= FAR


def signals(trace: AgentEmotionTrace, reading: Reading) -> tuple[Signal, ...]:
    """Every misread message, the strongly felt ones first; then those whose strength was far off."""
    found = []
    for number, item in enumerate(trace.items):
        fault, quote = fault_of(item), signs.first_line(item.user_input)
        if fault is None or not quote:
            continue
        true, felt = item.ground_truth_emotion, item.ground_truth_intensity
        if right(item):
            claim = (
                f"Message {number} was {true} at {felt:g}; its strength was read as {item.agent_inferred_intensity:g}."
            )
        else:
            claim = (
                f"Message {number} was {true} ({item.cue_explicitness}); it was read as {item.agent_inferred_emotion}."
            )
        weight = 0.25 if right(item) else round(0.3 + 0.4 * felt, 4)
        found.append(Signal(fault[1], claim, (number,), quote, weight))
    return signs.strongest(found)


def remedies(trace: AgentEmotionTrace, numbers: Numbers, doubted: AbstractSet[int]) -> tuple[DanvaIntervention, ...]:
    """What the commonest faults call for, those whose label is in doubt left out; nothing for a good reader."""
    if numbers.quality == "high-accuracy":
        return ()
    sound = (item for number, item in enumerate(trace.items) if number not in doubted)
    faults = Counter(fault for item in sound if (fault := fault_of(item)) is not None)
    if numbers.profile == "valence_only_signal":
        faults["all", "valence_only_signal"] = len(trace.items)
    books = {(book.emotion, book.failure_mode): book for book in PLAYBOOKS}
    kinds = {(target, mode): kind for (target, kind), mode in ATTACH.items()}
    chosen = []
    for (target, mode), count in faults.most_common(4):
        told = f"{count} of {len(trace.items)} messages: {mode.replace('_', ' ')}."
        impact = signs.impact(count / len(trace.items) * 2)
        if (target, mode) in kinds:
            book, kind = books[target, mode], kinds[target, mode]
            what, how, effort = f"{book.title}.", " ".join(book.steps), book.expected_effort
        elif mode.startswith("intensity"):
            kind, effort = "add_intensity_calibration_step", "1d"
            what = f"Anchor the strength of {target} messages."
            how = "Give five messages at 0.1 to 0.9 and ask for the nearest before the number."
        else:
            kind, effort = "few_shot_examples", "1h"
            what = f"Show what tells {target} from {mode.removeprefix('mis_as_')}."
            how = "Give three pairs of messages that differ in the deciding cue only, with that cue named."
        metric = f"Accuracy of {target} messages" if target != "all" else "Overall accuracy"
        fields = {"target_emotion": target, "intervention_type": kind, "estimated_impact": impact}
        more = {"effort_estimate": effort, "rationale": told, "success_metric": metric, "risk": "low"}
        known = {"description": what, "suggested_implementation": how}
        chosen.append(msgspec.convert(fields | more | known, DanvaIntervention))
    return tuple(chosen)


def assess_offline(case: Case[AgentEmotionTrace]) -> DanvaDetection:
    """The whole detection: a model adds which cues were missed, and its own proposals."""
    return conclude(case, {})


def numbers_of(case: Case[AgentEmotionTrace]) -> Numbers:
    """The numbers of a case."""
    return measure(case.trace.items)


def reads_badly(case: Case[AgentEmotionTrace], answers: Answers) -> bool:
    """An agent that reads well needs no change."""
    return numbers_of(case).quality != "high-accuracy"


def misread(case: Case[AgentEmotionTrace], answers: Answers) -> bool:
    """A missed cue needs a message that was misread."""
    return any(not right(item) for item in case.trace.items)


def doubts(case: Case[AgentEmotionTrace], answers: Answers) -> dict[int, Evidence]:
    """The misread messages whose label their own words do not bear out, with proof."""
    told: texts.LabelsAnswer | None = answers.get("labels")
    found: dict[int, Evidence] = {}
    for one in told.labels if told else ():
        proof = case.proof(one.claim, one.quote, one.step)
        if proof and one.verdict != "decided" and not right(case.trace.items[one.step]):
            found.setdefault(one.step, proof)
    return found


def ask_fix(case: Case[AgentEmotionTrace], answers: Answers) -> str:
    """What to change, given the numbers and the labels that are in doubt."""
    numbers, doubted = numbers_of(case), doubts(case.aside(), answers)
    told = (f"{m.emotion} {m.accuracy:.2f} of {m.n_items}" for m in numbers.metrics if m.n_items)
    asked = texts.FIX_TASK.format(
        accuracy=f"{numbers.accuracy:.2f}",
        mae=f"{numbers.mae:.2f}",
        weakest=numbers.weakest,
        profile=numbers.profile,
        emotions=", ".join(told),
        neighbours=", ".join(neighbours(numbers)) or "none",
    )
    asked += texts.DOUBTED.format(steps=signs.listed(doubted)) if doubted else ""
    return asked + texts.ASK_PROOF if case.mode == "quick" else asked


def neighbours(numbers: Numbers) -> tuple[str, ...]:
    """The patterns to run next, by profile and weakest emotion."""
    by_profile = COMPOSITION.downstream["profile_pattern"].get(numbers.profile, ())
    return tuple(dict.fromkeys([*by_profile, *COMPOSITION.downstream["weakest_emotion"][numbers.weakest]]))


def conclude(case: Case[AgentEmotionTrace], answers: Answers) -> DanvaDetection:
    """The numbers, which are exact; cues and proposals of a model if one was asked."""
    trace, numbers, forensic = case.trace, numbers_of(case), case.mode == "forensic"
    culture = texts.culture_of(trace.cultural_context, (item.cultural_context for item in trace.items))
    given = (case.ground(getattr(answer, "evidence", ())) for answer in answers.values())
    proofs: Sequence[Evidence] = [proof for one in given for proof in one]
    doubted = doubts(case, answers)
    proposed = answers["interventions"].interventions if "interventions" in answers else ()
    profiled = COMPOSITION.first(numbers.profile) is not None
    leading = (numbers.profile, "profile_pattern") if profiled else (numbers.weakest, "weakest_emotion")
    chosen = signs.adopted(proposed, COMPOSITION, *leading) or remedies(trace, numbers, doubted.keys())
    chosen = (*chosen, *relabelled(doubted))
    kinds = [one.intervention_type for one in chosen]
    labels = {"profile_pattern": numbers.profile, "weakest_emotion": numbers.weakest}
    payload = {"overall_accuracy": numbers.accuracy, "overall_intensity_mae": numbers.mae, **labels}
    return DanvaDetection(
        metrics=numbers.metrics,
        overall_accuracy=numbers.accuracy,
        overall_intensity_mae=numbers.mae,
        weakest_emotion=numbers.weakest,
        accuracy_quality=numbers.quality,
        interventions=chosen,
        n_items=len(trace.items),
        agent_id=trace.agent_id,
        model_name=trace.model_name,
        severity=numbers.severity,
        profile_pattern=numbers.profile,
        confusion_matrix=numbers.matrix,
        intensity_curves=numbers.curves,
        circumplex_projection=numbers.circumplex,
        cultural_adjustment=culture if forensic else None,
        cascade_analysis=numbers.cascade if forensic else None,
        per_item_calibration=calibrated(trace) if forensic else (),
        attached_playbooks=attach_playbooks(PLAYBOOKS, ATTACH, chosen),
        composition_handoff=COMPOSITION.handoff(labels, trace.framework, payload, kinds),
        evidence=signs.each_once([*proofs, *doubted.values(), *case.evidence_of_signals()]),
        confidence=sure_of(len(trace.items), len(doubted)),
    )


def calibrated(trace: AgentEmotionTrace) -> tuple[ItemCalibration, ...]:
    """The cues of every message."""
    return tuple(ItemCalibration(item.item_id, cue_signature=texts.cues_of(item.user_input)) for item in trace.items)


def relabelled(doubted: Sized) -> tuple[DanvaIntervention, ...]:
    """Where labels are in doubt, the test is to be mended too."""
    if not doubted:
        return ()
    told = f"Look again at the labels of {len(doubted)} messages."
    how = "Have three people label them without the answer; keep a message where two agree, else drop it and add one."
    why = "Their words do not decide for the emotion that was meant: see the evidence."
    change = DanvaIntervention(
        "all", "human_review", description=told, suggested_implementation=how, rationale=why, risk="low"
    )
    return (change,)


def sure_of(items: int, doubted: int) -> float:
    """The numbers are exact; what they say of the agent rests on how many messages there were whose label holds."""
    return round(min(0.8, 0.2 + 0.02 * (items - doubted)), 2)


CUES = Pass("cues", texts.CuesAnswer, asks(texts.CUES_TASK), misread)
LABELS = Pass("labels", texts.LabelsAnswer, asks(texts.LABELS_TASK), misread)
CHANGES = Pass("interventions", texts.ChangesAnswer, ask_fix, reads_badly)

PATTERN = Pattern(
    name="danva_emotion", number=4, friendly="DANVA Emotion Reader", group="Module 1 / Individual",
    summary="Measures which emotions an agent reads in messages, which it confuses, and how it misjudges strength.",
    framework=texts.FRAMEWORK, sources=texts.SOURCES, trace=AgentEmotionTrace, detection=DanvaDetection,
    from_trace=from_trace, read=read, signals=signals, assess_offline=assess_offline,
    passes={
        "quick": (Pass("interventions", texts.FixAnswer, ask_fix, reads_badly),),
        # An agent that reads well on the whole costs no call here; forensic mode looks at every misread message.
        "standard": (msgspec.structs.replace(CUES, wanted=reads_badly), CHANGES),
        "forensic": (CUES, LABELS, CHANGES),
    },
    conclude=conclude, playbooks=PLAYBOOKS, attach=ATTACH, composition=COMPOSITION,
)  # fmt: skip
