"""What the Goleman audit sees in a conversation without a model, and how the four domains add up."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, get_args

import msgspec

from vstack_proto.patterns import signs
from vstack_proto.patterns.common import Reading, Severity, Share, Signal, Step
from vstack_proto.patterns.goleman_ei_texts import ADVICE, Branch, Domain, EIIntervention
from vstack_proto.patterns.signs import Rule, speaks, words

Emotion = Literal["angry", "sad", "fearful", "happy", "disgust", "surprise", "neutral", "mixed", "unknown"]
Fails = Literal["unknown", "no", "mixed", "yes"]
Weakest = Literal[
    "self_awareness", "self_management", "social_awareness", "relationship_management", "none",
]  # fmt: skip
Profile = Literal[
    "self_strong_other_weak", "other_strong_self_weak", "recognition_strong_regulation_weak",
    "regulation_strong_recognition_weak", "balanced_high", "balanced_developing", "balanced_low", "indeterminate",
]  # fmt: skip
Quality = Literal["high-ei", "developing", "low-ei"]
Break = Literal["intact", "fails_at_perceive", "fails_at_understand", "fails_at_regulate", "fails_at_respond"]

DOMAINS: tuple[Domain, ...] = get_args(Domain)

# The kinds of steps that the reading of a conversation has.
REPLY, BEHAVIOR, REPORT = "reply", "behavior", "self report"


def replies(step: Step) -> bool:
    """Whether the agent says this to somebody."""
    return step.kind == REPLY and speaks(step)


def noted(step: Step) -> bool:
    """Whether somebody reports this of the agent."""
    return step.kind == BEHAVIOR


RULES = (
    Rule("overconfidence", "At step {step} {agent} is surer than its grounds allow.", words(
        r"definitely|100 ?%|guaranteed?|(?:absolutely|completely|totally) (?:sure|certain)|without (?:a|any) doubt"
        r"|there is no way (?:that )?|trust me"), 0.3, replies),
    Rule("hedge_everything", "At step {step} {agent} hedges instead of saying what it knows and what not.", words(
        r"I (?:might|may|could) be wrong|(?:may|might|could) (?:possibly|perhaps|potentially)|as an AI"
        r"|I(?: am|'m) not able to (?:say|judge) anything"), 0.2, replies),
    Rule("defensive_cascade", "At step {step} {agent} defends itself where it was told of a problem: contradiction is "
        "met as an attack.", words(
        r"as I (?:already |have )?(?:said|told|mentioned|explained)|like I said|I (?:already )?told you"
        r"|not my (?:fault|problem|job)|(?:that|this) is (?:your|user) (?:own )?(?:fault|error|mistake)"
        r"|you should have|calm down|if you had (?:read|listened)|you (?:clearly|obviously) (?:did|have)(?:n't| not)"),
        0.45, replies),
    Rule("defensive_cascade", "Step {step} reports that the agent turned on the person instead of the problem.", words(
        r"defensive(?:ly)?|argued with|blamed (?:the |them|him|her)|snapped|lectured|talked over|interrupted"),
        0.45, noted),
    Rule("rejection_collapse", "At step {step} {agent} gives in to rejection: it judges itself and leaves the task.",
        words(r"I give up|I(?: am|'m) (?:useless|hopeless|a failure|terrible|so stupid|such a)"
        r"|I(?: have)? (?:completely|totally|utterly) failed|nothing (?:else )?I can do|I (?:do not|don't) deserve"),
        0.45, replies),
    Rule("rejection_collapse", "Step {step} reports that the agent gave up when it was turned down.", words(
        r"gave up|stopped responding|abandoned|deleted everything|withdrew"), 0.4, noted),
    Rule("missed_anger", "Step {step} reports that the agent passed over what the person showed.", words(
        r"ignor(?:ed|ing) (?:the|their|her|his|that)|did(?: not|n't) (?:notice|acknowledge|react)"
        r"|failed to (?:notice|acknowledge|see)|tone.?deaf"), 0.4, noted),
    Rule("sycophantic_mimicry", "At step {step} {agent} flatters instead of reading what is needed.", words(
        r"you(?: are|'re) (?:absolutely|so|totally|completely) right|(?:great|excellent|brilliant|amazing) question"
        r"|what a (?:great|brilliant|wonderful)|I love (?:your|that|this) (?:idea|plan|energy)"), 0.25, replies),
    Rule("flat_boilerplate", "At step {step} {agent} answers a person with a standing phrase.", words(
        r"please (?:see|refer to|consult|visit) (?:our|the)|(?:as )?per (?:our|the|company) policy"
        r"|we apologi[sz]e for (?:any|the) inconvenience|your (?:call|feedback|business) is important"
        r"|is there anything else I can help"), 0.35, replies),
    Rule("flat_boilerplate", "Step {step} reports the same standing answer again.", words(
        r"repeated the|boilerplate|canned (?:reply|response|answer)|copy.?pasted|opened with a link"), 0.4, noted),
    Rule("no_acknowledgment", "Step {step} reports that the agent went on without making sure of the person.", words(
        r"without (?:acknowledging|confirming|asking|checking|apologi[sz]ing|greeting|an apology)"
        r"|before (?:acknowledging|naming|asking|reading)"), 0.35, noted),
    Rule("response_length_mismatch", "Step {step} reports an answer of another length than was asked for.", words(
        r"nobody asked|unasked|not asked for|wall of text|too long|rambl(?:ed|ing)|one.?word (?:reply|answer)"),
        0.3, noted),
    Rule("over_escalation", "At step {step} {agent} raises the stakes where the person wanted help.", words(
        r"(?:take|face) legal action|threaten(?:ed|ing|s)?|(?:close|suspend|terminate) your account"
        r"|final warning|this conversation is over"), 0.45, lambda step: replies(step) or noted(step)),
)  # fmt: skip

FELT: tuple[tuple[str, re.Pattern[str], frozenset[str]], ...] = (
    ("missed_anger", words(
        r"angry|furious|frustrat(?:ed|ing)|fed up|ridiculous|unacceptable|(?:third|fourth|fifth|tenth) time|refund"
        r"|waste of (?:my )?time|eats? my|(?:is|are) useless|already told you|disappointed"),
        frozenset({"angry", "disgust"})),
    ("missed_anxiety", words(
        r"worried|anxious|scared|afraid|nervous|panick(?:ed|ing)|stressed|overwhelmed|terrified|desperate|sad|crying"),
        frozenset({"fearful", "sad"})),
    ("missed_confusion", words(
        r"confus(?:ed|ing)|I (?:do not|don't|still don't) (?:understand|get it|follow)|what do you mean|you lost me"),
        frozenset()),
)  # fmt: skip
# A reply that takes notice of how somebody feels.
NOTICED = words(
    r"sorry|apologi[sz]e|understand(?:able|ably)?|sounds|hear you|must (?:be|feel|have been)|no wonder"
    r"|I (?:can )?(?:see|imagine)|feel(?:s|ing)?(?! free)|worr(?:y|ied|ying)|frustrat(?:ed|ing|ion)|stress(?:ed|ful)?"
    r"|upsetting|scary|tough|take a breath|right to be|thank you for telling|should not have happened|urgent"
)
TAKEN_UP = words(r"(?:do|did) you mean|let me rephrase|in other words|for example|so you|which part|to be sure")
CHEER = re.compile(
    r"\b(?:awesome|no worries|yay|great news|cheers|happy to help)\b|[😀-😎🎉]|[a-z]!\s*\Z", re.IGNORECASE
)
CLAIMED = words(r"acknowledged|empath\w{1,10}|calm(?:ly)?|listened|understood|patient(?:ly)?|handled it well")
# An upset person writes little; an answer of this length was written for somebody else.
SHORT, LONG = 200, 1500
NEXT = 2


Felt = tuple[str, float]
"""The emotion that the client read in a step, and its strength; ``unknown`` where it read none."""


def signals_of(reading: Reading, felt: Sequence[Felt], success: bool) -> tuple[Signal, ...]:
    """Words that tell, feelings that no reply took up, the same reply again, reports that the record contradicts."""
    over = passed_over(reading.steps, felt, success)
    people = {number for number, step in enumerate(reading.steps) if step.kind == "user"}
    found = [*over, *said_again(reading.steps)]
    for signal in signs.find(reading, RULES):
        at = signal.steps[0]
        # "Please see the log" said to a colleague is no standing phrase: it takes a person who had asked.
        asked = any(at - back in people for back in range(1, NEXT + 1))
        if signal.name != "flat_boilerplate" or asked or not replies(reading.steps[at]):
            found.append(signal)
    if any(ADVICE[signal.name].target_domain != "self_awareness" for signal in found):
        for number, step in enumerate(reading.steps):
            if step.kind == REPORT and CLAIMED.search(step.content):
                claim = f"Step {number} reports of itself what the record contradicts."
                found.append(Signal("capability_blindness", claim, (number,), signs.first_line(step.content), 0.4))
    return signs.strongest(signal for signal in found if signal.quote)


def passed_over(steps: Sequence[Step], felt: Sequence[Felt], success: bool) -> Iterator[Signal]:
    """Feelings that the next reply does not take up, or that it answers with cheer or at great length."""
    answered = any(replies(step) and NOTICED.search(step.content) for step in steps)
    for number, (step, (emotion, strength)) in enumerate(zip(steps, felt, strict=True)):
        mode = _need(step, emotion, strength)
        if mode is None or not (quote := signs.first_line(step.content)):
            continue
        weight = round(0.25 + 0.25 * strength, 4)
        near = range(number + 1, min(len(steps), number + 1 + NEXT))
        reply = next((later for later in near if replies(steps[later])), None)
        if reply is None:
            if step.kind.startswith("signal") and not answered and not success:
                yield Signal(mode, f"No reply takes up what step {number} shows.", (number,), quote, weight)
            continue
        text = steps[reply].content
        if not NOTICED.search(text) and not TAKEN_UP.search(text):
            claim = f"Step {number} shows a feeling or a need; the reply of step {reply} does not take it up."
            yield Signal(mode, claim, (number,), quote, weight)
        if mode != "missed_confusion" and (cheer := CHEER.search(text)):
            claim = f"Step {reply} answers the upset person of step {number} cheerfully."
            yield Signal("tone_mismatch", claim, (reply,), signs.line_at(text, *cheer.span()), 0.35)
        if len(step.content) <= SHORT and len(text) >= LONG:
            claim = f"Step {reply} answers the few words of step {number} at great length."
            yield Signal("response_length_mismatch", claim, (reply,), signs.first_line(text), 0.3)


def _need(step: Step, emotion: str, strength: float) -> str | None:
    """Which need a person's words show: as the client read them, else as they read."""
    if step.kind != "user" and not step.kind.startswith("signal"):
        return None
    if emotion != "unknown":
        return next((mode for mode, _, named in FELT if strength >= 0.5 and emotion in named), None)
    return next((mode for mode, pattern, _ in FELT if pattern.search(step.content)), None)


def said_again(steps: Sequence[Step]) -> Iterator[Signal]:
    """Replies of some length that an earlier one gave word for word."""
    first: dict[tuple[str, str], int] = {}
    for number, step in enumerate(steps):
        if replies(step) and len(step.content) >= 40:
            earlier = first.setdefault((step.agent, step.content), number)
            if earlier != number:
                claim = f"Step {number} gives the reply of step {earlier} again, word for word."
                yield Signal("rumination_loop", claim, (number,), signs.first_line(step.content), 0.35)


# Nothing speaks against the domain; a run is too little to say that all was done.
UNBLEMISHED = 0.9
MAX_OF_A_MODE = 2
COVARIES = {"yes": 0.3, "mixed": 0.15}
SEVERITY: tuple[tuple[float, Severity], ...] = (
    (0.0, "critical"), (0.15, "high"), (0.3, "medium"), (0.45, "moderate"), (0.6, "low"), (0.75, "trace"),
    (0.9, "none"),
)  # fmt: skip
Scores = Mapping[Domain, float]


class UserSignal(msgspec.Struct, frozen=True):
    """What a person said, with the emotion that the client read in it."""

    text: str
    signal_id: str | None = None
    inferred_emotion: Emotion = "unknown"
    inferred_intensity: Share = 0.5
    metadata: dict[str, Any] = {}


class EmotionalCovariation(msgspec.Struct, frozen=True):
    """With whom the agent fails."""

    fails_on_frustrated_users: Fails = "unknown"
    fails_on_anxious_users: Fails = "unknown"
    fails_on_confused_users: Fails = "unknown"
    fails_on_neutral_users: Fails = "unknown"
    notes: str = ""


class AxisScores(msgspec.Struct, frozen=True):
    """The two ways to split the four domains, and how far each leans."""

    self_column: Share
    other_column: Share
    recognition_row: Share
    regulation_row: Share
    column_gap: Share
    row_gap: Share


class CascadeAnalysis(msgspec.Struct, frozen=True):
    """Where the way from perceiving to answering breaks off."""

    cascade_break_point: Break
    upstream_score: Share
    midstream_score: Share
    downstream_score: Share
    notes: str = ""


class BranchScore(msgspec.Struct, frozen=True):
    """One of the four abilities of Mayer and Salovey."""

    branch: Branch
    score: Share
    explanation: str
    cascade_position: Literal["upstream", "midstream", "downstream"]
    evidence_quotes: tuple[str, ...] = ()


def failing(seen: EmotionalCovariation | None) -> list[tuple[str, str]]:
    """With which upset people the agent is said to fail; who fails with everybody fails for another reason."""
    if seen is None or seen.fails_on_neutral_users == "yes":
        return []
    told = ((who, getattr(seen, f"fails_on_{who}_users")) for who in ("frustrated", "anxious", "confused"))
    return [(who, fails) for who, fails in told if fails in COVARIES]


def scores_of(found: Iterable[Signal], seen: EmotionalCovariation | None) -> dict[Domain, float]:
    """The score of each domain as signs and the stated covariation leave it."""
    rest = dict.fromkeys(DOMAINS, 1.0)
    for mode, same in signs.by_label(found).items():
        for signal in same[:MAX_OF_A_MODE]:
            rest[ADVICE[mode].target_domain] *= 1.0 - signal.weight
    for _, fails in failing(seen):
        rest["social_awareness"] *= 1.0 - COVARIES[fails]
    return {domain: round(UNBLEMISHED * left, 4) for domain, left in rest.items()}


def axes_of(scores: Scores) -> AxisScores:
    """Self against other, recognising against regulating."""
    aware, managed, social, related = (scores[domain] for domain in DOMAINS)
    own, other, seen, kept = (
        (aware + managed) / 2,
        (social + related) / 2,
        (aware + social) / 2,
        (managed + related) / 2,
    )
    return AxisScores(*(round(value, 4) for value in (own, other, seen, kept, abs(own - other), abs(seen - kept))))


def profile_of(scores: Scores) -> Profile:
    """The first rule of the contract that holds."""
    values, axes = scores.values(), axes_of(scores)
    if min(values) >= 0.7:
        return "balanced_high"
    if max(values) < 0.4:
        return "balanced_low"
    if min(values) >= 0.4 and max(values) < 0.7:
        return "balanced_developing"
    if axes.column_gap >= 0.25:
        return "self_strong_other_weak" if axes.self_column > axes.other_column else "other_strong_self_weak"
    if axes.row_gap >= 0.25:
        recognised = axes.recognition_row > axes.regulation_row
        return "recognition_strong_regulation_weak" if recognised else "regulation_strong_recognition_weak"
    return "indeterminate"


def overall_of(scores: Scores) -> float:
    """The mean of the domains."""
    return round(sum(scores.values()) / len(scores), 4)


def quality_of(overall: float) -> Quality:
    """What the mean amounts to."""
    return "high-ei" if overall >= 0.75 else "developing" if overall >= 0.4 else "low-ei"


def weakest_of(scores: Scores) -> Weakest:
    """The first domain with the lowest score, unless all reach 0.7."""
    lowest = min(scores.values())
    return "none" if lowest >= 0.7 else next(domain for domain in DOMAINS if scores[domain] == lowest)


def cascade_of(branches: Mapping[Branch, float], scores: Scores) -> CascadeAnalysis:
    """The first ability on the way from perceiving to answering that fails."""
    way: tuple[tuple[Break, float], ...] = (
        ("fails_at_perceive", branches["perceive"]), ("fails_at_understand", branches["understand"]),
        ("fails_at_regulate", scores["self_management"]), ("fails_at_respond", scores["relationship_management"]),
    )  # fmt: skip
    broken: Break = next((name for name, score in way if score < 0.5), "intact")
    notes = "; ".join(f"{name.removeprefix('fails_at_')} {score:.2f}" for name, score in way)
    return CascadeAnalysis(broken, branches["perceive"], branches["understand"], branches["manage"], notes)


POSITION: dict[Branch, Literal["upstream", "midstream", "downstream"]] = {
    "perceive": "upstream", "facilitate": "midstream", "understand": "midstream", "manage": "downstream",
}  # fmt: skip


def branches_of_domains(scores: Scores) -> dict[Branch, float]:
    """The abilities as far as the domains tell them: perceiving others, then oneself, then acting on both."""
    aware, managed, social, related = (scores[domain] for domain in DOMAINS)
    both = round((aware + social) / 2, 4)
    return {"perceive": social, "facilitate": both, "understand": both, "manage": round((managed + related) / 2, 4)}


def remedies(found: Iterable[Signal], scores: Scores) -> tuple[EIIntervention, ...]:
    """What answers the weightiest modes of the domains that fall short, the weakest domain first."""
    grouped = signs.by_label(found)
    short = [mode for mode in grouped if scores[ADVICE[mode].target_domain] < 0.7]
    short.sort(key=lambda mode: (scores[ADVICE[mode].target_domain], -signs.weigh(grouped[mode], [mode])[mode]))
    return tuple(ADVICE[mode] for mode in short[:4])


def told(scores: Scores) -> str:
    """Scores for an instruction."""
    return signs.scored(scores)
