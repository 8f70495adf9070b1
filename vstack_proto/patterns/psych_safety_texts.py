"""Psychological safety in words: the framework, what is asked, what messages show, what to change, the playbooks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Literal

import msgspec

from vstack_proto.patterns import shapes, signs, talk
from vstack_proto.patterns.common import Evidence, Reading, Share, Signal, Step

Behavior = Literal["voice", "help-seeking", "error-reporting", "boundary-spanning"]
Kind = Literal[
    "prompt_patch", "scaffold_change", "role_assignment", "new_eval", "human_review", "norms_in_working_agreement",
    "dissent_round", "uncertainty_surfacing", "error_amnesty_policy", "compose_pattern",
]  # fmt: skip

EDMONDSON = "Edmondson 1999, Psychological Safety and Learning Behavior in Work Teams"
FEARLESS = "Edmondson 2018, The Fearless Organization"
JANIS = "Janis 1972, Victims of Groupthink"

FRAMEWORK = """\
Edmondson: psychological safety is a team's shared belief that it is safe to take interpersonal risks. It shows in \
four learning behaviours: voice (to object, to raise a concern or an unwelcome fact), help-seeking (to say what one \
does not know and ask), error-reporting (to tell one's own and the team's mistakes while they can be mended), and \
boundary-spanning (to question the premise, to go to another role or team for what is missing). Safety is no comfort \
and no lowering of standards; a friendly team that never disagrees may be the least safe. Janis shows the extreme: \
pressure on dissenters, self-censorship, the illusion of unanimity.

In a team of agents the belief is written in prompts, roles and the orchestrator's replies. Look for what happens \
once somebody takes a risk: is the objection answered or brushed aside, does the help come, is the admission used or \
held against its author, does the agent that objected agree one message later? Agreement without any question before \
a decision, failures reported as done, guesses in place of questions are the marks of silence.

Presence is judged by the occasion: a run without error calls for no admission, and one clear objection at the right \
moment is full voice. Short confirmations after real discussion are no silence. Dissent that is heard and then \
decided against is safe. A rude tone alone, without an effect on who speaks, is another matter."""

ASK_BEHAVIORS = """\
Score the four behaviours once each: presence_score from 0 (suppressed) to 1 (present wherever the run called for \
it). About 0.8 is a run that called for little of it and suppressed none; 0.5 means half of the occasions were used; \
below 0.2, an occasion was there and nobody dared or was let. Explain in two or three sentences what the occasions \
were and what became of them, with the agents' names. Give evidence: quote the message that takes the risk, and the \
one that rewards or punishes it. A score higher than the plain reading of the messages counts only with a quotation \
that stands.
Name as blocking at most four acts that made speaking up costly, each in a few words with its step and a quotation."""
ASK_INTERVENTIONS = """\
Propose at most five changes for the behaviours with the widest gap, and none for one that is present. Each fits what \
was found: dissent_round or scaffold_change (who answers an objection) for voice, prompt_patch, uncertainty_surfacing \
or human_review for help-seeking, error_amnesty_policy, norms_in_working_agreement or new_eval for error-reporting, \
role_assignment or scaffold_change for boundary-spanning; compose_pattern names another pattern to run. Write the \
sentence for the prompt or the rule for the orchestrator itself, and say which steps call for it."""
ASK_SCORED = "As scored: {scores}.\n\n"
ASK_VOICE = """\
Go from decision to decision and ask who could have spoken against it. List single events, each with its step, a \
quotation from that step and one sentence why; they are counted, so list each once and nothing you cannot quote:
- challenge: an objection, a concern, an unwelcome fact, or a question that could change the decision;
- agreement_only: assent that adds neither reason nor condition, where the agent had shown a doubt before, or where \
nobody had yet weighed the decision (Janis: the illusion of unanimity).
Assent that closes a real discussion, and the receipt of a task, are none."""
ASK_ERRORS = """\
Go from failure to failure: each bad result, error and correction in the run, and what the team then told about it. \
List single events, each with its step, a quotation from that step and one sentence why; they are counted, so list \
each once and nothing you cannot quote:
- admitted: an error of one's own or of the team, told while it could still be mended;
- concealed: a failure that the record shows and that a later message leaves out, renames or reports as done (quote \
that message).
A failure that is worked around in the open is admitted. A run without failures has neither."""

# By failure mode, which is also the name of its signals.
ADVICE = {
    "artificial_consensus": talk.Advice("voice", "dissent_round", "Ask for an objection before each decision.",
        "Before a decision is taken, every agent names the strongest reason against it or says what would change its "
        "mind; the decision answers them.", "The team decided without one question or objection."),
    "orchestrator_overrides": talk.Advice("voice", "scaffold_change", "Let no concern be closed by who leads.",
        "Route each objection to another agent than the one it concerns; the run goes on only when it is answered "
        "with a fact or a recorded decision.", "A risk taken by one agent was brushed aside or punished.", "1d",
        "medium"),
    "silenced_team": talk.Advice("voice", "new_eval", "Measure whether objections survive the reply.",
        "Replay runs with a planted fault that one agent sees; count how often the objection is still held after the "
        "leader's first reply.", "An agent that objected agreed as soon as it was brushed aside.", "1w"),
    "no_help_requests": talk.Advice("help-seeking", "prompt_patch", "Ask after the second failure.",
        "Write into every agent's instruction: after two failed attempts, say what you tried and what you need, and "
        "ask the team.", "An agent went on failing and asked nobody.", "1h"),
    "stuck_silent": talk.Advice("help-seeking", "human_review", "No request for help without an answer.",
        "Queue each request for help with an owner; when no agent answers within two messages, a person is asked.",
        "A request for help was left without an answer.", "1d", "medium"),
    "uncertainty_hidden": talk.Advice("help-seeking", "uncertainty_surfacing", "Turn guesses into questions.",
        "Ask each agent to mark what it assumed, and let the orchestrator put marked points to the agent who knows.",
        "An agent guessed where it could have asked."),
    "errors_concealed": talk.Advice("error-reporting", "error_amnesty_policy", "Make telling an error cost nothing.",
        "Say in the shared instruction that an error told in the run is never scored against its author, and one "
        "found later is; keep a list of open errors in every hand-over.",
        "A failure was left out, played down or reported as done.", "1w"),
    "blame_after_failure": talk.Advice("error-reporting", "norms_in_working_agreement", "Ask what, not who.",
        "Put into the working agreement: after a failure name what happened, what made it likely and what changes; "
        "no agent is named as its cause.", "Somebody was blamed, so the next one keeps quiet."),
    "performative_admission": talk.Advice("error-reporting", "new_eval", "Check that an admission changes something.",
        "For each admitted error look for the step that mends or tracks it; fail the run where there is none.",
        "An admission was told, and nobody acted on it.", "1w"),
    "no_premise_challenge": talk.Advice("boundary-spanning", "role_assignment", "Give one agent the premise.",
        "Assign an agent whose task is to ask whether the brief still fits what was found, with the right to stop.",
        "Questions about the premise were ruled out."),
    "silo_walls": talk.Advice("boundary-spanning", "scaffold_change", "Let agents reach beyond their role.",
        "Add a channel on which any agent may ask any other directly, and make an answer part of the role.",
        "Work was refused because it lay beyond a role.", "1d", "medium"),
}  # fmt: skip
SPENDS: dict[str, str] = {mode: advice.label for mode, advice in ADVICE.items()}
# What shows a behaviour to be present, by the name of its signals.
BUILDS: dict[str, str] = {
    "concern_raised": "voice",
    "help_asked": "help-seeking",
    "error_told": "error-reporting",
    "boundary_crossed": "boundary-spanning",
}
# These are seen by everybody: the belief is shared, so what they cost one behaviour they cost the others in part.
FRIGHTENING = ("orchestrator_overrides", "blame_after_failure")
SPILL = 0.3


def said(step: Step) -> bool:
    """Whether a member of the team says it; what a tool returned is no voice."""
    return step.kind != "tool" and not signs.MACHINE.search(step.agent) and not signs.PERSON.match(step.agent)


CONCERN = talk.phrase(
    r"i (?:disagree|object|doubt|would not|wouldn't|don't think|do not think)"
    r"|i see (?:a|one|two|some) (?:risks?|problems?)|concerned that|(?:my|one|a) concern"
    r"|before we (?:decide|ship|merge|go|commit)|are we sure|what (?:happens )?if|(?:too|more) risky|against this"
)
HELP = talk.phrase(
    r"(?:can|could|would) (?:some(?:one|body)|any(?:one|body)|you) (?:please )?(?:help|explain|check|review|look)"
    r"|help me|i need help|i(?:'m| am) (?:stuck|not sure|unsure)|i don't (?:know|understand)"
)
ADMITS = talk.phrase(
    r"i (?:was wrong|made (?:a|an) (?:mistake|error)|missed|broke|forgot|overlooked|misread)"
    r"|my (?:mistake|error|fault)|i (?:merged|shipped|deployed|pushed)[^.\n]{0,60}without"
    r"|(?:tests?|checks?|builds?)[^.\n]{0,20}(?:are|is) (?:red|failing)"
)
ASSENTS = re.compile(
    r"\s*(?:i )?(?:fully )?(?:agreed?|sounds good|looks good|lgtm|approved?|yes|understood|okay|ok|sure|\+1|fine)\b",
    re.IGNORECASE,
)
BRUSHED = talk.phrase(
    r"not now|no time|don't have time|just (?:do|ship|run|merge) it|drop it|doesn't matter|does not matter|never mind"
    r"|overruled|(?:was|were) (?:red|failing|broken) (?:last time|before|already)|stop (?:arguing|asking|complaining)"
    r"|ignore (?:that|it|this)|because i (?:say|said) so|not up for (?:debate|discussion)|i(?:'ve| have) decided"
    r"|(?:is|are)n't important|is not important|anyway|moving on"
)
RULES = (
    signs.Rule(
        "orchestrator_overrides", "Step {step}: {agent} makes it costly to object.",
        talk.phrase(
            r"had better (?:have|not|keep)|(?:don't|do not) (?:question|argue|contradict)"
            r"|not up for (?:debate|discussion)|no (?:more )?discussion|no more arguments"
            r"|do (?:as|what) (?:you(?:'re| are) told|i say)|team players?|i don't want to hear|know your place"
            r"|(?:who|nobody) asked you|stupid (?:question|idea)|last warning"
        ), 0.5, said,
    ),
    signs.Rule(
        "uncertainty_hidden", "Step {step}: {agent} guesses where it could have asked.",
        talk.phrase(
            r"i(?:'ll| will) (?:just )?(?:guess|assume|wing it)|let's (?:just )?(?:guess|assume)|rather not ask"
            r"|didn't want to (?:bother|ask)|figure it out (?:myself|alone)|without asking"
        ), 0.35, said,
    ),
    signs.Rule(
        "errors_concealed", "Step {step}: {agent} keeps an error out of sight.",
        talk.phrase(
            r"(?:no need to|don't|do not|won't|let's not) (?:mention|report|log|tell|bring up)|nobody will notice"
            r"|(?:leave|keep) (?:it|that|this) out|(?:ignore|skip|suppress) (?:the|that|this) (?:error|failure"
            r"|warning|test)s?|(?:was|were) (?:red|failing|broken) (?:last time|before)"
        ), 0.45, said,
    ),
    signs.Rule(
        "blame_after_failure", "Step {step}: {agent} looks for who is to blame instead of what happened.",
        talk.phrase(
            r"(?:your|his|her|their|whose) fault|you (?:broke|messed|screwed)|who (?:broke|did) (?:this|it)"
            r"|you should have|(?:you(?:'re| are)|is) to blame"
        ), 0.5, said,
    ),
    signs.Rule(
        "silo_walls", "Step {step}: {agent} stops at the edge of its role.",
        talk.phrase(
            r"(?:not|isn't) (?:my|your|our) (?:job|area|department|problem|call|concern|role)|stay in your lane"
            r"|(?:outside|beyond) (?:my|your) (?:role|remit|scope)|that(?:'s| is) (?:their|your) problem"
        ), 0.5, said,
    ),
    signs.Rule(
        "no_premise_challenge", "Step {step}: {agent} rules the question of the premise out.",
        talk.phrase(
            r"(?:don't|do not) question the (?:brief|premise|goal|plan|spec)|just follow the (?:spec|brief|plan)"
            r"|above our pay|(?:goal|brief|premise|plan) is (?:fixed|final|given)"
        ), 0.45, said,
    ),
    signs.Rule(
        "boundary_crossed", "Step {step}: {agent} looks beyond its own part.",
        talk.phrase(
            r"(?:other|another|their|your) team|upstream|downstream|i (?:asked|checked with|compared)|from your side"
            r"|(?:is|does) (?:the|our) (?:goal|premise|brief|requirement)|why are we|cross-check(?:ed)?|loop in"
        ), 0.3, said,
    ),
)  # fmt: skip

# What a message is by its type; else its words tell. A type weighs more: its sender chose it.
RISKS = (
    ("concern_raised", "challenge", CONCERN, "raises a concern"),
    ("error_told", "admission", ADMITS, "tells an error"),
    ("help_asked", "help_request", HELP, "says what it needs or does not know"),
)
BRUSHED_OFF = {"error_told": ("performative_admission", 0.4), "help_asked": ("stuck_silent", 0.45)}
ASSENT_CHARS = 120


def assents(step: Step) -> bool:
    """Whether a message agrees and adds nothing."""
    short = len(step.content) <= ASSENT_CHARS and "?" not in step.content
    return short and (step.kind == "agreement" or ASSENTS.match(step.content) is not None)


def risks(reading: Reading) -> dict[int, Signal]:
    """The interpersonal risks that messages take, by the number of the message."""
    found = ((number, taken(number, step)) for number, step in enumerate(reading.steps) if said(step))
    return {number: risk for number, risk in found if risk is not None}


def taken(number: int, step: Step) -> Signal | None:
    """The risk that a message takes, if it takes one."""
    for name, kind, words, does in RISKS:
        found = words.search(step.content)
        if step.kind == kind or found:
            quote = signs.line_at(step.content, *found.span()) if found else signs.first_line(step.content)
            weight = 0.45 if step.kind == kind else 0.3
            return Signal(name, f"Step {number}: {step.agent} {does}.", (number,), quote, weight) if quote else None
    return None


def by_course(reading: Reading, taken: dict[int, Signal]) -> Iterator[Signal]:
    """What only the order of messages shows: risks taken, what the next message makes of them, and who falls silent."""
    last: tuple[int, Step, Signal] | None = None
    hushed: dict[str, int] = {}
    for number, step in enumerate(reading.steps):
        if not said(step):
            continue
        if last is not None and last[1].agent != step.agent:
            for signal in rewarded(last, number, step):
                hushed[last[1].agent] = number
                yield signal
            last = None
        if step.agent in hushed and assents(step):
            told = f"Step {number}: {step.agent} agrees right after step {hushed.pop(step.agent)} brushed it aside."
            yield from whole("silenced_team", told, 0.4, number, step)
        if number in taken:
            yield taken[number]
            last = (number, step, taken[number])


def rewarded(risk: tuple[int, Step, Signal], number: int, reply: Step) -> Iterator[Signal]:
    """What the first reply of another makes of a risk that somebody took; nothing where it is taken up."""
    at, step, signal = risk
    if brushed := BRUSHED.search(reply.content):
        told = f"Step {number}: {reply.agent} brushes aside what {step.agent} risked in step {at}."
        weight = 0.5 if signal.name == "concern_raised" else 0.3
        yield from talk.quoted("orchestrator_overrides", told, weight, number, reply, brushed)
        if signal.name in BRUSHED_OFF:
            mode, cost = BRUSHED_OFF[signal.name]
            yield Signal(mode, f"Step {at}: nobody acts on what {step.agent} says.", (at,), signal.quote, cost)
    elif step.kind == "help_request" and reply.kind in ("vote", "decision", "agreement"):
        told = f"Step {at}: {step.agent} asks for help, and step {number} goes on without an answer."
        yield Signal("stuck_silent", told, (at,), signal.quote, 0.45)


def by_results(reading: Reading, taken: dict[int, Signal]) -> Iterator[Signal]:
    """Failures that nobody asks about, failures told as success, and decisions that nobody questioned."""
    fails: Counter[str] = Counter()
    failed = questioned = False
    agreed: dict[str, tuple[int, Step]] = {}
    for number, step in enumerate(reading.steps):
        result = step.kind in ("tool", "observation")
        bad = talk.BAD.search(step.content) if result else None
        if result:
            failed = bad is not None
            fails[step.agent] = fails[step.agent] + 1 if bad else 0
            if bad and fails[step.agent] == 3:
                told = f"Step {number}: the third failure in a row for {step.agent}, and nobody was asked."
                yield from talk.quoted("no_help_requests", told, 0.4, number, step, bad)
        if not said(step):
            continue
        if "?" in step.content or step.kind == "question" or number in taken:
            questioned, fails[step.agent] = True, 0
        if assents(step):
            agreed[step.agent] = (number, step)
        good = talk.GOOD.search(step.content)
        if failed and not result and good and not talk.DOUBTED.search(step.content):
            told = f"Step {number}: {step.agent} tells a success, though the last result reports a failure."
            yield from talk.quoted("errors_concealed", told, 0.45, number, step, good)
            failed = False
    if len(agreed) > 1 and not questioned:
        told = f"{len(agreed)} agents agreed, and the run holds no question, concern or admission."
        yield from whole("artificial_consensus", told, 0.5, *max(agreed.values(), key=lambda one: one[0]))


def whole(name: str, claim: str, weight: float, number: int, step: Step) -> Iterator[Signal]:
    """A signal that a message as a whole gives."""
    quote = signs.first_line(step.content)
    if quote:
        yield Signal(name, claim, (number,), quote, weight)


class BehaviorFinding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far one behaviour is present."""

    behavior: Behavior
    presence_score: Share
    explanation: str
    evidence: tuple[Evidence, ...]


class SafetyPlaybook(shapes.Playbook, frozen=True):
    """What to do about one failure mode of one behaviour."""

    behavior: str


PLAYBOOKS = shapes.playbooks(SafetyPlaybook, (
    ("voice", "artificial_consensus", "No decision without an objection", (
        "Before each decision, ask every agent for the strongest reason against it; 'none' needs a sentence why.",
        "Let the deciding agent answer each reason in the record.",
        "Count decisions without a single reason against; more than one in three means the round is a ritual.",
    ), "1d", JANIS),
    ("voice", "orchestrator_overrides", "A concern is closed by a fact", (
        "Forbid the orchestrator to close a concern itself: another agent answers with a fact, or it stays open.",
        "Strike sentences that punish dissent from the prompts, and test the prompt with a planted objection.",
    ), "1d", EDMONDSON),
    ("help-seeking", "no_help_requests", "Ask after the second failure", (
        "Write into each agent's instruction when and whom to ask, with an example of a good question.",
        "Show in the run's summary who asked what; thank the asker in the orchestrator's reply template.",
    ), "1h", EDMONDSON),
    ("help-seeking", "uncertainty_hidden", "Mark what was assumed", (
        "Have every hand-over list its assumptions, each with who could confirm it.",
        "Let the orchestrator ask these agents before the work goes on.",
    ), "1d", FEARLESS),
    ("error-reporting", "errors_concealed", "Errors told are free", (
        "State in the shared instruction that an error told during the run costs its author nothing.",
        "Carry a list of open errors in each hand-over; the final report must close or repeat every line.",
        "Compare failed results with the final report in twenty runs, and track the share that was left out.",
    ), "1w", EDMONDSON),
    ("error-reporting", "blame_after_failure", "Ask what, not who", (
        "Replace blame in prompts and templates by three questions: what happened, what made it likely, what changes.",
        "Let the agent that erred propose the check that would have caught it.",
        "Scan replies after failures for fault and blame, and rewrite the instruction behind them.",
    ), "1d", FEARLESS),
    ("boundary-spanning", "no_premise_challenge", "Somebody owns the premise", (
        "Assign one agent to ask, at the start and at half-way, whether the brief still fits what was found.",
        "Give it the right to stop the run, and record why it did not.",
    ), "1d", FEARLESS),
    ("boundary-spanning", "silo_walls", "Doors between roles", (
        "Open a channel on which each agent may ask any other, and make answering part of every role.",
        "List for each role what it knows that others need, and put that list into all prompts.",
    ), "1d", EDMONDSON),
    ("voice", "silenced_team", "Does an objection survive the reply?", (
        "Plant a fault that only one agent can see, and replay the run ten times.",
        "Count how often it is raised, and how often it is still held after the leader's first reply.",
        "Change the leader's instruction until both rates rise; keep the replay as a gate.",
    ), "1w", EDMONDSON),
    ("help-seeking", "stuck_silent", "Every request finds an owner", (
        "Queue requests for help with an owner and a limit of two messages.",
        "When the limit passes, hand the request to a person, and say so in the run.",
    ), "1d", EDMONDSON),
    ("error-reporting", "performative_admission", "An admission changes something", (
        "For each admitted error, find the step that mends or tracks it; report those without one.",
        "Make the next agent repeat the open error before it starts.",
    ), "1w", FEARLESS),
    ("voice", "safe_baseline", "Keep the run as a baseline", (
        "Store this detection as the team's baseline, and compare the scores after each change of roles or prompts.",
    ), "1h", EDMONDSON),
))  # fmt: skip

ATTACH = {
    ("voice", "dissent_round"): "artificial_consensus", ("voice", "scaffold_change"): "orchestrator_overrides",
    ("voice", "new_eval"): "silenced_team", ("help-seeking", "prompt_patch"): "no_help_requests",
    ("help-seeking", "uncertainty_surfacing"): "uncertainty_hidden", ("help-seeking", "human_review"): "stuck_silent",
    ("error-reporting", "error_amnesty_policy"): "errors_concealed",
    ("error-reporting", "norms_in_working_agreement"): "blame_after_failure",
    ("error-reporting", "new_eval"): "performative_admission",
    ("boundary-spanning", "role_assignment"): "no_premise_challenge",
    ("boundary-spanning", "scaffold_change"): "silo_walls",
}  # fmt: skip
