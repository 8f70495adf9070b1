"""The prose of social loafing: what the framework says, what to change, and the playbooks."""

from __future__ import annotations

from collections.abc import Container
from typing import Literal

from vstack_proto.patterns import shapes
from vstack_proto.patterns.common import Effort, Level, Risk
from vstack_proto.patterns.social_loafing_work import Ride, Work, ride_of

Kind = Literal[
    "assign_subgoals", "individual_accountability", "decompose_task", "smaller_team", "rotate_roles",
    "explicit_critic_assignment", "remove_loafer", "per_agent_evaluation", "new_eval", "human_review",
    "add_per_agent_metrics", "add_identifiability_signal", "compose_pattern",
]  # fmt: skip


FRAMEWORK = """\
People pull less on a rope when others pull too (Ringelmann's finding, repeated by Ingham 1974 with pretended \
partners, so that it is lost effort and not lost coordination). Latané, Williams and Harkins (1979) named it social \
loafing; Williams, Harkins and Latané (1981) saw it vanish when each member's output could be told apart. Karau and \
Williams (1993): it grows with team size and where one's own part seems dispensable or is never judged, and shrinks \
with identifiable, unique, meaningful parts. Comer (1995) adds the sucker effect: contributors slow down when they \
see others ride. Hackman (2002): small teams, real tasks.

In a trace of agents: approval without a reason, a restatement of what another just said, "I have verified" with no \
check on record, deferring, silence of a member the team lists, several stamps in a row on one member's work.

Not loafing: an orchestrator that hands out work, a terminal that runs code, a user who asks; a specialist who is \
needed once and delivers; a reviewer who looks, gives the reason and finds nothing; a short message that brings a \
new fact; a member who was never asked and whose part did not come up. Unequal shares alone show division of \
labour, not loafing.

Evidence is the cosmetic message itself, quoted, beside the work it rides on. Length is no measure of work, and \
neither is the number of messages: what counts is what was not there before."""


class Proposed(shapes.Proposal, frozen=True, forbid_unknown_fields=True):
    """One change; ``target_agent`` is an agent's name or ``team``."""

    target_agent: str
    intervention_type: Kind


class LoafingIntervention(Proposed, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """One change as it is reported, with the pattern that carries it out, if one does."""

    composition_target_pattern: str | None = None


# Kind -> what to do, how, impact, effort, risk. ``{who}`` is the agent, or the team.
REMEDIES: dict[Kind, tuple[str, str, Level, Effort, Risk]] = {
    "assign_subgoals": (
        "Give {who} a part of its own.",
        "Write one sub-goal into the instructions of {who} that no other member holds, with what it must hand in; "
        "whoever hands out work routes that part to it, and the run is not done without it.",
        "high", "1d", "low",
    ),
    "explicit_critic_assignment": (
        "Make {who} the named critic.",
        "Ask {who} for one objection, missing case or counterexample a round, and send back once a message whose "
        "content words all stood in the messages before it.",
        "medium", "1d", "low",
    ),
    "rotate_roles": (
        "Let {who} propose, not only approve.",
        "Swap proposer and approver each round; an approval by {who} has to name a check that could have failed.",
        "medium", "1d", "low",
    ),
    "per_agent_evaluation": (
        "Evaluate {who} by itself.",
        "Collect the answer of {who} before it sees the others', and score it beside the team's result.",
        "medium", "1d", "low",
    ),
    "remove_loafer": (
        "Run the task without {who}.",
        "Replay the same task with {who} left out; if the outcome stands, take it off the team.",
        "medium", "1h", "medium",
    ),
    "add_identifiability_signal": (
        "Show each member's part.",
        "Record author, kind and new content of each contribution, report a measure for each agent beside the "
        "team's result, and say so in the agents' instructions.",
        "high", "1d", "low",
    ),
    "smaller_team": (
        "Shrink the team to those who worked.",
        "Replay the task with the members who carried it and compare outcome and cost; add a member back only for "
        "a part of its own.",
        "high", "1d", "medium",
    ),
    "decompose_task": (
        "Split the work so that it does not fall to one member.",
        "List what the largest contributor did, mark what another member is there for, and route those parts to "
        "their owners. If the uneven split is the design, keep it and store this run as the baseline.",
        "medium", "1d", "low",
    ),
}  # fmt: skip


REMEDY_OF: dict[Ride, Kind] = {
    "rubber_stamp_chain": "assign_subgoals", "paraphrase_only": "explicit_critic_assignment",
    "approval_only": "rotate_roles", "silent_majority": "per_agent_evaluation",
}  # fmt: skip
MAX_TARGETS = 5
MAX_TARGETS = 5


def remedies(work: Work, addressed: Container[str], evaluated: bool) -> tuple[LoafingIntervention, ...]:
    """What to change, from what was found; nothing where nobody loafs."""
    if work.quality == "no-loafing":
        return ()
    riders = work.riders()
    chosen: list[tuple[str, Kind, str]] = []
    for tally in riders[:MAX_TARGETS]:
        steps = ", ".join(str(entry.number) for entry in tally.cosmetic[:MAX_TARGETS])
        if tally.role == "loafer":
            chosen.append((tally.agent, REMEDY_OF[ride_of(tally)], f"no new content in steps {steps}"))
        elif tally.agent in addressed:
            chosen.append((tally.agent, "remove_loafer", "it was addressed and never spoke"))
        else:
            chosen.append((tally.agent, "assign_subgoals", "it never spoke, and nobody addressed it"))
    if not riders:
        chosen.append(("team", "decompose_task", f"nobody loafs, but the shares are uneven (Gini {work.gini:.2f})"))
    if riders and not evaluated:
        chosen.append(("team", "add_identifiability_signal", "members are not evaluated one by one"))
    if len(work.tallies) >= 5 and 2 * len(riders) >= len(work.tallies):
        chosen.append(("team", "smaller_team", f"{len(riders)} of {len(work.tallies)} members ride along"))
    return tuple(_remedy(*one) for one in chosen)


def _remedy(target: str, kind: Kind, why: str) -> LoafingIntervention:
    what, how, impact, effort, risk = REMEDIES[kind]
    who = "the team" if target == "team" else target
    return LoafingIntervention(
        target,
        kind,
        description=what.format(who=who),
        suggested_implementation=how.format(who=who),
        estimated_impact=impact,
        rationale=why,
        effort_estimate=effort,
        risk=risk,
    )


class LoafingPlaybook(shapes.Playbook, frozen=True):
    """What to do about one failure mode of one role."""

    role: str


PLAYBOOKS = shapes.playbooks(LoafingPlaybook, (
    ("loafer", "rubber_stamp", "Make a stamp cost a finding", (
        "Give the agent one part of the task that nobody else holds, and name what it must hand in.",
        "Accept an approval only with a reason: the passage looked at, the check made, its result.",
        "Replay the run with a fault planted in the work; an approval that passes it fails the agent's test.",
    ), "1d", "Latané, Williams, Harkins 1979; Karau & Williams 1993"),
    ("loafer", "silent_majority", "Give each quiet member a part and a turn", (
        "Split the task so that each member's part is needed for the outcome and differs from the others'.",
        "Collect every member's own answer before any of them sees another's.",
        "Score each answer by itself and show the score beside the team's result.",
    ), "1d", "Williams, Harkins, Latané 1981"),
    ("absent", "no_contribution", "Use the member or drop it", (
        "Look up whether anybody ever handed the agent work: routing that never reaches it is the first suspect.",
        "If the task has a part for it, write that part into its instructions and into the one who hands out work.",
        "If it has none, take the agent off the team and run the same tasks again: the outcome should not change.",
    ), "1d", "Hackman 2002"),
    ("team", "ringelmann_dilution", "Shrink the team until every part shows", (
        "Rerun the task with three members who did the work here, and compare outcome and cost.",
        "Add a member back only for a part that none of the three can do.",
        "Above four members, work in pairs that each answer for a part, and join the parts at the end.",
    ), "1d", "Ingham et al. 1974; Hackman 2002"),
    ("team", "anonymous_evaluation", "Judge each member, not only the result", (
        "Record author, kind and new content of each contribution as a field, not in prose.",
        "Report a measure for each agent beside the team's: parts delivered, faults found, checks made.",
        "Tell the agents in their instructions that their own part is read and judged by itself.",
    ), "1d", "Williams, Harkins, Latané 1981"),
    ("loafer", "paraphrase_only", "Ask for what was not said yet", (
        "Name the agent as critic, with the duty to bring one objection, missing case or counterexample.",
        "Compare each message with the ones before it, and send back a message without new content once.",
        "If the second try brings nothing either, let the agent pass: an honest pass is better than an echo.",
    ), "1d", "Karau & Williams 1993"),
    ("loafer", "approval_only", "Rotate who proposes and who approves", (
        "Let the approver of this round write the proposal of the next, so that no member only approves.",
        "Require that an approval names a check which could have failed.",
    ), "1d", "Comer 1995"),
    ("team", "all_loafers", "Start over from the task", (
        "Check that the task is one a team can work on: a clear end, parts that differ, tools that are there.",
        "Let one agent do it alone; what it achieves is the bar that the team has to pass.",
        "Rebuild the team around parts that the single agent did badly, each part with an owner and a measure.",
    ), "1w", "Hackman 2002; Latané, Williams, Harkins 1979"),
    ("loafer", "high_team_low_individual", "Do not let a good result hide a ride", (
        "Report each member's share beside a success, since nobody looks for riders in a run that went well.",
        "Rerun without the rider: if the result stands, its cost was for nothing.",
    ), "1h", "Karau & Williams 1993"),
    ("loafer", "single_dominant", "Take work off the one who does it all", (
        "List what the dominant agent did and mark what another member was there for.",
        "Move those parts to their owners, and let the dominant agent refuse to do them.",
        "Compare outcome and cost with the dominant agent alone; keep the team only if it wins.",
    ), "1d", "Comer 1995"),
    ("primary-contributor", "well_balanced", "Keep what keeps the team balanced", (
        "Store this run's shares and Gini coefficient as the baseline for runs of the same kind.",
        "Compare after each change of team, model or instructions, before anybody notices the drift.",
    ), "1h", "Hackman 2002"),
    ("team", "two_contributors_n_loafers", "Make the pair the team", (
        "Run the two contributors alone on the same task and compare.",
        "Bring each other member back only with a part, an owner's duty and a measure of its own.",
    ), "1d", "Karau & Williams 1993; Hackman 2002"),
))  # fmt: skip
