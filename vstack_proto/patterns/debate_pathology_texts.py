"""Debate pathology in words: the framework, what is asked and answered, playbooks, and what words in messages tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from vstack_proto.patterns import shapes
from vstack_proto.patterns.common import Composition
from vstack_proto.patterns.signs import leading

Pathology = Literal["groupthink", "polarization", "contagion"]
Kind = Literal[
    "assign_devils_advocate", "require_silent_vote", "round_robin_dissent", "diverse_seed_positions",
    "anchor_to_base_rates", "tone_normalization", "cool_down_pause", "external_arbiter", "smaller_panel",
    "secret_ballot", "new_eval", "human_review", "compose_pattern",
]  # fmt: skip

FRAMEWORK = """\
Three ways in which talking together makes a group judge worse than its members would alone.

groupthink (Janis 1972): the wish to agree beats the wish to be right. Doubts are swallowed, dissenters pressed, \
silence counts as consent, the first answer is settled before an alternative was weighed.
polarization (Stoner 1968; Sunstein 2002): like-minded members end up further out than any of them began, because \
they hear ever more arguments for one side and outdo each other. It needs a direction that grows, not two camps alone.
contagion (Hatfield, Cacioppo, Rapson 1993; Kahneman 2011): a tone is caught: heat answers heat, worry spreads, \
enthusiasm sells what was never argued. What moves the members is how it was said.

In a debate of agents: positions that flip without a reason, "if all of you want it, fine", ever bolder numbers from \
round to round, a calm agent that turns sharp right after a sharp message.

Not a pathology: agreement that follows a measurement or an answered objection; a change of mind that names what \
changed it; a firm position with reasons; one emotional message that nobody catches; a quick yes to a question with \
one right answer. Page (2007): diversity helps where members hold different models, so unlike voices are no flaw.

Evidence is the message where it happens: the flip, the pressed dissent, the step further out, the caught tone."""


class DebatePlaybook(shapes.Playbook, frozen=True):
    """What to do about one failure mode of one pathology."""

    pathology: str


PLAYBOOKS = shapes.playbooks(DebatePlaybook, (
    ("groupthink", "illusion_of_unanimity", "Make agreement prove itself", (
        "Name a devil's advocate for each debate, another agent each time.",
        "Have it argue the strongest alternative before the vote, from sources of its own.",
        "Accept the decision only with a written answer to each of its points.",
    ), "1d", "Janis 1972"),
    ("groupthink", "self_censorship", "Give doubt a place where nobody watches", (
        "Ask each agent in a separate call what would have to be true for the favourite to fail.",
        "Publish the doubts together and without names, before the positions.",
    ), "1d", "Janis 1972"),
    ("groupthink", "dissent_suppressed", "Protect the objector", (
        "Find the messages that answer an objection by speaking of its author.",
        "Add a round in which every agent must object once, so that to object is the rule.",
        "Replay the debate with a planted objection and check that it is answered on its merits.",
    ), "1d", "Janis 1972"),
    ("polarization", "risky_shift", "Compare the end with the beginning", (
        "Record every agent's own number or risk limit before the debate.",
        "Look up the base rate of such decisions and put it beside the group's result.",
        "If the result lies outside the first range, ask what evidence was new; without any, take the first median.",
    ), "1d", "Stoner 1968; Kahneman 2011"),
    ("polarization", "extremity_runaway", "Take the decision out of the contest", (
        "Hand the arguments, stripped of names and votes, to an arbiter that took no part.",
        "Let the arbiter choose anything between the first positions, and require a reason for anything beyond.",
    ), "1d", "Sunstein 2002"),
    ("polarization", "homogeneous_seeds", "Seed the debate with unlike views", (
        "Give each agent another starting option, source or model, and note the spread before round one.",
        "Where all start alike, add one agent that holds the best alternative, or do not debate at all.",
    ), "1d", "Page 2007; Sunstein 2002"),
    ("contagion", "heated_cascade", "Stop heat from answering heat", (
        "After two sharp messages in a row let a neutral agent list the claims that are still open.",
        "Go on with those claims only; what was said of persons is left behind.",
    ), "1d", "Hatfield, Cacioppo, Rapson 1993"),
    ("contagion", "tone_overrides_content", "Judge the claim without its voice", (
        "Rewrite each message to claim, reason and evidence before other agents read it.",
        "Rerun the vote on the rewritten debate.",
        "Where the result differs, the tone had decided: keep the rewriting step.",
    ), "1d", "Kahneman 2011"),
    ("contagion", "anxiety_propagation", "Check an alarm before it is passed on", (
        "Send a feared danger to two agents that estimate its likelihood and its cost from evidence.",
        "Only their estimate reaches the panel, not the first alarm.",
    ), "1d", "Hatfield, Cacioppo, Rapson 1993"),
    ("groupthink", "premature_convergence", "Do not close before the second option", (
        "Take a silent vote before the first message, with a confidence.",
        "Keep the debate open until one alternative was argued and each flip names its reason.",
    ), "1d", "Janis 1972; Page 2007"),
    ("polarization", "irreversible_decision", "Put a person before the one-way door", (
        "List the decisions that cannot be undone, and stop the run before any of them.",
        "Show a named person the first positions, the last ones and what was new between them, and wait.",
    ), "1w", "Sunstein 2002; Kahneman 2011"),
    ("groupthink", "healthy_baseline", "Keep this debate as the baseline", (
        "Store rounds, flips with their reasons and the scores, and compare after each change of panel or model.",
    ), "1h", "Page 2007"),
))  # fmt: skip

ATTACH = {
    ("groupthink", "assign_devils_advocate"): "illusion_of_unanimity",
    ("groupthink", "secret_ballot"): "self_censorship",
    ("groupthink", "round_robin_dissent"): "dissent_suppressed",
    ("groupthink", "require_silent_vote"): "premature_convergence",
    ("polarization", "anchor_to_base_rates"): "risky_shift",
    ("polarization", "external_arbiter"): "extremity_runaway",
    ("polarization", "diverse_seed_positions"): "homogeneous_seeds",
    ("polarization", "human_review"): "irreversible_decision",
    ("contagion", "cool_down_pause"): "heated_cascade",
    ("contagion", "tone_normalization"): "tone_overrides_content",
    ("contagion", "smaller_panel"): "anxiety_propagation",
}
COMPOSITION = Composition(
    upstream=("vstack.lewin", "vstack.aar", "vstack.psych_safety", "vstack.group_decision"),
    downstream={
        "profile_pattern": {
            "healthy_debate": ("vstack.aar",),
            "groupthink_collapse": ("vstack.devils_advocate", "vstack.psych_safety"),
            "polarization_runaway": ("vstack.bias_stack", "vstack.devils_advocate"),
            "contagion_dominated": ("vstack.glaser_conversation", "vstack.danva_emotion"),
            "multi_pathology_severe": ("vstack.aar", "vstack.lencioni", "vstack.group_decision"),
            "premature_convergence": ("vstack.devils_advocate", "vstack.group_decision"),
            "tone_overrides_content": ("vstack.glaser_conversation", "vstack.bias_stack"),
            "dissent_suppressed": ("vstack.psych_safety", "vstack.devils_advocate"),
            "indeterminate": (),
        }
    },
    framework_overlays={"langgraph": ("vstack.aar",), "crewai": ("vstack.lencioni",), "autogen": ("vstack.aar",)},
)


PATHOLOGIES: tuple[Pathology, ...] = get_args(Pathology)
Profile = Literal[
    "healthy_debate", "groupthink_collapse", "polarization_runaway", "contagion_dominated", "multi_pathology_severe",
    "premature_convergence", "tone_overrides_content", "dissent_suppressed", "indeterminate",
]  # fmt: skip
Quality = Literal["healthy", "at-risk", "pathological"]


def quality_of(highest: float) -> Quality:
    """The contract's bounds on the highest score."""
    return "pathological" if highest > 0.6 else "at-risk" if highest > 0.3 else "healthy"


def profile_of(scores: Mapping[str, float], quality: Quality, converged: int | None) -> Profile:
    """The first of the contract's rules that holds."""
    strong = [label for label in PATHOLOGIES if scores[label] >= 0.6]
    if quality == "healthy":
        return "healthy_debate"
    if len(strong) >= 2:
        return "multi_pathology_severe"
    if converged is not None and converged <= 2:
        return "premature_convergence"
    if strong == ["groupthink"]:
        return "groupthink_collapse"
    if strong == ["polarization"]:
        return "polarization_runaway"
    if strong == ["contagion"]:
        # Of two below .6 the contract compares the scores; contagion alone at .6 is always above groupthink.
        return "tone_overrides_content" if scores["contagion"] > scores["groupthink"] else "contagion_dominated"
    return "dissent_suppressed" if leading(scores) == "groupthink" else "indeterminate"
