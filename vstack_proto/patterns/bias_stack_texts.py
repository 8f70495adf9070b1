"""The bias stack in words: the framework, what is asked and answered, playbooks, and telling words of biases."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal, cast, get_args

import msgspec

from vstack_proto.patterns.common import Answer, Composition, Effort, Evidence, Level, Risk, Share
from vstack_proto.patterns.signs import Rule, leading, words
from vstack_proto.trace import utc

Bias = Literal["anchoring", "overconfidence", "confirmation", "escalation-of-commitment"]
BIASES: tuple[Bias, ...] = get_args(Bias)
Kind = Literal[
    "prompt_patch", "scaffold_change", "retry_cap", "uncertainty_calibration", "first_principles_reset",
    "devils_advocate_role", "search_disconfirming_evidence", "anchor_to_base_rates", "new_eval", "human_review",
    "compose_pattern",
]  # fmt: skip

FRAMEWORK = """\
Four biases that build on each other when one reasoner works alone.

anchoring (Tversky and Kahneman 1974): the first idea or number stays the centre; later evidence moves it too little.
overconfidence (Kahneman 2011): certainty grows with the ease of the story, not with the evidence; facts are asserted \
that nobody looked up.
confirmation (Nickerson 1998): evidence is sought where it will agree, and what disagrees is explained away. Popper \
(1959): a hypothesis is tested by what could refute it.
escalation-of-commitment (Staw 1976; Arkes and Blumer 1985): after a failure more goes into the same course, because \
so much went in before; retry follows retry with nothing changed.

In an agent's trace: the conclusion names the first hypothesis although an observation spoke against it; confidence \
stays high after a miss; "the graph may be shifted"; a third attempt like the second; figures with no source.

Not a bias: a first hypothesis that was tested and held; high confidence after a check that could have failed; a \
retry with a changed input, or of a call that failed by chance; a firm conclusion from several sources; an \
assumption that is named as one and checked later.

Evidence is the step that ignores, explains away, asserts or repeats, cited with the observation that it ignores \
where there is one. That the run failed is not evidence of a bias."""

TASK = """\
Score each of the four biases from 0 (no sign) to 1 (it decided the run), one entry each, with evidence. Below 0.2 \
nothing worth a reader's time was seen; 0.3 to 0.6 says that it bent the reasoning; above 0.6 that the outcome came \
from it. Find the first hypothesis and follow it: what was observed that speaks against it, and what did the next \
step do with that? Compare stated confidence with what was known at that moment. Look whether any check could have \
refuted the conclusion, and whether a repeated attempt changed anything. Say in the explanation what you saw and \
what speaks against it."""
ASK_CHANGES = """\
Propose at most five changes, the most telling first, none where nothing is wrong, each for one bias that the run \
shows. Give the words of the prompt, the step of the scaffold or the limit of the loop, so that a reader could put it \
in today; name the steps in the rationale."""
ASK_REMEDY = "Found so far: {found}.\n\n"
ASK_AUDIT = """\
Two readings, each with evidence.

calibration: where was the agent surer than what it had seen allowed, where did it say so honestly, and which check \
would have told?
anchoring: what was the first idea, which observation should have moved it, and what happened to it from step to \
step? A pivot is a new explanation, not a new way to try the old one."""


class BiasIntervention(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One change of prompt, scaffold or loop."""

    target_bias: Bias
    intervention_type: Kind
    description: str
    suggested_implementation: str
    estimated_impact: Level = "medium"
    rationale: str = ""
    effort_estimate: Effort = "1d"
    risk: Risk = "medium"
    composition_target_pattern: str | None = None


class Finding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How strongly one bias shows."""

    bias: Bias
    score: Share
    explanation: str
    evidence: tuple[Evidence, ...]


class BiasAnswer(Answer, frozen=True):
    """The four biases, scored."""

    biases: tuple[Finding, ...]


class QuickAnswer(BiasAnswer, frozen=True):
    """The same, with what to change."""

    interventions: tuple[BiasIntervention, ...]


class RemedyAnswer(Answer, frozen=True):
    """What to change."""

    interventions: tuple[BiasIntervention, ...]


class AuditAnswer(Answer, frozen=True):
    """How certainty met evidence, and what became of the first idea."""

    calibration: str
    anchoring: str
    evidence: tuple[Evidence, ...]


class BiasPlaybook(msgspec.Struct, frozen=True):
    """What to do about one failure mode of one bias."""

    bias: str
    failure_mode: str
    title: str
    steps: tuple[str, ...]
    expected_effort: Effort
    anchor_citation: str = ""


_ROWS: tuple[tuple[str, str, str, tuple[str, ...], Effort, str], ...] = (
    ("anchoring", "first_hypothesis_persistence", "Start over when evidence disagrees", (
        "After an observation that the hypothesis did not predict, ask for the problem afresh, without the hypothesis.",
        "Require two further explanations and what each predicts about the data at hand.",
        "Go on with the one that predicted best, and log which observation decided.",
    ), "1d", "Tversky and Kahneman 1974"),
    ("anchoring", "numerical_anchor", "Estimate from the base rate, not from the first number", (
        "Hide the first figure and ask for an estimate from the base rate of such cases.",
        "Compare both; where they differ by more than a fifth, look the value up.",
    ), "1d", "Tversky and Kahneman 1974"),
    ("overconfidence", "uncalibrated_certainty", "Tie certainty to checks", (
        "Ask with every claim for a confidence and the check it rests on; without a check it stays below 0.6.",
        "Score stated confidence against outcomes over runs, and show the agent its own record.",
    ), "1d", "Kahneman 2011"),
    ("overconfidence", "no_disconfirmation", "Look for what would refute it", (
        "Before a conclusion, have the agent name one observation that would prove it wrong.",
        "Make that observation: run the query, read the file, call the tool.",
        "Let the conclusion through only with the result of that look beside it.",
    ), "1d", "Popper 1959; Nickerson 1998"),
    ("confirmation", "selective_evidence", "Give the counter-evidence a spokesman", (
        "Let a second role read the observations only, and list those that the hypothesis does not explain.",
        "Require an answer to each of them; a \"noise\" needs a second measurement.",
    ), "1d", "Nickerson 1998"),
    ("confirmation", "premature_conclusion", "Put a test between hypothesis and conclusion", (
        "Change the scaffold so that a conclusion is accepted only with an observation made after the hypothesis.",
        "Send a conclusion without such a step back once, with the hypothesis and the question what would refute it.",
    ), "1d", "Popper 1959"),
    ("escalation-of-commitment", "unbounded_retries", "Cap retries that change nothing", (
        "Allow two attempts at the same action; a third needs a changed input and a reason why it should differ.",
        "When the cap is reached, return what was learnt and the next best option.",
    ), "1h", "Staw 1976"),
    ("escalation-of-commitment", "sunk_cost", "Decide as if nothing had been spent", (
        "After a setback ask: knowing what is known now, and starting fresh, would this course be chosen?",
        "Keep effort already spent out of the prompt of that question.",
    ), "1d", "Arkes and Blumer 1985"),
    ("anchoring", "ai_specific_first_token", "Ask for options before an answer", (
        "Patch the prompt: list three possible causes with what speaks for each, and commit to none before a look.",
        "Take the confidence away from the first step: it is asked for after the first observation.",
    ), "1h", "Kahneman 2011"),
    ("overconfidence", "hallucinated_facts", "Test for facts without a source", (
        "Build an evaluation from such runs: every figure or name in the answer must occur in an earlier observation.",
        "Run it on each change of model or prompt, and fail what asserts or assumes a value that could be looked up.",
    ), "1w", "Kahneman 2011"),
    ("escalation-of-commitment", "critical_failure_loop", "Call a person when the loop does not end", (
        "Detect the same error three times and stop the run.",
        "Hand a person the error, the attempts and what differed between them, and wait for an answer.",
    ), "1w", "Staw 1976"),
    ("anchoring", "well_calibrated_baseline", "Keep this run as the baseline", (
        "Store confidences, pivots and retries of this run and compare after each change of model or prompt.",
    ), "1h", "Kahneman 2011"),
)  # fmt: skip
PLAYBOOKS: tuple[BiasPlaybook, ...] = tuple(BiasPlaybook(*row) for row in _ROWS)

ATTACH = {
    ("anchoring", "first_principles_reset"): "first_hypothesis_persistence",
    ("anchoring", "anchor_to_base_rates"): "numerical_anchor",
    ("anchoring", "prompt_patch"): "ai_specific_first_token",
    ("overconfidence", "uncertainty_calibration"): "uncalibrated_certainty",
    ("overconfidence", "search_disconfirming_evidence"): "no_disconfirmation",
    ("overconfidence", "new_eval"): "hallucinated_facts",
    ("confirmation", "devils_advocate_role"): "selective_evidence",
    ("confirmation", "scaffold_change"): "premature_conclusion",
    ("escalation-of-commitment", "retry_cap"): "unbounded_retries",
    ("escalation-of-commitment", "first_principles_reset"): "sunk_cost",
    ("escalation-of-commitment", "human_review"): "critical_failure_loop",
}
COMPOSITION = Composition(
    upstream=("vstack.lewin", "vstack.aar", "vstack.devils_advocate", "vstack.debate_pathology"),
    downstream={
        "profile_pattern": {
            "well_calibrated": ("vstack.aar",),
            "anchoring_dominant": ("vstack.devils_advocate", "vstack.aar"),
            "overconfidence_dominant": ("vstack.trust_triangle", "vstack.devils_advocate"),
            "confirmation_dominant": ("vstack.devils_advocate", "vstack.debate_pathology"),
            "escalation_dominant": ("vstack.aar", "vstack.grpi"),
            "full_stack_severe": ("vstack.aar", "vstack.devils_advocate", "vstack.lencioni"),
            "anchoring_overconfidence_pair": ("vstack.devils_advocate", "vstack.trust_triangle"),
            "confirmation_escalation_pair": ("vstack.aar", "vstack.devils_advocate"),
            "indeterminate": (),
        }
    },
    framework_overlays={"langgraph": ("vstack.aar",), "crewai": ("vstack.lencioni",), "autogen": ("vstack.aar",)},
)

# --- Words -------------------------------------------------------------------------------------------------------

_NOT = r"(?<!not )(?<!n't )(?<!never )"
# What a signal is named is the failure mode that it shows.
RULES = (
    Rule(
        "first_hypothesis_persistence", "{agent} holds on to the first idea as such",
        words(r"stick(?:ing)? (?:to|with) (?:my|our|the) (?:first|initial|original)"
              r" (?:idea|hypothesis|theory|plan|guess)"
              r"|my first (?:guess|instinct) was right|as i said from the (?:start|beginning)"),
        0.4,
    ),
    Rule(
        "numerical_anchor", "{agent} adjusts from the first number instead of looking it up",
        words(r"(?:close to|around|based on|stick(?:ing)? (?:to|with)) (?:my|our|the) (?:first|initial|original)"
              r" (?:estimate|number|figure|value)"),
        0.35,
    ),
    Rule(
        "uncalibrated_certainty", "{agent} claims certainty in words",
        words(r"i(?:'m| am) (?:absolutely |completely )?(?:certain|positive)|100 ?% (?:sure|certain|confident)"
              r"|(?:without (?:a |any )?|there is no |beyond )doubt|undoubtedly|can(?:no|')t be (?:wrong|anything else)"
              r"|it must be the"),
        0.2,
    ),
    Rule(
        "no_disconfirmation", "{agent} waves a check away",
        words(_NOT + r"(?:no need to (?:double.?)?(?:check|verify|test)"
              r"|no (?:further )?(?:check|verification|test)s? (?:is|are) (?:needed|necessary)|without (?:checking"
              r"|verifying|testing) (?:it|this|that))"),
        0.35,
    ),
    Rule(
        "hallucinated_facts", "{agent} puts an assumption where a fact could be looked up",
        words(r"(?:let's|let us|we(?:'ll| will| can)?|i(?:'ll| will)?) (?:just )?assume"
              r"|for (?:the sake of|illustration)|from memory|if i (?:recall|remember) (?:correctly|right)"
              r"|hypothetical (?:data|values?|figures?|numbers?)"
              r"|(?:simulated|made.up|placeholder|dummy) (?:data|values?|figures?|numbers?|results?)"),
        0.3,
    ),
    Rule(
        "selective_evidence", "{agent} explains away what speaks against the idea",
        words(r"(?:graph|data|logs?|metrics?|tests?|results?|measurements?|numbers?|readings?|clocks?)"
              r" (?:may|might|must|could) (?:just )?be (?:shifted|wrong|stale|off|noisy|misleading|outdated|a fluke"
              r"|noise)"
              r"|just (?:an? )?(?:outlier|coincidence|noise|fluke|glitch)|(?:still|nonetheless) (?:convinced"
              r"|sure) (?:that )?it(?:'s| is)"),
        0.45,
    ),
    Rule(
        "selective_evidence", "{agent} reads an observation as proof of its own idea",
        words(r"confirms (?:my|our) (?:hypothesis|suspicion|theory|view|belief)"
              r"|just as i (?:suspected|thought|expected)|proves (?:me|my theory|my hypothesis) right"),
        0.15,
    ),
    Rule(
        "premature_conclusion", "{agent} concludes before it looks",
        words(_NOT + r"(?:no need to (?:investigate|look) (?:further|any further|elsewhere)|case closed|that settles it"
              r"|i have seen enough)"),
        0.3,
    ),
    Rule(
        "unbounded_retries", "{agent} goes on with what did not work",
        words(r"(?:third|fourth|fifth|sixth|\d{1,2}th|yet another) (?:attempt|try|retry)"
              r"|keep (?:trying|retrying|reverting|at it)|try (?:exactly )?the same (?:thing|call|command|query"
              r"|approach) again"),
        0.35,
    ),
    Rule(
        "sunk_cost", "{agent} justifies going on by what was spent (sunk cost)",
        words(r"already (?:spent|invested|sunk|put) (?:so |too )?"
              r"(?:much|\w+ (?:hours|steps|tokens|days|attempts|calls))|come (?:this|too) far|too (?:far"
              r"|late) to (?:stop|turn back|quit|change course)"
              r"|(?:can't|cannot) (?:stop|give up|quit) now|all (?:this|that|the) (?:work|effort) (?:would be"
              r"|for nothing)"),
        0.45,
    ),
)  # fmt: skip
# Somebody looks for what could refute: another cause, a counter-check, a comparison.
REFUTES = words(
    r"what if|alternatives?|alternatively|rul(?:e|es|ed|ing) out|counter.?examples?|disprove|refutes?|could also"
    r"|other (?:causes?|explanations?)|instead|unless|compar(?:e|ed|ing)|check(?:ed|ing)? (?:whether|if)"
    r"|verif(?:y|ied)|however"
)
# A message that states what is believed to be so.
GUESSES = words(
    r"hypothes[ie]s|i suspect|my guess|most likely (?:cause|the)|probably (?:the|caused|because)|root cause is"
)
FAILS = words(r"error|exception|traceback|failed|failure|timed out|timeout|denied|not found|refused")


# --- Steps and labels ------------------------------------------------------------------------------------------

StepType = Literal["hypothesis", "tool_call", "observation", "decision", "thought", "retry", "conclusion"]
Profile = Literal[
    "well_calibrated", "anchoring_dominant", "overconfidence_dominant", "confirmation_dominant", "escalation_dominant",
    "full_stack_severe", "anchoring_overconfidence_pair", "confirmation_escalation_pair", "indeterminate",
]  # fmt: skip
Quality = Literal["well-calibrated", "bias-prone", "severely-biased"]


class ReasoningStep(msgspec.Struct, frozen=True):
    """One step, with the confidence that the agent stated, if any."""

    type: StepType
    content: str
    confidence: Share | None = None
    timestamp: dt.datetime | None = None
    metadata: dict[str, Any] = {}

    def __post_init__(self) -> None:
        if self.timestamp is not None:
            msgspec.structs.force_setattr(self, "timestamp", utc(self.timestamp))


# What an agent says of itself; a call or an observation holds no belief.
OWN = frozenset({"hypothesis", "decision", "thought", "retry", "conclusion"})
ENDS = frozenset({"decision", "conclusion"})
WORD = re.compile(r"[^\W\d_]{4,30}")
COMMON = frozenset({
    "this", "that", "with", "from", "have", "will", "would", "should", "because", "there", "then", "they", "when",
    "what", "which", "into", "been", "were", "must", "could", "might", "probably", "think", "suspect", "hypothesi",
    "likely", "cause", "caused", "about", "after", "before", "only", "than", "more", "most", "still", "first",
})  # fmt: skip


class Course(msgspec.Struct, frozen=True):
    """What became of the first hypothesis.

    Attributes:
        first: The step that states it, None where none does.
        kept: Later steps of the agent that speak of it.
        later: How many later steps of the agent there are.
        pivots: Later hypotheses that share no word with the one before.
    """

    first: int | None = None
    kept: tuple[int, ...] = ()
    later: int = 0
    pivots: tuple[int, ...] = ()

    @property
    def persistence(self) -> float:
        """The share of the agent's later steps that speak of the first hypothesis."""
        return round(len(self.kept) / self.later, 4) if self.later else 0.0


def course_of(task: str, steps: Iterable[ReasoningStep]) -> Course:
    """Follow the words of the first hypothesis that the task does not hold itself."""
    asked = _words(task)
    first, kept, later, pivots = None, [], 0, []
    idea: set[str] = set()
    latest: set[str] = set()
    for number, step in enumerate(steps):
        if step.type not in OWN:
            continue
        said = _words(step.content) - asked
        if first is None:
            if step.type == "hypothesis" and said:
                first, idea, latest = number, said, said
            continue
        later += 1
        if said & idea:
            kept.append(number)
        if step.type == "hypothesis":
            if said and not said & latest:
                pivots.append(number)
            latest = said or latest
    return Course(first, tuple(kept), later, tuple(pivots))


def _words(text: str) -> set[str]:
    return {word.lower().rstrip("s") for word in WORD.findall(text)} - COMMON


def profile_of(scores: Mapping[str, float], quality: Quality) -> Profile:
    """The first of the contract's rules that holds; a bias dominates that leads."""
    strong = {label for label in BIASES if scores[label] >= 0.6}
    if quality == "well-calibrated":
        return "well_calibrated"
    if len(strong) == 4:
        return "full_stack_severe"
    if strong >= {"anchoring", "overconfidence"}:
        return "anchoring_overconfidence_pair"
    if strong >= {"confirmation", "escalation-of-commitment"}:
        return "confirmation_escalation_pair"
    dominant = {"escalation-of-commitment": "escalation_dominant", "none-observed": "indeterminate"}
    first = leading(scores)
    return cast("Profile", dominant.get(first, f"{first}_dominant"))
