"""The words of the after-action review: its framework, what each signal means to a reader, and its playbooks."""

from __future__ import annotations

from typing import Literal

import msgspec

from vstack_proto.patterns import shapes
from vstack_proto.patterns.common import Effort, Level

Intervention = Literal[
    "prompt_patch", "tool_addition", "tool_removal", "scaffold_change", "new_eval", "human_review", "memory_injection",
    "compose_pattern",
]  # fmt: skip
ARMY = "US Army (1993), TC 25-20"
WHARTON = "Wharton@Work (2014), After-Action Reviews for Leaders"
WHAT_WAS_INTENDED = "TC 25-20: what was supposed to happen"
WHAT_HAPPENED = "TC 25-20: what did happen"
WHY = "TC 25-20: why the two differ"

FRAMEWORK = """\
An after-action review (US Army, TC 25-20) asks four questions of a finished piece of work, in this order: what was \
supposed to happen, what did happen, why did the two differ, and what will be done differently next time. It looks \
for the causes of the difference and not for somebody to blame, it rests on what was observed and not on opinion, \
and it ends in actions that somebody can carry out tomorrow. Wharton's guide adds that successes deserve the same \
questions, since luck looks like skill.

In a run of agents, the intent is the goal and every condition in it; what happened is the sequence of calls, \
results and claims; the decisive moment is the earliest step that would have changed the ending, had it been done \
right. Usually it is a choice: an assumption made where a check was possible, a figure that no result contains, a \
condition of the goal that a query leaves out, a conclusion after a failed call, a plan thrown away while the answer \
was in view. Whoever caused an error counts, not the component that reported it.

Do not mistake symptoms for causes: repetition, agreement without news, late error messages and giving up at the end \
follow from something earlier. Do not call the last step decisive because it is last. Evidence is a step and words \
that stand in it; what is absent from the record is an explanation, never a quotation."""


class Rule(msgspec.Struct, frozen=True):
    """What a signal means to a reader.

    Attributes:
        weight: How far it alone points at the decisive step, from 0 to 1.
        did: What was done there, to follow "step 3, agent,".
        cause: Why that changes an ending.
        anchor: The part of the framework it stands on.
        links: Patterns that look closer.
        kind, advice, how, impact, why: The next step it calls for.
        symptom: It follows from something earlier, so it explains and is never ranked as decisive.
    """

    weight: float
    did: str
    cause: str
    anchor: str
    links: tuple[str, ...]
    kind: Intervention
    advice: str
    how: str
    impact: Level
    why: str
    symptom: bool = False


class AARPlaybook(shapes.Playbook, frozen=True):
    """What to do about one failure mode of one profile."""

    profile: str


RULES = {
    "goal_replaced": Rule(
        0.9,
        "set the team a task that shares next to nothing with the goal",
        "The team worked on a different problem from the first step on, so that no later step could mend it.",
        WHAT_WAS_INTENDED,
        ("vstack.smart_goal", "vstack.grpi"),
        "scaffold_change",
        "Hand the goal to every agent word for word, beside any plan made from it.",
        "Before the first step, compare the plan's task with the goal; stop when an entity or a condition of the "
        "goal is missing.",
        "high",
        "A plan that paraphrases the goal is the only copy the team ever reads.",
    ),
    "error_caused": Rule(
        0.5,
        "wrote the call or code that the next result reports as failed",
        "The work was handed to a tool without checking what the tool, its input or its library could do.",
        WHY,
        ("vstack.process_gain_loss",),
        "tool_addition",
        "Let agents try a call on a small input, and give them a tool that returns what the task needs.",
        "Add a dry run that validates imports, arguments and file paths, and returns the error to the agent that "
        "wrote the call.",
        "high",
        "The first failed call is where the plan met the world; what follows works around it.",
    ),
    "empty_result_caused": Rule(
        0.45,
        "wrote the call or code whose result came back empty",
        "A call that ran without error and found nothing was built on a wrong idea of where the data is.",
        WHY,
        ("vstack.process_gain_loss",),
        "prompt_patch",
        "Treat an empty result as a failed one.",
        "When a call returns nothing, zero or None, say what you expected, look at the raw input, and change the "
        "call before going on.",
        "medium",
        "Success of the call is not success of the search.",
    ),
    "assumption": Rule(
        0.6,
        "put an assumption or an invented stand-in where a check was possible",
        "Everything after it rests on something that nobody looked up.",
        WHY,
        ("vstack.bias_stack", "vstack.devils_advocate"),
        "prompt_patch",
        "Have assumptions named and checked before they are used.",
        "Never replace missing data by a sample, a simulation or a typical value. Write ASSUMPTION: and the check "
        "that would settle it, run the check, and stop if it cannot be run.",
        "high",
        "An assumption that is written down gets checked; one in passing becomes a fact two steps later.",
    ),
    "unsourced_figures": Rule(
        0.4,
        "gave figures that neither the goal nor any earlier step contains",
        "The figures come from no result on record, so they were remembered or made up.",
        WHAT_HAPPENED,
        ("vstack.bias_stack",),
        "new_eval",
        "Test that every figure in an answer occurs in a tool result or follows from one.",
        "For each number of the final answer, search the recorded results; fail the run when it is absent and no "
        "calculation is shown.",
        "high",
        "A figure without a source reads like one with a source.",
    ),
    "unsupported_report": Rule(
        0.45,
        "reported a finding, though no result on record stands behind it",
        "A conclusion was reached without the action that would justify it.",
        WHAT_HAPPENED,
        ("vstack.devils_advocate", "vstack.psych_safety"),
        "human_review",
        "Have claims of work done reviewed against the record before the team goes on.",
        "Require every 'verified', 'retrieved' or 'found' to name the step of the result; send those without one to "
        "a reviewer.",
        "high",
        "Nobody checks again what is called verified.",
    ),
    "went_on_after_bad_result": Rule(
        0.5,
        "drew a conclusion although the result before it had failed or was empty",
        "A result that proved nothing was used as if it had proved something.",
        WHY,
        ("vstack.bias_stack", "vstack.devils_advocate"),
        "scaffold_change",
        "Block conclusions that directly follow a failed or empty result.",
        "After a failed call allow only: mend the call, use another source, or report that the question is open.",
        "high",
        "The moment after a failure is when a guess is most tempting.",
    ),
    "handed_to_nobody": Rule(
        0.4,
        "left the work to be done by hand, or asked for material, where no person takes part",
        "The step that would have brought the data was passed on to nobody.",
        WHY,
        ("vstack.social_loafing", "vstack.grpi"),
        "tool_addition",
        "Give the agent that needs the material the tool that fetches it.",
        "Offer search, page reading and file reading to every agent that is asked for facts, and forbid requests "
        "for manual work.",
        "high",
        "An agent that cannot act writes instructions instead.",
    ),
    "condition_dropped": Rule(
        0.4,
        "asked or searched without a condition that the goal sets",
        "A condition left out of the question is missing from every answer to it.",
        WHAT_WAS_INTENDED,
        ("vstack.smart_goal",),
        "prompt_patch",
        "Carry every condition of the goal into each delegation and query.",
        "Before delegating or searching, list the goal's names, dates, numbers and limits, and tick each one that "
        "your text carries.",
        "medium",
        "What is not asked for is not found.",
    ),
    "replanned": Rule(
        0.45,
        "threw the plan away and made a new one, without a new result in between",
        "What had been gathered was dropped instead of being used.",
        WHY,
        ("vstack.grpi", "vstack.yerkes_dodson"),
        "scaffold_change",
        "Make a new plan say what the old one taught.",
        "Allow a new plan only together with a list of what is known so far and the result that makes the old plan "
        "wrong.",
        "medium",
        "A plan is changed by a finding, not by impatience.",
    ),
    "partial_view": Rule(
        0.3,
        "looked at a part of the document only",
        "What the rest of the document says was never seen.",
        WHAT_HAPPENED,
        ("vstack.bias_stack",),
        "tool_addition",
        "Add a tool that returns a whole document, or says which part is missing.",
        "Return text in full with page numbers, and refuse 'not found' until the last page has been read.",
        "medium",
        "Absence from the first screen is not absence.",
    ),
    "tool_error": Rule(
        0.35,
        "is a failed result",
        "Several calls failed; what caused the first of them was not mended.",
        WHAT_HAPPENED,
        ("vstack.process_gain_loss",),
        "prompt_patch",
        "Read the error before calling again.",
        "After an error, state its cause in one sentence and what you change; after two errors of one kind, change "
        "the method.",
        "medium",
        "A second failure of the same kind teaches nothing new.",
        symptom=True,
    ),
    "loop": Rule(
        0.3,
        "repeats what the same agent said or called before",
        "The run went round in a loop: the same input was tried again in the hope of another result.",
        WHAT_HAPPENED,
        ("vstack.bias_stack", "vstack.devils_advocate"),
        "new_eval",
        "Test that a run ends or changes course when it repeats itself.",
        "Fail a run in which one agent sends the same call or message three times; count repeats in the scaffold "
        "and stop at two.",
        "high",
        "Only a change of input can change the result.",
        symptom=True,
    ),
    "agreement": Rule(
        0.15,
        "agrees without adding anything",
        "Agreement took the place of a check.",
        WHAT_HAPPENED,
        ("vstack.devils_advocate", "vstack.social_loafing"),
        "compose_pattern",
        "Give one agent the task of disagreeing.",
        "Run vstack.devils_advocate on the final claim before the run may end.",
        "medium",
        "A team that only confirms has one opinion.",
        symptom=True,
    ),
}

# Where the outcome itself says why, there is no step to cite; the rule is keyed by those words.
OUTCOME_RULES = {
    r"over(?:ran| the) budget|out of (?:budget|tokens)|(?:token|cost|budget) (?:limit|cap|exceeded|overrun)": (
        "cost_overrun",
        Rule(
            0.5,
            "ended beyond what the run was allowed to spend",
            "The run used more than its budget.",
            WHAT_HAPPENED,
            ("vstack.smart_goal",),
            "compose_pattern",
            "State the budget in the goal.",
            "Run vstack.smart_goal on the goal and add what may be spent, and what to deliver when half of it is gone.",
            "medium",
            "An agent cannot keep to a limit that it does not know.",
        ),
    ),
    r"(?:missed|past|after) (?:the |its )?deadline|timed? ?out|too late|time limit": (
        "deadline_missed",
        Rule(
            0.5,
            "ended after the time allowed",
            "The deadline passed before there was a result.",
            WHAT_HAPPENED,
            ("vstack.smart_goal",),
            "compose_pattern",
            "State the time allowed in the goal.",
            "Run vstack.smart_goal on the goal and add the deadline, and which partial result is worth having.",
            "medium",
            "Without a deadline in view, thoroughness always wins.",
        ),
    ),
}

_PLAYBOOKS: dict[tuple[str, str], tuple[Effort, str, str, *tuple[str, ...]]] = {
    ("total_failure", "missing_tool"): (
        "1d",
        ARMY,
        "Give the agent the tool it lacked",
        "From the lessons, write down the one fact or action that the run needed and no tool could bring.",
        "Add the tool with typed arguments, an error that says what to do next, and three recorded examples of its "
        "use.",
        "Run the failed goal again with the tool, and check that the step of the decisive mistake now ends in a tool "
        "result.",
    ),
    ("total_failure", "broken_scaffold"): (
        "1w",
        ARMY,
        "Repair the order in which work is handed on",
        "Draw who handed what to whom up to the decisive step; mark where the goal, a condition or a result got lost.",
        "Put a check at that place (goal unchanged, result present, error handled) that stops the run, and replay the "
        "failed trace on it.",
    ),
    ("partial_success", "missing_completion_criteria"): (
        "1d",
        WHARTON,
        "Say when the work is done",
        "Write the conditions under which the result counts as complete, each one checkable by a program or a second "
        "agent.",
        "Let the last step list every condition with the step that fulfils it; an empty cell means not done.",
    ),
    ("scope_mismatch", "unclear_goal"): (
        "1d",
        ARMY,
        "Make the goal impossible to misread",
        "Rewrite the goal with its subject, limits, format and what does not belong to it; remove every second "
        "reading.",
        "Let the agent restate the goal first, and compare names, numbers and limits with the original before it may "
        "go on.",
    ),
    ("retry_thrashing", "stuck_in_loop"): (
        "1w",
        ARMY,
        "Stop a run that repeats itself",
        "Count equal calls and messages of one agent in the scaffold, by their normalised text.",
        "At the second repeat demand a changed input or another method; at the third, end the run with what is known.",
        "Keep the failed trace as a test: the new scaffold must leave the repetition within two steps.",
    ),
    ("retry_thrashing", "tool_error_cascade"): (
        "1d",
        ARMY,
        "Mend the first error, not the last",
        "Find the first failed call of the chain and the assumption in its arguments; repair that and replay from "
        "there.",
        "Add to the prompt: after an error, name its cause and what changes; two errors of one kind mean another "
        "method.",
    ),
    ("cost_overrun", "no_budget"): (
        "1d",
        WHARTON,
        "Give the run a budget it can see",
        "Put the limit in the goal and the amount used so far in every prompt.",
        "Define what is delivered at half of the budget, and end the run there unless progress is on record.",
    ),
    ("cost_overrun", "expensive_tool_loop"): (
        "1d",
        WHARTON,
        "Test for repeated expensive calls",
        "Sum the cost of each tool over the failed run, and find the call with the most repeats.",
        "Cache that call by its arguments, and add a test that fails when one run makes it more than twice.",
    ),
    ("deadline_missed", "no_time_budget"): (
        "1d",
        ARMY,
        "Plan backwards from the deadline",
        "Give each phase of the plan a share of the time, and show the agent what is left.",
        "Deliver the best partial result when a phase overruns, with what is still open, instead of nothing.",
    ),
    ("success_aligned", "baseline"): (
        "1h",
        WHARTON,
        "Keep what worked",
        "Store the trace as the baseline of this goal, so that a later run can be compared with it.",
    ),
    ("partial_success", "ungrounded_lessons"): (
        "1d",
        ARMY,
        "Check the lessons with people",
        "Lay each lesson beside the steps it cites, and ask somebody who knows the task whether the steps prove it.",
        "Drop what is opinion, and turn what remains into one change with an owner and a date.",
    ),
    ("scope_mismatch", "memory_injection"): (
        "1w",
        WHARTON,
        "Let the agent remember what the goal meant",
        "Store the lesson with the goal it belongs to: the reading that was wrong, the one that was meant, how to "
        "tell them apart.",
        "Bring it into the first prompt of similar goals, and measure over ten runs whether the misreading comes back.",
    ),
}
PLAYBOOKS = shapes.playbooks(
    AARPlaybook,
    ((*key, title, tuple(steps), effort, citation) for key, (effort, citation, title, *steps) in _PLAYBOOKS.items()),
)
