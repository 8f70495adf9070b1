"""Process gain and loss in words: the framework, what is asked and answered, and playbooks."""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec

from vstack_proto.patterns import shapes, talk
from vstack_proto.patterns.common import Answer, Composition, Count, Share, Step
from vstack_proto.patterns.signs import Gravity

Factor = Literal[
    "coordination_cost", "social_loafing", "groupthink", "handoff_loss", "context_dilution", "consensus_dilution",
]  # fmt: skip
Target = Literal[Factor, "team_design"]
Kind = Literal[
    "smaller_team", "use_single_best_agent", "decompose_task", "nominal_group_aggregation", "explicit_critic",
    "structured_handoff", "context_summarization", "fixed_vote_aggregation", "new_eval", "human_review",
    "add_individual_accountability", "add_dissent_round", "increase_role_specialization", "compose_pattern",
    "add_process_eval", "reduce_team_size",
]  # fmt: skip

FRAMEWORK = """\
Steiner: actual productivity is potential productivity, less what faulty process loses, plus what working together \
gains. The yardstick is the best member alone: a team below it has lost more than it added (Hill: N heads are often \
worse than the best one). Six ways to lose, each with its mark in a log:
- coordination_cost: effort spent on being a team: waiting, syncing, double work, rounds; it grows with the number of \
members (Hackman and Vidmar).
- social_loafing: members whose absence would change nothing: silent, "same here", "you decide".
- groupthink (Janis): the first view is settled, an objection is noted and passed over, members know the same things.
- handoff_loss: what one had, the next did not get: files, formats, assumptions, "I thought you meant".
- context_dilution (Liu et al.): what was known early is forgotten or contradicted as the exchange grows; the task \
itself drifts.
- consensus_dilution: a good answer is averaged, hedged or merged with worse ones so that all can agree.

Do not confuse: a right answer argued away by agreement is groupthink, one blended with wrong ones is consensus \
dilution, one that never reached the others is handoff loss. Long talk alone is no coordination cost where it changed \
the result. The qualities are given and are not to be judged again; a loss without traces in the log has no known \
factor, and saying so is right. Silence proves loafing only where the member had something to add."""

TASK = """\
The team's result is worse than, or no better than, that of its best member alone; the facts give the numbers. Score \
each of the six factors once, from 0 (no part in it) to 1 (explains the loss alone). 0.5 and more says that the loss \
would have been clearly smaller without it. Follow the best member's answer through the log: was it said, who took it \
up, what was added, where did it get lost or worse? Explain in two or three sentences with step numbers and what \
speaks against it. Every score above 0.1 needs a quotation; a score without one that stands is not counted."""
ASK_CHANGES = """\
Propose at most five changes, what explains most of the loss first. target_factor team_design is for the form of the \
team itself: whether to use the best agent alone, or fewer agents. Say what to change in which instruction, hand-over, \
vote or roster so that a reader could do it today; give preconditions, and in success_metric the number that will show \
it worked, measured against the best member alone."""
ASK_ALL = f"{TASK}\n\n{ASK_CHANGES}"
ASK_REMEDY = "Quality: {quality}. Factors found so far: {found}.\n\n"
ASK_AUDIT = """\
Go through the interaction log and list single events, each once, with its step, a quotation from that step and one \
sentence why; they are counted.
- premature_consensus: a point is closed, or an objection passed over, before it was weighed.
- context_loss: something that an earlier step established is forgotten, contradicted or asked for again, or does not \
reach the one who needs it.
In notes say in two sentences where in the log the result was decided."""

ASK_PARTS = """\
What became of the best member's own answer? It stands in the step of kind "alone" of the member that the facts call \
best. Take it apart, at most eight parts that matter for its quality (a figure, a reason, a caveat, a piece of the \
result), each once: its words there as part, its fate, the step and a quotation where the fate shows, and one sentence \
what the result would have been with it.
- kept: the team's result holds it (quote the result);
- never_said: its owner did not bring it up where it was due (quote what was said instead);
- not_passed_on: it was said, and did not reach the one who needed it;
- argued_away: it was dropped for a view that was already settled;
- blended: it was averaged or merged with worse answers;
- forgotten: it was known early, and is missing or contradicted later.
A part that was dropped because somebody showed it to be wrong is none of these and is left out."""


class ProcessPlaybook(shapes.Playbook, frozen=True):
    """What to do about one failure mode of one factor."""

    factor: str


PLAYBOOKS = shapes.playbooks(ProcessPlaybook, (
    ("coordination_cost", "high_overhead", "Cut what is spent on being a team", (
        "Count, per run, the messages that carry work and those that arrange it; write down the share.",
        "Split the task so that pieces meet at one interface, and let only the owners of both sides talk.",
        "Remove one member at a time and keep the smallest team whose quality does not fall.",
    ), "1d", "Hackman & Vidmar 1970, Effects of Size and Task Type"),
    ("social_loafing", "silent_agents", "Make each contribution visible", (
        "Have every member hand in its own answer before it sees another's.",
        "Score these answers singly and show the scores with the team's.",
        "Drop members whose answer never changes the result over ten runs.",
    ), "1d", "Hill 1982, Group versus Individual Performance"),
    ("groupthink", "premature_consensus", "Weigh before you settle", (
        "Give one member the role of critic; the result needs its written assent or an answer to each objection.",
        "Add one round in which every member names the strongest reason against the favourite.",
        "Keep the share of objections that changed the result; none in ten runs means the round is a ritual.",
    ), "1d", "Janis 1972, Victims of Groupthink"),
    ("handoff_loss", "broken_handoff", "Hand over with a form", (
        "Fix the form: what it is, where it is, what was assumed, what is not done, how sure.",
        "Let the receiver repeat it in one line before work starts; a mismatch goes back.",
        "Replay ten hand-overs and count facts of the sender that the receiver's output lacks.",
    ), "1d", "Salas et al. 2018, The Science of Team Performance"),
    ("context_dilution", "context_drift", "Keep the task and the facts in view", (
        "Hold task, constraints and agreed facts in a short list at the head and the end of each call.",
        "Summarise the exchange after every tenth message against that list, and drop the rest.",
        "Test recall: ask each member for three early facts late in the run.",
    ), "1d", "Liu et al. 2024, Lost in the Middle"),
    ("consensus_dilution", "averaged_to_mediocrity", "Choose, do not blend", (
        "Collect answers independently, each with its reason and a check.",
        "Choose one whole answer by a fixed rule (vote, judge or test), never a mixture.",
        "Compare the chosen one with the blend on twenty past tasks before you switch.",
    ), "1d", "Diehl & Stroebe 1987, Productivity Loss in Brainstorming Groups"),
    ("team_design", "use_single_best", "Let the best member work alone", (
        "Route this kind of task to the member with the best score alone.",
        "Keep one other member as reviewer with a veto and no pen.",
        "Repeat the comparison after each change of model: the best member may change.",
    ), "1h", "Steiner 1972, Group Process and Productivity"),
    ("team_design", "team_too_large", "Fewer members", (
        "Keep the members whose absence lowers the result; start again from three.",
        "Add one only for knowledge that nobody in the team has, and measure again.",
    ), "1d", "Hackman & Vidmar 1970, Effects of Size and Task Type"),
    ("groupthink", "narrow_diversity", "Members that do not know the same", (
        "Compare the members' answers before they talk; equal answers mean that one is enough.",
        "Replace a double by a member with another model, source or tool.",
        "Check that the answers differ now, and that the result is better for it.",
    ), "1d", "Robbins & Judge 2017, Organizational Behavior"),
    ("coordination_cost", "no_role_specialization", "One job each", (
        "List the pieces of the task and give each one owner.",
        "Write into every instruction what this member does not do.",
        "Count pieces done twice in the next ten runs; it should be none.",
    ), "1d", "Salas et al. 2018, The Science of Team Performance"),
    ("none", "process_gain_baseline", "Keep the gain", (
        "Store task, roster and scores of this run as the baseline.",
        "Note what the team's result holds that no member had alone: that is the gain.",
        "Compare again after each change of roster, prompt or model.",
    ), "1h", "Hill 1982, Group versus Individual Performance"),
    ("multi", "multi_factor_compound", "Take the process apart", (
        "Run the task with independent answers and a fixed vote: no talk, no process loss.",
        "Add one part of the process at a time (hand-over, critic, discussion), and measure each.",
        "Keep only the parts that raise the result above the vote.",
    ), "1w", "Steiner 1972, Group Process and Productivity"),
))  # fmt: skip

ATTACH = {
    ("coordination_cost", "smaller_team"): "high_overhead",
    ("coordination_cost", "decompose_task"): "high_overhead",
    ("coordination_cost", "increase_role_specialization"): "no_role_specialization",
    ("social_loafing", "add_individual_accountability"): "silent_agents",
    ("groupthink", "explicit_critic"): "premature_consensus",
    ("groupthink", "add_dissent_round"): "premature_consensus",
    ("handoff_loss", "structured_handoff"): "broken_handoff",
    ("context_dilution", "context_summarization"): "context_drift",
    ("consensus_dilution", "nominal_group_aggregation"): "averaged_to_mediocrity",
    ("consensus_dilution", "fixed_vote_aggregation"): "averaged_to_mediocrity",
    ("team_design", "use_single_best_agent"): "use_single_best",
    ("team_design", "reduce_team_size"): "team_too_large",
}
COMPOSITION = Composition(
    upstream=("vstack.lewin", "vstack.aar", "vstack.grpi", "vstack.mcgregor"),
    downstream={
        "profile_pattern": {
            "process_gain_balanced": ("vstack.aar",),
            "neutral_team": ("vstack.aar",),
            "coordination_dominant_loss": ("vstack.grpi", "vstack.mcgregor"),
            "social_loafing_dominant_loss": ("vstack.social_loafing", "vstack.grpi"),
            "groupthink_dominant_loss": (
                "vstack.devils_advocate", "vstack.bias_stack", "vstack.groupthink_polarization_contagion",
            ),
            "handoff_dominant_loss": ("vstack.grpi",),
            "context_dilution_dominant_loss": ("vstack.yerkes_dodson",),
            "consensus_dilution_dominant_loss": ("vstack.bias_stack", "vstack.devils_advocate"),
            "multi_factor_loss": ("vstack.grpi", "vstack.lencioni"),
            "cost_overhead_with_loss": ("vstack.grpi",),
            "team_too_large": ("vstack.grpi",),
            "indeterminate": (),
        }
    },
    framework_overlays={
        "langgraph": ("vstack.grpi",),
        "crewai": ("vstack.grpi", "vstack.social_loafing"),
        "autogen": ("vstack.grpi", "vstack.social_loafing"),
        "claude-agent-sdk": ("vstack.mcgregor",),
        "openai-agents-sdk": ("vstack.mcgregor",),
    },
)  # fmt: skip


def _told(summary: str, *told: str) -> str:
    return f"{summary} ({'; '.join(one for one in told if one.strip())})"


def cost_told(cost: float | None) -> str:
    return "" if cost is None else f"cost {cost:g}"


class IndividualBaseline(msgspec.Struct, frozen=True):
    """What one member does with the task alone; quality from 0 to 1, cost in any unit that all share."""

    agent_name: str
    output_summary: str
    quality_score: Share
    cost_units: Annotated[float, msgspec.Meta(ge=0.0)] | None = None
    notes: str = ""

    def line(self) -> str:
        """The entry as a step that evidence can quote."""
        return _told(
            self.output_summary, "alone", f"quality {self.quality_score:g}", cost_told(self.cost_units), self.notes
        )


class TeamResult(msgspec.Struct, frozen=True):
    """What they do with it together."""

    agents: tuple[str, ...]
    output_summary: str
    quality_score: Share
    cost_units: Annotated[float, msgspec.Meta(ge=0.0)] | None = None
    notes: str = ""

    def line(self) -> str:
        """The entry as a step that evidence can quote."""
        members, quality = f"by {', '.join(self.agents)}", f"quality {self.quality_score:g}"
        return _told(self.output_summary, members, quality, cost_told(self.cost_units), self.notes)


class FactorFound(msgspec.Struct, frozen=True):
    """What part one factor has in the loss."""

    factor: Factor
    score: Share
    severity: Gravity
    explanation: str
    evidence_quotes: tuple[str, ...] = ()
    confidence: Share = 0.5


class InteractionLogAudit(msgspec.Struct, frozen=True):
    """What was counted in the log; a handoff is a change of speaker, silent is a member without a line."""

    n_handoffs: Count = 0
    n_silent_agents: Count = 0
    n_premature_consensus: Count = 0
    n_context_loss_events: Count = 0
    dominant_factor: Factor = "coordination_cost"
    notes: str = ""


class CounterfactualAudit(msgspec.Struct, frozen=True):
    """What the same members would reach without talking: halfway between the best of them and a random one."""

    nominal_group_quality_estimate: Share = 0.0
    nominal_minus_team: float = 0.0
    would_recommend_individual: bool = False
    explanation: str = ""


class ProcessBaseline(msgspec.Struct, frozen=True):
    """How this detection differs from an earlier one of the same team."""

    historical_baseline_id: str | None = None
    historical_generated_at: shapes.Moment | None = None
    baseline_profile_pattern: str | None = None
    gain_loss_delta: float = 0.0
    drift_severity: Literal["none", "minor", "moderate", "severe"] = "none"
    notes: str = ""


SPEAKER = re.compile(r"\s{0,8}([^\W\d][\w .@/-]{0,50}?)\s?:\s")


def steps_of(log: str) -> tuple[Step, ...]:
    """One step a line that is not blank; what stands before its colon is the speaker."""
    told = ((SPEAKER.match(line), line) for line in log.splitlines() if line.strip())
    return tuple(Step(m.group(1), "log", line[m.end() :]) if m else Step("", "log", line) for m, line in told)


class ProcessIntervention(shapes.Plan, frozen=True, forbid_unknown_fields=True):
    """One change of how, or whether, the team works together; what a model proposes has the same shape."""

    target_factor: Target
    intervention_type: Kind


class Finding(shapes.Scored, frozen=True, forbid_unknown_fields=True):
    """What part one factor has in the loss."""

    factor: Factor


class FactorsAnswer(Answer, frozen=True):
    """The six factors, scored."""

    factors: tuple[Finding, ...]


class QuickAnswer(FactorsAnswer, frozen=True):
    """The same, with what to change."""

    interventions: tuple[ProcessIntervention, ...]


class RemedyAnswer(Answer, frozen=True):
    """What to change."""

    interventions: tuple[ProcessIntervention, ...]


LogKind = Literal["premature_consensus", "context_loss"]


class LogAnswer(talk.Events[LogKind], frozen=True):
    """What the log shows, event by event."""

    notes: str


Fate = Literal["kept", "never_said", "not_passed_on", "argued_away", "blended", "forgotten"]
# The factor that each fate speaks for; what was never said has several causes, and what was kept none.
FATES: dict[str, Factor] = {
    "not_passed_on": "handoff_loss", "argued_away": "groupthink", "blended": "consensus_dilution",
    "forgotten": "context_dilution",
}  # fmt: skip


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What became of one part of the best member's answer; ``quote`` stands in ``step``, where its fate shows."""

    part: str
    fate: Fate
    step: Count
    quote: str
    claim: str


class PartsAnswer(Answer, frozen=True):
    """The best member's answer, part by part."""

    parts: tuple[Part, ...]
