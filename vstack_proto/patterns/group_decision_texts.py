"""The words of the group decision, its fixed protocols, advice and playbooks, and the counting of votes."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from vstack_proto.patterns import shapes
from vstack_proto.patterns.common import Composition, Step
from vstack_proto.patterns.signs import Rule, words
from vstack_proto.patterns.talk import Advice

Model = Literal["concurring", "majority", "consensus", "fist_to_five", "unanimous"]
Dimension = Literal["model", "threshold", "quorum", "tie_breaker", "fallback", "overall"]
Kind = Literal[
    "switch_to_concurring", "switch_to_majority", "switch_to_consensus", "switch_to_fist_to_five",
    "switch_to_unanimous", "add_quorum", "add_tie_breaker", "add_fallback", "tighten_threshold", "new_eval",
    "human_review", "compose_pattern",
]  # fmt: skip

JANIS = "Janis 1972, Victims of Groupthink"
CROWDS = "Surowiecki 2004, The Wisdom of Crowds"
KANER = "Kaner 2014, Facilitator's Guide to Participatory Decision-Making"

FRAMEWORK = """\
How a group decides should follow from what it decides. Kaner: a rule of decision must be known before the talk \
begins, and fit stakes, need for commitment and time; agreement has degrees, which a yes or no hides. Surowiecki: a \
crowd is wise where judgements are diverse, independent and then added up, and foolish where each hears the others \
first. Janis: cohesive groups under pressure seek agreement before truth, so doubt needs a place in the protocol.

The five rules:
- concurring: one (mostly the expert) proposes, any objection blocks; fast and cheap, carries little commitment;
- majority: more than half; fast, needs quorum and tie-breaker, leaves losers behind;
- consensus: everybody can live with it; slow, for high stakes or where all must carry it out; needs a fallback;
- fist_to_five: each shows 0 (block) to 5; shows degrees; wins from a mean of 3 without a 0;
- unanimous: all for the same, none abstains; only where one veto must suffice (law, safety), never under urgency.

Low stakes and reversible: decide fast. High stakes, irreversible or regulated: consensus or unanimous. Commitment \
needed: not concurring, hardly majority. High asymmetry of expertise: let the expert propose, not decide by rank.

Do not confuse: you choose how to decide, never what. Many agents of one model are not independent voices. Absence \
of objection in a fast round is no consensus."""


class Plan(msgspec.Struct, frozen=True):
    """A protocol before it is judged."""

    model: Model
    rationale: str
    steps: tuple[str, ...]
    threshold: str
    quorum: int | None
    tie_breaker: str
    fallback: Model | None


class DecisionOption(msgspec.Struct, frozen=True):
    """One thing that can be chosen."""

    option_id: str
    description: str
    metadata: dict[str, Any] = {}


class Protocol(msgspec.Struct, frozen=True):
    """What is fixed of a rule of decision; ``quorum`` is the share of agents that must be there."""

    why: str
    threshold: str
    steps: tuple[str, ...]
    quorum: float
    tie_breaker: str
    fallback: Model


WRITE = "Each agent writes down its choice and reason before it sees any other."
RECORD = "Record the decision, the reasons, and every dissent with its reason."
PROTOCOLS: dict[Model, Protocol] = {
    "concurring": Protocol(
        "the one who knows most proposes, and any objection stops it", "No agent objects.",
        ("The agent with most expertise writes a proposal with its reason.",
         "Each other agent writes concur or object, with a reason, before it sees the others.",
         "An objection is answered or the proposal is changed, once.", RECORD),
        0.5, "The proposer's option stands unless an objection remains; then the fallback decides.", "majority",
    ),
    "majority": Protocol(
        "more than half is enough where speed matters more than commitment", "More than half of the votes cast.",
        ("State the options, and that more than half decides.", WRITE, "Share the reasons, then vote once.",
         "Count the votes; abstentions count for the quorum and not for the result.", RECORD),
        0.5, "Vote again between the top two; if still tied, the agent with most expertise decides.", "fist_to_five",
    ),
    "consensus": Protocol(
        "all must be able to live with it, because all carry what follows", "No agent opposes or blocks.",
        ("State the options, and that anybody may block with a reason.", WRITE,
         "Give one agent the task of arguing against the favourite.",
         "Change the favourite until each concern is met or withdrawn, in three rounds at most.",
         "Ask each agent by name whether it can carry the result.", RECORD),
        1.0, "After three rounds the fallback decides.", "fist_to_five",
    ),
    "fist_to_five": Protocol(
        "degrees of support show whom a yes would hide", "A mean of 3 or more, and no 0.",
        ("State the options and the scale: 0 blocks, 3 can live with it, 5 leads it.",
         "Each agent writes a score for its option, with a reason, before it sees the others.",
         "Everybody below 3 says what would raise the score; change the option, and score once more.",
         "The highest mean of 3 or more without a 0 wins.", RECORD),
        0.75, "The option with the higher lowest score; then the one easier to undo.", "majority",
    ),
    "unanimous": Protocol(
        "one veto must suffice", "All agents vote for the same option; nobody abstains.",
        ("State the options, and that every agent must agree.", WRITE,
         "Each veto names what would have to change.", "Change the option and ask again, in three rounds at most.",
         RECORD),
        1.0, "Without agreement nothing is done, and a person is asked.", "consensus",
    ),
}  # fmt: skip
# Which rule is taken where several fit alike: the cheapest that still shows who disagrees.
PREFERRED: tuple[Model, ...] = ("majority", "fist_to_five", "consensus", "concurring", "unanimous")


# Slow and safe, fast and cheap, and those that show degrees of support.
CAREFUL: frozenset[Model] = frozenset({"consensus", "unanimous"})
QUICK: frozenset[Model] = frozenset({"concurring", "majority"})
GRADED: frozenset[Model] = frozenset({"consensus", "fist_to_five"})


def _option(step: Step) -> bool:
    return step.kind == "option"


# What title and options say that the fields of the request may not: by the name of the signals.
RULES = (
    Rule("irreversible", "Step {step} speaks of something that cannot be undone.", words(
        r"(?:can(?:not|'t)|can not) be (?:undone|reversed|restored)|irreversibl[ey]|permanent(?:ly)?|delete|drop the"
        r"|shut down"
        r"|one.way|for good|fire the|terminate"
    ), 0.4),
    Rule("regulated", "Step {step} touches law or regulation.", words(
        r"gdpr|hipaa|sox|pci|regulat(?:ion|or|ory|ed)|legal(?:ly)?|compliance|audit(?:or|ors)?|personal data"
        r"|patients?|licen[cs]es?"
    ), 0.4),
    Rule("commitment", "Step {step} asks for something that others have to carry out.", words(
        r"every (?:team|one|body) (?:has to|must|will)|all teams|everyone|company.wide|across teams|on.?call"
        r"|working hours|policy"
    ), 0.3),
    Rule("urgent", "Step {step} presses for time.", words(
        r"today|tonight|right now|immediately|outage|incident|asap|within the hour|emergency"
    ), 0.3),
    Rule("overlap", "Step {step} is no option of its own: it holds the others or defers them.", words(
        r"both|all of (?:them|the above)|neither|none of (?:them|the above)|any of them|do nothing|later|undecided"
        r"|whatever"
    ), 0.3, _option),
)  # fmt: skip

# By failure mode.
ADVICE = {
    "overused_low_stakes": Advice("model", "switch_to_majority", "Decide by majority.",
        "Replace consensus by a vote of more than half with a quorum; keep consensus for what cannot be undone.",
        "Consensus costs more than this decision is worth."),
    "buyin_undermined": Advice("model", "switch_to_consensus", "Let those who carry it out agree to it.",
        "Replace the vote by consensus in three rounds at most, with fist_to_five as the fallback.",
        "A majority leaves behind those whose commitment is needed."),
    "underused": Advice("model", "switch_to_fist_to_five", "Show degrees of support.",
        "Score 0 to 5 instead of yes or no; talk about each score below 3 before deciding.",
        "Commitment is needed, and the rule does not show it."),
    "buyin_required": Advice("model", "switch_to_fist_to_five", "A missing objection is no commitment.",
        "Let the expert propose, and ask each agent for 0 to 5 instead of concur or object.",
        "Concurring carries no commitment, and it is needed."),
    "high_stakes_irreversible": Advice("model", "switch_to_unanimous", "Let one veto suffice.",
        "Ask every agent for a yes with a reason; without all of them nothing is done and a person is asked.",
        "High stakes that cannot be undone are decided by not objecting.", "1d", "medium"),
    "blocked_indefinitely": Advice("model", "switch_to_consensus", "No veto under time pressure.",
        "Replace unanimity by consensus: who can live with it does not block; after two rounds the fallback decides.",
        "Unanimity under urgency can block for ever."),
    "no_quorum": Advice("quorum", "add_quorum", "Say how many must be there.",
        "Write a number of agents below which no vote counts: more than half, all where all must carry it.",
        "No quorum is given.", "1h"),
    "no_tie_breaker": Advice("tie_breaker", "add_tie_breaker", "Say what breaks a tie before there is one.",
        "Vote again between the top two, then the option that is easier to undo.", "No tie-breaker is given.", "1h"),
    "no_fallback": Advice("fallback", "add_fallback", "Say what happens when it is blocked.",
        "Name the rule that decides after three rounds.", "One agent can block, and nothing follows."),
    "soft_block_ignored": Advice("threshold", "tighten_threshold", "Count a 0 as a block.",
        "Write: a mean of 3 or more, and no 0.", "The threshold does not say what a 0 does.", "1h"),
    "ambiguous_protocol": Advice("overall", "human_review", "Ask whether the request tells all.",
        "Show a person the words quoted beside the fields of the request, and correct the fields or the options.",
        "Title or options say what the fields do not."),
}  # fmt: skip


class DecisionPlaybook(shapes.Playbook, frozen=True):
    """What to do about one failure mode of one rule of decision."""

    model: str


PLAYBOOKS = shapes.playbooks(DecisionPlaybook, (
    ("consensus", "overused_low_stakes", "Spend agreement where it matters", (
        "Sort the last twenty decisions by stakes and reversibility; mark those decided by consensus.",
        "Move the cheap and reversible ones to majority or to one agent, and look at the outcomes after a month.",
    ), "1d", KANER),
    ("majority", "buyin_undermined", "Bring the losers along", (
        "List who has to carry the decision out, and how each voted.",
        "Ask each who lost what would let it support the result, and change the option where that is cheap.",
        "Decide again by consensus or fist_to_five, and record what was changed.",
    ), "1d", KANER),
    ("concurring", "buyin_required", "From not objecting to supporting", (
        "Ask each agent for a score of 0 to 5 on the proposal instead of concur or object.",
        "Talk about every score below 3 before going on.",
    ), "1d", KANER),
    ("fist_to_five", "underused", "Degrees instead of yes and no", (
        "Use the scale of 0 to 5 for the next three decisions that several agents carry out.",
        "Compare the scores with how well each was carried out, and keep the scale where low scores foretold trouble.",
    ), "1d", KANER),
    ("unanimous", "blocked_indefinitely", "A way out of the veto", (
        "Let each veto name what would lift it, and set a number of rounds.",
        "Name who decides after them: a smaller group, a person, or another rule.",
    ), "1d", KANER),
    ("majority", "no_quorum", "Enough voices", (
        "Set the number of agents below which a vote does not count, by who is affected.",
        "Refuse to count below it, and ask those missing by name.",
    ), "1h", CROWDS),
    ("majority", "no_tie_breaker", "Before the tie", (
        "Write the tie-breaker into the protocol before options are known.",
        "Prefer the option easier to undo over the voice of one agent.",
    ), "1h", CROWDS),
    ("consensus", "no_fallback", "When consensus does not come", (
        "Set three rounds, each with changed options and not with repeated arguments.",
        "Name the rule that decides afterwards, and who declares that the rounds are over.",
    ), "1d", KANER),
    ("fist_to_five", "soft_block_ignored", "What a low score does", (
        "Write down that a 0 blocks and that a 1 or 2 must be heard before the count.",
        "Log low scores with their reasons, and read them when the decision is looked at again.",
    ), "1h", JANIS),
    ("concurring", "high_stakes_irreversible", "Slow down where there is no way back", (
        "Let an agent that had no part in the proposal argue against it in writing.",
        "Ask for a yes with a reason from each; without all of them a person decides.",
    ), "1d", JANIS),
    ("overall", "good_fit_baseline", "Keep the protocol", (
        "Store it as the baseline for decisions of this kind.",
    ), "1h", KANER),
    ("overall", "ambiguous_protocol", "Make the request tell all", (
        "Put the words of title and options beside stakes, reversibility, time, regulation and commitment, and "
        "correct.",
        "Rewrite options that hold or defer others, so that each can be chosen alone; then choose the rule again.",
    ), "1w", JANIS),
))  # fmt: skip

ATTACH = {
    ("model", "switch_to_majority"): "overused_low_stakes", ("model", "switch_to_consensus"): "buyin_undermined",
    ("model", "switch_to_fist_to_five"): "underused", ("model", "switch_to_unanimous"): "high_stakes_irreversible",
    ("model", "switch_to_concurring"): "buyin_required", ("quorum", "add_quorum"): "no_quorum",
    ("tie_breaker", "add_tie_breaker"): "no_tie_breaker", ("fallback", "add_fallback"): "no_fallback",
    ("threshold", "tighten_threshold"): "soft_block_ignored", ("overall", "new_eval"): "ambiguous_protocol",
    ("overall", "human_review"): "ambiguous_protocol",
}  # fmt: skip
COMPOSITION = Composition(
    upstream=("vstack.grpi", "vstack.aar", "vstack.devils_advocate", "vstack.lencioni"),
    downstream={
        "profile_pattern": {
            "good_fit_protocol": ("vstack.aar",),
            "consensus_overused": ("vstack.aar",),
            "majority_when_consensus_needed": ("vstack.lencioni", "vstack.psych_safety"),
            "concurring_when_buyin_needed": ("vstack.lencioni", "vstack.devils_advocate"),
            "fist_to_five_underused": ("vstack.aar",),
            "no_quorum_specified": ("vstack.aar",),
            "no_tie_breaker": ("vstack.aar",),
            "indeterminate": (),
        }
    },
    framework_overlays={"langgraph": ("vstack.aar",), "crewai": ("vstack.lencioni",), "autogen": ("vstack.aar",)},
)
