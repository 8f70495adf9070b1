"""Expectancy in words: the framework, what is asked and answered, and playbooks."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal, get_args

import msgspec

from vstack_proto.patterns import shapes
from vstack_proto.patterns.common import Answer, Composition, Count, Evidence
from vstack_proto.patterns.observed import OVERLAYS

Term = Literal["expectancy", "instrumentality", "valence"]
TERMS: tuple[Term, ...] = get_args(Term)
Category = Literal[
    "capability_proof", "scaffolding", "worked_example", "outcome_link", "purpose_framing", "user_connection",
    "pointless_signal", "anti_value_signal", "expectancy_threat", "instrumentality_threat", "valence_threat", "neutral",
]  # fmt: skip
CATEGORIES = frozenset(get_args(Category))
Kind = Literal[
    "scaffold_subtasks", "add_worked_example", "lower_difficulty_step", "show_output_consumer", "add_outcome_link",
    "add_purpose_framing", "remove_pointless_signal", "rewrite_system_prompt", "swap_model", "new_eval", "human_review",
    "show_capability_proof", "tighten_goal_specificity", "rebalance_value_alignment", "remove_anti_value_signal",
    "add_progress_signal", "compose_pattern", "add_motivation_eval",
]  # fmt: skip
Bottleneck = Literal["expectancy", "instrumentality", "valence", "none"]
Interaction = Literal[
    "E_dominates", "I_dominates", "V_dominates", "E_x_I_low", "E_x_V_low", "I_x_V_low", "balanced", "unknown"
]  # fmt: skip
Signed = Annotated[float, msgspec.Meta(ge=-1.0, le=1.0)]

FRAMEWORK = """\
Vroom (1964): the force to act is a product, expectancy x instrumentality x valence. One term near zero undoes the \
others, and a negative valence turns effort into avoidance.

expectancy: does effort lead to performance? Low where the task sprawls, the goal is vague, a tool or a skill is \
missing (Bandura 1977; Locke and Latham 1990).
instrumentality: does performance lead to anything? Low where nobody uses the output, good and bad work fare alike, \
or a metric is rewarded instead of the result.
valence: is that outcome worth having? Low without a purpose, negative where the task runs against what the agent is \
held to.

In an agent's trace: the first items done with care and the rest summarised (expectancy); "may or may not be used" in \
the prompt and the agent asking whether anyone reads it (instrumentality); hedging, refusing, working around the task \
(valence). A language model has no wishes that we know of; the terms say what its instructions offer and what it does.

Not low motivation: a smaller answer because less was asked; a tool error that is reported and worked around; a \
question about format; an objection that names a real harm; few tokens on easy items.

Evidence is the words of the prompt that lift or lower a term, and the behaviour or drop of effort that follows. \
Which term it is shows in what would mend it: a smaller step, a visible consumer, or another reason."""

TASK = """\
Score the three terms, one entry each, with evidence: expectancy and instrumentality from 0 to 1, valence from -1 \
(actively avoided) over 0 (indifferent) to 1. From 0.7 on a term carries the work; below 0.3 it stops it. Where the \
run says nothing against a term give 0.8 and say so. The score of the whole is their product and is computed; do not \
lower a term because another is low. In the explanation, say what speaks against your score."""
ASK_CHANGES = """\
Propose at most five changes, the most telling first, none where all terms carry, each for one term, the bottleneck \
before the others. Give the words of the prompt, the example or the cut of the task, so that a reader could put it in \
today; name the steps that call for it in the rationale, and in success_metric what would show that it worked."""
ASK_REMEDY = "Found so far: {found}.\n\n"
ASK_SIGNALS = """\
List the words of the prompt, of the person who asks and of the effort signals that lift or lower a term: proof of \
capability, scaffolding, example, link to an outcome, purpose, user; what makes the work look pointless, runs against \
values, or threatens a term. For each its category and its words in the step where they stand, at most twenty."""
ASK_INTERACTION = """\
Follow the effort and not the words: where does the agent begin to do less, more or something else (detail dropped, a \
part left out, a question about the reader, hedging, a workaround)? List at most ten such turns, each with its step, \
words of that step, what the effort does, and the one term that explains it best: would a smaller step, an example or \
a tool have kept it up (expectancy), a reader or a consequence (instrumentality), another reason or another task \
(valence)? Say in the claim why it is that term and not the next likely one. The end of finished work is no fall. In \
notes say in two sentences which term, if it rose, would let the others count. Scored so far: {found}."""


class VroomIntervention(shapes.Plan, frozen=True, forbid_unknown_fields=True):
    """One change of prompt, task or scaffold."""

    target_term: Term
    intervention_type: Kind


class TermFinding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far one term carries; only valence may be below 0."""

    term: Term
    score: Signed
    explanation: str
    evidence: tuple[Evidence, ...]


class TermsAnswer(Answer, frozen=True):
    """The three terms, scored."""

    terms: tuple[TermFinding, ...]


class QuickAnswer(TermsAnswer, frozen=True):
    """The same, with what to change."""

    interventions: tuple[VroomIntervention, ...]


class RemedyAnswer(Answer, frozen=True):
    """What to change."""

    interventions: tuple[VroomIntervention, ...]


class PromptSignal(msgspec.Struct, frozen=True):
    """Words of the terms of work that lift or lower a term."""

    category: Category
    source_quote: str = ""
    affected_term: Bottleneck = "none"
    polarity: Literal["lifts", "lowers", "neutral"] = "neutral"
    explanation: str = ""


class InteractionAudit(msgspec.Struct, frozen=True):
    """Which terms hold the product down, and the one whose lack makes it collapse."""

    dominant_interaction: Interaction = "unknown"
    multiplicative_collapse_term: Bottleneck = "none"
    notes: str = ""


class VroomBaseline(msgspec.Struct, frozen=True):
    """How this detection differs from an earlier one of the same agent."""

    historical_baseline_id: str | None = None
    historical_generated_at: Annotated[dt.datetime, msgspec.Meta(tz=True)] | None = None
    baseline_bottleneck_term: str | None = None
    baseline_profile_pattern: str | None = None
    term_score_deltas: dict[str, float] = {}
    drift_severity: Literal["none", "minor", "moderate", "severe"] = "none"
    notes: str = ""


class SignalFinding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Words that lift or lower a term."""

    category: Category
    step: int
    quote: str
    explanation: str


class SignalsAnswer(Answer, frozen=True):
    """The words that lift or lower."""

    signals: tuple[SignalFinding, ...]


class TurnFinding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A step in which the effort changes, and the term that explains it; ``quote`` stands in the step."""

    step: Count
    effort: Literal["rises", "falls", "turns_away"]
    term: Term
    claim: str
    quote: str


class TurnsAnswer(Answer, frozen=True):
    """How the effort ran, and how the terms act on each other."""

    turns: tuple[TurnFinding, ...]
    notes: str


class VroomPlaybook(shapes.Playbook, frozen=True):
    """What to do about one failure mode of one term."""

    term: str


PLAYBOOKS = shapes.playbooks(VroomPlaybook, (
    ("expectancy", "task_too_sprawling", "Cut the task until effort shows", (
        "Split the task into batches that fit a tenth of the budget, each with its own check.",
        "State the goal of a batch as a count or a test, not as a direction.",
        "Carry over only what the next batch needs, and say how many are left.",
        "Compare the quality of the first and the last batch; where it falls, cut smaller.",
    ), "1d", "Locke and Latham 1990"),
    ("expectancy", "capability_gap", "Show that it can be done", (
        "Give one worked example of the hardest kind of item.",
        "Begin with an item of known result, and return the check.",
        "Name the tools and facts at hand for the step that failed.",
        "Where three attempts with an example fail, use another model or take the step out.",
    ), "1d", "Bandura 1997"),
    ("instrumentality", "pointless_signal", "Take out what makes the work look idle", (
        "Search prompt and messages for words that put the use in doubt, and delete or correct them.",
        "Name who reads the output and when.",
        "Show one earlier output and what was done with it.",
        "Compare completeness over ten runs before and after.",
    ), "1d", "Hackman and Oldham 1976"),
    ("instrumentality", "no_outcome_link", "Tie the result to what follows from it", (
        "Write down what happens if the result is right, and what if it is wrong.",
        "Put both sentences into the prompt, next to the criterion.",
        "Return after each part what it made possible: a test passed, an account closed.",
        "Drop parts from which nothing follows.",
    ), "1d", "Porter and Lawler 1968"),
    ("valence", "anti_value_task", "Bring task and values together", (
        "Ask what in the task runs against the instructions or values that the agent is held to.",
        "Change the task where the objection is right.",
        "Where it is not, add the fact that resolves it: consent, permission, safeguard.",
        "Let a person decide what remains, and record the decision for like cases.",
    ), "1w", "Eccles and Wigfield 2002"),
    ("valence", "no_purpose_framing", "Say why it is worth doing", (
        "Write one sentence on the purpose that the user would sign.",
        "Place it before the task, not after the rules.",
        "Tie the criterion of quality to it.",
        "Check over runs that the sentence changes what is done, not only what is said.",
    ), "1d", "Hackman and Oldham 1976"),
    ("valence", "negative_valence_avoidance", "Turn avoidance into an objection", (
        "Ask the agent to say outright what it would rather not do, and why.",
        "Offer three ways: do it, do a stated part, hand it over; silent evasion is none of them.",
        "Remove what punishes an honest objection.",
        "Track evasions (hedges, detours, partial answers) over runs, and read those that remain.",
    ), "1w", "Vroom 1964"),
    ("expectancy", "creative_task_misfit", "Give a creative task a foothold", (
        "Give three examples that reached the effect, each by another way.",
        "Split into finding, choosing and finishing, with a criterion for each.",
        "Ask for many rough ideas before a finished one.",
        "Judge the finding by variety, and only the finishing by quality.",
    ), "1d", "Bandura 1997"),
    ("expectancy", "tool_use_capability_gap", "Close the gap between agent and tool", (
        "Give the tool's description one working call with its result.",
        "Return errors with what to change in the call.",
        "Add a smallest call as the first step of the task.",
        "Measure calls that succeed per task, and mend the tool where they stay rare.",
    ), "1d", "Bandura 1977"),
    ("none", "motivated_baseline", "Keep this run as the baseline", (
        "Store the terms and the prompt of this run.",
        "Add it to the evaluation as the run to compare with.",
        "Compare after each change of prompt, task or model.",
    ), "1h", "Vroom 1964"),
    ("multi", "multi_term_collapse", "Raise the terms in an order", (
        "Begin with expectancy: nothing else counts where the task cannot be done.",
        "Then show what follows from the result.",
        "Then its purpose; if valence is negative, begin there.",
        "Score again after each change; the product tells where the next one pays.",
    ), "1w", "Vroom 1964"),
    ("instrumentality", "ai_metric_gaming", "Reward the result and not its measure", (
        "Collect runs in which the measure rose and the result did not.",
        "Take the measure out of the prompt; put the result and its user in.",
        "Add a check that the short cut fails: hidden tests, a reader's question, a sample by hand.",
        "Follow both, measure and result, and change the measure where they part.",
    ), "1w", "Casper et al. 2023"),
))  # fmt: skip

ATTACH = {
    ("expectancy", "scaffold_subtasks"): "task_too_sprawling",
    ("expectancy", "tighten_goal_specificity"): "task_too_sprawling",
    ("expectancy", "lower_difficulty_step"): "capability_gap",
    ("expectancy", "show_capability_proof"): "capability_gap",
    ("expectancy", "add_worked_example"): "capability_gap",
    ("instrumentality", "show_output_consumer"): "pointless_signal",
    ("instrumentality", "remove_pointless_signal"): "pointless_signal",
    ("instrumentality", "add_outcome_link"): "no_outcome_link",
    ("instrumentality", "add_progress_signal"): "no_outcome_link",
    ("valence", "remove_anti_value_signal"): "anti_value_task",
    ("valence", "rebalance_value_alignment"): "anti_value_task",
    ("valence", "add_purpose_framing"): "no_purpose_framing",
    ("none", "new_eval"): "motivated_baseline",
}
COMPOSITION = Composition(
    upstream=("vstack.lewin", "vstack.aar", "vstack.sdt_reward", "vstack.motivation_traps", "vstack.hexaco"),
    downstream={
        "profile_pattern": {
            "motivated_balanced": ("vstack.aar",),
            "expectancy_bottleneck": ("vstack.smart_goal", "vstack.motivation_traps"),
            "instrumentality_bottleneck": ("vstack.sdt_reward", "vstack.smart_goal"),
            "valence_bottleneck": ("vstack.hexaco", "vstack.schein_culture"),
            "valence_negative_active_avoidance": (
                "vstack.hexaco", "vstack.cognitive_reappraisal", "vstack.bias_stack",
            ),
            "multi_term_collapse": ("vstack.hexaco", "vstack.cognitive_reappraisal", "vstack.lewin"),
            "high_E_high_I_low_V_misaligned_task": ("vstack.hexaco", "vstack.schein_culture"),
            "high_E_low_I_pointless_work": ("vstack.sdt_reward", "vstack.smart_goal"),
            "low_E_creative_task_misfit": ("vstack.grant_strengths", "vstack.smart_goal"),
            "low_E_tool_use_capability_gap": ("vstack.hexaco", "vstack.smart_goal"),
            "balanced_but_weak": ("vstack.smart_goal",),
            "indeterminate": (),
        },
        "bottleneck": {
            "expectancy": ("vstack.smart_goal", "vstack.motivation_traps"),
            "instrumentality": ("vstack.sdt_reward", "vstack.smart_goal"),
            "valence": ("vstack.hexaco", "vstack.schein_culture"),
            "none": ("vstack.aar",),
        },
    },
    framework_overlays=OVERLAYS,
    intervention_overlays={
        "scaffold_subtasks": "vstack.smart_goal", "tighten_goal_specificity": "vstack.smart_goal",
        "add_worked_example": "vstack.smart_goal", "show_capability_proof": "vstack.johari",
        "show_output_consumer": "vstack.sdt_reward", "add_outcome_link": "vstack.smart_goal",
        "add_progress_signal": "vstack.smart_goal", "remove_pointless_signal": "vstack.sdt_reward",
        "add_purpose_framing": "vstack.schein_culture", "rebalance_value_alignment": "vstack.hexaco",
        "remove_anti_value_signal": "vstack.hexaco", "human_review": "vstack.plus_delta",
    },
)  # fmt: skip
