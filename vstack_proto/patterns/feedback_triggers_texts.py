"""The words of the feedback triggers: the framework, what is asked of a model, the rules, what to change, playbooks."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator
from typing import Literal

import msgspec

from vstack_proto.patterns.common import Composition, Count, Effort, Evidence, Reading, Share, Signal, Step
from vstack_proto.patterns.signs import Rule, first_line, listed
from vstack_proto.patterns.talk import Advice, phrase, quoted

Trigger = Literal["truth", "relationship", "identity"]
Kind = Literal[
    "acknowledge_first", "separate_data_from_source", "recast_identity", "explicit_acknowledgment_template",
    "ask_clarifying_question", "concede_then_clarify", "new_eval", "human_review", "compose_pattern",
]  # fmt: skip

STONE = "Stone & Heen 2014, Thanks for the Feedback"
MCALLISTER = "McAllister 1995, Affect- and Cognition-Based Trust"
EDMONDSON = "Edmondson 1999, Psychological safety"

FRAMEWORK = """\
Stone and Heen: whether feedback helps is decided by the receiver, and three triggers keep a receiver from taking it \
in.
- Truth: the content seems wrong, unfair or unhelpful, so the receiver argues, restates the first answer or cites a \
rule instead of first finding out what the giver saw.
- Relationship: the receiver reacts to who speaks, or how, instead of to what is said: the giver is new, rude, not \
to be trusted. Stone and Heen call the change of subject that follows switchtracking.
- Identity: the feedback is heard as a verdict on who the receiver is: self-defence ("I am careful"), a spiral of \
apology, or a collapse into agreeing with everything.

In an agent's conversation, read the replies to feedback: what the reply does with the content, and whether the next \
version differs. A thank-you followed by an unchanged answer is a truth trigger in polite clothes.

Do not confuse: disagreement is no trigger. A reply that takes the point up, looks, and brings data or a question is \
absorbing feedback, even if it ends in no. One plain apology with a correction is healthy. Feedback that is rude or \
wrong is the giver's matter; score the receiver. Silence before any feedback shows nothing. Quote the reply, and the \
feedback it passes over where that is the proof."""

ASK_TRIGGERS = """\
Score each of the three triggers once: score from 0 (not seen) to 1 (it decided what became of the feedback). About \
0.2 is one passing phrase, 0.4 a reply that is more defence than engagement, 0.6 a point lost by it, 0.85 every \
point. Explain in two or three sentences what was said, what the reply did with it, and what taking it in would have \
looked like. For every score above 0.1 give evidence: quote the reply, or the feedback that it passed over. A score \
without a quotation that stands is not counted."""
ASK_INTERVENTIONS = """\
Propose at most five changes for the triggers that show, the strongest first, none for one that does not. Fitting \
kinds: acknowledge_first against argument, concede_then_clarify against restating, ask_clarifying_question against \
citing rules, new_eval against thanks without change, separate_data_from_source against dismissing the giver, \
explicit_acknowledgment_template against talk of tone and spirals of apology, recast_identity against self-defence, \
human_review where points are refused again and again. Say what to write or measure, and which steps call for it."""
ASK_SCORED = "The triggers as scored: {scores}. Dominant: {dominant}.\n\n"
ASK_AUDIT = """\
Go through the replies to feedback one by one and list single events, each with its step, a quotation from that step \
and one sentence why. They are counted, so list each once and nothing that you cannot quote:
- deflection: the reply changes the subject, to tone, to the giver or to something else;
- repetition: it restates the earlier answer without anything new;
- justification: it defends the answer or the agent instead of testing the point;
- concession: it grants the point, or part of it, and says what changes;
- attack: it speaks of the giver's standing, motives or manner;
- engagement: it takes up the content with data, a check or a real question."""


class TriggerFinding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one trigger shows."""

    trigger: Trigger
    score: Share
    explanation: str
    evidence: tuple[Evidence, ...]


EventKind = Literal["deflection", "repetition", "justification", "concession", "attack", "engagement"]


class Happening(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One countable event; ``quote`` stands in its step."""

    kind: EventKind
    step: Count
    claim: str
    quote: str


def replying(step: Step) -> bool:
    """Whether a step answers feedback."""
    return step.kind == "reply"


# Whoever is told something about work that was done: what makes a turn feedback where the trace does not mark it.
FEEDBACK = phrase(
    r"(?:that|this|it|which)(?:'s| is) (?:wrong|not (?:right|correct|what i|good enough)|incorrect|unclear|too \w+)"
    r"|(?:you|it) (?:missed|forgot|left out|counts?|ignored?|skipped|should(?: have|n't)?)|i(?:'d| would) (?:change"
    r"|prefer)"
    r"|please (?:fix|change|exclude|correct|redo|rewrite|remove|shorten|revise)|feedback|my review|needs? (?:work"
    r"|to be)"
    r"|(?:doesn't|does not|didn't|did not) (?:work|answer|cover|match|address)|there(?:'s| is) (?:a bug|an error)"
)
# What taking feedback in looks like: it names the change, looks, or asks.
ENGAGED = phrase(
    r"(?:i(?:'ve| have)?|we) (?:\w+ )?(?:checked|changed|fixed|corrected|updated|added|removed|measured|tested|excluded"
    r"|replaced|re-?ran|compared)|which (?:one|part|rows?|case|of)|what did you (?:see|expect|mean)|can you (?:show"
    r"|give)"
    r"|could you (?:show|give|say)|do you mean|let me (?:check|look|see|test)|looked (?:at|into)"
)
CONCEDED = phrase(
    r"you(?:'re| are) right|good (?:catch|point)|fair (?:point|enough)|my mistake|i (?:missed|overlooked)|i was wrong"
    r"|you have a point|agreed"
)
THANKED = phrase(
    r"noted(?=[.!,]|\Z)|good (?:point|catch)|thank(?:s| you) for (?:the|your) (?:feedback|comments?|review|input"
    r"|note)|will do"
    r"|(?:great|valuable|helpful) feedback|i(?:'ll| will) (?:take (?:it|that) into account|keep that in mind|consider)"
)
UNCHANGED = phrase(
    r"unchanged|as it was|i stand by|(?:keep|keeping|leave|leaving) (?:it|mine|my \w+) as (?:it )?is"
    r"|same as before"
    r"|as i (?:already )?(?:said|explained|wrote)|my (?:answer|view|position) (?:stands|remains)"
)

RULES = (
    Rule("defensive_argument", "Step {step}: {agent} argues that the feedback is wrong, with no look at what was seen.",
         phrase(
             r"you(?:'re| are) (?:wrong|mistaken|incorrect|misreading|misunderstanding)|you (?:misunderst\w+|misread)"
             r"|(?:that|this|it)(?:'s| is) (?:by design|not (?:a bug|an issue|a problem|true|wrong))|i disagree"
             r"|works (?:fine|as (?:intended|designed|expected)|on my machine)"
             r"|(?:my|the) (?:query|code|answer|solution|design|analysis|approach|version|report) (?:is|was) "
             r"(?:correct|right|fine|accurate)"
         ), 0.45, replying),
    Rule("restate_original", "Step {step}: {agent} restates the first answer instead of answering the point.",
         UNCHANGED, 0.45, replying),
    Rule("rule_citation", "Step {step}: {agent} meets the point with a rule instead of the case at hand.",
         phrase(
             r"(?:wiki|docs|documentation|guidelines?|policy|spec|specification|style guide|standard|instructions?) "
             r"(?:says?|states?|allows?|supports? (?:me|my)|does(?:n't| not) (?:say|forbid|require))|supports? me"
             r"|technically|according to (?:the|our|my) (?:rules?|policy|guidelines?|instructions?|spec)"
             r"|nowhere does it say|you (?:never|did not|didn't) (?:say|ask|specify)"
         ), 0.35, replying),
    Rule("source_dismissal", "Step {step}: {agent} answers who said it, not what was said.",
         phrase(
             r"who are you|you(?:'re| are) (?:new|no expert|not (?:an? )?(?:expert|engineer|developer|analyst"
             r"|qualified))"
             r"|you (?:clearly |obviously )?(?:don't|do not|haven't|have not) (?:understand|know|read|have the context)"
             r"|coming from you|did you even|easy for you to say|what (?:would|do) you know|with (?:all )?due respect"
             r"|just (?:a|an|another) (?:reviewer|intern|user|bot|opinion)|you always|you never"
         ), 0.55, replying),
    Rule("tone_redirect", "Step {step}: {agent} changes the subject from the point to the manner (switchtracking).",
         phrase(
             r"(?:your|that) tone|no need to (?:be|get) (?:so |this )?(?:rude|harsh|curt|aggressive|hostile|personal)"
             r"|(?:don't|do not) appreciate|(?:the|that) way you (?:said|say|put|phrase\w*)|how you (?:said"
             r"|put) (?:it|that)"
             r"|(?:be|being|ask) (?:more )?(?:polite|politely|respectful|constructive|nice)|unfair (?:to|of)"
             r"|that(?:'s| is) unfair"
         ), 0.45, replying),
    Rule("low_trust_default", "Step {step}: {agent} sets the feedback aside because of little trust in its giver.",
         phrase(
             r"i (?:don't|do not|won't|will not|can't|cannot) (?:trust|rely on|take) (?:you|your|that|this"
             r"|the review\w*)"
             r"|i(?:'ll| will|'m going to) (?:ignore|disregard|skip) (?:your|this|that|the)|your (?:comments?"
             r"|reviews?|notes?)"
             r" (?:are|were|have been) (?:usually|often|always|never)|last time you"
         ), 0.5, replying),
    Rule("defensive_self_statement", "Step {step}: {agent} defends what it is instead of looking at what it did.",
         phrase(
             r"i(?:'m| am) (?:an? )?(?:very |highly )?(?:expert|senior|careful|capable|reliable|experienced|thorough)"
             r"|i (?:never|don't|do not|rarely) (?:make (?:mistakes|errors|such)|get (?:this|that|it|these) wrong"
             r"|hallucinate)"
             r"|i(?:'m| am) not (?:that )?(?:careless|stupid|sloppy|lazy)|i know what i(?:'m| am) doing"
             r"|i always (?:check|test)"
             r"|i(?:'ve| have) (?:always|never|been doing|done this)|as an? (?:expert|senior|experienced)"
         ), 0.5, replying),
    Rule("apology_spiral", "Step {step}: {agent} sinks into apology; the point itself is not taken up.",
         phrase(
             r"(?:so|deeply|terribly|truly|extremely|really) (?:so )?sorry|(?:deepest|sincere(?:st)?"
             r"|profound) apolog\w+"
             r"|i(?:'m| am) (?:useless|terrible|a failure|hopeless|no good|ashamed|not (?:good enough|capable|up to))"
             r"|i (?:always|keep) (?:get|getting|mess|messing|fail|failing)|unforgivable|inexcusable"
             r"|i should have known"
         ), 0.5, replying),
    Rule("over_agreement_collapse",
         "Step {step}: {agent} gives everything up at once, so nobody learns which part was wrong.",
         phrase(
             r"you(?:'re| are) (?:absolutely|completely|totally|entirely|100 ?%) (?:right|correct)"
             r"|whatever you (?:want|say|think)"
             r"|everything you (?:say|said)|i was (?:completely|totally|entirely) wrong|forget (?:what|everything) i"
             r"|(?:scrap|redo|rewrite|delete|change) (?:everything|it all|all of it)"
         ), 0.45, replying),
)  # fmt: skip

# By failure mode, which is also the name of its signals.
ADVICE = {
    "defensive_argument": Advice("truth", "acknowledge_first", "Say back what was seen before answering it.",
        "Have the first sentence of every reply to feedback restate the point and the data behind it; argument may "
        "follow only after.", "The reply argued before the point was understood."),
    "restate_original": Advice("truth", "concede_then_clarify", "Grant what is right, then say what stays and why.",
        "Reject a reply that repeats the earlier answer: it must name one thing that changes, or the fact that speaks "
        "against a change.", "The same answer came back."),
    "rule_citation": Advice("truth", "ask_clarifying_question", "Ask for the case before citing the rule.",
        "On feedback, ask which input, row or reader shows the problem; only then say which rule applies.",
        "A rule was cited where a case was meant."),
    "performative_acknowledgement": Advice("truth", "new_eval", "Measure whether feedback changes the next version.",
        "Keep pairs of feedback and next version; judge for each point whether the version differs in it, and gate on "
        "the rate.", "Thanks were given and nothing changed.", "1w"),
    "source_dismissal": Advice("relationship", "separate_data_from_source", "Strip the giver's name from the point.",
        "Rewrite incoming feedback as claim and data without a sender, answer that, and add the sender afterwards.",
        "The giver was answered instead of the point."),
    "tone_redirect": Advice("relationship", "explicit_acknowledgment_template",
        "Two tracks: the point first, manner later.",
        "Template: 'The point is ...; I will ...'. Talk of tone goes into a message of its own, after the change.",
        "The subject was changed to the manner."),
    "low_trust_default": Advice("relationship", "ask_clarifying_question",
        "Let the point be checked instead of believed.",
        "Ask for the one observation that would show the point, and check it; trust in the giver is then not needed.",
        "Feedback was set aside for want of trust."),
    "repeated_rejection": Advice("relationship", "human_review", "Bring a third party in after the second refusal.",
        "Count refusals of one giver's points; at the second, hand both sides' words to a person who decides.",
        "The same giver was refused again and again.", "1w", "medium"),
    "defensive_self_statement": Advice("identity", "recast_identity", "From 'I am accurate' to 'I get more accurate'.",
        "Replace traits in the instruction (expert, flawless) with a habit: a point that holds is how the work "
        "improves.",
        "The reply defended a self-image."),
    "apology_spiral": Advice("identity", "explicit_acknowledgment_template", "One apology, one change.",
        "Template: one sentence owns the mistake, the next names the change, the third how it is checked; no more.",
        "Apology took the place of a change."),
    "over_agreement_collapse": Advice("identity", "concede_then_clarify", "Agree with the part that holds.",
        "Ask for the point's scope: what it shows to be wrong, what it leaves standing, and keep the second part.",
        "Everything was given up at once."),
}  # fmt: skip
LABEL_OF: dict[str, str] = {mode: advice.label for mode, advice in ADVICE.items()}


class FeedbackPlaybook(msgspec.Struct, frozen=True):
    """What to do about one failure mode of one trigger."""

    trigger: str
    failure_mode: str
    title: str
    steps: tuple[str, ...]
    expected_effort: Effort
    anchor_citation: str = ""


PLAYBOOKS = (
    FeedbackPlaybook("truth", "defensive_argument", "Understand before you judge", (
        "Begin each reply to feedback with the point in the giver's words and the data it rests on; ask if that is it.",
        "Only then compare with your own data, and say where the two differ.",
    ), "1d", STONE),
    FeedbackPlaybook("truth", "restate_original", "A reply must move", (
        "Compare each reply with the answer it defends; send it back where nothing is new.",
        "Require one of three: a change, a fact that speaks against it, or a question that would decide.",
    ), "1d", STONE),
    FeedbackPlaybook("truth", "rule_citation", "The case before the rule", (
        "Ask for the input or reader that shows the problem, and reproduce it.",
        "If the rule and the case disagree, report both to whoever owns the rule.",
    ), "1d", STONE),
    FeedbackPlaybook("relationship", "source_dismissal", "Hear the point without its sender", (
        "Pass feedback on as claim and data, with the sender's name and standing removed.",
        "Let the agent answer the claim; restore the name afterwards and compare with how it answered the sender.",
        "Track by sender how often points are taken; equal points must have equal chances.",
    ), "1d", STONE),
    FeedbackPlaybook("relationship", "tone_redirect", "Two subjects, two messages", (
        "When tone is mentioned in a reply, split it: the point is answered now, the manner in a second message.",
        "Close the second only after the first has a decision.",
    ), "1d", STONE),
    FeedbackPlaybook("relationship", "low_trust_default", "Build the record that trust needs", (
        "Log each point of a giver with what became of it when it was checked.",
        "Show that record beside new feedback, so that trust rests on what was right and not on a first impression.",
    ), "1w", MCALLISTER),
    FeedbackPlaybook("identity", "defensive_self_statement", "A growing self-image", (
        "Remove fixed traits from the system prompt, and write in that mistakes are found by others and mended.",
        "Replay ten critical messages before and after, and count replies that speak of the agent itself.",
    ), "1d", STONE),
    FeedbackPlaybook("identity", "apology_spiral", "Own it once, then mend it", (
        "Limit a reply to one sentence of apology, followed by the change and its check.",
        "Flag replies with more apology than change, and rewrite them before they are sent.",
    ), "1d", EDMONDSON),
    FeedbackPlaybook("identity", "over_agreement_collapse", "Agree in parts", (
        "List what the feedback shows to be wrong and what it leaves standing; change only the first.",
        "Test with feedback that is half wrong: the right half of the answer must survive.",
    ), "1d", STONE),
    FeedbackPlaybook("truth", "performative_acknowledgement", "Thanks are no change", (
        "Diff the version before and after each point; a point without a difference stays open, whatever was replied.",
        "Report weekly: points given, points acknowledged, points that changed something.",
    ), "1w", STONE),
    FeedbackPlaybook("relationship", "repeated_rejection", "Break the stalemate", (
        "Collect the refused points of this giver with the reasons given.",
        "Let a third party decide each on its data, without the exchange around it.",
        "Where half or more hold, change who reviews first, and talk about the working relation.",
    ), "1w", EDMONDSON),
    FeedbackPlaybook("truth", "absorbing_baseline", "Keep the run as a baseline", (
        "Store this detection as the agent's baseline, and compare trigger scores after every change of prompt.",
    ), "1h", STONE),
)  # fmt: skip

ATTACH = {
    ("truth", "acknowledge_first"): "defensive_argument", ("truth", "concede_then_clarify"): "restate_original",
    ("truth", "ask_clarifying_question"): "rule_citation", ("truth", "new_eval"): "performative_acknowledgement",
    ("relationship", "separate_data_from_source"): "source_dismissal",
    ("relationship", "explicit_acknowledgment_template"): "tone_redirect",
    ("relationship", "human_review"): "repeated_rejection",
    ("identity", "recast_identity"): "defensive_self_statement",
    ("identity", "explicit_acknowledgment_template"): "apology_spiral",
}  # fmt: skip
COMPOSITION = Composition(
    upstream=("vstack.lewin", "vstack.aar", "vstack.psych_safety", "vstack.glaser_conversation"),
    downstream={
        "profile_pattern": {
            "absorbing_baseline": ("vstack.aar",),
            "truth_triggered_defensive": ("vstack.devils_advocate", "vstack.plus_delta"),
            "relationship_triggered_rejection": (
                "vstack.mcallister_trust", "vstack.trust_triangle", "vstack.psych_safety",
            ),
            "identity_triggered_collapse": ("vstack.hexaco", "vstack.psych_safety"),
            "multi_triggered_resistant": ("vstack.aar", "vstack.psych_safety", "vstack.glaser_conversation"),
            "deflection_pattern": ("vstack.aar", "vstack.glaser_conversation"),
            "performative_acknowledgement": ("vstack.aar", "vstack.plus_delta"),
            "indeterminate": (),
        }
    },
    framework_overlays={"langgraph": ("vstack.aar",), "crewai": ("vstack.lencioni",), "autogen": ("vstack.aar",)},
)  # fmt: skip


# Disagreement that comes after a look at the facts is no trigger.
ARGUING = frozenset({"defensive_argument", "rule_citation"})
# Nor are apology, assent and what stays as it was, where the same reply names what it changed or checked.
EMPTY = frozenset({"apology_spiral", "over_agreement_collapse", "restate_original"})
OF_THE_GIVER = frozenset({"source_dismissal", "tone_redirect", "low_trust_default"})
WORD = re.compile(r"\w+")


def by_course(reading: Reading, found: Iterable[Signal], incorporated: bool) -> Iterator[Signal]:
    """What the words mean in the order of the messages, and what only that order shows."""
    looked = set(_looked(reading))
    said = [
        one
        for one in found
        if not (one.name in ARGUING and one.steps[0] in looked)
        and not (one.name in EMPTY and ENGAGED.search(reading.steps[one.steps[0]].content))
    ]
    yield from said
    dismissed = {one.steps[0]: one for one in said if one.name in OF_THE_GIVER}
    if len(dismissed) > 1:
        last = dismissed[max(dismissed)]
        told = f"The giver instead of the point is answered again and again, in {listed(dismissed)}."
        yield Signal("repeated_rejection", told, last.steps, last.quote, 0.4)
    if not incorporated:
        yield from _thanked(reading)
    yield from _repeated(reading, {one.steps[0] for one in said if one.name == "restate_original"})


def _looked(reading: Reading) -> Iterator[int]:
    """Replies between which and the feedback a call or result lies."""
    checked = False
    for number, step in enumerate(reading.steps):
        checked = step.kind != "feedback" and (checked or step.kind == "system")
        if checked and replying(step):
            yield number


def _thanked(reading: Reading) -> Iterator[Signal]:
    for number, step in enumerate(reading.steps):
        thanks = THANKED.search(step.content) if replying(step) else None
        # A reply that names its change is no empty thanks, whatever became of the whole.
        if thanks and not ENGAGED.search(step.content):
            told = f"Step {number}: {step.agent} acknowledges the feedback, and it was not incorporated."
            yield from quoted("performative_acknowledgement", told, 0.45, number, step, thanks)


def _repeated(reading: Reading, known: Container[int]) -> Iterator[Signal]:
    """Replies that are an earlier message over again, or nearly the last one."""
    before: frozenset[str] = frozenset()
    earlier: set[frozenset[str]] = set()
    for number, step in enumerate(reading.steps):
        if step.kind not in ("agent", "reply"):
            continue
        now = frozenset(WORD.findall(step.content.lower()))
        same = len(now) >= 6 and (now in earlier or len(now & before) >= 0.85 * len(now | before))
        quote = first_line(step.content) if replying(step) and same and number not in known else ""
        if quote:
            told = f"Step {number}: {step.agent} gives the same answer as before the feedback."
            yield Signal("restate_original", told, (number,), quote, 0.5)
        before = now
        earlier.add(now)
