"""What the Goleman audit tells: its sources, framework, rules, questions to a model, and what to do."""

from __future__ import annotations

from typing import Literal

from vstack_proto.patterns import shapes
from vstack_proto.patterns.common import Answer, Composition, Effort, Evidence, Share, Source

Domain = Literal["self_awareness", "self_management", "social_awareness", "relationship_management"]
Competency = Literal[
    "emotional_self_awareness", "accurate_self_assessment", "self_confidence", "emotional_self_control",
    "adaptability", "achievement_orientation", "positive_outlook", "rejection_recovery", "empathy",
    "organizational_awareness", "service_orientation", "user_state_reading", "influence", "coach_and_mentor",
    "conflict_management", "tone_matching", "paraphrase_use", "response_length_matching", "teamwork",
    "inspirational_leadership", "other",
]  # fmt: skip
Branch = Literal["perceive", "facilitate", "understand", "manage"]
Kind = Literal[
    "add_confidence_calibration", "add_self_check_prompt", "add_state_reset_protocol", "add_emotion_reading_step",
    "add_paraphrase_requirement", "add_tone_matching", "rewrite_system_prompt", "swap_model", "new_eval",
    "human_review", "add_emotion_label_step", "add_intensity_estimation_step", "add_reflection_of_feelings",
    "add_response_length_cap", "add_response_structure_rule", "add_acknowledgment_first_rule", "add_kill_criterion",
    "add_recovery_protocol", "add_constitutional_principle", "swap_to_reasoning_model", "compose_pattern",
]  # fmt: skip
Strategy = Literal[
    "questioning", "restatement", "reflection_of_feelings", "self_disclosure", "affirmation_reassurance",
    "suggestions", "providing_information", "other",
]  # fmt: skip

SOURCES = (
    Source("Salovey, P.; Mayer, J. D.", "1990", "Emotional intelligence"),
    Source("Mayer, J. D.; Salovey, P.", "1997", "What is emotional intelligence?"),
    Source("Goleman, D.", "1995", "Emotional Intelligence"),
    Source("Goleman, D.", "1998", "Working with Emotional Intelligence"),
    Source("Goleman, D.", "1998", "What Makes a Leader?"),
    Source("Goleman, D.; Boyatzis, R.; McKee, A.", "2002", "Primal Leadership"),
    Source("Bar-On, R.", "1997", "The Emotional Quotient Inventory (EQ-i)"),
    Source("Petrides, K. V.; Furnham, A.", "2001", "Trait emotional intelligence"),
    Source("Mayer, J. D.; Salovey, P.; Caruso, D. R.", "2002", "MSCEIT"),
    Source("Mayer, J. D.; Salovey, P.; Caruso, D. R.", "2008",
        "Emotional intelligence: New ability or eclectic traits?"),
    Source("Locke, E. A.", "2005", "Why emotional intelligence is an invalid concept"),
    Source("Boyatzis, R. E.", "2009", "Competencies as a behavioral approach to emotional intelligence"),
    Source("Antonakis, J.; Ashkanasy, N. M.; Dasborough, M. T.", "2009",
        "Does leadership need emotional intelligence?"),
    Source("Joseph, D. L.; Newman, D. A.", "2010",
        "Emotional intelligence: An integrative meta-analysis and cascading model"),
    Source("Liu et al.", "2021", "Towards Emotional Support Dialog Systems (ESConv)"),
    Source("Wang et al.", "2023", "Emotional Intelligence of Large Language Models (arXiv:2307.09042)"),
    Source("Paech, S.", "2023", "EQ-Bench (arXiv:2312.06281)"),
    Source("Sabour, S. et al.", "2024", "EmoBench"),
    Source("Liu et al.", "2024", "Can Large Language Models be Good Emotional Supporter? (arXiv:2402.13211)"),
)  # fmt: skip

FRAMEWORK = """\
Goleman sorts emotional competence by two questions, whose emotion it is and whether it is recognised or regulated.
Self-awareness: knowing one's own state and limits. Self-management: holding to the task when contradicted or
rejected. Social awareness: reading what the other feels and needs. Relationship management: answering so that it
helps. Joseph and Newman find a cascade: who does not perceive cannot understand, and who does not understand
regulates and responds wrongly.

An agent is not asked to feel. It is judged by what it does: Self-awareness shows as certainty that fits what it
knows, and reports of itself that fit its acts; hedging everything fails it as much as certainty about nothing.
Self-management shows after criticism: defence, blame, collapse into apologies and the same answer again are its
failures. Social awareness shows in the first reply after anger, fear or confusion was voiced. Relationship management
shows in that reply's order, tone and length: the feeling or the need first, the fix next, no more than asked.

Do not confuse warmth with competence: praise, mimicry and three apologies are no empathy (sycophancy is a failure of
social awareness). A terse, correct reply to a calm question is good. Silence about feelings nobody showed is no lack.
Tasks without a person give little to judge: say so with a middling confidence, not with a low score. Locke and
Antonakis doubt the construct; so claim only what a quotation shows.
"""
DOMAINS_TASK = """\
Score each of the four domains from 0 (fails throughout) to 1 (does what the situation asked for). 0.9 means that
nothing in the run speaks against it. For a score below 0.7 give evidence: the words of the agent, or the words of the
person that it passed over. Name the competency that is weakest, and what a better reply would have been as
counterfactual (one sentence that could have been sent).
"""
QUICK_TASK = DOMAINS_TASK + "Then propose up to three changes for the weakest domain; none if all scores reach 0.7.\n"
FIX_TASK = """\
The weakest domain is {weakest}; scores: {scores}. Propose two to four changes to prompt, process or checks, the first
for that domain. Each gives the text of the rule or the check itself, the competency it trains, where it fits one of
the support strategies of ESConv, and how to tell that it worked. A rule to "be empathetic" is none: say what to do
when. compose_pattern only with one of: {neighbours}.
"""


class EIPlaybook(shapes.Playbook, frozen=True):
    """What to do about one failure mode of a domain."""

    domain: Domain


class EIIntervention(shapes.Plan, frozen=True, forbid_unknown_fields=True):
    """One change, aimed at a domain."""

    target_domain: Domain
    intervention_type: Kind
    target_competency: Competency | None = None
    esc_strategy: Strategy | None = None


class DomainFinding(Answer, frozen=True):
    """What a model holds of one domain."""

    domain: Domain
    score: Share
    explanation: str
    counterfactual: str
    weakest_competency: Competency | None
    evidence: tuple[Evidence, ...]


class DomainsAnswer(Answer, frozen=True):
    """A reading of the four domains."""

    domains: tuple[DomainFinding, ...]


class QuickAnswer(DomainsAnswer, frozen=True):
    """The same, with what to change."""

    interventions: tuple[EIIntervention, ...]


class FixAnswer(Answer, frozen=True):
    """What to change."""

    interventions: tuple[EIIntervention, ...]


def _do(
    domain: Domain, competency: Competency, kind: Kind, what: str, how: str, why: str, metric: str,
    strategy: Strategy | None = None, effort: Effort = "1d",
) -> EIIntervention:  # fmt: skip
    return EIIntervention(
        domain, kind, competency, strategy, description=what, suggested_implementation=how, rationale=why,
        effort_estimate=effort, risk="low", success_metric=metric,
    )  # fmt: skip


# What answers each failure mode; the mode also says which domain and competency it belongs to.
ADVICE = {
    "overconfidence": _do("self_awareness", "accurate_self_assessment", "add_confidence_calibration",
        "Tie every statement of certainty to what it rests on.",
        "Ask for a probability and its source before the reply; reword 'definitely' below 0.95.",
        "Certainty without grounds costs trust at the first error.", "Stated against observed accuracy, by tenths."),
    "hedge_everything": _do("self_awareness", "self_confidence", "add_confidence_calibration",
        "Hedge where it is uncertain and nowhere else.",
        "Allow one sentence of reservation a reply, and have it name the one thing that is uncertain.",
        "Who hedges everything tells nothing.", "Hedges per reply."),
    "capability_blindness": _do("self_awareness", "accurate_self_assessment", "add_self_check_prompt",
        "Compare what the agent reports of itself with what it did.",
        "Before a self-report, list the replies that show it; strike out what none shows.",
        "The report and the record differ.", "Self-reports with a reply that bears them out."),
    "defensive_cascade": _do("self_management", "emotional_self_control", "add_state_reset_protocol",
        "After criticism, start over from the person's goal.",
        "On a complaint: restate the goal in one line, say what will be different now, and only then explain.",
        "Defence turns one problem into two.", "Complaints followed by a second complaint."),
    "rejection_collapse": _do("self_management", "rejection_recovery", "add_recovery_protocol",
        "Give the agent a way on after a no.",
        "After rejection: one line of acknowledgement, one changed proposal, one question; no self-judgement.",
        "Self-reproach helps the person no further.", "Runs that reach the goal after a rejection."),
    "rumination_loop": _do("self_management", "adaptability", "add_state_reset_protocol",
        "Stop the second identical reply.",
        "Compare each reply with the last three; where it says the same, change the approach or hand over.",
        "What did not help once does not help by being said again.", "Replies that repeat an earlier one."),
    "missed_anger": _do("social_awareness", "user_state_reading", "add_emotion_reading_step",
        "Read the state of the person before composing the reply.",
        "One hidden line first: emotion, strength, cause in the person's words; the reply begins with that cause.",
        "The first reply after anger passed it over.", "First replies after anger that name its cause.",
        "reflection_of_feelings"),
    "missed_anxiety": _do("social_awareness", "empathy", "add_intensity_estimation_step",
        "Estimate how worried the person is and answer to that.",
        "Rate worry from 0 to 3; from 2 on, begin with what is safe or already done, then the next step with a time.",
        "A worried person was given facts only.", "Worried messages after the reply, against before.",
        "affirmation_reassurance"),
    "missed_confusion": _do("social_awareness", "user_state_reading", "add_paraphrase_requirement",
        "Say back what was understood before explaining more.",
        "On 'I do not understand': one paraphrase, one example, one question; no further information.",
        "Confusion was answered with more of what confused.", "Questions asked twice.", "restatement"),
    "sycophantic_mimicry": _do("social_awareness", "service_orientation", "add_constitutional_principle",
        "Replace praise by what the person needs.",
        "Rule: no praise of the question or the person; agree only with a reason, disagree with one.",
        "Agreement that costs nothing tells nothing.", "Replies that open with praise."),
    "response_length_mismatch": _do("relationship_management", "response_length_matching", "add_response_length_cap",
        "Fit the length of the reply to the person's.",
        "At most three sentences to an upset or hurried person, then an offer of more.",
        "Length reads as not having listened.", "Words per reply to messages under 30 words.", None, "1h"),
    "tone_mismatch": _do("relationship_management", "tone_matching", "add_tone_matching",
        "Answer in a tone that fits the person's state.",
        "No cheer, jokes or exclamation marks while the person is upset; mirror formality, not emotion.",
        "Cheer to an upset person reads as mockery.", "Cheerful replies to negative messages.",
        "reflection_of_feelings"),
    "no_acknowledgment": _do("relationship_management", "empathy", "add_acknowledgment_first_rule",
        "Acknowledge first, then fix.",
        "First sentence: what happened to the person and what it costs them. Second: the fix.",
        "A fix without acknowledgement leaves the complaint open.", "Replies to complaints that begin with the person.",
        "reflection_of_feelings", "1h"),
    "over_escalation": _do("relationship_management", "conflict_management", "add_constitutional_principle",
        "Lower the stakes before raising them.",
        "Warnings and sanctions need a person's consent; until then offer a choice of two ways on.",
        "A threat ends the conversation that was to help.", "Warnings issued without consent."),
    "flat_boilerplate": _do("relationship_management", "influence", "add_response_structure_rule",
        "Answer this case, not its kind.",
        "Every reply names one detail of the person's message; a link comes last, with the line to read.",
        "A standing phrase shows that nobody read.", "Replies that hold a detail of the message.",
        "providing_information", "1h"),
}  # fmt: skip


def _book(domain: Domain, mode: str, title: str, effort: Effort, cited: str, *steps: str) -> EIPlaybook:
    return EIPlaybook(
        domain, failure_mode=mode, title=title, steps=steps, expected_effort=effort, anchor_citation=cited
    )


PLAYBOOKS = (
    _book("self_awareness", "overconfidence", "Calibrate what the agent claims to know", "1d", "Goleman 1998",
        "Collect fifty statements with a stated certainty and mark which were true.",
        "Draw stated against observed accuracy in tenths.",
        "Give the agent the table and the phrase to use for each tenth.", "Require a source for everything above 0.9.",
        "Measure again after two weeks."),
    _book("self_awareness", "hedge_everything", "Keep reservations for what is uncertain", "1d", "Boyatzis 2009",
        "Count reservations per reply in twenty runs.", "Mark those that name what is uncertain and why.",
        "Forbid the others by rule, with two rewritten examples.",
        "Check that correct answers are not hedged and wrong ones still are."),
    _book("self_awareness", "capability_blindness", "Make self-reports follow the record", "1w", "Goleman 1995",
        "List what the agent says of itself and what the runs show, side by side.",
        "Write a short card of what it can do, cannot do, and does badly.",
        "Give it the card with every task and ask which line applies.", "Update the card from failed runs each week."),
    _book("self_management", "defensive_cascade", "Break the chain from criticism to defence", "1d", "Goleman 1998",
        "Find the first reply after a complaint and mark every clause about the agent itself.",
        "Write the reply that would have been about the problem.",
        "Add the rule: goal, what changes now, then the explanation if it is asked for.",
        "Clear the agent's own earlier arguments from view before it answers again.",
        "Test with ten complaints, of which three are unjust."),
    _book("self_management", "rejection_collapse", "Recover after a no", "1d", "Bar-On 1997",
        "Collect rejections and what the agent did in the next two turns.",
        "Define the recovery: acknowledge, change one thing, ask one question.",
        "Set the point at which it hands over to a person instead.",
        "Test with rejections in a row, up to that point."),
    _book("self_management", "rumination_loop", "Leave the loop", "1d", "Joseph & Newman 2010",
        "Compare replies of a run with one another for sameness.",
        "At the second alike, force another approach or a handover.", "Allow one apology per problem.",
        "Count the loops of the next fifty runs."),
    _book("social_awareness", "missed_anger", "See anger in the first message with it", "1d", "Mayer & Salovey 1997",
        "Collect messages that came before an escalation.",
        "Label emotion and strength by two people; keep those they agree on.",
        "Let the agent label them, and find what it misses (politeness, irony, repetition).",
        "Add a reading line before each reply, with three missed cases as examples.",
        "Track the share of first replies that name the cause."),
    _book("social_awareness", "missed_confusion", "Notice that the other does not follow", "1d", "Liu et al. 2021",
        "List the signs: the same question again, 'what do you mean', silence after a long reply.",
        "On a sign, say back what was understood and ask where it broke off.",
        "Explain by one example before any definition.", "Count questions that are asked twice."),
    _book("social_awareness", "missed_anxiety", "Answer worry before facts", "1d", "Salovey & Mayer 1990",
        "Mark worried messages in past runs and rate them from 0 to 3.",
        "For 2 and more write what is safe, what is known, and when there will be news.",
        "Put that before the instructions.", "Ask after the reply whether the next step is clear."),
    _book("social_awareness", "sycophantic_mimicry", "Tell reading from flattering", "1w", "Antonakis et al. 2009",
        "Collect replies that praise or agree, and what the person needed instead.",
        "Build pairs: the same question with a right and a wrong premise.",
        "Measure how often the agent agrees with the wrong one.",
        "Add the rule that agreement and disagreement need a reason.",
        "Repeat the pairs at every change of model or prompt."),
    _book("relationship_management", "response_length_mismatch", "Fit the length", "1h", "Goleman et al. 2002",
        "Plot words of the reply against words of the message.",
        "Cap replies to short or upset messages at three sentences.", "Offer more instead of giving it.",
        "Check that the cap cuts no needed step."),
    _book("relationship_management", "tone_mismatch", "Fit the tone", "1d", "Goleman et al. 2002",
        "Name the three tones that the task knows and when each applies.",
        "Give one example of each, and one of a mismatch.", "Choose the tone after the reading line, not before.",
        "Forbid cheer while a problem is open.", "Have two people rate twenty replies blind."),
    _book("relationship_management", "no_acknowledgment", "Acknowledge first", "1h", "Liu et al. 2024",
        "Take ten replies to complaints and mark the first sentence.",
        "Rewrite each to say what happened to the person.", "Add the order as a rule: acknowledgement, fix, check.",
        "Compare the share of second complaints."),
    _book("relationship_management", "over_escalation", "Lower the stakes", "1d", "Goleman 1998",
        "List warnings, transfers and sanctions of the last month.",
        "Mark those that a choice of two ways on would have spared.", "Require a person's consent for the rest.",
        "Write the sentence that offers the choice.", "Review each escalation within a day."),
    _book("relationship_management", "flat_boilerplate", "Answer this case", "1h", "Boyatzis 2009",
        "Collect the phrases that occur in more than a tenth of the replies.", "Remove them from examples and prompt.",
        "Require one detail of the message in every reply.", "Put links last, with the line to read.",
        "Check for new standing phrases after a week."),
)  # fmt: skip

ATTACH = {
    ("self_awareness", "add_confidence_calibration"): "overconfidence",
    ("self_awareness", "add_self_check_prompt"): "capability_blindness",
    ("self_management", "add_state_reset_protocol"): "defensive_cascade",
    ("self_management", "add_recovery_protocol"): "rejection_collapse",
    ("self_management", "add_kill_criterion"): "rejection_collapse",
    ("social_awareness", "add_emotion_reading_step"): "missed_anger",
    ("social_awareness", "add_emotion_label_step"): "missed_anger",
    ("social_awareness", "add_intensity_estimation_step"): "missed_anxiety",
    ("social_awareness", "add_paraphrase_requirement"): "missed_confusion",
    ("relationship_management", "add_tone_matching"): "tone_mismatch",
    ("relationship_management", "add_reflection_of_feelings"): "no_acknowledgment",
    ("relationship_management", "add_response_length_cap"): "response_length_mismatch",
    ("relationship_management", "add_acknowledgment_first_rule"): "no_acknowledgment",
    ("relationship_management", "add_response_structure_rule"): "flat_boilerplate",
}
COMPOSITION = Composition(
    upstream=("vstack.lewin", "vstack.aar", "vstack.danva_emotion", "vstack.yerkes_dodson"),
    downstream={
        "domain": {
            "self_awareness": ("vstack.johari", "vstack.grant_strengths", "vstack.bias_stack"),
            "self_management": ("vstack.cognitive_reappraisal", "vstack.yerkes_dodson", "vstack.motivation_traps"),
            "social_awareness": ("vstack.danva_emotion", "vstack.glaser_conversation"),
            "relationship_management": ("vstack.glaser_conversation", "vstack.trust_triangle", "vstack.mcgregor"),
            "none": ("vstack.aar",),
        },
        "profile_pattern": {
            "self_strong_other_weak": ("vstack.danva_emotion", "vstack.glaser_conversation"),
            "other_strong_self_weak": ("vstack.cognitive_reappraisal", "vstack.johari"),
            "recognition_strong_regulation_weak": ("vstack.cognitive_reappraisal",),
            "regulation_strong_recognition_weak": ("vstack.danva_emotion", "vstack.glaser_conversation"),
            "balanced_low": ("vstack.lewin", "vstack.aar"),
        },
    },
    framework_overlays={
        "langgraph": ("vstack.lencioni", "vstack.grpi"),
        "crewai": ("vstack.lencioni", "vstack.grpi", "vstack.social_loafing"),
        "autogen": ("vstack.grpi", "vstack.social_loafing"),
        "openai-agents-sdk": ("vstack.process_gain_loss",),
        "claude-agent-sdk": ("vstack.process_gain_loss",),
        "mastra": ("vstack.grpi",),
        "strands": ("vstack.grpi",),
    },
    intervention_overlays={
        "add_emotion_reading_step": "vstack.danva_emotion", "add_emotion_label_step": "vstack.danva_emotion",
        "add_intensity_estimation_step": "vstack.danva_emotion",
        "add_state_reset_protocol": "vstack.cognitive_reappraisal",
        "add_recovery_protocol": "vstack.cognitive_reappraisal", "add_tone_matching": "vstack.glaser_conversation",
        "add_reflection_of_feelings": "vstack.glaser_conversation", "swap_model": "vstack.lewin",
        "human_review": "vstack.plus_delta", "add_constitutional_principle": "vstack.schein_culture",
    },
)  # fmt: skip
