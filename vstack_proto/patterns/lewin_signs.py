"""What the Lewin attribution sees in the steps without a model, what each sign says, and how the loci are weighed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal, cast, get_args

import msgspec

from vstack_proto.patterns import signs
from vstack_proto.patterns.common import Effort, Level, Reading, Severity, Signal, Step
from vstack_proto.patterns.lewin_texts import Kind, LewinIntervention, Locus, Mechanism
from vstack_proto.patterns.signs import Rule, words
from vstack_proto.trace import TraceStep

LOCI: tuple[Locus, ...] = get_args(Locus)
DominantLocus = Literal["internal", "environmental", "interactional", "indeterminate"]
Covaries = Literal["unknown", "low", "mixed", "high"]
Quality = Literal["well-attributed", "ambiguous", "miscalibrated"]
StepType = Literal[
    "input", "tool_call", "observation", "thought", "decision", "output", "error", "clarification_request",
    "verification", "handoff", "memory_read", "memory_write",
]  # fmt: skip
IndividualName = Literal[
    "base_model", "fine_tuning", "rlhf", "training_cutoff", "reasoning_capability", "tool_use_skill",
    "language_support", "context_window_size", "sampling_config", "model_version", "inference_settings",
    "safety_filter_strictness", "decoding_strategy", "other",
]  # fmt: skip
EnvironmentalName = Literal[
    "system_prompt", "tools_available", "rag_context", "task_framing", "user_inputs", "downstream_consumers",
    "rate_limits", "tool_responses", "feedback_loops", "orchestration", "conversation_history", "memory_store",
    "output_parser", "safety_filter", "caching_layer", "multi_agent_topology", "verification_step", "other",
]  # fmt: skip

OWN_TYPES = frozenset(get_args(StepType))
BY_ROLE: dict[signs.Role, StepType] = {
    "user": "input", "system": "input", "tool": "tool_call", "observation": "observation", "agent": "output",
}  # fmt: skip
BY_TYPE = {"plan": "thought", "reasoning": "thought", "question": "clarification_request"}
# A reaction comes soon after what it reacts to.
NEAR = 3


def type_of(step: TraceStep) -> StepType:
    """The type of a canonical step; what is of no known type is what its speaker's role makes it."""
    known = step.type if step.type in OWN_TYPES else BY_TYPE.get(step.type)
    return cast("StepType", known or BY_ROLE[signs.role_of(step)])


def acts(step: Step) -> bool:
    """Whether the agent does or says this, and is not told it."""
    return signs.speaks(step) and step.kind not in ("error", "input", "memory_read")


def says(step: Step) -> bool:
    """Whether these are the agent's own words; a call is read for its result."""
    return acts(step) and step.kind != "tool_call"


def meets(step: Step) -> bool:
    """Whether the agent meets this: a result, an error, an order."""
    return not acts(step)


RULES = (
    Rule("barrier", "At step {step} the surroundings refused: any agent would have been stopped here.", words(
        r"timed out|timeout (?:after|exceeded|expired)|connection (?:refused|reset|failed)"
        r"|rate.?limit(?:ed| exceeded)|too many requests|(?:access|permission) (?:is )?denied|(?:un|not )authori[sz]ed"
        r"|forbidden|quota exceeded|(?:service|server|tool|host) (?:is )?(?:unavailable|not available|down)"
        r"|(?:HTTP|status|status code|error):? ?(?:401|403|404|408|429|5\d\d)|captcha|paywall|aborted"
        r"|ModuleNotFoundError|No module named|command not found|FileNotFoundError|no such (?:file|tool|host)"),
        0.35, meets),
    Rule("context_gap", "At step {step} what was given to work with was missing or out of date.", words(
        r"(?:no|0|zero) (?:relevant |matching |search )?(?:results?|documents?|passages?|records?|matches|entries)"
        r" (?:were |was )?(?:found|returned|available)|(?:output|text|context) (?:was )?truncated"
        r"|(?:do|did|does)(?: not|n't) have access|no access to|(?:outdated|stale) (?:docs?|documentation|index|cache)"
        r"|(?:is|was|are|were)(?: not|n't) (?:documented|in the (?:context|docs|prompt|index))"), 0.3, signs.everybody),
    Rule("unclear_task", "At step {step} the order itself leads astray: it contradicts itself or leaves its limit out.",
        words(r"(?:contradict(?:s|ory|ing)?|conflict(?:s|ing)?) (?:instruction|requirement|rule|order|prompt)s?"
        r"|(?:instruction|requirement|prompt|rule)s? (?:contradict|conflict)s?|ambiguous (?:task|instruction|request)s?"
        r"|(?:the )?(?:system )?prompt (?:says|told|tells|demands|insists)|whatever it takes"), 0.4, signs.everybody),
    Rule("assumption", "At step {step} {agent} supposes what it could have looked up, and goes on from it.", words(
        r"(?:I|I'll|I will|we|we'll|we will|let'?s|let us) (?:just |simply )?assumed?|assuming (?:that|the|it|this)"
        r"|hypothetical(?:ly)?|simulated? (?:data|dataset|results?)|placeholder|dummy data|from memory"
        r"|general knowledge|probably (?:fine|correct|right|enough)|must be (?:right|correct|fine)"
        r"|no need to (?:check|verify|test)|without (?:checking|verifying|testing)"), 0.3, says),
    Rule("own_error", "At step {step} {agent} names a slip of its own.", words(
        r"I (?:mis(?:read|calculated|counted)|overlooked|forgot|ignored|made (?:a|an) (?:mistake|error))"
        r"|my (?:mistake|error|bug|fault)|I was wrong|I did(?: not|n't) (?:notice|read)|I hallucinated"), 0.45, says),
    Rule("bad_call", "Step {step} shows a call that failed by its own form: the tool worked, the call did not.", words(
        r"(?:Syntax|Name|Type|Attribute|Indentation|Index|Key|Value)Error|syntax error|malformed"
        r"|(?:missing|invalid|unexpected|unknown) (?:required )?(?:keyword )?(?:argument|parameter)s?"), 0.3, meets),
    Rule("misread_order", "At step {step} it shows that one meant and another understood different things.", words(
        r"misunderst(?:ood|anding)|misinterpreted|(?:I|we) (?:took|read|understood) (?:that|it|this) (?:to mean|as)"
        r"|(?:I )?thought you meant|nobody told (?:me|us)|(?:was|were)(?: not|n't) told"
        r"|not what (?:I|we|you) (?:asked|meant|wanted)"), 0.4, signs.everybody),
    # Says something only near an obstacle, where ``signals_of`` gives it its claim.
    Rule("way_around", "", words(
        r"(?:rais|increas|lift|remov|disabl|skipp?|bypass|suppress)(?:e|ing|ed)? (?:the )?\w{0,30}"
        r"(?:limit|timeout|check|guard|validation|verification|test)s?|turn(?:ing)? off|ignor(?:e|ing) the \w+"
        r"|work(?:ing)? around|hard-?cod(?:e|ed|ing)|--no-verify|--force|by hand instead"), 0.45, acts),
)  # fmt: skip

REACTED = (
    "At step {step} {agent} meets the obstacle of step {cause} by {how}; obstacle and reaction explain it together."
)
HOW = {"assumption": "supposing what it could not get", "way_around": "dropping a limit or a check"}
REPEATED = "Step {step} repeats the call of step {first}, word for word, although it had failed."


def signals_of(reading: Reading) -> tuple[Signal, ...]:
    """Obstacles, slips, and reactions: a supposition right after an obstacle is of both, not of the agent alone."""
    found: list[Signal] = []
    obstacle = -NEAR - 1
    for signal in signs.find(reading, RULES):
        step = signal.steps[0]
        if signal.name in ("barrier", "context_gap"):
            obstacle = step
        elif signal.name in HOW and 0 < step - obstacle <= NEAR:
            how, agent = HOW[signal.name], reading.steps[step].agent
            claim = REACTED.format(step=step, agent=agent, cause=obstacle, how=how)
            found.append(Signal("poor_reaction", claim, (step,), signal.quote, 0.45))
            continue
        if signal.name != "way_around":
            found.append(signal)
    failed = {signal.steps[0] for signal in found if signal.name in ("barrier", "bad_call")}
    return signs.strongest([*found, *repeated(reading, failed)])


def repeated(reading: Reading, failed: set[int]) -> Iterable[Signal]:
    """Calls made again, word for word, after they had failed."""
    last: dict[str, int] = {}
    failure = -1
    for number, step in enumerate(reading.steps):
        if number in failed:
            failure = number
        if step.kind == "tool_call" and (quote := signs.first_line(step.content)):
            first = last.get(step.content)
            if first is not None and first < failure:
                yield Signal("perseveration", REPEATED.format(step=number, first=first), (number,), quote, 0.4)
            last[step.content] = number


MAX_OF_A_SIGN = 3
# A stated factor is an opinion: three held for certain weigh as much as two barriers.
FACTOR_WEIGHT = 0.25
# What was overcome explains no failure: it stays below the 0.2 from which a locus leads.
OVERCOME = 0.19
SEVERITY: tuple[tuple[float, Severity], ...] = (
    (0.0, "none"), (0.0001, "trace"), (0.1501, "low"), (0.3501, "moderate"), (0.5501, "medium"), (0.7001, "high"),
    (0.8501, "critical"),
)  # fmt: skip
NUDGES: dict[tuple[Covaries, ...], Locus] = {
    ("high", "high", "high"): "environmental",
    ("low", "low", "high"): "internal",
    ("low", "high", "low"): "interactional",
}
PREFERRED: tuple[Locus, ...] = ("environmental", "interactional", "internal")


def scores_of(found: Iterable[Signal], stated: Iterable[tuple[Locus, float]], overcome: bool) -> dict[Locus, float]:
    """How strongly each locus shows in signs and stated factors, before covariance."""
    rest: dict[Locus, float] = dict.fromkeys(LOCI, 1.0)
    for name, same in signs.by_label(found).items():
        for signal in same[:MAX_OF_A_SIGN]:
            rest[ADVICE[name].locus] *= 1.0 - signal.weight
    for locus, confidence in stated:
        rest[locus] *= 1.0 - FACTOR_WEIGHT * confidence
    damped = OVERCOME if overcome else 1.0
    return {locus: round((1.0 - left) * damped, 4) for locus, left in rest.items()}


def nudged(scores: Mapping[Locus, float], *answers: Covaries) -> dict[Locus, float]:
    """Kelley's pattern (consensus, distinctiveness, consistency) adds 0.05 to the locus that it speaks for."""
    return {
        locus: round(min(1.0, score + 0.05), 4) if NUDGES.get(answers) == locus else score
        for locus, score in scores.items()
    }


def dominant_of(scores: Mapping[Locus, float]) -> DominantLocus:
    """The locus to act on: of those within 0.05 of the highest, the one that is cheapest to change."""
    highest = max(scores.values())
    if highest < 0.2:
        return "indeterminate"
    # Rounded, so that a difference of exactly 0.05 is one in floating point too.
    return next(locus for locus in PREFERRED if scores[locus] >= round(highest - 0.05, 9))


def quality_of(scores: Mapping[Locus, float]) -> Quality:
    """How clearly one locus stands out."""
    highest, second, _ = sorted(scores.values(), reverse=True)
    if highest < 0.3:
        return "miscalibrated"
    return "well-attributed" if round(highest - second, 9) >= 0.3 else "ambiguous"


MEANT: tuple[tuple[re.Pattern[str], Locus], ...] = (
    (re.compile("model|training|rlhf"), "internal"),
    (re.compile("prompt|context|tool|rag|orchestrat|scaffold"), "environmental"),
    (re.compile("both|interaction"), "interactional"),
)
TRAIT = re.compile(
    r"\b(?:bad at|can(?:no|')t|incapable|stupid|dumb|lazy|always|never|unreliable|careless)", re.IGNORECASE
)
EXPECTED = re.compile(r"\b(?:should have|any (?:good )?model|obvious|simply|easy|trivial)", re.IGNORECASE)


def meant(initial: str | None) -> Locus | None:
    """The locus that a first attribution speaks of: a locus by name, else the first group of words it holds."""
    text = (initial or "").strip().lower()
    if text in LOCI:
        return text
    return next((locus for pattern, locus in MEANT if pattern.search(text)), None)


def mechanism_of(initial: str | None, dominant: DominantLocus, situation_named: bool) -> Mechanism:
    """How the agent came to be blamed for its surroundings, as far as the words of the blame tell."""
    if meant(initial) != "internal" or dominant in ("internal", "indeterminate"):
        return "none"
    if TRAIT.search(initial or ""):
        return "over_categorization"
    if EXPECTED.search(initial or ""):
        return "unrealistic_expectation"
    return "incomplete_correction" if situation_named else "unaware"


class Advice(msgspec.Struct, frozen=True):
    """What a kind of sign says about the locus of a failure, and the change that answers it."""

    locus: Locus
    kind: Kind
    description: str
    implementation: str
    rationale: str
    metric: str
    impact: Level = "medium"
    effort: Effort = "1d"


ADVICE = {
    "barrier": Advice(
        "environmental", "change_tools", "Make the tools the run leans on answer, or fail early and plainly.",
        "Give each call a time limit and a retry with growing pauses in the harness; tell the agent by an error "
        "class whether a retry can help; check access and quota before the run starts.",
        "A tool that refuses stops any model.", "Share of runs that end within ten steps of a refused call.", "high",
    ),
    "context_gap": Advice(
        "environmental", "change_context", "Give the agent the facts it had to do without.",
        "List what the run lacked or found outdated, put it into the retrieved context with its date, and return "
        "'nothing found' as a result of its own, not as an empty text.",
        "What is not in view cannot be weighed.", "Share of runs with an empty or outdated retrieval.", "high",
    ),
    "unclear_task": Advice(
        "environmental", "change_prompt", "Say the task in one way only.",
        "Remove the contradiction from the prompt, order the remaining rules by rank, and add one line that tells "
        "the agent to ask when two of them clash.",
        "Contradictory orders make every outcome wrong by one of them.",
        "Clarifications asked per hundred runs, and how many lead to a change of the prompt.", "medium", "1h",
    ),
    "assumption": Advice(
        "internal", "add_verification_step", "Have every assumption that carries the result checked.",
        "Before the final answer, list each premise with the step that proves it; a premise without a step is looked "
        "up or named in the answer as unproven.",
        "The run went on from what it supposed, although nothing kept it from looking.",
        "Premises per answer without a step that proves them.", "high",
    ),
    "own_error": Advice(
        "internal", "new_eval", "Turn the slip into a test that every later model and prompt must pass.",
        "Cut the run just before the slip, keep what was in view, and score ten samples for the right next step.",
        "A slip seen once is an anecdote; its rate says whether it is the model.", "Pass rate of the new case.",
    ),
    "bad_call": Advice(
        "internal", "change_model", "Compare models on the calls that this one got wrong.",
        "Replay the malformed calls with two other models and the same schema; if they do well, change the model for "
        "these steps; if not, the schema is at fault.",
        "Malformed calls against a working tool speak of skill.", "Share of calls refused for their form.",
    ),
    "perseveration": Advice(
        "internal", "change_prompt", "Forbid the same call twice after it failed.",
        "Keep the last failed calls in view and require that the next one differs, with a reason, or that the agent "
        "stops and reports.",
        "The record said that it does not work, and was not used.", "Identical calls after a failure, per run.",
        "medium", "1h",
    ),
    "poor_reaction": Advice(
        "interactional", "add_verification_step", "Put a check between an obstacle and the way around it.",
        "After a failed call the agent must state what failed, what it will do instead and what that puts at risk; a "
        "way around that drops a limit, a check or real data needs a second agent's or a person's consent.",
        "The obstacle alone stopped nobody, and the reaction would not have come without it.",
        "Ways around an obstacle that were later undone.", "high",
    ),
    "misread_order": Advice(
        "interactional", "change_orchestration", "Have the receiver of an order say it back.",
        "Let the receiving agent restate goal, limits and expected form in one line before it begins, and the sender "
        "confirm or correct it.",
        "Sender and receiver meant different things; neither was wrong alone.",
        "Handoffs corrected at the restatement, per run.",
    ),
}  # fmt: skip
# Where the locus rests on stated factors alone.
GENERIC: dict[str, Advice] = {
    locus: Advice(
        locus, "new_eval", "Put the stated factors to the test before changing anything.",
        "Replay the run twice: with another model in the same place, and with this model where the stated factors do "
        "not hold; what changes the ending is the locus.",
        "No step proves what is believed of the cause.", "Replays whose ending changes.", "medium",
    )
    for locus in LOCI
}  # fmt: skip
OTHERWISE: dict[Locus, str] = {
    "internal": "Another model in the same place would probably have done better.",
    "environmental": "Another model in the same place would probably have failed too.",
    "interactional": "The same model without the obstacle, or another at it, would probably have done better.",
}


def remedies(found: Iterable[Signal], dominant: DominantLocus) -> tuple[LewinIntervention, ...]:
    """What answers the weightiest signs of the locus that carries the failure; nothing where there is none."""
    if dominant == "indeterminate":
        return ()
    grouped = signs.by_label(found)
    strong = sorted(grouped, key=lambda name: -signs.weigh(grouped[name], [name])[name])
    chosen = [ADVICE[name] for name in strong if ADVICE[name].locus == dominant][:3] or [GENERIC[dominant]]
    return tuple(
        LewinIntervention(
            advice.locus,
            advice.kind,
            description=advice.description,
            suggested_implementation=advice.implementation,
            estimated_impact=advice.impact,
            rationale=advice.rationale,
            effort_estimate=advice.effort,
            risk="low",
            success_metric=advice.metric,
        )
        for advice in chosen
    )
