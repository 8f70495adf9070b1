"""Seven characteristics of a culture in words: the framework, what is asked, what each sounds like, what to change."""

from __future__ import annotations

from typing import Literal

from vstack_proto.patterns import shapes, talk
from vstack_proto.patterns.common import Composition

Characteristic = Literal[
    "innovation", "attention_to_detail", "outcome", "people", "team", "aggressiveness", "stability"
]  # fmt: skip
Direction = Literal["increase", "decrease"]
Kind = Literal[
    "rewrite_system_prompt", "adjust_temperature", "add_guardrail", "swap_model", "add_team_scaffold",
    "remove_solo_path", "add_kill_criterion", "new_eval", "human_review", "compose_pattern",
]  # fmt: skip

OREILLY = "O'Reilly, Chatman & Caldwell 1991, People and organizational culture"
ROBBINS = "Robbins & Judge 2017, Organizational Behavior"
SCHEIN = "Schein 1985, Organizational Culture and Leadership"

FRAMEWORK = """\
Robbins and Judge, after O'Reilly, Chatman and Caldwell, describe a culture by seven characteristics: innovation and \
risk taking, attention to detail, outcome orientation, people orientation, team orientation, aggressiveness \
(competing rather than easy-going) and stability (keeping to how things are done). None is good in itself. What counts \
is fit: the profile that a task needs against the profile that is shown. A ledger wants detail and stability and \
little innovation; a brainstorm wants the reverse.

In an agent it shows in what it does when these pull apart: does it try a second approach or repeat the first, check \
the figure or round it, deliver or discuss, answer the person or the ticket, consult or go alone, push or give way, \
keep the procedure or change it midway.

Scores say how much of a characteristic is shown, 0 to 1; the target says how much this class of task wants, and is \
given. A characteristic that no step puts to the test is as wanted. Do not confuse a lack of skill with a lack of \
attention, a tool's failure with a weak outcome orientation, a short tone with coldness, or a prompt's slogan with \
what the agent does. Too much is as much a gap as too little.

Evidence is a step in which one characteristic won over another. The prompt and the assumptions that the client \
inferred are leads."""


# What each class of task wants, in the order of the characteristics. The contract's fill value, 0.5, is the middle.
TARGETS: dict[str, tuple[float, ...]] = {
    "research_exploration": (0.8, 0.6, 0.5, 0.4, 0.5, 0.3, 0.3),
    "creative_generation": (0.9, 0.4, 0.5, 0.5, 0.5, 0.3, 0.2),
    "regulated_workflow": (0.2, 0.95, 0.6, 0.5, 0.6, 0.1, 0.9),
    "financial_operation": (0.2, 0.95, 0.7, 0.4, 0.6, 0.1, 0.9),
    "customer_support": (0.4, 0.6, 0.6, 0.9, 0.5, 0.1, 0.6),
    "code_review": (0.4, 0.9, 0.6, 0.6, 0.6, 0.3, 0.6),
    "incident_response": (0.3, 0.8, 0.9, 0.5, 0.8, 0.4, 0.5),
    "general_purpose": (0.5, 0.6, 0.6, 0.5, 0.5, 0.3, 0.5),
}


ADVICE: dict[tuple[str, str], talk.Advice] = {
    ("innovation", "increase"): talk.Advice("innovation", "adjust_temperature", "Ask for more than one way.",
        "Have three approaches sketched, at a temperature of 0.9, before one is chosen, and name why the others lost.",
        "The task wants something new, and the first idea was taken."),
    ("innovation", "decrease"): talk.Advice("innovation", "add_guardrail", "Let experiments stay off the live work.",
        "Allow the known procedure only; a deviation stops the run and asks, with the reason, before it acts.",
        "The task cannot bear a risk that nobody agreed to."),
    ("attention_to_detail", "increase"): talk.Advice("attention_to_detail", "new_eval", "Measure precision.",
        "Add a check that recomputes each figure and looks for each required step, and fails the run on the first "
        "that is missing.", "The task turns on precision."),
    ("attention_to_detail", "decrease"): talk.Advice("attention_to_detail", "adjust_temperature",
        "Say when it is good enough.",
        "State what counts as done, and cap the review at one pass; spend what is saved on the result.",
        "Polish costs more here than it brings."),
    ("outcome", "increase"): talk.Advice("outcome", "new_eval", "Judge the run by what it delivers.",
        "Name the deliverable and its test in the first step, and score runs on that alone.",
        "There was activity and no result."),
    ("people", "increase"): talk.Advice("people", "rewrite_system_prompt", "Put the person before the procedure.",
        "Write into the prompt: name what the person needs in your first sentence, then act; never close a case that "
        "they have not called solved.", "The person was passed over."),
    ("team", "increase"): talk.Advice("team", "add_team_scaffold", "Give the agents something to share.",
        "Keep one board of who does what and what was found; a step that touches another's work reads it first.",
        "Work that hangs together was done alone.", "1w", "medium"),
    ("team", "decrease"): talk.Advice("team", "remove_solo_path", "Name who decides.",
        "Give each kind of decision one owner who hears the others once, and decides within that turn.",
        "What one could settle went to everybody.", "1w", "medium"),
    ("aggressiveness", "decrease"): talk.Advice("aggressiveness", "add_guardrail", "Take the contest out.",
        "Strike rankings and rivals from prompt and reward, and return messages that attack a colleague.",
        "Competing did harm to the common work."),
    ("aggressiveness", "increase"): talk.Advice("aggressiveness", "rewrite_system_prompt", "Let it stand its ground.",
        "Write into the prompt: change your view for a fact or a reason only, and say which; else repeat it once.",
        "It gave way where it was right to hold."),
    ("stability", "decrease"): talk.Advice("stability", "rewrite_system_prompt", "Allow the plan to change.",
        "Write into the prompt: after a failed or unexpected result, say what it changes before the next step.",
        "It kept to its way although things had changed."),
    ("stability", "increase"): talk.Advice("stability", "add_guardrail", "Hold the procedure fixed.",
        "Freeze plan and format once the work begins; a change needs a stated reason and a note in the record.",
        "The task wants the same way each time."),
}  # fmt: skip


class FitPlaybook(shapes.Playbook, frozen=True):
    """What to do about one failure mode of one characteristic."""

    characteristic: str


PLAYBOOKS = shapes.playbooks(FitPlaybook, (
    ("innovation", "innovation_starved", "Room for a second idea", (
        "Ask for three different approaches before any work, and reject a set in which two share their first step.",
        "Compare variety and result on ten tasks at two temperatures, and keep the lower one that is varied enough.",
    ), "1d", ROBBINS),
    ("innovation", "innovation_excess", "Experiments behind a gate", (
        "List what may never be changed in a live run, and stop calls that touch it.",
        "Give ideas a place of their own: a sandbox, and a criterion at which a trial is ended.",
    ), "1d", ROBBINS),
    ("attention_to_detail", "detail_starved", "Precision as a gate", (
        "Turn the steps that were left out into checks that must pass before the result is handed on.",
        "Seed one error into every tenth task, and track how many are found.",
    ), "1d", OREILLY),
    ("attention_to_detail", "detail_excess", "Good enough, written down", (
        "State for each deliverable what is done, and what is deliberately left rough.",
        "Lower the number of review passes until errors rise, and go back one.",
    ), "1d", OREILLY),
    ("outcome", "outcome_starved", "From activity to result", (
        "Open each run with the deliverable and the test that it must pass; close it with the test's result.",
        "Report runs by results delivered, and leave steps and words out of the report.",
    ), "1d", ROBBINS),
    ("people", "people_starved", "The person first", (
        "Mark turns in which somebody states a need or a feeling, and require that the next sentence answers it.",
        "Let ten such people rate the replies, before and after.",
    ), "1d", ROBBINS),
    ("team", "team_starved", "Work that is visible to all", (
        "Introduce a shared record of claims, owners and findings that every agent reads before it acts.",
        "Count duplicated and overwritten work per run, for a month, against the weeks before.",
    ), "1w", OREILLY),
    ("team", "team_excess", "One owner a decision", (
        "List the decisions of the last runs by kind, and give each kind one owner and one round of advice.",
        "Compare time to decision and reversals with the weeks before.",
    ), "1w", OREILLY),
    ("aggressiveness", "aggressiveness_excess", "End the contest", (
        "Remove rankings, rivals and praise for being first from prompts and rewards.",
        "Put up a filter for attacks on persons, and review what it held back each week.",
    ), "1d", ROBBINS),
    ("aggressiveness", "aggressiveness_starved", "Disagree once, with a reason", (
        "Ask for the strongest objection before any agreement, and for the fact that settled it.",
        "Plant a wrong claim by a peer in one task of ten, and track how often it is challenged.",
    ), "1d", ROBBINS),
    ("stability", "stability_excess", "Plans that hear results", (
        "After each result, ask for one line: what does this change in the plan?",
        "Replay the runs that kept to a dead plan: they must turn within two steps.",
    ), "1d", OREILLY),
    ("stability", "stability_starved", "The same way each time", (
        "Fix plan, format and tools at the start, and let a change through only with a reason on record.",
        "Run one task five times, and compare the steps: what differs without a reason is a case to mend.",
    ), "1d", OREILLY),
    ("innovation", "broadly_misfit", "Another agent for this task", (
        "Write down the profile that the task wants, and try it on two other models and prompts.",
        "Let a person review all results until one of them fits in five of the seven.",
    ), "1w", SCHEIN),
))  # fmt: skip

ATTACH = {
    ("innovation", "rewrite_system_prompt", "increase"): "innovation_starved",
    ("innovation", "adjust_temperature", "increase"): "innovation_starved",
    ("innovation", "add_guardrail", "decrease"): "innovation_excess",
    ("innovation", "add_kill_criterion", "decrease"): "innovation_excess",
    ("attention_to_detail", "rewrite_system_prompt", "increase"): "detail_starved",
    ("attention_to_detail", "new_eval", "increase"): "detail_starved",
    ("attention_to_detail", "adjust_temperature", "decrease"): "detail_excess",
    ("outcome", "rewrite_system_prompt", "increase"): "outcome_starved",
    ("outcome", "new_eval", "increase"): "outcome_starved",
    ("people", "rewrite_system_prompt", "increase"): "people_starved",
    ("team", "add_team_scaffold", "increase"): "team_starved",
    ("team", "remove_solo_path", "decrease"): "team_excess",
    ("aggressiveness", "add_guardrail", "decrease"): "aggressiveness_excess",
    ("aggressiveness", "rewrite_system_prompt", "increase"): "aggressiveness_starved",
    ("stability", "rewrite_system_prompt", "decrease"): "stability_excess",
    ("stability", "adjust_temperature", "decrease"): "stability_excess",
    ("stability", "add_guardrail", "increase"): "stability_starved",
    ("stability", "add_kill_criterion", "increase"): "stability_starved",
    ("innovation", "swap_model", "increase"): "broadly_misfit",
    ("innovation", "human_review", "increase"): "broadly_misfit",
}
COMPOSITION = Composition(
    upstream=("vstack.schein_culture", "vstack.lewin", "vstack.aar"),
    downstream={
        "profile_pattern": {
            "well_fit": ("vstack.aar",),
            "innovation_starved": ("vstack.devils_advocate", "vstack.aar"),
            "detail_starved": ("vstack.aar", "vstack.bias_stack"),
            "innovation_excess": ("vstack.aar", "vstack.devils_advocate"),
            "stability_excess": ("vstack.aar", "vstack.lewin"),
            "team_excess": ("vstack.lencioni", "vstack.psych_safety"),
            "team_starved": ("vstack.lencioni", "vstack.trust_triangle"),
            "aggressiveness_excess": ("vstack.psych_safety", "vstack.glaser_conversation"),
            "people_starved": ("vstack.glaser_conversation", "vstack.feedback_triggers"),
            "outcome_starved": ("vstack.smart_goal", "vstack.aar"),
            "broadly_misfit": ("vstack.schein_culture", "vstack.aar", "vstack.lewin"),
            "indeterminate": (),
        },
        "task_class": {
            "regulated_workflow": ("vstack.bias_stack",),
            "financial_operation": ("vstack.bias_stack",),
            "incident_response": ("vstack.aar",),
            "code_review": ("vstack.devils_advocate",),
        },
    },
    framework_overlays={"langgraph": ("vstack.aar",), "crewai": ("vstack.lencioni",), "autogen": ("vstack.aar",)},
)
