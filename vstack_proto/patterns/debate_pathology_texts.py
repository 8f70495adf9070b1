"""Debate pathology in words: the framework, what is asked and answered, playbooks, and what words in messages tell."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, get_args

import msgspec

from vstack_proto.patterns.common import Answer, Composition, Effort, Evidence, Level, Risk, Share
from vstack_proto.patterns.signs import Rule, leading, words
from vstack_proto.trace import utc

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

TASK = """\
Score each of the three pathologies from 0 (no sign) to 1 (it decided the debate), one entry each, with evidence. \
Below 0.2 nothing worth a reader's time was seen; 0.3 to 0.6 says that it bent the debate; above 0.6 that the \
decision came from it and not from the arguments. Read the flips first: who changed position, after which message, \
and is a reason given? Then ask of the decision: is it further out than where the members began? Then of the tone: \
did a message take over the heat, worry or cheer of the one before it? In the explanation say what you saw and what \
speaks against it. A failed outcome alone is no evidence."""
ASK_CHANGES = """\
Propose at most five changes, the most telling first, none where nothing is wrong, each for one pathology that the \
debate shows. Say what to write into which agent's instructions, or what to change in rounds, votes, seeds or panel, \
so that a reader could do it today; name the steps in the rationale."""
ASK_REMEDY = "Found so far: {found}.\n\n"
ASK_AUDIT = """\
Two readings, each with evidence.

convergence: which message moved the group, was what moved it an argument, and which objection was never answered?
tone: who set it, who caught it, was a claim accepted for how it was said? Blunt and brief is not heated; urgent is \
not anxious."""


class DebatePlaybook(msgspec.Struct, frozen=True):
    """What to do about one failure mode of one pathology."""

    pathology: str
    failure_mode: str
    title: str
    steps: tuple[str, ...]
    expected_effort: Effort
    anchor_citation: str = ""


_ROWS: tuple[tuple[str, str, str, tuple[str, ...], Effort, str], ...] = (
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
)  # fmt: skip
PLAYBOOKS: tuple[DebatePlaybook, ...] = tuple(DebatePlaybook(*row) for row in _ROWS)

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


# --- Answers ----------------------------------------------------------------------------------------------------


class DebateIntervention(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One change of the debate."""

    target_pathology: Pathology
    intervention_type: Kind
    description: str
    suggested_implementation: str
    estimated_impact: Level = "medium"
    rationale: str = ""
    effort_estimate: Effort = "1d"
    risk: Risk = "medium"
    composition_target_pattern: str | None = None


class Finding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How strongly one pathology shows."""

    pathology: Pathology
    score: Share
    explanation: str
    evidence: tuple[Evidence, ...]


class DebateAnswer(Answer, frozen=True):
    """The three pathologies, scored."""

    pathologies: tuple[Finding, ...]


class QuickAnswer(DebateAnswer, frozen=True):
    """The same, with what to change."""

    interventions: tuple[DebateIntervention, ...]


class RemedyAnswer(Answer, frozen=True):
    """What to change."""

    interventions: tuple[DebateIntervention, ...]


class AuditAnswer(Answer, frozen=True):
    """How the positions met and how the tone went round."""

    convergence: str
    tone: str
    evidence: tuple[Evidence, ...]


# --- Words -------------------------------------------------------------------------------------------------------

_NOT = r"(?<!not )(?<!n't )(?<!never )"
# What a signal is named is the failure mode that it shows.
RULES = (
    Rule(
        "illusion_of_unanimity", "{agent} takes the agreement of all for proof (illusion of unanimity)",
        words(r"(?<!if )(?:everyone (?:serious|agrees|is on board)|we all agree)|nobody (?:disagrees|serious)"
              r"|no ?body can disagree|no one (?:disagrees|could object)|can(?:no|')t possibly (?:fail|go wrong)"),
        0.3,
    ),
    Rule(
        "self_censorship", "{agent} gives way without being convinced (self-censorship)",
        words(r"if (?:all of you|everyone|everybody|you all) (?:wants?|insists?|thinks? so)"
              r"|i(?:'ll| will) go along"
              r"|won't stand in the way|keep my (?:doubts|concerns) to myself|who am i to|not going to rock the boat"
              r"|i had (?:my )?doubts,? but|against my better judge?ment|fine, have it your way"),
        0.45,
    ),
    Rule(
        "dissent_suppressed", "{agent} answers dissent by speaking of the dissenter (pressure on dissent)",
        words(r"is (?:just )?(?:cowardly|being difficult|disloyal)|team player|get on board"
              r"|stop (?:being (?:so )?negative|blocking|stalling)|don't be (?:so )?(?:difficult|negative)"
              r"|you(?:'re| are) (?:just )?(?:blocking|stalling|afraid of change)|no time for (?:doubts|objections)"
              r"|not the time for (?:doubts|objections|criticism)"),
        0.45,
    ),
    Rule(
        "premature_convergence", "{agent} closes the debate before alternatives are weighed",
        words(_NOT + r"(?:no need to (?:discuss|debate|look at alternatives)|good, settled|let's not overthink"
              r"|skip the (?:debate|discussion)|enough (?:debate|discussion))"),
        0.3,
    ),
    Rule(
        "risky_shift", "{agent} drops a safeguard as the group grows bolder (risky shift)",
        words(_NOT + r"(?:no need for (?:a |any )?(?:pilot|rollback|backup|staging|review|tests?)|fortune favou?rs"
              r"|skip (?:the )?(?:pilot|rollback|backup|staging|review|tests?)|worth any risk|risk is nothing)"),
        0.35,
    ),
    Rule(
        "extremity_runaway", "{agent} goes further than the one before (extremity)",
        words(_NOT + r"(?:(?:go|going|goes|went) even further|not far enough|doubl(?:e|ing) down"
              r"|go(?:ing)? all[- ]in|why stop (?:at|there)|even (?:bolder|more radical)|no half measures"
              r"|nothing less than|under no circumstances (?:accept|agree)|will not move an inch)"),
        0.35,
    ),
    Rule(
        "irreversible_decision", "{agent} welcomes that there is no way back",
        words(r"burn (?:the|our) (?:boats|ships|bridges)|no turning back|no way back is (?:needed|good)"), 0.35,
    ),
    Rule(
        "tone_overrides_content", "{agent} speaks of tone or person instead of the claim",
        words(r"how dare you|calm down|stop shouting|your tone|you always (?:do|say) this|typical of you"), 0.3,
    ),
)  # fmt: skip
# A reason given for a change of mind; an objection made; new evidence brought.
REASON = words(
    r"because|since|measured|shows?|data|evidence|tests?|tested|benchmark|figures?|given that|convinced|proves?"
    r"|therefore|your point|good point|right that|outweighs?|as \w+ (?:said|showed|found)"
)
OBJECTION = words(
    r"but|however|risks?|concerns?|what if|disagree|downside|alternatives?|instead|unless|trade-?offs?|doubts?|why|cost"
)
# Only words that carry a tone by themselves: most texts about failures use strong words calmly.
TONES: tuple[tuple[Literal["heated", "dismissive", "anxious", "enthusiastic"], re.Pattern[str]], ...] = (
    ("heated", words(r"ridiculous|outrageous|absurd|idiotic|stupid|cowardly|shut up|how dare|sick of|shameful")),
    ("dismissive", words(r"who cares|spare (?:me|us)|waste of time|not worth (?:discussing|an answer)|nonsense")),
    ("anxious", words(r"terrified|scared|doomed|nightmare|frightening|worried sick|i fear|(?:so|very|really) worried")),
    (
        "enthusiastic",
        words(r"amazing|so excited|love (?:it|this)|incredible|brilliant|fantastic|game.?changer|awesome"),
    ),
)


# --- Positions and tones --------------------------------------------------------------------------------------

Tone = Literal["calm", "neutral", "heated", "anxious", "enthusiastic", "dismissive", "unknown"]


class DebateMessage(msgspec.Struct, frozen=True):
    """One message, with the position it takes and its tone where the client knows them."""

    round: Annotated[int, msgspec.Meta(ge=1)]
    from_agent: str
    content: str
    position: str = ""
    emotional_tone: Tone = "unknown"
    timestamp: dt.datetime | None = None
    metadata: dict[str, Any] = {}

    def __post_init__(self) -> None:
        if self.timestamp is not None:
            msgspec.structs.force_setattr(self, "timestamp", utc(self.timestamp))


def rounds_of(messages: Sequence[DebateMessage]) -> dict[int, list[tuple[int, str, str]]]:
    """By round: number, agent and position of each message that states one; case and space do not matter."""
    rounds: dict[int, list[tuple[int, str, str]]] = {}
    for number, message in enumerate(messages):
        if position := " ".join(message.position.lower().split()):
            rounds.setdefault(message.round, []).append((number, message.from_agent, position))
    return dict(sorted(rounds.items()))


def convergence_round(agents: Iterable[str], messages: Sequence[DebateMessage]) -> int | None:
    """The first round where all but at most one agent (two at least) state a position, and all state the same."""
    enough = max(2, len(set(agents)) - 1)
    for number, stated in rounds_of(messages).items():
        if len({agent for _, agent, _ in stated}) >= enough and len({position for _, _, position in stated}) == 1:
            return number
    return None


def diversity(stated: Sequence[tuple[int, str, str]]) -> float:
    """0 where all positions are equal, 1 where all agents hold another; of each agent its last counts."""
    held = {agent: position for _, agent, position in stated}
    return round((len(set(held.values())) - 1) / (len(held) - 1), 4) if len(held) > 1 else 0.0


def tone_of(message: DebateMessage) -> Tone:
    """The tone as given, else as words that carry one by themselves tell it."""
    if message.emotional_tone != "unknown" or message.metadata.get("type") == "observation":
        return message.emotional_tone
    return next((tone for tone, pattern in TONES if pattern.search(message.content)), "unknown")


CATCHES: dict[Tone, tuple[str, frozenset[Tone]]] = {
    "heated": ("heated_cascade", frozenset({"heated", "dismissive"})),
    "dismissive": ("heated_cascade", frozenset({"heated", "dismissive"})),
    "anxious": ("anxiety_propagation", frozenset({"anxious", "heated", "dismissive"})),
    "enthusiastic": ("tone_overrides_content", frozenset({"enthusiastic"})),
}
# A tone is caught from a message that is still fresh.
NEAR = 3


def caught(messages: Sequence[DebateMessage], tones: Sequence[Tone]) -> Iterator[tuple[int, int, str, bool]]:
    """Messages that take over the tone of another agent: number, from which, failure mode, calm before or not."""
    before: dict[str, Tone] = {}
    charged = -NEAR - 1
    for number, (message, tone) in enumerate(zip(messages, tones, strict=True)):
        if tone in CATCHES:
            mode, sources = CATCHES[tone]
            other = charged >= 0 and messages[charged].from_agent != message.from_agent
            argued = mode == "tone_overrides_content" and REASON.search(message.content)
            if other and number - charged <= NEAR and tones[charged] in sources and not argued:
                yield number, charged, mode, before.get(message.from_agent) in ("calm", "neutral")
            charged = number
        if tone != "unknown":
            before[message.from_agent] = tone


# --- Labels ----------------------------------------------------------------------------------------------------

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
