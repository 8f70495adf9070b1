"""The devil's advocate in words: the framework, what is asked and answered, playbooks, and the words of substance."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import msgspec

from vstack_proto.patterns.common import Answer, Composition, Effort, Evidence, Level, Risk, Share
from vstack_proto.patterns.signs import words
from vstack_proto.trace import utc

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

TASK = """\
Give one entry for each of the four phases: is it there, under whatever step type, and how substantive is it, from 0 \
(empty or absent) to 1 (it could have stopped the run)? Praise is below 0.2; a check that could have failed, with its \
result, is above 0.6. For external_critique cite only steps of somebody who neither planned nor executed. Quote the \
most substantive step of each phase. Say in the explanation what the phase looked at and what it missed. Who spoke, \
the approval rate and the score of separation are computed from the steps that you cite."""
ASK_CHANGES = """\
Propose at most five changes, the most telling first, none where judgment is well separated, each for one phase. Say \
who critiques, at which point, with which right (to ask, to send back, to stop), in words that could be put into the \
prompt or the graph today; name the steps in the rationale."""
ASK_REMEDY = "Found so far: separation {score:.2f} ({quality}), judgment {locus}, approval rate {rate:.2f}.\n\n"
ASK_AUDIT = """\
Two readings, each with evidence.

approval: what did the self-evaluations rest on, which of them could have come out otherwise, and did one ever change \
the work?
critic: who spoke against the work, how specific was it, and what became of each objection: answered, taken up, \
argued down, or passed over?"""


class SeparationIntervention(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One change of who judges what."""

    target_phase: Phase
    intervention_type: Kind
    description: str
    suggested_implementation: str
    estimated_impact: Level = "medium"
    rationale: str = ""
    effort_estimate: Effort = "1d"
    risk: Risk = "medium"
    composition_target_pattern: str | None = None


class Finding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether a phase is there, and its substance."""

    phase: Phase
    present: bool
    substantive_score: Share
    explanation: str
    evidence: tuple[Evidence, ...]


class PhasesAnswer(Answer, frozen=True):
    """The four phases."""

    phases: tuple[Finding, ...]


class QuickAnswer(PhasesAnswer, frozen=True):
    """The same, with what to change."""

    interventions: tuple[SeparationIntervention, ...]


class RemedyAnswer(Answer, frozen=True):
    """What to change."""

    interventions: tuple[SeparationIntervention, ...]


class AuditAnswer(Answer, frozen=True):
    """What approvals rested on, and what became of objections."""

    approval: str
    critic: str
    evidence: tuple[Evidence, ...]


class SeparationPlaybook(msgspec.Struct, frozen=True):
    """What to do about one failure mode of one phase."""

    phase: str
    failure_mode: str
    title: str
    steps: tuple[str, ...]
    expected_effort: Effort
    anchor_citation: str = ""


_ROWS: tuple[tuple[str, str, str, tuple[str, ...], Effort, str], ...] = (
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
)  # fmt: skip
PLAYBOOKS: tuple[SeparationPlaybook, ...] = tuple(SeparationPlaybook(*row) for row in _ROWS)

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

# --- Words -------------------------------------------------------------------------------------------------------

ALTERNATIVE = words(
    r"alternatives?|alternatively|options?|instead|either|or we could|another way|rather than"
    r"|versus|vs"
)
RISK = words(
    r"risks?|if (?:it|this|that|the \w+) (?:fails?|breaks?)|roll ?back|go(?:es)? wrong|pre-?mortem|worst case|back ?up"
    r"|assum(?:e|es|ing|ptions?)|reversible|undo|margin|in case"
)
ORDER = words(r"because|since|then|after that|before|step \d+|first|so that")
CHECKED = words(
    r"check(?:ed|s)?|test(?:ed|s)?|compar(?:ed|es|ison)|verif(?:ied|ies)|measur(?:ed|es)|valid(?:ated|ates)|re-?ran"
    r"|counted|reproduced|against the|diff(?:ed)?|asserts?"
)
LIMIT = words(
    r"but|however|missing|not (?:yet )?(?:tested|checked|covered|proven|done)|wrong|revise|fix|limitations?|unsure"
    r"|unproven"
    r"|risks?|remains? open|could still|only (?:covers|checked|tested)|incomplete|fails?"
)
DETAIL = re.compile(r"\d|\b(?:because|criteri\w+|expected|required|equal|for (?:example|instance))\b", re.IGNORECASE)
OBJECTS = re.compile(
    r"\?|\b(?:but|however|disagree|object(?:ion)?|doubt|concerns?|risks?|wrong|missing|not (?:convinced|clear|safe"
    r"|sure)"
    r"|before we|should not|shouldn't|unless|what if|fails?|instead)\b",
    re.IGNORECASE,
)
# The contract's words of a revision, wherever a word begins with one.
REVISES = re.compile(r"\b(?:revise|wrong|redo|fix|incorrect)", re.IGNORECASE)
DISMISSES = words(
    r"(?:probably|surely|certainly) (?:not (?:relevant|needed|an issue|a problem)|fine|irrelevant)|should be fine"
    r"|unlikely to matter|won't matter|nothing can go wrong|no need to worry"
)
IRREVERSIBLE = words(
    r"drop (?:table|partition|database|column|schema)s?|truncate|delete (?:from|all|the)|rm -rf|purg(?:e|ed|es)"
    r"|force.?push|git push --force|wire (?:the )?(?:money|transfer)|refund(?:ed)? all|terminate instances?|revoke all"
    r"|deploy(?:ed|s)? to prod(?:uction)?|shut(?:ting)? down (?:the )?prod\w*"
)
# How a message of an untyped trace tells its phase.
PLANS = words(
    r"(?:my|our|the) plan|plan:|i (?:suggest|propose|recommend)|we (?:should|could)|step 1|(?:our|the|my) approach"
    r"|strategy"
)
CRITIQUES = words(
    r"what (?:does|if|about|happens)|how do (?:we|you) know|have (?:we|you)|did (?:we|you)|are (?:we|you) sure"
    r"|i (?:disagree"
    r"|object|doubt)|not convinced|my concern|one concern|a concern|i see (?:one|a) (?:risk|problem)"
    r"|before we (?:decide|go)"
    r"|why (?:do|did|not|is)|(?:is|are|looks) (?:wrong|incorrect|missing)|there is (?:a|an) (?:error|mistake"
    r"|problem|issue)"
)
EVALUATES = words(
    r"i (?:have )?(?:checked|compared|verified|tested|reviewed|re-?ran)|looks (?:good|correct|right|fine)"
    r"|all (?:good|done|set)"
    r"|works as|is (?:correct|complete|done)|perfect|task (?:is )?complete[d]?"
)

# --- Roles ----------------------------------------------------------------------------------------------------

Profile = Literal[
    "well_separated_critique", "self_review_only", "rubber_stamping", "missing_critic_phase", "fully_conflated_roles",
    "external_critic_present_weak", "no_pre_mortem", "no_alternative_hypothesis", "indeterminate",
]  # fmt: skip
StepType = Literal[
    "plan", "execute", "self_evaluate", "external_critique", "decision", "observation", "tool_call", "thought",
]  # fmt: skip


NAMED: dict[str, StepType] = {
    "action": "execute", "planning": "plan", "self_review": "self_evaluate", "reflection": "self_evaluate",
    "critique": "external_critique", "review": "external_critique", "feedback": "external_critique",
}  # fmt: skip


class RoleStep(msgspec.Struct, frozen=True):
    """One step and who took it."""

    type: StepType
    content: str
    actor: str = "primary"
    confidence: Share | None = None
    timestamp: dt.datetime | None = None
    metadata: dict[str, Any] = {}

    def __post_init__(self) -> None:
        if self.timestamp is not None:
            msgspec.structs.force_setattr(self, "timestamp", utc(self.timestamp))


DOES = ("execute", "tool_call")
WORD = re.compile(r"[^\W\d_]{5,30}")
NEAR = 5


def told_phase(content: str, begun: bool, own: bool, person: bool) -> StepType:
    """What an untyped message does; ``own``: its speaker planned or acted last, ``begun``: somebody did."""
    if begun and not own and CRITIQUES.search(content):
        return "external_critique"
    if person:
        return "observation"
    if begun and (EVALUATES.search(content) or (own and CRITIQUES.search(content))):
        return "self_evaluate"
    return "plan" if PLANS.search(content) else "thought"


class Roles(msgspec.Struct, frozen=True):
    """Who did what: the numbers of the steps of each phase, and critiques by somebody who neither planned nor acted."""

    steps: dict[Phase, tuple[int, ...]]
    independent: tuple[int, ...]
    answered: frozenset[int]
    busy: frozenset[str]


def roles_of(steps: Sequence[RoleStep]) -> Roles:
    """The phases by step type; a tool call counts as executing, but does not make who calls it an executor."""
    found: dict[Phase, list[int]] = {phase: [] for phase in PHASES}
    for number, step in enumerate(steps):
        phase = "execute" if step.type in DOES else step.type
        if phase in found:
            found[phase].append(number)
    busy = frozenset({"primary", *(step.actor for step in steps if step.type in ("plan", "execute"))})
    critiques = found["external_critique"]
    return Roles(
        {phase: tuple(numbers) for phase, numbers in found.items()},
        tuple(n for n in critiques if steps[n].actor not in busy),
        frozenset(n for n in critiques if _answered(steps, n)),
        busy,
    )


def _answered(steps: Sequence[RoleStep], number: int) -> bool:
    """Work goes on right after it, or one of the next steps of somebody else takes up its words."""
    critique, after = steps[number], steps[number + 1 : number + 1 + NEAR]
    if after and after[0].actor != critique.actor and after[0].type in ("plan", *DOES):
        return True
    asked = set(WORD.findall(critique.content.lower()))
    others = (step for step in after if step.actor != critique.actor and step.type != "observation")
    return any(asked & set(WORD.findall(step.content.lower())) for step in others)


def substance_of(steps: Sequence[RoleStep], roles: Roles) -> dict[Phase, float]:
    """The substance of each phase's best step, from its words (``TRAITS``); of a critique also if it was answered."""
    best = dict.fromkeys(PHASES, 0.0)
    for phase in PHASES:
        for number in roles.independent if phase == "external_critique" else roles.steps[phase]:
            text = steps[number].content
            base, traits = TRAITS[phase]
            score = base + sum(weight for pattern, weight in traits if pattern.search(text))
            if phase == "external_critique" and number in roles.answered:
                score += 0.45
            best[phase] = max(best[phase], min(1.0, round(score, 4)) if text.strip() else 0.0)
    return best


LONG = re.compile(r"(?:\S+\s+){5}\S")
TRAITS: dict[Phase, tuple[float, tuple[tuple[re.Pattern[str], float], ...]]] = {
    "plan": (0.2, ((ALTERNATIVE, 0.3), (RISK, 0.3), (ORDER, 0.2))),
    "execute": (0.5, ((CHECKED, 0.3), (RISK, 0.2))),
    "self_evaluate": (0.1, ((CHECKED, 0.35), (LIMIT, 0.35), (DETAIL, 0.2))),
    "external_critique": (0.15, ((OBJECTS, 0.2), (LONG, 0.15))),
}


def approvals_of(steps: Sequence[RoleStep]) -> tuple[int, int]:
    """Self-evaluations, and those of them that the contract counts as revisions."""
    own = [number for number, step in enumerate(steps) if step.type == "self_evaluate"]
    after = {number: steps[number + 1].type for number in own if number + 1 < len(steps)}
    revised = (REVISES.search(steps[n].content) or after.get(n) in ("plan", "execute") for n in own)
    return len(own), sum(map(bool, revised))


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
