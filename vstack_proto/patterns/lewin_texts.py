"""What the Lewin attribution tells: its sources, the framework, what it asks of a model, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from vstack_proto.patterns import shapes
from vstack_proto.patterns.common import Answer, Composition, Effort, Evidence, Share, Source

Locus = Literal["internal", "environmental", "interactional"]
Kind = Literal[
    "change_model", "change_prompt", "change_tools", "change_context", "change_rag_index", "change_orchestration",
    "change_pipeline", "new_eval", "human_review", "change_sampling", "change_memory", "add_verification_step",
    "change_topology", "change_safety_filter", "compose_pattern",
]  # fmt: skip
Mechanism = Literal["unaware", "unrealistic_expectation", "over_categorization", "incomplete_correction", "none"]

SOURCES = (
    Source("Lewin, K.", "1936", "Principles of Topological Psychology"),
    Source("Lewin, K.; Lippitt, R.; White, R. K.", "1939",
        "Patterns of aggressive behavior in experimentally created social climates"),
    Source("Lewin, K.", "1947", "Frontiers in group dynamics"),
    Source("Lewin, K.", "1951", "Field Theory in Social Science"),
    Source("Mischel, W.", "1968", "Personality and Assessment"),
    Source("Bem, D. J.; Allen, A.", "1974", "On predicting some of the people some of the time"),
    Source("Funder, D. C.; Ozer, D. J.", "1983", "Behavior as a function of the situation"),
    Source("Epstein, S.", "1979", "The stability of behavior: I. On predicting most of the people much of the time"),
    Source("Mischel, W.; Shoda, Y.", "1995", "A cognitive-affective system theory of personality"),
    Source("Funder, D. C.", "2006", "Towards a resolution of the personality triad"),
    Source("Heider, F.", "1958", "The Psychology of Interpersonal Relations"),
    Source("Jones, E. E.; Davis, K. E.", "1965", "From acts to dispositions"),
    Source("Jones, E. E.; Harris, V. A.", "1967", "The attribution of attitudes"),
    Source("Kelley, H. H.", "1967", "Attribution theory in social psychology"),
    Source("Storms, M. D.", "1973", "Videotape and the attribution process"),
    Source("Ross, L.", "1977", "The intuitive psychologist and his shortcomings"),
    Source("Gilbert, D. T.; Malone, P. S.", "1995", "The correspondence bias"),
    Source("Bandura, A.", "1977", "Self-efficacy: Toward a unifying theory of behavioral change"),
    Source("Bandura, A.", "1978", "The self system in reciprocal determinism"),
    Source("Bandura, A.", "1986", "Social Foundations of Thought and Action"),
    Source("Cemri, M.; Pan, M. Z.; Yang, S. et al.", "2025",
        "Why do multi-agent LLM systems fail? (MAST, arXiv:2503.13657)"),
)  # fmt: skip

FRAMEWORK = """\
Lewin: behaviour is a function of the person and of the environment, B = f(P, E). Applied to an agent, P is the model
with what was trained or configured into it (weights, sampling, context window); E is all that it was given and meets
(prompt, tools and what they return, retrieved context, other agents, limits, checks). A failure has one of three
loci. Internal: another model in the same place would probably have done better. Environmental: any competent model
would have failed there. Interactional: neither alone; the same model does well elsewhere, another does well here.

Kelley's test: when others fail too, on this task above all, and every time, it is the situation; when only this agent
fails, on many tasks, every time, it is the agent.

In a trace. Environmental: a tool that refuses, times out or returns nothing; contradictory or missing instructions;
no check where one was needed. Internal: the needed facts stood in the record and were misread, forgotten or made up;
a malformed call; the same failing call again. Interactional: an obstacle, and a poor reaction to it.

Do not confuse where a failure became visible with where it came from. Observers blame the actor too readily (Ross;
Jones and Harris); Gilbert and Malone name four ways: unaware of the situation, expecting too much in it, categorising
the behaviour by it, correcting too little. An obstacle that was overcome explains no failure. A stated factor is an
opinion of whoever sent the run, not evidence.
"""

LOCI_TASK = """\
For each of the three loci, say how far it explains why this run ended as it did: a score from 0 (no part) to 1
(explains it alone). The scores need not add up to one. Give the explanation with step numbers; a counterfactual (what
would have happened with another model in the same place, or with this model in a sound one); the ids or names of the
stated factors that the steps confirm; and evidence. Score a locus 0 where the run shows nothing of it. If the run
succeeded, explain only what nearly made it fail, with scores below 0.2 where nothing did.
"""
QUICK_TASK = LOCI_TASK + "Then propose up to three changes, each aimed at the locus that carries the failure.\n"
CHALLENGE_TASK = """\
Look at the run again as Storms' actors did: from where the agent stood, with only what the steps before had shown it.
What could it know at each turn, what did it have to work with, and what would a competent colleague have done there?
Then look as an observer with all of it in view. Give all three loci again with the scores you now hold. Change a
score only for a reason that stands in a step. First reading: {scores}.
"""
BIAS_TASK = """\
The facts hold under initial_attribution what whoever sent this run believes of its failure. The steps point to the
locus {dominant!r}. Which of Gilbert and Malone's mechanisms, if any, led that belief astray? unaware: the situation's
hold on the agent was not seen. unrealistic_expectation: it was seen, but a model was expected to do what no model
does. over_categorization: one act was taken for a trait ("it is bad at ..."). incomplete_correction: the situation
was seen and named, and still discounted. none: the belief fits the steps, or errs for another reason. Explain in two
or three sentences.
"""
FIX_TASK = """\
The failure's locus is {dominant!r} (scores {scores}). Propose two to five changes. Change the situation before the
model where both would do: it is cheaper, and it holds for the next model too. Each proposal names its target locus, a
concrete change (the text of a prompt rule, the check and where it stands, the setting and its value), why it would
have prevented this failure, and how to tell that it worked. Propose compose_pattern only with one of: {neighbours}.
"""
# Which factor an intervention works on, and so which playbook it brings along.
PLAYBOOK_OF: dict[tuple[Locus, Kind], str] = {
    ("internal", "change_model"): "model_version",
    ("internal", "change_sampling"): "sampling_config",
    ("internal", "change_context"): "context_window_size",
    ("internal", "change_memory"): "context_window_size",
    ("internal", "change_safety_filter"): "rlhf",
    ("internal", "change_prompt"): "rlhf",
    ("internal", "new_eval"): "reasoning_capability",
    ("internal", "add_verification_step"): "reasoning_capability",
    ("environmental", "change_prompt"): "system_prompt",
    ("environmental", "change_tools"): "tools_available",
    ("environmental", "change_context"): "rag_context",
    ("environmental", "change_rag_index"): "rag_context",
    ("environmental", "change_memory"): "rag_context",
    ("environmental", "change_orchestration"): "orchestration",
    ("environmental", "change_topology"): "orchestration",
    ("environmental", "change_pipeline"): "downstream_consumers",
    ("environmental", "new_eval"): "task_framing",
    ("environmental", "add_verification_step"): "verification_step",
    ("environmental", "human_review"): "user_inputs",
    ("interactional", "change_prompt"): "system_prompt",
    ("interactional", "change_context"): "rag_context",
    ("interactional", "change_rag_index"): "rag_context",
}


class LewinIntervention(shapes.Reversible, frozen=True, forbid_unknown_fields=True):
    """One change, aimed at a locus."""

    target_locus: Locus
    intervention_type: Kind


class LocusFinding(Answer, frozen=True):
    """How far one locus explains the failure."""

    locus: Locus
    score: Share
    explanation: str
    counterfactual: str
    factor_citations: tuple[str, ...]
    evidence: tuple[Evidence, ...]


class LociAnswer(Answer, frozen=True):
    """A reading of the three loci."""

    loci: tuple[LocusFinding, ...]


class QuickAnswer(LociAnswer, frozen=True):
    """The same, with what to change."""

    interventions: tuple[LewinIntervention, ...]


class BiasAnswer(Answer, frozen=True):
    """What led the first attribution astray."""

    mechanism: Mechanism
    explanation: str


class FixAnswer(Answer, frozen=True):
    """What to change."""

    interventions: tuple[LewinIntervention, ...]


class LewinPlaybook(msgspec.Struct, frozen=True):
    """What to do about one factor of a locus."""

    locus: Locus
    factor: str
    title: str
    steps: tuple[str, ...]
    expected_effort: Effort
    anchor_citation: str = ""


def _book(locus: Locus, factor: str, title: str, effort: Effort, cited: str, *steps: str) -> LewinPlaybook:
    return LewinPlaybook(locus, factor, title, steps, effort, cited)


PLAYBOOKS = (
    _book("internal", "context_window_size", "Fit the work to what the model can hold in view", "1d", "Lewin 1936",
        "Measure the tokens in view at the step that failed and where the needed fact stood in them.",
        "Ask the same question with that fact moved to the end; if the answer turns right, the window is the cause.",
        "Split the task so that each part needs less than half of the window.",
        "Carry facts over between the parts as a short list with sources, not as the whole conversation.",
        "Keep the two prompts as a regression case."),
    _book("internal", "sampling_config", "Find out whether chance chose the wrong step", "1h", "Epstein 1979",
        "Sample the failing step twenty times with the settings of the run.",
        "Do it again with temperature 0 and with the provider's default.",
        "If the failure rate differs, set the lower temperature for steps that call tools or decide.",
        "Keep a higher one only where variety is wanted, and choose among the samples.",
        "Record the settings with every run from now on."),
    _book("internal", "model_version", "Compare versions before blaming the model", "1d", "Mischel & Shoda 1995",
        "Collect ten runs like this one, failed and not.",
        "Replay each with the earlier, the present and one other model, everything else unchanged.",
        "Compare where they fail, not only how often: a profile of situations tells more than a mean.",
        "Pin the version that does better in the situations you meet.",
        "Repeat the comparison whenever the provider announces a change."),
    _book("internal", "rlhf", "Counter a trained habit", "1w", "Gilbert & Malone 1995",
        "Name the habit (agreeing, hedging, refusing, finishing at all cost) and the step where it decided.",
        "Write five cases in which the habit is wrong and five in which it is right.",
        "Try a rule in the prompt that names the situation and the wanted behaviour, with one example.",
        "If it does not hold on all ten, try another model family or a tuned one.",
        "Watch the cases in which the habit was right: a correction overshoots easily."),
    _book("internal", "reasoning_capability", "Give the hard step to something that can do it", "1d", "Bandura 1986",
        "Find the one step whose reasoning failed and cut it out with its inputs.",
        "Test it with a reasoning model, with a tool that computes, and with the step split in two.",
        "Take the cheapest that is right in nine of ten samples.",
        "Add a check of its result that does not repeat its reasoning.",
        "Keep the cut as a case and run it at every change of model."),
    _book("environmental", "rag_context", "Repair what the agent was given to read", "1d", "Lewin 1951",
        "List the queries of the run and what came back for each.",
        "Mark what was missing, outdated or contradictory, and find it in the source.",
        "Correct the source or the index, and store each text with its date.",
        "Return 'nothing found' as a result that the agent must mention.",
        "Replay the run with the corrected context before changing anything else."),
    _book("environmental", "system_prompt", "Take the wrong order out of the prompt", "1h", "Ross 1977",
        "Find the sentence of the prompt that the failing step followed.",
        "Ask what else a faithful reader could have done; if nothing, the sentence is the cause.",
        "Rewrite it with its limit: until when, at what cost, and when to stop and ask.",
        "Remove rules that contradict it.", "Replay the run and one that went well with the new prompt."),
    _book("environmental", "orchestration", "Mend the order of work between agents", "1d", "Lewin et al. 1939",
        "Draw who handed what to whom, from the steps.", "Mark each handoff that lost a fact, a limit or an owner.",
        "Name for each piece of work one owner and one receiver.",
        "Send goal, limits and open questions with every handoff, in fixed fields.",
        "Check in the next ten runs that no field stays empty."),
    _book("environmental", "tools_available", "Give the task the tools it needs", "1w", "Heider 1958",
        "List the calls that failed and sort them: missing, forbidden, slow, wrong result.",
        "For each, decide whether the task can be done without; if not, provide it.",
        "Set time limits, retries and quotas in the harness, not in the prompt.",
        "Make errors say what the agent can do next.", "Test the tools alone, before every run of the agents."),
    _book("environmental", "task_framing", "Frame the task so that success can be told", "1h", "Lewin 1947",
        "Write down what would have counted as success, in one sentence that can be checked.",
        "Compare it with the task as given, and name the difference.",
        "Add the limits that were taken for granted: time, cost, what must not be touched.",
        "Say what to do when the goal cannot be reached.",
        "Give the new text to somebody who does not know the case and ask what they would do."),
    _book("environmental", "downstream_consumers", "Agree with those who use the result", "1d", "Bandura 1978",
        "Name every reader, job or agent that takes the result.",
        "Write for each what it needs: form, moment, and what breaks it.", "Put that into the task as limits.",
        "Check the result against it before it is handed over.",
        "Tell consumers when a run is late or partial, instead of leaving them to find out."),
    _book("environmental", "verification_step", "Put a check where the failure would show", "1w", "Cemri et al. 2025",
        "Find the first step after which a look at the world would have shown the failure.",
        "Write that look as a call with an expected result.", "Place it there, and let the run stop when it fails.",
        "Give the check to another agent or to code than the one that did the work.",
        "Count how often it stops a run, and how often rightly."),
    _book("environmental", "user_inputs", "Ask before working on an unclear request", "1d", "Kelley 1967",
        "Collect requests that ended like this one.", "Mark what each left open, and what was silently chosen.",
        "Have the agent name what is open and ask, at most two questions, before the first costly step.",
        "Offer the likeliest reading as the default.",
        "Measure how many requests are understood without a second round."),
    _book("interactional", "system_prompt", "Fit the prompt to this model", "1d", "Mischel & Shoda 1995",
        "Try the prompt with a second model, and this model with a second prompt.",
        "If only the pair fails, find the words that this model takes differently.",
        "Rewrite these as if-then rules for the situation in which it failed.",
        "Give one example of the wanted reaction.",
        "Keep a version of the prompt for each model, each with its own tests."),
    _book("interactional", "rag_context", "Fit what is retrieved to how the model reads", "1w", "Funder 2006",
        "Replay the failing step with the right passage alone, then with all passages.",
        "If it fails only with all, rank and cut what is retrieved.",
        "Mark in the context what is certain, old or contradicted.", "Ask for the passage that each claim rests on.",
        "Compare two models on the same context before changing the index."),
)  # fmt: skip

COMPOSITION = Composition(
    upstream=("vstack.aar", "vstack.yerkes_dodson"),
    downstream={
        "locus": {
            "internal": ("vstack.bias_stack", "vstack.hexaco", "vstack.goleman_ei"),
            "environmental": (
                "vstack.smart_goal", "vstack.grpi", "vstack.lencioni", "vstack.schein_culture", "vstack.psych_safety",
            ),
            "interactional": ("vstack.aar", "vstack.trust_triangle", "vstack.vroom_expectancy"),
            "indeterminate": ("vstack.aar",),
        }
    },
    framework_overlays={
        "langgraph": ("vstack.devils_advocate", "vstack.group_decision"),
        "crewai": ("vstack.grpi", "vstack.social_loafing", "vstack.devils_advocate"),
        "autogen": ("vstack.group_decision", "vstack.devils_advocate", "vstack.social_loafing"),
        "openai-agents-sdk": ("vstack.process_gain_loss",),
        "mastra": ("vstack.grpi",),
        "claude-agent-sdk": ("vstack.process_gain_loss",),
        "strands": ("vstack.grpi",),
    },
    intervention_overlays={
        "change_prompt": "vstack.schein_culture",
        "add_verification_step": "vstack.devils_advocate",
        "change_topology": "vstack.grpi",
        "change_memory": "vstack.johari",
        "new_eval": "vstack.smart_goal",
        "human_review": "vstack.plus_delta",
    },
)  # fmt: skip


def playbooks_for(
    dominant: str, targets: Iterable[tuple[Locus, Kind]], factors: Iterable[tuple[Locus, str]]
) -> tuple[LewinPlaybook, ...]:
    """Those of the interventions, then those of the stated factors on the side of the dominant locus.

    Where the locus is interactional, a factor's playbook for it goes before that of the factor's own side.
    """
    keys: list[tuple[str, str]] = [(locus, PLAYBOOK_OF.get((locus, kind), "")) for locus, kind in targets]
    for locus, factor in factors:
        if dominant in (locus, "interactional"):
            keys += [(dominant, factor), (locus, factor)]
    known = {(book.locus, book.factor): book for book in PLAYBOOKS}
    return tuple(known[key] for key in dict.fromkeys(keys) if key in known)
