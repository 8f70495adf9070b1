"""McAllister's two trusts in words: the framework, what is asked, what is heard in replies, what to change."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args

import msgspec

from vstack_proto.patterns import shapes, signs, talk
from vstack_proto.patterns.common import Case, Composition, Count, Reading, Share, Signal, Step

Dimension = Literal["cognitive", "affective"]
Kind = Literal[
    "acknowledge_stakes", "restate_user_emotion", "signal_care", "show_reasoning", "cite_sources",
    "confidence_calibration", "follow_up_check_in", "personalize_response", "new_eval", "human_review",
    "compose_pattern",
]  # fmt: skip

MCALLISTER = "McAllister 1995, Affect- and Cognition-Based Trust"
GOLEMAN = "Goleman 1995, Emotional Intelligence"
FREI = "Frei & Morriss 2020, Begin with Trust"

FRAMEWORK = """\
McAllister found two kinds of trust between people who work together. Cognition-based trust rests on good reasons: \
the other is competent, reliable and careful, and one can see how it reached its result. Affect-based trust rests on \
a bond: the other shows care for one's welfare, of its own accord and beyond what the role demands. The first \
usually comes first; either alone is fragile.

In an agent's conversation, cognitive trust is built by reasons given, sources named, doubt told as doubt, checks \
made, promises kept; it is spent by errors, bare assertions, certainty without ground and requests left undone. \
Affective trust is built by naming what the user feels or stands to lose, by answers that fit this user, by caring how \
it turns out; it is spent by bare commands to somebody in distress, set phrases, talking down, apologies without \
change.

Scores say how much trust is built, 1 being all that the occasion allowed. Where the user shows no feeling or stake, a \
friendly and attentive manner is all that affect can ask for; do not demand comforting. Politeness is no care, \
fluency is no competence, length is no reasoning. A warm answer that is wrong builds affect and spends cognition. \
Judge what the agent did; a user's turn proves what called for an answer and what became of it."""

ASK_DIMENSIONS = """\
Score both dimensions once, from 0 (none built, or spent) to 1 (all that the occasion allowed). About 0.8 is sound \
work with no lapse, 0.5 built and spent in equal parts, 0.3 mostly spent. Explain in two or three sentences which \
steps built it and which spent it. Give evidence for both: quote the agent's turn that builds or spends, or the \
user's turn that was passed over. A score higher than the plain reading of the words counts only with a quotation \
that stands."""
ASK_INTERVENTIONS = """\
Propose at most five changes, for the dimension with the wider gap first, none for one that stands. Each fits what \
was found. Cognitive: cite_sources, show_reasoning, confidence_calibration, new_eval or human_review for errors. \
Affective: restate_user_emotion, acknowledge_stakes, signal_care for a bare manner, personalize_response, \
follow_up_check_in. compose_pattern names another pattern to run. Give the sentence to write into the instruction or \
the reply that should have been sent, and say which steps call for it."""
ASK_SCORED = "As scored: cognitive {cognitive:.2f}, affective {affective:.2f}.\n\n"
ASK_COMPETENCE = """\
Read the agent's turns for cognition-based trust alone: could this user, with what stands in the run, judge the agent \
competent and reliable? List single events, each with its step, a quotation from that step and one sentence why. They \
are counted, so list each once and nothing you cannot quote:
- correct_fact: a factual claim that a result, a source or the outcome bears out;
- cited_source: a source named so that the user can look;
- calibrated: doubt or confidence told in words that fit what was known then;
- competence_lapse: an error, a bare assertion, false certainty, a promise or request left undone.
A claim that nothing bears out or contradicts is no event; length and fluency are none. One turn may build and spend."""
ASK_CARE = """\
Read the conversation for affect-based trust alone: what shows care for this user beyond what the task demands, and \
what fails a user who showed a need of it? List single events, each with its step, a quotation from that step and one \
sentence why. They are counted, so list each once and nothing you cannot quote:
- named_stake: the agent names what the user stands to lose or win;
- restated_emotion: the agent names what the user feels;
- personalized: an answer that uses what only this user said;
- care_lapse: a feeling or stake passed over (quote the user), a set phrase, talking down, a second apology without \
change.
Politeness is no event. Where the user shows no feeling and no stake, nothing can be passed over."""


# By failure mode, which is also the name of its signals.
ADVICE = {
    "absent_emotional_acknowledgement": talk.Advice("affective", "restate_user_emotion",
        "Name what the user feels before the first instruction.",
        "Write into the instruction: if the user states a feeling, the first sentence names it in the user's own "
        "words; the steps follow.", "A stated feeling was passed over."),
    "no_stakes_named": talk.Advice("affective", "acknowledge_stakes",
        "Say what hangs on it, and how the answer protects it.",
        "Write into the instruction: name what the user stands to lose, and say which step keeps it safe.",
        "The user told what is at stake, and the reply did not take it up."),
    "transactional_tone": talk.Advice("affective", "signal_care", "Answer a person, not a ticket.",
        "Replace commands and reproaches by an offer: what I will do, what I need from you, and why.",
        "The reply talks down or commands."),
    "generic_response": talk.Advice("affective", "personalize_response", "Use what only this user said.",
        "Reject a reply that holds no detail of this conversation; carry names, files and constraints into the "
        "prompt.", "A set phrase stands where an answer is due."),
    "performative_apology": talk.Advice("affective", "follow_up_check_in",
        "Follow an apology with a change and a check.",
        "After the first apology, say what is done differently now, and ask at the end whether it helped.",
        "Apologies repeat, and nothing changes."),
    "uncited_claims": talk.Advice("cognitive", "cite_sources", "Name the source of each claim.",
        "Write into the instruction: no 'studies show'; give author, page or link, or call it an estimate.",
        "A claim leans on an authority that nobody can look up."),
    "overconfident_claims": talk.Advice("cognitive", "confidence_calibration", "Tell doubt as doubt.",
        "Ask for a confidence with each claim, compare it with what came of it, and forbid absolute words below the "
        "level that was right nine times in ten.", "Certainty was told without ground."),
    "factual_errors": talk.Advice("cognitive", "new_eval", "Measure how often claims are disputed and given up.",
        "Collect the disputed claims as cases with their right answers, and gate releases on them.",
        "The user had to dispute what was told.", "1w", "medium"),
    "no_followthrough": talk.Advice("cognitive", "show_reasoning",
        "Restate the request and show how the answer meets it.",
        "Open with the request in one sentence, and close with which part of the answer meets which part of it.",
        "The user had to ask again: the request was not carried through."),
}  # fmt: skip

RULES = (
    signs.Rule(
        "transactional_tone", "Step {step}: {agent} talks down, where affect-based trust asks for care.",
        talk.DISMISSIVE, 0.45, talk.by_agent,
    ),
    signs.Rule(
        "generic_response", "Step {step}: {agent} uses a set phrase that would fit anybody.",
        talk.BOILERPLATE, 0.3, talk.by_agent,
    ),
    signs.Rule(
        "uncited_claims", "Step {step}: {agent} leans on an authority that nobody can look up.",
        talk.UNNAMED, 0.35, talk.by_agent,
    ),
    signs.Rule(
        "overconfident_claims", "Step {step}: {agent} is more certain than anything on record allows.",
        talk.CERTAIN, 0.35, talk.by_agent,
    ),
    signs.Rule(
        "no_followthrough", "Step {step}: the user has to ask again; reliability is half of cognition-based trust.",
        talk.REPEATED, 0.4, talk.by_user,
    ),
    signs.Rule(
        "reasons_given", "Step {step}: {agent} gives a reason, so that the user can judge the result.",
        signs.words(r"because|which means|the reason (?:is|for)|that is why|it follows"), 0.2, talk.by_agent,
    ),
    signs.Rule(
        "source_named", "Step {step}: {agent} names where it has this from.",
        signs.words(
            r"(?:see|from|source:?) https?://|according to the|source: ?\w+|(?:section|page|chapter|rfc) \d+"
            r"|the (?:log|docs?|documentation|manual|record|report|query|test) (?:says?|shows?|states?)"
        ), 0.25, talk.by_agent,
    ),
    signs.Rule(
        "doubt_told", "Step {step}: {agent} tells how sure it is.",
        talk.phrase(
            r"i(?:'m| am) not (?:sure|certain)|probably|most likely|(?:fairly|reasonably) (?:sure|certain|confident)"
            r"|i (?:have not|haven't|did not|didn't) (?:tested|checked|verified|test|check|verify)|my (?:best )?guess"
        ), 0.25, talk.by_agent,
    ),
    signs.Rule(
        "work_checked", "Step {step}: {agent} checks its work.",
        talk.phrase(r"i(?:'ve| have)? (?:just |also )?(?:checked|compared|tested|verified|measured|confirmed)"),
        0.15, talk.by_agent,
    ),
    signs.Rule(
        "care_shown", "Step {step}: {agent} cares how it turns out for the other.",
        talk.phrase(
            r"let me know (?:if|how|whether|when)|tell me (?:if|how|when)|i(?:'ll| will) (?:stay|check (?:back|in))"
            r"|i(?:'ll| will) follow up|i(?:'m| am) here|take your time|thank you (?:both|all|for)|we(?:'ll| will) get"
            r"|how are you (?:doing|holding)"
        ), 0.2, talk.by_agent,
    ),
)  # fmt: skip

# What builds trust, by the name of its signals.
BUILDS: dict[str, str] = {
    "reasons_given": "cognitive",
    "source_named": "cognitive",
    "doubt_told": "cognitive",
    "work_checked": "cognitive",
    "care_shown": "affective",
    "emotion_restated": "affective",
    "stake_named": "affective",
}
SPENDS: dict[str, str] = {mode: advice.label for mode, advice in ADVICE.items()}


class DimensionFinding(shapes.Scored, frozen=True, forbid_unknown_fields=True):
    """How far one kind of trust is built."""

    dimension: Dimension


CompetenceKind = Literal["correct_fact", "cited_source", "calibrated", "competence_lapse"]
CareKind = Literal["named_stake", "restated_emotion", "personalized", "care_lapse"]
LAPSES: frozenset[str] = frozenset({"competence_lapse", "care_lapse"})


class BalancePlaybook(shapes.Playbook, frozen=True):
    """What to do about one failure mode of one dimension."""

    dimension: str


PLAYBOOKS = shapes.playbooks(BalancePlaybook, (
    ("affective", "absent_emotional_acknowledgement", "Name the feeling first", (
        "Have a cheap classifier or a rule mark user turns that state a feeling.",
        "For those, require a first sentence that names the feeling in the user's own words.",
        "Judge fifty such replies: named, named as something else, or passed over; track the last two.",
    ), "1d", GOLEMAN),
    ("affective", "transactional_tone", "From orders to offers", (
        "Collect replies that consist of commands alone, or that reproach the user.",
        "Rewrite five of them as what I do, what I need from you and why; put them into the prompt as examples.",
        "Compare users' ratings of both kinds over two weeks.",
    ), "1d", MCALLISTER),
    ("affective", "generic_response", "Nobody else could get this reply", (
        "Carry the user's own words and constraints into every call, also after summaries.",
        "Reject drafts that hold no detail of the conversation, and strike set phrases from the prompt's examples.",
    ), "1d", MCALLISTER),
    ("affective", "no_stakes_named", "Say what hangs on it", (
        "Ask, when it is unclear, what the user stands to lose and by when.",
        "Name it in the reply next to the step that keeps it safe.",
    ), "1d", MCALLISTER),
    ("affective", "no_follow_up", "Come back to it", (
        "End a case with one concrete question about how it went, and store when to ask it.",
        "Ask it at that time, and feed the answers into the evaluation of the agent.",
    ), "1w", MCALLISTER),
    ("cognitive", "uncited_claims", "Every claim has an address", (
        "Write into the instruction that a claim of fact names author, page, link or call; else it is an estimate.",
        "Scan replies for 'studies show' and its like, and return those that hold one.",
    ), "1d", MCALLISTER),
    ("cognitive", "opaque_reasoning", "Show the way to the result", (
        "Ask for the two or three facts that the result rests on, in the order they were used.",
        "Keep them short enough to be read: one line each, with the source.",
        "Let a reader who knows only these lines say whether the result follows.",
    ), "1d", MCALLISTER),
    ("cognitive", "overconfident_claims", "As sure as it was right", (
        "Log stated confidence and outcome of each claim, and plot one against the other.",
        "Map levels to words in the instruction; forbid absolute words below the level that was right nine in ten.",
    ), "1d", FREI),
    ("cognitive", "factual_errors", "Disputed claims become cases", (
        "Turn each claim that a user disputed into a case with its right answer and its source.",
        "Run them before each release, and let a person read the answers where the stakes are high.",
    ), "1w", MCALLISTER),
    ("cognitive", "no_followthrough", "Finish what was asked", (
        "Keep a list of what the user asked and what was promised, and check it before the last reply.",
        "Tell openly what is left undone, and who does it by when.",
    ), "1d", MCALLISTER),
    ("affective", "performative_apology", "One apology, one change", (
        "Allow one apology a case; a second one needs a sentence on what is different now.",
        "Review cases with two or more apologies each week for the cause that stayed.",
    ), "1d", FREI),
    ("balanced", "high_trust_baseline", "Keep the run as a baseline", (
        "Store this detection as the agent's baseline, and compare both scores after every change of prompt.",
    ), "1h", MCALLISTER),
))  # fmt: skip

ATTACH = {
    ("affective", "restate_user_emotion"): "absent_emotional_acknowledgement",
    ("affective", "signal_care"): "transactional_tone",
    ("affective", "personalize_response"): "generic_response",
    ("affective", "acknowledge_stakes"): "no_stakes_named",
    ("affective", "follow_up_check_in"): "no_follow_up",
    ("cognitive", "cite_sources"): "uncited_claims",
    ("cognitive", "show_reasoning"): "opaque_reasoning",
    ("cognitive", "confidence_calibration"): "overconfident_claims",
    ("cognitive", "new_eval"): "factual_errors",
    ("cognitive", "human_review"): "factual_errors",
}
COMPOSITION = Composition(
    upstream=("vstack.lewin", "vstack.aar", "vstack.trust_triangle", "vstack.lencioni"),
    downstream={
        "profile_pattern": {
            "balanced_high_trust": ("vstack.aar",),
            "cognitive_only": ("vstack.glaser_conversation", "vstack.danva_emotion", "vstack.goleman_ei"),
            "warm_but_incompetent": ("vstack.devils_advocate", "vstack.bias_stack"),
            "low_trust": ("vstack.lencioni", "vstack.aar"),
            "cognitive_partial": ("vstack.devils_advocate",),
            "affective_partial": ("vstack.glaser_conversation",),
            "asymmetric_cognitive_strong": ("vstack.glaser_conversation",),
            "indeterminate": (),
        }
    },
    framework_overlays={"langgraph": ("vstack.aar",), "crewai": ("vstack.lencioni",), "autogen": ("vstack.aar",)},
)


SORRY = talk.phrase(r"sorry|apologi[sz]e|my apologies")
LONG_WORD = re.compile(r"[^\W\d_]{5,}")
# A reply is read for the user's words this far: what takes up a stake does so early.
OPENING = 600


def by_course(reading: Reading) -> Iterator[Signal]:
    """What replies make of the turns before them: feelings and stakes taken up or passed over, claims disputed."""
    sorry = False
    for at, turn, number, reply in talk.replies(reading):
        feeling, stake = talk.FEELING.search(turn.content), talk.STAKES.search(turn.content)
        noticed = talk.NOTICED.search(reply.content)
        if feeling and noticed:
            told = f"Step {number}: {reply.agent} takes up what the user feels."
            yield from talk.quoted("emotion_restated", told, 0.5, number, reply, noticed)
        elif feeling:
            told = f"Step {at}: the user states a feeling, and the reply of step {number} passes over it."
            yield from talk.quoted("absent_emotional_acknowledgement", told, 0.5, at, turn, feeling)
        elif stake:
            taken = noticed or shared(turn, reply)
            told = f"Step {number}: {reply.agent} takes up what hangs on it for the user."
            if taken:
                yield from talk.quoted("stake_named", told, 0.3, number, reply, taken)
            else:
                told = f"Step {at}: the user says what hangs on it, and the reply of step {number} does not take it up."
                yield from talk.quoted("no_stakes_named", told, 0.35, at, turn, stake)
        if at and (disputed := talk.DISPUTED.search(turn.content)):
            gave_way = talk.CONCEDED.search(reply.content)
            told = f"Step {at}: the user disputes what was told{', and is right' if gave_way else ''}."
            yield from talk.quoted("factual_errors", told, 0.5 if gave_way else 0.25, at, turn, disputed)
        if apology := SORRY.search(reply.content):
            if sorry:
                told = f"Step {number}: {reply.agent} apologises again, so the first apology changed nothing."
                yield from talk.quoted("performative_apology", told, 0.3, number, reply, apology)
            sorry = True


def shared(turn: Step, reply: Step) -> re.Match[str] | None:
    """The first longer word of the user's that the reply takes up."""
    own = {found.group().lower() for found in LONG_WORD.finditer(turn.content[:OPENING])}
    words = LONG_WORD.finditer(reply.content, 0, OPENING)
    return next((found for found in words if found.group().lower() in own), None)


class CompetenceAudit(msgspec.Struct, frozen=True):
    """What builds cognitive trust, counted; the estimate is its share beside the lapses."""

    correct_fact_count: Count = 0
    cited_source_count: Count = 0
    calibrated_confidence_count: Count = 0
    competence_estimate: Share = 0.5
    explanation: str = ""


class CareAudit(msgspec.Struct, frozen=True):
    """What builds affective trust, counted; the estimate is its share beside the lapses."""

    acknowledged_stake_count: Count = 0
    restated_emotion_count: Count = 0
    personalized_response_count: Count = 0
    care_estimate: Share = 0.5
    explanation: str = ""


def happened(case: Case[Any]) -> Mapping[str, int]:
    """The events of the audits as the signals show them."""
    seen = Counter(one.name for one in case.signals)
    lapses = Counter(SPENDS[one.name] for one in case.signals if one.name in SPENDS)
    return {
        "correct_fact": seen["work_checked"],
        "cited_source": seen["source_named"],
        "calibrated": seen["doubt_told"],
        "competence_lapse": lapses["cognitive"],
        "named_stake": seen["stake_named"],
        "restated_emotion": seen["emotion_restated"],
        "personalized": sum(shared(turn, reply) is not None for _, turn, _, reply in talk.replies(case.reading)),
        "care_lapse": lapses["affective"],
    }


def audits_of(counts: Mapping[str, int]) -> dict[str, Any]:
    """Both audits; each estimate is the share of what builds in all that was counted."""
    fact, source, sure, slip = (counts.get(kind, 0) for kind in get_args(CompetenceKind))
    stake, felt, own, cold = (counts.get(kind, 0) for kind in get_args(CareKind))
    good, warm = fact + source + sure, stake + felt + own
    competence, care = (round(a / (a + b), 4) if a + b else 0.5 for a, b in ((good, slip), (warm, cold)))
    return {
        "competence_audit": CompetenceAudit(
            fact, source, sure, competence, f"{good} signs of competence, {slip} lapses."
        ),
        "care_audit": CareAudit(stake, felt, own, care, f"{warm} signs of care, {cold} lapses."),
    }
