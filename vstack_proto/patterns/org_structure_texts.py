"""The form of a crew: the framework, what is asked, how the six dimensions are read off a roster, what to change."""

from __future__ import annotations

from typing import Literal

from vstack_proto.patterns import shapes, talk
from vstack_proto.patterns.common import Composition, Source

Dimension = Literal[
    "specialization", "formalization", "centralization", "hierarchy", "span_of_control", "departmentalization"
]  # fmt: skip
Direction = Literal["increase", "decrease", "redesign"]
Kind = Literal[
    "flatten_hierarchy", "add_supervisor_layer", "consolidate_roles", "split_roles", "shift_decision_authority",
    "regroup_by_product", "regroup_by_function", "introduce_matrix", "add_routing_layer", "remove_routing_layer",
    "new_eval", "human_review", "compose_pattern",
]  # fmt: skip
SOURCES = (
    Source("Burns, T.; Stalker, G. M.", "1961", "The Management of Innovation"),
    Source("Lawrence, P. R.; Lorsch, J. W.", "1967", "Organization and Environment"),
    Source("Mintzberg, H.", "1983", "Structure in Fives"),
    Source("Galbraith, J. R.", "1995", "Designing Organizations"),
)

BURNS = "Burns & Stalker 1961, The Management of Innovation"
LAWRENCE = "Lawrence & Lorsch 1967, Organization and Environment"
MINTZBERG = "Mintzberg 1983, Structure in Fives"
GALBRAITH = "Galbraith 1995, Designing Organizations"

FRAMEWORK = """\
There is no best structure, only one that fits its task. Burns and Stalker found mechanistic forms (fixed roles, \
written rules, levels) to do well where work is stable, and organic forms (loose roles, few levels, advice instead of \
orders) where it is new. Lawrence and Lorsch add that parts may differ as long as something integrates them; Mintzberg \
asks which mechanism coordinates; Galbraith, whether authority and information lie where the work needs them.

Six dimensions: specialization (how far work is split into roles), formalization (how far it follows written rules), \
centralization (how far one decides), hierarchy (levels), span of control (reports of one supervisor), \
departmentalization (by what agents are grouped; matrix where two ways cross).

In a crew it shows as decisions that nobody may take, or that queue at one agent; answers relayed through levels; \
hand-offs that lose facts; two supervisors with different orders; several agents that do the same in their own way.

Do not confuse form with an agent that works badly, a slow tool, or a hard task. An unusual form is a finding only \
where the record shows what it cost, or where the task is known to break on it. All numbers but formalization are \
computed from the roster: read them, do not revise them.

Evidence is a line of the roster, or a step in which work waited, was relayed, lost, or decided twice."""


# What each class of task wants, in the order of the dimensions; the contract's fill value, 0.5, is the middle.
TARGETS: dict[str, tuple[float, ...]] = {
    "creative_brainstorm": (0.5, 0.2, 0.2, 0.1, 0.6, 0.4),
    "research_exploration": (0.6, 0.3, 0.3, 0.2, 0.6, 0.4),
    "incident_response": (0.7, 0.6, 0.7, 0.5, 0.5, 0.5),
    "regulated_workflow": (0.7, 0.9, 0.7, 0.5, 0.5, 0.5),
    "customer_support": (0.5, 0.5, 0.5, 0.3, 0.7, 0.5),
    "code_review": (0.6, 0.6, 0.4, 0.2, 0.5, 0.4),
    "high_throughput_pipeline": (0.7, 0.8, 0.5, 0.4, 0.8, 0.5),
    "general_purpose": (0.6, 0.5, 0.5, 0.3, 0.5, 0.5),
}
CRITICAL = frozenset({"incident_response", "regulated_workflow", "financial_operation"})
CREATIVE = frozenset({"creative_brainstorm", "research_exploration", "code_review"})


ADVICE: dict[tuple[str, str], talk.Advice] = {
    ("hierarchy", "increase"): talk.Advice("hierarchy", "add_supervisor_layer", "Name a lead for the critical hour.",
        "Give one agent the lead with full authority while the task runs, and have all others report to it.",
        "The task cannot wait for peers to agree.", "1w", "medium"),
    ("hierarchy", "decrease"): talk.Advice("hierarchy", "flatten_hierarchy", "Take out levels that only relay.",
        "Attach the agents of the lowest level one level up, and let them talk to each other directly.",
        "Ideas and answers travel through levels that add nothing.", "1w", "medium"),
    ("centralization", "decrease"): talk.Advice("centralization", "shift_decision_authority",
        "Move routine decisions to those who know.",
        "List what the one decided in the last runs, and give each report authority for what it could have decided.",
        "One decides, and the others wait.", "1w", "medium"),
    ("centralization", "increase"): talk.Advice("centralization", "shift_decision_authority",
        "Give somebody the last word.",
        "Name one agent with full authority for each kind of decision; others advise it.",
        "Nobody may decide, or several may.", "1w", "medium"),
    ("specialization", "decrease"): talk.Advice("specialization", "consolidate_roles", "Join roles that hand off.",
        "Merge the two roles with the most hand-offs between them, and compare turns for the same task.",
        "The work is split further than the task needs.", "1w", "medium"),
    ("specialization", "increase"): talk.Advice("specialization", "split_roles", "Divide the work by skill.",
        "Give the two most different kinds of work a role, a prompt and tools of their own.",
        "The work is not divided.", "1w", "medium"),
    ("formalization", "increase"): talk.Advice("formalization", "new_eval", "Write the procedure, and test it.",
        "Write the five steps that must be the same each time, and fail a run that leaves one out.",
        "Each has its own way."),
    ("formalization", "decrease"): talk.Advice("formalization", "remove_routing_layer", "Strike a rule.",
        "Remove the form or gate that turned back nothing in a month.", "Rules cost more than they bring."),
    ("departmentalization", "increase"): talk.Advice("departmentalization", "regroup_by_function",
        "Group the crew by one thing.", "Put agents with the same kind of work under one lead.",
        "A crew of this size has no groups.", "1w", "medium"),
    ("departmentalization", "decrease"): talk.Advice("departmentalization", "regroup_by_product",
        "Group the crew by one thing only.",
        "Choose the base along which most messages run, and give each agent one supervisor on it.",
        "Several ways of grouping cross.", "1w", "medium"),
    ("span_of_control", "increase"): talk.Advice("span_of_control", "flatten_hierarchy", "Merge small groups.",
        "Join groups of one or two under one supervisor.", "Supervisors have hardly anybody to lead.", "1w", "medium"),
    ("span_of_control", "decrease"): talk.Advice("span_of_control", "add_supervisor_layer", "Divide the wide span.",
        "Give each group of at most six a lead with partial authority.", "One supervises too many.", "1w", "medium"),
}  # fmt: skip


class StructurePlaybook(shapes.Playbook, frozen=True):
    """What to do about one failure mode of one dimension."""

    dimension: str


PLAYBOOKS = shapes.playbooks(StructurePlaybook, (
    ("hierarchy", "too_flat_for_critical_task", "A lead for the time of the task", (
        "Name a lead, a deputy and the decisions that are theirs alone, before the task starts.",
        "Rehearse on a past case, and compare the time to the first decision with and without the lead.",
    ), "1w", MINTZBERG),
    ("hierarchy", "too_hierarchical_for_creative", "Fewer levels for new work", (
        "Count for each level how many messages it changed and how many it only passed on.",
        "Remove those that pass on, and compare the number of distinct ideas that reach the result.",
    ), "1w", BURNS),
    ("centralization", "decision_bottleneck", "Decisions to where the knowledge is", (
        "Mark which decisions of the last runs a report could have taken with what it knew.",
        "Delegate these with a limit beyond which to ask, and follow waiting time and wrong decisions for a week.",
    ), "1w", GALBRAITH),
    ("centralization", "no_clear_authority", "One name behind each decision", (
        "List the decisions that were taken twice, differently or not at all, and name one owner for each kind.",
        "Put the list into every agent's prompt, and record each decision with its owner.",
    ), "1w", GALBRAITH),
    ("specialization", "over_specialized", "Fewer hand-offs", (
        "Count hand-offs per task and the facts that each one lost.",
        "Merge the roles on both sides of the worst hand-off, with both tool sets, and count again.",
    ), "1w", LAWRENCE),
    ("specialization", "under_specialized", "Divide and integrate", (
        "Split the work where it needs different knowledge or tools, and give each part a role.",
        "Name who puts the parts together, and what each part hands over.",
    ), "1w", LAWRENCE),
    ("formalization", "under_formalized", "The five steps that must not vary", (
        "Compare runs of the same task, and write down the steps in which they should not have differed.",
        "Check these steps in every run, and leave all others free.",
    ), "1d", BURNS),
    ("formalization", "over_formalized", "Rules that earn their keep", (
        "For each gate and form, count what it turned back in a month.",
        "Remove those that turned back nothing, one a week, while errors stay level.",
    ), "1d", BURNS),
    ("departmentalization", "matrix_overhead", "One supervisor an agent", (
        "Choose the base (product or function) along which most messages run, and draw the lines along it.",
        "Turn second lines into advice with no right to order, and count conflicting orders before and after.",
    ), "1w", GALBRAITH),
    ("span_of_control", "span_too_narrow", "Merge groups of one or two", (
        "List supervisors with one or two reports, and what each adds.",
        "Join their groups, and compare turns for the same task.",
    ), "1w", MINTZBERG),
    ("span_of_control", "span_too_wide", "Groups of six", (
        "Group reports by work that interlocks, and give each group a lead.",
        "Compare how long a report waits for an answer before and after.",
    ), "1w", MINTZBERG),
    ("hierarchy", "broadly_misfit", "Design the crew from its task", (
        "Start with the task: what must be decided, by when, with whose knowledge; draw lines and authority from that.",
        "Run the new form beside the old one on the same tasks, with a person as arbiter, and retire the weaker.",
    ), "1m", GALBRAITH),
))  # fmt: skip

ATTACH = {
    ("hierarchy", "add_supervisor_layer", "increase"): "too_flat_for_critical_task",
    ("hierarchy", "flatten_hierarchy", "decrease"): "too_hierarchical_for_creative",
    ("centralization", "shift_decision_authority", "decrease"): "decision_bottleneck",
    ("centralization", "add_routing_layer", "increase"): "no_clear_authority",
    ("centralization", "shift_decision_authority", "increase"): "no_clear_authority",
    ("specialization", "consolidate_roles", "decrease"): "over_specialized",
    ("specialization", "split_roles", "increase"): "under_specialized",
    ("formalization", "new_eval", "increase"): "under_formalized",
    ("formalization", "remove_routing_layer", "decrease"): "over_formalized",
    ("departmentalization", "regroup_by_product", "redesign"): "matrix_overhead",
    ("departmentalization", "regroup_by_function", "redesign"): "matrix_overhead",
    ("departmentalization", "introduce_matrix", "redesign"): "broadly_misfit",
    ("span_of_control", "flatten_hierarchy", "increase"): "span_too_narrow",
    ("span_of_control", "add_supervisor_layer", "decrease"): "span_too_wide",
    ("hierarchy", "human_review", "redesign"): "broadly_misfit",
}
COMPOSITION = Composition(
    upstream=("vstack.schein_culture", "vstack.robbins_culture", "vstack.aar"),
    downstream={
        "profile_pattern": {
            "well_fit": ("vstack.aar",),
            "too_flat_for_critical_task": ("vstack.span_of_control", "vstack.aar"),
            "too_hierarchical_for_creative": ("vstack.span_of_control", "vstack.devils_advocate"),
            "decision_bottleneck": ("vstack.span_of_control", "vstack.group_decision"),
            "no_clear_authority": ("vstack.group_decision", "vstack.aar"),
            "over_specialized": ("vstack.aar", "vstack.grpi"),
            "under_specialized": ("vstack.grpi", "vstack.aar"),
            "matrix_overhead": ("vstack.aar", "vstack.grpi"),
            "broadly_misfit": ("vstack.aar", "vstack.schein_culture", "vstack.lewin"),
            "indeterminate": (),
        },
        "task_class": {
            "incident_response": ("vstack.aar",),
            "regulated_workflow": ("vstack.bias_stack",),
            "code_review": ("vstack.devils_advocate",),
            "creative_brainstorm": ("vstack.debate_pathology",),
        },
    },
    framework_overlays={"langgraph": ("vstack.aar",), "crewai": ("vstack.lencioni",), "autogen": ("vstack.aar",)},
)
