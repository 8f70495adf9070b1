"""The devil's advocate in words: the framework, what is asked and answered, playbooks, and the words of substance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from vstack_proto.patterns import shapes
from vstack_proto.patterns.common import Composition

Phase = Literal["plan", "execute", "self_evaluate", "external_critique"]
PHASES: tuple[Phase, ...] = get_args(Phase)
Kind = Literal[
    "add_critic_agent", "structured_self_critique", "red_team_loop", "devils_advocate_prompt", "external_review_gate",
    "pre_mortem_step", "alternative_hypothesis_step", "new_eval", "human_review", "compose_pattern",
]  # fmt: skip

FRAMEWORK = """\
Who plans, who acts and who judges? One head that does all three approves itself: the story that made the plan also \
grades it (Kahneman 2011: what you see is all there is). Janis (1972) asked for a critic whose role is to object; \
Schwenk (1990) found in experiments that a devil's advocate who attacks assumptions improves decisions over plain \
expert advice; Klein (2007) adds the premortem: before acting, suppose that it failed and say why.

Four phases: plan, execute, self_evaluate, external_critique. Each counts by its substance. A plan has it when it \
weighs an alternative and says what could go wrong; a self-evaluation when it checks against something and finds \
limits; an external critique when somebody who neither planned nor executed objects to something specific and is \
answered.

In a trace: "looks good" right after the work, every evaluation an approval, a reviewer whose question nobody takes \
up, an irreversible act that nobody else saw.

Not a lack: a test suite or validator that can fail is judgment too; a small reversible step needs no critic; a \
critic who looked closely and found nothing has done its part; another agent that only says yes is not a critic, \
whatever its name.

Evidence is the step that judges, objects, ignores the objection, or acts without one."""


class SeparationPlaybook(shapes.Playbook, frozen=True):
    """What to do about one failure mode of one phase."""

    phase: str


PLAYBOOKS = shapes.playbooks(SeparationPlaybook, (
    ("external_critique", "missing_critic_phase", "Add a critic that did not do the work", (
        "Add an agent with its own prompt and without the worker's reasoning; it sees task, plan and result only.",
        "Give it one duty: name the strongest reason why this is wrong, with the place where it shows.",
        "Let the run end only when each of its points is answered by a change or by a reason.",
    ), "1d", "Janis 1972; Schwenk 1990"),
    ("self_evaluate", "rubber_stamping", "Make self-evaluation able to fail", (
        "Replace \"is it good?\" by a list: each criterion of the task, the check made, its result, what is unproven.",
        "Reject an evaluation that names no check, and re-ask once.",
    ), "1d", "Kahneman 2011"),
    ("plan", "no_alternative_hypothesis", "Plan with a rival", (
        "Ask for two plans that differ in kind, each with what would make it the better one.",
        "Let the choice between them be made on a stated criterion.",
        "Keep the rival in the prompt: the critic argues for it later.",
    ), "1d", "Schwenk 1990"),
    ("plan", "no_pre_mortem", "Hold a premortem before acting", (
        "Insert a step: it is tomorrow and this failed; write the three likeliest reasons.",
        "Add to the plan a check or a way back for each of them.",
    ), "1d", "Klein 2007"),
    ("execute", "no_red_team", "Attack the result before it counts", (
        "Let a second agent search for inputs, holds or orders of events that break what was executed.",
        "Loop until a full round finds nothing new, with a cap, and log what was found.",
    ), "1w", "Schwenk 1990"),
    ("external_critique", "weak_critic", "Give the critic a voice that must be answered", (
        "Instruct the critic as devil's advocate: attack assumptions, be specific, no praise, one objection at least.",
        "Block the decision until the worker has answered each objection in words.",
    ), "1d", "Schwenk 1990; Janis 1972"),
    ("external_critique", "fully_conflated", "Put a gate between doing and deciding", (
        "Split the graph: the node that executes may not mark the task as done.",
        "Let another actor, with the right to send back, open the gate, and record its reason.",
    ), "1w", "Janis 1972"),
    ("external_critique", "high_stakes_no_human", "Ask a person before the irreversible", (
        "List the acts that delete, pay, publish or revoke, and stop the run before each of them.",
        "Show a named person the act, its reach and the critic's strongest point, and wait for a yes.",
    ), "1w", "Klein 2007"),
    ("self_evaluate", "no_self_critique", "Ask the worker for its own doubts", (
        "After execution ask: what is unproven, what would you look at with one more hour?",
        "Pass the answer on to the critic, not to the final report alone.",
    ), "1d", "Kahneman 2011"),
    ("plan", "weak_plan", "Write the plan so that it can be judged", (
        "Ask for goal, steps, assumptions and the sign by which each step is known to have worked.",
        "Send a plan without assumptions back once.",
    ), "1d", "Klein 2007"),
    ("self_evaluate", "approval_drift", "Measure approvals with planted faults", (
        "Build an evaluation of runs with a fault planted in the work; count how often the self-evaluation passes it.",
        "Track that rate and the approval rate after each change of model or prompt.",
    ), "1w", "Kahneman 2011"),
    ("external_critique", "well_separated_baseline", "Keep this run as the baseline", (
        "Store score, approval rate and objections of this run, and compare after each change of prompts or graph.",
    ), "1h", "Schwenk 1990"),
))  # fmt: skip

ATTACH = {
    ("external_critique", "add_critic_agent"): "missing_critic_phase",
    ("external_critique", "devils_advocate_prompt"): "weak_critic",
    ("external_critique", "external_review_gate"): "fully_conflated",
    ("external_critique", "human_review"): "high_stakes_no_human",
    ("self_evaluate", "structured_self_critique"): "rubber_stamping",
    ("self_evaluate", "new_eval"): "approval_drift",
    ("plan", "alternative_hypothesis_step"): "no_alternative_hypothesis",
    ("plan", "pre_mortem_step"): "no_pre_mortem",
    ("execute", "red_team_loop"): "no_red_team",
}
COMPOSITION = Composition(
    upstream=("vstack.lewin", "vstack.aar", "vstack.bias_stack", "vstack.psych_safety"),
    downstream={
        "profile_pattern": {
            "well_separated_critique": ("vstack.aar",),
            "self_review_only": ("vstack.bias_stack", "vstack.debate_pathology"),
            "rubber_stamping": ("vstack.bias_stack", "vstack.aar"),
            "missing_critic_phase": ("vstack.debate_pathology", "vstack.bias_stack"),
            "fully_conflated_roles": ("vstack.aar", "vstack.bias_stack", "vstack.debate_pathology"),
            "external_critic_present_weak": ("vstack.psych_safety", "vstack.glaser_conversation"),
            "no_pre_mortem": ("vstack.bias_stack", "vstack.aar"),
            "no_alternative_hypothesis": ("vstack.bias_stack", "vstack.debate_pathology"),
            "indeterminate": (),
        }
    },
    framework_overlays={"langgraph": ("vstack.aar",), "crewai": ("vstack.lencioni",), "autogen": ("vstack.aar",)},
)

Profile = Literal[
    "well_separated_critique", "self_review_only", "rubber_stamping", "missing_critic_phase", "fully_conflated_roles",
    "external_critic_present_weak", "no_pre_mortem", "no_alternative_hypothesis", "indeterminate",
]  # fmt: skip


def separation(present: Mapping[Phase, bool], external: bool, substance: Mapping[Phase, float]) -> float:
    """The contract's score of separation, from 0 to 1."""
    score = (
        0.6 * substance["external_critique"] * external + 0.25 * substance["self_evaluate"] * present["self_evaluate"]
    )
    return round(min(1.0, score + 0.15 * present["plan"] + 0.10 * present["execute"]), 2)


def profile_of(
    score: float, external: bool, own: bool, rate: float, evaluated: bool, substance: Mapping[Phase, float]
) -> Profile:
    """The first of the contract's rules that holds; ``evaluated``: a step of type self_evaluate was counted."""
    rules: tuple[tuple[bool, Profile], ...] = (
        (score >= 0.6, "well_separated_critique"),
        (not external and not own, "fully_conflated_roles"),
        (not external, "self_review_only"),
        (rate >= 0.8 and evaluated, "rubber_stamping"),
        (substance["external_critique"] < 0.4, "external_critic_present_weak"),
        (substance["plan"] < 0.4, "no_alternative_hypothesis"),
    )
    return next((profile for holds, profile in rules if holds), "indeterminate")
