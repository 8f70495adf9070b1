"""The bias stack in words: the framework, what is asked and answered, playbooks, and telling words of biases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, cast, get_args

from vstack_proto.patterns import shapes
from vstack_proto.patterns.common import Composition
from vstack_proto.patterns.signs import leading

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


class BiasPlaybook(shapes.Playbook, frozen=True):
    """What to do about one failure mode of one bias."""

    bias: str


PLAYBOOKS = shapes.playbooks(BiasPlaybook, (
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
))  # fmt: skip

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

Profile = Literal[
    "well_calibrated", "anchoring_dominant", "overconfidence_dominant", "confirmation_dominant", "escalation_dominant",
    "full_stack_severe", "anchoring_overconfidence_pair", "confirmation_escalation_pair", "indeterminate",
]  # fmt: skip
Quality = Literal["well-calibrated", "bias-prone", "severely-biased"]


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
