"""Yerkes-Dodson in words: the framework, what is asked and answered, playbooks and advice."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

from vstack_proto.patterns import shapes
from vstack_proto.patterns.common import Answer, Composition, Effort, Evidence, Level, Risk, Share
from vstack_proto.patterns.talk import Advice

Zone = Literal["under_pressure", "optimal", "over_pressure"]
Side = Literal["under_pressure", "over_pressure"]
Failure = Literal["wandering", "focused", "corner_cutting", "freezing", "hallucinating", "refusing", "unknown"]
Kind = Literal[
    "tighten_deadline", "add_budget_cap", "loosen_deadline", "loosen_budget", "add_kill_criterion", "raise_retry_cap",
    "lower_retry_cap", "explicit_focus_prompt", "human_review", "new_eval", "reduce_extraneous_load", "chunk_context",
    "add_scaffolding", "remove_irrelevant_context", "add_intrinsic_load_step_by_step", "promote_germane_load",
    "context_compression", "compose_pattern",
]  # fmt: skip
Direction = Literal["increase_pressure", "decrease_pressure"]
DIRECTION: dict[str, Direction] = {"under_pressure": "increase_pressure", "over_pressure": "decrease_pressure"}
FAILURES: dict[str, tuple[Failure, ...]] = {
    "under_pressure": ("wandering", "unknown"),
    "optimal": ("focused",),
    "over_pressure": ("corner_cutting", "freezing", "hallucinating", "refusing", "unknown"),
}

FRAMEWORK = """\
Yerkes and Dodson (1908) found that learning gets faster with a stronger stimulus up to a point and slower beyond it, \
and that the point comes earlier the harder the task is. Hebb (1955) drew the inverted U; Kahneman (1973) explains it \
by limited attention, Sweller by working memory: intrinsic load (elements that must be held together), extraneous \
load (whatever else must be read), and what is left for the task.

under_pressure: slack. The agent wanders off, polishes, widens the scope, or nobody said when it is done.
over_pressure: it skips checks (corner cutting), fills gaps with inventions (hallucinating), repeats or waits \
(freezing), gives the task back (refusing), or loses what stands in the middle of a full context (Liu et al. 2024).
optimal: effort goes into the task, checks are made, and the work ends when it is done.

In an agent's trace, pressure is what the setting says (deadline, budget, retries, size of the context, \
interruptions), and the zone is what the behaviour says. A tight deadline met with care is optimal; a loose one does \
not make a wanderer.

Not a zone: a limit of skill that more or less pressure would not move; a check left out because it was agreed; \
exploring where exploring is the task; a refusal of harm; a short answer to a short question.

Evidence is the behaviour that skips, invents, repeats, gives up or strays, quoted in its step. That the run failed \
proves no zone."""

ASK_ZONES = """\
Score under_pressure and over_pressure from 0 (no sign) to 1 (it ruled the run), one entry each, with evidence from \
the behaviours; the optimal zone is computed as what they leave. Ask of every sign what would have helped: a limit, a \
clear end, an earlier stop (too little pressure), or more time, less to read, a smaller part (too much). A sign that \
neither would have moved counts for none. Name the failure mode that most of the evidence shows: focused where \
neither score reaches 0.5, unknown where none of the words fits. Say what speaks against each score."""
ASK_FURTHER = """\
Go through the behaviours in order and note where the manner of work changes: the first check that is left out, the \
first thing that is not looked up. Compare it with the pressure given: the harder the task, the less it takes."""
ASK_COURSE = """\
The curve is walked in time. Read the behaviours in order and list the turns, where the manner of work changes, each \
once, with its step, words of that step and one sentence what pressed, or was lacking, just then: what had been read, \
which limit was near, what interrupted, that nobody had said when it is done.
- corner_cutting: the first check or part left out that was made before, or is due;
- hallucinating: the first gap filled with what was not looked up;
- freezing: the first repeat or wait that brings nothing new;
- refusing: the task, or a part of it, handed back;
- wandering: the first step that serves no part of the task;
- focused: the work comes back to the task, or a check is made again.
The same manner going on is no new turn, and hard work that stays careful has none."""
ASK_LOAD = """\
Score three loads from 0 to 1. intrinsic: how many parts of this task must be held together at once; a long list of \
independent items is low. extraneous: what had to be read or handled without serving the task (logs, guides, \
interruptions, format rules). germane: effort that goes into understanding: plans, checks, comparing, notes for \
later. Cite the steps that show a load at work; without a quotation a load may be scored no higher than the setting \
alone gives."""
ASK_CHANGES = """\
Propose at most five changes, the most telling first, none in the optimal zone. Each moves the pressure one way: \
increase_pressure for under_pressure, decrease_pressure for over_pressure. Give the limit as a number, the words of \
the prompt, or what to take out of the context, so that it could be put in today; the steps that call for it in the \
rationale; in success_metric what would show that it worked."""
ASK_REMEDY = "Found so far: {found}.\n\n"
QUICK_TASK = f"{ASK_ZONES}\n\n{ASK_CHANGES}"
CLOSE_TASK = f"{ASK_FURTHER}\n\n{ASK_ZONES}"


class WorkloadIntervention(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One change that moves the pressure towards the optimal zone."""

    target_zone: Literal["optimal"] = "optimal"
    intervention_type: Kind
    direction: Direction
    description: str
    suggested_implementation: str
    estimated_impact: Level = "medium"
    rationale: str = ""
    effort_estimate: Effort = "1d"
    risk: Risk = "medium"
    reversibility: Literal["one-way-door", "two-way-door"] = "two-way-door"
    composition_target_pattern: str | None = None
    preconditions: tuple[str, ...] = ()
    success_metric: str = ""


class ZoneFinding(shapes.Scored, frozen=True, forbid_unknown_fields=True):
    """How strongly too little or too much pressure shows."""

    zone: Side


class ZonesAnswer(Answer, frozen=True):
    """Both sides of the curve."""

    zones: tuple[ZoneFinding, ...]
    failure_mode: Failure


class WholeAnswer(ZonesAnswer, frozen=True):
    """The same, with what to change."""

    interventions: tuple[WorkloadIntervention, ...]


class ChangesAnswer(Answer, frozen=True):
    """What to change."""

    interventions: tuple[WorkloadIntervention, ...]


Manner = Literal["corner_cutting", "hallucinating", "freezing", "refusing", "wandering", "focused"]
LAPSES: frozenset[str] = frozenset(get_args(Manner)) - {"focused"}


class LoadAnswer(Answer, frozen=True):
    """Sweller's loads."""

    intrinsic: Share
    extraneous: Share
    germane: Share
    explanation: str
    evidence: tuple[Evidence, ...]


class WorkloadPlaybook(shapes.Playbook, frozen=True):
    """What to do about one failure mode of one zone."""

    zone: str


PLAYBOOKS = shapes.playbooks(WorkloadPlaybook, (
    ("under_pressure", "wandering", "Give the work an end", (
        "Write the one question that the run must answer on the first line of the prompt.",
        "Set a limit of steps a third above what a focused run took.",
        "After every fifth step ask: which part of the question did this answer? Two times 'none' ends the branch.",
        "Compare ten runs with and without the limit: steps spent off the question must fall, quality must not.",
    ), "1h", "Yerkes and Dodson 1908"),
    ("under_pressure", "drift", "Stop where the task stops", (
        "List what is in scope and, by name, what is not.",
        "Collect every 'while we are at it' in a note for later instead of doing it.",
        "End the run at the first result that meets the criterion; polish only on request.",
    ), "1d", "Hebb 1955"),
    ("over_pressure", "corner_cutting", "Make room for the checks", (
        "Put each check that was skipped into the plan as a step of its own, with its result as output.",
        "Move the deadline by what these steps cost, or cut the scope by as much.",
        "Accept no result without the output of its check.",
        "Count skipped checks over runs at two deadlines; keep the loosest at which the count is zero.",
    ), "1d", "Eysenck and Calvo 1992"),
    ("over_pressure", "hallucinating", "Look up before naming", (
        "List the names and figures of the result that no earlier step holds.",
        "Require a look-up for each kind of them (function, figure, source) before it is used.",
        "Let 'not found' pass as an answer, and say so in the prompt.",
        "Take from the context what was not used, so that what was looked up stands near the end.",
        "Check results for unknown names automatically, and count them over runs.",
    ), "1d", "Kahneman 1973"),
    ("over_pressure", "freezing", "Restart with a smaller step", (
        "Stop after two equal attempts or ten steps without a new result.",
        "Let a person or a second agent choose the next step from what is known.",
        "Continue in a fresh context with that step alone.",
        "Count over runs how often it stops there, and lower what stands before it.",
    ), "1d", "Eysenck et al. 2007"),
    ("over_pressure", "refusing", "Agree in advance when to stop", (
        "Name the conditions under which the task may be given back, each one observable.",
        "Ask for a partial result with what is missing, in place of a refusal.",
        "Relax the limit (retries, budget, time) that the refusals name.",
        "Compare refusals on the same tasks before and after over two weeks.",
    ), "1w", "Hancock and Warm 1989"),
    ("over_pressure", "context_saturation", "Empty the context", (
        "Split the input into parts that fit into half of the window.",
        "Summarise a part when it is done, and carry on with the summary alone.",
        "Repeat goal and constraints at the end of the context, where they are read best.",
        "Ask for a constraint from the middle of the context as a test, before and after.",
    ), "1d", "Liu et al. 2024"),
    ("over_pressure", "extraneous_load", "Take out what does not serve the task", (
        "Mark each document and tool in the context that no step used.",
        "Remove them, or put them behind a search.",
        "Merge guides that overlap into one page without contradictions.",
        "Run the task again and compare mistakes of mixing things up.",
    ), "1d", "Sweller 1988"),
    ("over_pressure", "intrinsic_load", "Teach the parts before the whole", (
        "Find the elements that must be held together, and an order in which they can be done one by one.",
        "Give a worked example for each part.",
        "Write interim results down in a fixed place instead of holding them in the context.",
        "Join the parts only when each has passed its own check.",
    ), "1w", "Sweller 1994"),
    ("optimal", "healthy_baseline", "Keep this load as the baseline", (
        "Store deadline, budget, size of context and the scores of this run.",
        "Add the run to the evaluation as the one to compare with.",
        "Run it again after each change of model, prompt or limits.",
    ), "1h", "Yerkes and Dodson 1908"),
    ("under_pressure", "task_underspecified", "Say what done means", (
        "Write the criterion by which a stranger would accept the result.",
        "Give the date, the user and the form.",
        "Let the agent restate all three before its first step.",
    ), "1d", "Kahneman 1973"),
    ("over_pressure", "interrupt_thrashing", "Batch the interruptions", (
        "Queue messages that come in during a step, and hand them over between steps.",
        "Before a switch, have the agent note where it stands and what comes next.",
        "Send what belongs to another task to another agent.",
    ), "1d", "Kahneman 1973"),
))  # fmt: skip

ATTACH = {
    ("under_pressure", "tighten_deadline"): "wandering",
    ("under_pressure", "explicit_focus_prompt"): "wandering",
    ("under_pressure", "add_scaffolding"): "task_underspecified",
    ("over_pressure", "loosen_deadline"): "corner_cutting",
    ("over_pressure", "chunk_context"): "context_saturation",
    ("over_pressure", "context_compression"): "context_saturation",
    ("over_pressure", "reduce_extraneous_load"): "extraneous_load",
    ("over_pressure", "remove_irrelevant_context"): "extraneous_load",
    ("over_pressure", "add_intrinsic_load_step_by_step"): "intrinsic_load",
    ("over_pressure", "add_kill_criterion"): "refusing",
    ("over_pressure", "human_review"): "freezing",
    ("optimal", "new_eval"): "healthy_baseline",
}
COMPOSITION = Composition(
    upstream=("vstack.lewin", "vstack.aar", "vstack.cognitive_reappraisal", "vstack.goleman_ei"),
    downstream={
        "profile_pattern": {
            "under_pressure_wandering": ("vstack.smart_goal", "vstack.mcgregor"),
            "under_pressure_drift": ("vstack.smart_goal", "vstack.aar"),
            "over_pressure_corner_cutting": ("vstack.devils_advocate", "vstack.bias_stack"),
            "over_pressure_hallucinating": ("vstack.johari", "vstack.lewin"),
            "over_pressure_freezing": ("vstack.cognitive_reappraisal", "vstack.mcgregor"),
            "over_pressure_refusing": ("vstack.cognitive_reappraisal", "vstack.grant_strengths"),
            "context_saturation": ("vstack.lewin",), "extraneous_load_overload": ("vstack.schein_culture",),
            "intrinsic_load_overload": ("vstack.smart_goal",), "optimal_zone": ("vstack.aar",),
        },
        "zone": {
            "under_pressure": ("vstack.smart_goal", "vstack.mcgregor"),
            "over_pressure": ("vstack.cognitive_reappraisal", "vstack.devils_advocate"), "optimal": ("vstack.aar",),
        },
    },
    framework_overlays={
        "langgraph": ("vstack.grpi",), "crewai": ("vstack.grpi", "vstack.social_loafing"),
        "autogen": ("vstack.grpi", "vstack.social_loafing"), "claude-agent-sdk": ("vstack.process_gain_loss",),
        "openai-agents-sdk": ("vstack.process_gain_loss",), "mastra": ("vstack.grpi",), "strands": ("vstack.grpi",),
    },
    intervention_overlays={
        "chunk_context": "vstack.lewin", "context_compression": "vstack.lewin", "add_scaffolding": "vstack.smart_goal",
        "explicit_focus_prompt": "vstack.smart_goal", "human_review": "vstack.plus_delta",
        "add_kill_criterion": "vstack.devils_advocate", "reduce_extraneous_load": "vstack.schein_culture",
    },
)  # fmt: skip

# By failure mode, which is also the name of its signals.
ADVICE = {
    "wandering": Advice("under_pressure", "explicit_focus_prompt", "Bind every step to the question of the task.",
        "Add: before each step, name the part of the task it serves; a step that serves none is not taken. End after "
        "a third more steps than a focused run takes.", "Steps went into something else.", "1h"),
    "drift": Advice("under_pressure", "tighten_deadline", "End the run at the first result that is good enough.",
        "State the acceptance test in the prompt, stop when it passes, and put further ideas into a note.",
        "The work went on past what was asked.", "1h"),
    "task_underspecified": Advice("under_pressure", "add_scaffolding", "Say what done means before the work starts.",
        "Give criterion, form and date, and let the agent restate them in its first step.",
        "Nobody said what is wanted or when it is done.", "1d"),
    "corner_cutting": Advice("over_pressure", "loosen_deadline", "Give the skipped checks their time back.",
        "Make each check a step with its own output, and move the deadline, or cut the scope, by what they cost.",
        "Checks were left out to be faster.", "1d", "medium"),
    "hallucinating": Advice("over_pressure", "add_scaffolding", "Look up what is named before it is used.",
        "Before a name, figure or source goes into the result, require the call that returned it; let 'not found' "
        "pass as an answer.", "Gaps were filled with inventions.", "1d"),
    "freezing": Advice("over_pressure", "human_review", "Hand over when nothing moves.",
        "After two equal attempts, or ten steps without a new result, stop and let a person choose the next step; "
        "continue from it in a fresh context.", "The agent repeats or waits.", "1d"),
    "refusing": Advice("over_pressure", "add_kill_criterion", "Agree when the task may be given back.",
        "Name observable conditions for stopping; short of them ask for a partial result that says what is missing.",
        "The task was given back under load.", "1d", "medium"),
    "context_saturation": Advice("over_pressure", "chunk_context", "Work in parts that fit into half of the window.",
        "Split the input, summarise each part when it is done, and repeat goal and constraints at the end of the "
        "context.", "What stood earlier in the context was lost.", "1d"),
    "extraneous_load": Advice("over_pressure", "remove_irrelevant_context", "Take out what does not serve the task.",
        "Remove documents and logs that no step used, or put them behind a search; merge guides that overlap.",
        "Material without use for the task got in its way.", "1d"),
    "intrinsic_load": Advice("over_pressure", "add_intrinsic_load_step_by_step", "Do the parts before the whole.",
        "Order the elements so that each can be done and checked alone; write interim results to a fixed place.",
        "More had to be held together than was held.", "1w", "medium"),
    "interrupt_thrashing": Advice("over_pressure", "reduce_extraneous_load", "Hand interruptions over between steps.",
        "Queue what comes in during a step; before a switch, note where the work stands and what comes next.",
        "Switching cost the work its thread.", "1d"),
}  # fmt: skip
SIDE_OF: dict[str, str] = {mode: advice.label for mode, advice in ADVICE.items()}
