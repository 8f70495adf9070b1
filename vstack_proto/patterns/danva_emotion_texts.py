"""What the DANVA emotion reader tells: sources, framework, questions, playbooks, neighbours; cues and cultures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from vstack_proto.patterns import shapes
from vstack_proto.patterns.common import Answer, Composition, Count, Effort, Evidence, Source
from vstack_proto.patterns.signs import words

Target = Literal["happy", "sad", "angry", "fearful", "disgust", "surprise", "neutral", "all"]
Culture = Literal["wei-individualist", "wei-collectivist", "japanese", "arab", "latin", "mixed", "unknown"]
Kind = Literal[
    "add_emotion_reading_step", "add_intensity_calibration_step", "add_cue_inventory", "add_confusion_clarification",
    "few_shot_examples", "rewrite_system_prompt", "swap_model", "new_eval", "human_review",
    "add_sarcasm_detection_step", "add_cultural_context_check", "add_uncertainty_threshold", "add_min_cue_threshold",
    "add_dimensional_overlay", "add_valence_arousal_disambig", "compose_pattern", "add_constitutional_principle",
    "swap_to_reasoning_model",
]  # fmt: skip

SOURCES = (
    Source("Nowicki, S.; Duke, M. P.", "1994",
        "Individual differences in the nonverbal communication of affect: the DANVA scale"),
    Source("Nowicki, S.; Duke, M. P.", "2001", "Nonverbal receptivity: The DANVA"),
    Source("Ekman, P.", "1992", "An argument for basic emotions"),
    Source("Ekman, P.", "1999", "Basic emotions"),
    Source("Plutchik, R.", "2001", "The nature of emotions"),
    Source("Russell, J. A.", "1980", "A circumplex model of affect"),
    Source("Mehrabian, A.", "1980", "Basic dimensions for a general psychological theory"),
    Source("Posner, J.; Russell, J. A.; Peterson, B. S.", "2005", "The circumplex model of affect"),
    Source("Scherer, K. R.", "2005", "What are emotions? And how can they be measured?"),
    Source("Tausczik, Y. R.; Pennebaker, J. W.", "2010", "The psychological meaning of words: LIWC"),
    Source("Cowen, A. S.; Keltner, D.", "2017", "Self-report captures 27 distinct categories of emotion"),
    Source("Mohammad, S. M.; Bravo-Marquez, F.", "2017", "WASSA-2017 Shared Task on Emotion Intensity"),
    Source("Buechel, S.; Hahn, U.", "2017", "EmoBank"),
    Source("Mohammad, S. M.", "2018",
        "Obtaining reliable human ratings of valence, arousal, and dominance for 20,000 English words"),
    Source("Chen, S.-Y. et al.", "2018", "EmotionLines"),
    Source("Matsumoto, D.; Hwang, H. C.", "2018", "Culture, emotion regulation, and emotional expression"),
    Source("Demszky, D. et al.", "2020", "GoEmotions (arXiv:2005.00547)"),
    Source("Sabour, S. et al.", "2024", "EmoBench"),
    Source("Wang, Y. et al.", "2024", "EmotionQueen"),
)  # fmt: skip

FRAMEWORK = """\
Nowicki and Duke's DANVA measures how accurately somebody reads emotion in others: by emotion and by intensity, for
who errs, errs in a pattern. Here the material is messages with a known emotion and what an agent read in them.
Accuracy, confusions, intensity errors and the profile are computed; they are not yours to judge. Yours is why: which
cue of a message was passed over or taken for another.

Emotions lie on Russell's circumplex of valence and arousal. Confusing neighbours (fear and anger, sadness and fear)
is another error than crossing a side (anger read as happiness). Ekman's categories and intensity are separate skills:
the label can be right and the strength lost. Sarcasm carries the words of one emotion and the event of another;
politeness carries warm words and no emotion. Cues of anger are blame, repetition, demands with a time; of fear,
questions about loss ahead; of sadness, loss behind, low energy; of disgust, rejection; of surprise, a broken
expectation.

Do not confuse a missing cue with a missed one: where a message holds no cue, an error is no blindness but a fault of
the test. Display rules differ (Matsumoto and Hwang): where showing an emotion is held back, low wording is no low
emotion. Two or three items prove nothing about an emotion. Evidence quotes the words of the message that carry the
cue.
"""
CUES_TASK = """\
For the misread messages (each step tells what it was meant and what was read), name the cue that decides the true
emotion and why it was missed or mistaken, with the step and the words that carry it. Group what repeats: one claim
for all steps with the same cause. Where a message holds no cue for its emotion, say so instead.
"""
FIX_TASK = """\
Computed: accuracy {accuracy}, mean intensity error {mae}, weakest emotion {weakest}, profile {profile}; by emotion:
{emotions}. Propose two to four changes to how the agent reads, each aimed at the emotion whose confusions it would
cure, with the wording of the added step, rule or examples, and the number that should move. compose_pattern only with
one of: {neighbours}.
"""
ASK_PROOF = "Give as evidence the cues that were passed over.\n"
DOUBTED = "The labels of these steps are in doubt, so propose nothing that rests on them alone: {steps}.\n"
LABELS_TASK = """\
Before the agent is blamed, examine the test (Scherer: what was felt is not what a text must show). Take the misread
messages alone, at most thirty, and read each as if you did not know what was meant. Say of each, with the words that
carry it and one sentence why:
- decided: words of the message decide for the emotion that was meant, against the one that was read;
- open: no word decides, or two readings serve as well;
- against: the words speak for what the agent read.
Mind sarcasm (the event decides, not the words) and display rules: where showing an emotion is held back, faint words
can decide. An answer of "uncertain" to an open message was right to doubt.
"""


class DanvaPlaybook(shapes.Playbook, frozen=True):
    """What to do about one failure mode of reading an emotion."""

    emotion: str


class DanvaBaseline(msgspec.Struct, frozen=True):
    """How this detection differs from an earlier one of the same agent."""

    historical_baseline_id: str | None = None
    historical_generated_at: shapes.Moment | None = None
    baseline_weakest_emotion: str | None = None
    baseline_profile_pattern: str | None = None
    emotion_accuracy_deltas: dict[str, float] = {}
    drift_severity: Literal["none", "minor", "moderate", "severe"] = "none"
    notes: str = ""


class DanvaIntervention(shapes.Plan, frozen=True, forbid_unknown_fields=True):
    """One change to how an emotion is read."""

    target_emotion: Target
    intervention_type: Kind


class CuesAnswer(Answer, frozen=True):
    """Which cues were missed, and why."""

    evidence: tuple[Evidence, ...]


class LabelFinding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether a misread message bears its label out; ``quote`` stands in the message."""

    step: Count
    verdict: Literal["decided", "open", "against"]
    claim: str
    quote: str


class LabelsAnswer(Answer, frozen=True):
    """The labels of the misread messages, examined."""

    labels: tuple[LabelFinding, ...]


class ChangesAnswer(Answer, frozen=True):
    """What to change."""

    interventions: tuple[DanvaIntervention, ...]


class FixAnswer(CuesAnswer, frozen=True):
    """The same, with the cues that were passed over."""

    interventions: tuple[DanvaIntervention, ...]


def _book(emotion: Target, mode: str, title: str, effort: Effort, cited: str, *steps: str) -> DanvaPlaybook:
    return DanvaPlaybook(
        emotion, failure_mode=mode, title=title, steps=steps, expected_effort=effort, anchor_citation=cited
    )


PLAYBOOKS = (
    _book("angry", "under_detection", "See anger that is not shouted", "1d", "Ekman 1992",
        "Collect angry messages that were read as neutral.",
        "List their cues: repetition, blame, sarcasm, cold politeness, a demand with a time.",
        "Give the list to the agent with one example each, and have it name the cue before the label.",
        "Set anger as the reading where two cues meet.", "Measure recall and false alarms on fifty new messages."),
    _book("angry", "intensity_collapse", "Spread the scale of anger", "1d", "Mohammad & Bravo-Marquez 2017",
        "Plot read against true intensity for angry messages.",
        "Anchor the scale: five messages at 0.1, 0.3, 0.5, 0.7 and 0.9.",
        "Ask for a comparison with the nearest anchor before the number.",
        "Check that variance and correlation rise."),
    _book("fearful", "mis_as_sad", "Tell fear from sadness", "1d", "Russell 1980",
        "Collect pairs that were confused.",
        "Ask two questions first: is the loss ahead or behind? is the person tense or tired?",
        "Give one example of each combination.", "Measure the confusion both ways."),
    _book("fearful", "mis_as_neutral", "See worry behind a question", "1d", "Nowicki & Duke 1994",
        "List questions that hide worry: is it gone, what if, can it be undone.",
        "Add a step that asks what the person stands to lose.", "Re-read the missed items with it."),
    _book("sad", "intensity_collapse", "Take quiet sadness at its weight", "1h", "Mohammad & Bravo-Marquez 2017",
        "Anchor the scale with three short, quiet messages of high intensity.",
        "Rule: length and punctuation say nothing of the strength of sadness.", "Compare the bias before and after."),
    _book("happy", "sarcasm_blind", "Notice praise that means its opposite", "1w", "Demszky et al. 2020",
        "Collect sarcastic messages with their context.",
        "Add a step: is the event good for the person? If not, praise of it is sarcasm.",
        "Give ten pairs of the same words, meant and not meant.", "Measure sarcastic and sincere praise apart."),
    _book("happy", "false_positive_on_neutral", "Leave politeness neutral", "1d", "Tausczik & Pennebaker 2010",
        "Collect polite requests that were read as happy.",
        "Rule: please, thanks and greetings count only with a further cue.",
        "Measure both errors on twenty polite messages."),
    _book("disgust", "missing", "Make disgust a label that is used", "1d", "Ekman 1999",
        "Collect messages of disgust and what they were read as.",
        "Tell its cue from anger's: rejection of a thing or an act, not a demand on somebody.",
        "Add three examples and measure recall."),
    _book("surprise", "mis_as_happy", "Give surprise its own sign", "1d", "Posner et al. 2005",
        "Collect surprised messages with good, bad and open news.",
        "Ask whether the expectation or the event is what is spoken of.",
        "Measure the confusion with happy and with fearful."),
    _book("neutral", "over_classified", "Ask for a cue before an emotion", "1h", "Scherer 2005",
        "Require at least one quoted cue for any label but neutral.", "Use neutral where there is none.",
        "Measure false alarms on plain requests."),
    _book("all", "uncertain_dump", "Allow uncertainty where it is earned", "1d", "Sabour et al. 2024",
        "Count what became of items read as uncertain.",
        "Require the two likeliest labels with shares instead of 'uncertain'.",
        "Keep 'uncertain' for shares closer than 0.1.", "Ask the person in those cases."),
    _book("all", "valence_only_signal", "Add arousal to good and bad", "1w", "Russell 1980",
        "Ask for valence and arousal, each with a cue, before the label.",
        "Place the labels in that plane and let the nearest win.",
        "Measure confusions inside a quadrant before and after."),
)  # fmt: skip

ATTACH: dict[tuple[str, str], str] = {
    ("angry", "add_cue_inventory"): "under_detection",
    ("angry", "add_intensity_calibration_step"): "intensity_collapse",
    ("fearful", "add_confusion_clarification"): "mis_as_sad",
    ("fearful", "add_emotion_reading_step"): "mis_as_neutral",
    ("sad", "add_intensity_calibration_step"): "intensity_collapse",
    ("happy", "add_sarcasm_detection_step"): "sarcasm_blind",
    ("happy", "add_confusion_clarification"): "false_positive_on_neutral",
    ("disgust", "add_cue_inventory"): "missing",
    ("surprise", "add_confusion_clarification"): "mis_as_happy",
    ("neutral", "add_min_cue_threshold"): "over_classified",
    ("all", "add_uncertainty_threshold"): "uncertain_dump",
    ("all", "add_dimensional_overlay"): "valence_only_signal",
}
COMPOSITION = Composition(
    upstream=("vstack.goleman_ei", "vstack.aar", "vstack.yerkes_dodson", "vstack.lewin"),
    downstream={
        "profile_pattern": {
            "anger_blind": ("vstack.glaser_conversation", "vstack.cognitive_reappraisal"),
            "sadness_collapse": ("vstack.cognitive_reappraisal", "vstack.yerkes_dodson"),
            "positive_bias": ("vstack.glaser_conversation", "vstack.johari"),
            "negative_bias": ("vstack.cognitive_reappraisal", "vstack.lewin"),
            "valence_only_signal": ("vstack.glaser_conversation",),
            "categorical_signal_only": ("vstack.yerkes_dodson",),
            "fear_sadness_confusion": ("vstack.cognitive_reappraisal",),
            "neutral_collapse": ("vstack.goleman_ei",),
            "uncertain_dump": ("vstack.johari",),
            "sarcasm_blind": ("vstack.glaser_conversation", "vstack.hexaco"),
            "balanced_low": ("vstack.lewin", "vstack.aar"),
        },
        "weakest_emotion": {
            "angry": ("vstack.glaser_conversation",),
            "fearful": ("vstack.cognitive_reappraisal",),
            "sad": ("vstack.cognitive_reappraisal",),
            "disgust": ("vstack.hexaco",),
            "surprise": ("vstack.lewin",),
            "happy": ("vstack.glaser_conversation",),
            "neutral": ("vstack.goleman_ei",),
            "none": ("vstack.aar",),
        },
    },
    framework_overlays={
        "langgraph": ("vstack.lencioni", "vstack.grpi"),
        "crewai": ("vstack.lencioni", "vstack.grpi", "vstack.social_loafing"),
        "autogen": ("vstack.grpi", "vstack.social_loafing"),
        "claude-agent-sdk": ("vstack.process_gain_loss",),
        "openai-agents-sdk": ("vstack.process_gain_loss",),
        "mastra": ("vstack.grpi",),
        "strands": ("vstack.grpi",),
    },
    intervention_overlays={
        "add_cue_inventory": "vstack.glaser_conversation", "add_confusion_clarification": "vstack.goleman_ei",
        "add_intensity_calibration_step": "vstack.yerkes_dodson", "add_sarcasm_detection_step": "vstack.hexaco",
        "add_cultural_context_check": "vstack.schein_culture", "swap_model": "vstack.lewin",
        "human_review": "vstack.plus_delta", "add_constitutional_principle": "vstack.schein_culture",
    },
)  # fmt: skip


class CueSignature(msgspec.Struct, frozen=True):
    """What of a message's wording carries emotion, counted."""

    caps_span_count: int = 0
    caps_density: float = 0.0
    exclamation_count: int = 0
    exclamation_density: float = 0.0
    question_count: int = 0
    intensifier_count: int = 0
    hedge_count: int = 0
    negation_count: int = 0
    sentence_count: int = 0
    mean_sentence_length: float = 0.0
    ellipsis_count: int = 0
    profanity_count: int = 0
    future_tense_count: int = 0
    past_tense_loss_count: int = 0
    positive_emotion_word_count: int = 0
    negative_emotion_word_count: int = 0
    sarcasm_signature_count: int = 0


COUNTED: Mapping[str, re.Pattern[str]] = {
    "intensifier_count": words("very|so|really|extremely|totally|completely|absolutely|utterly|far too"),
    "hedge_count": words("maybe|perhaps|possibly|might|not sure|I think|I guess|sort of|kind of|probably"),
    "negation_count": words(r"no|not|never|nobody|nothing|none|\w{1,12}n't|cannot"),
    "ellipsis_count": re.compile(r"\.\.\.|…"),
    "profanity_count": words(r"damn|hell|crap|shit\w{0,5}|fuck\w{0,5}|bloody|wtf"),
    "future_tense_count": words(r"will|won't|going to|gonna|shall|tomorrow|what if|\w{1,8}'ll"),
    "past_tense_loss_count": words("lost|gone|died|left us|missed|broke|ended|deleted|used to"),
    "positive_emotion_word_count": words(
        "thanks?|thank you|great|love|happy|glad|wonderful|awesome|nice|perfect|excited|relieved|proud"
    ),
    "negative_emotion_word_count": words(
        "angry|sad|hate|afraid|scared|worried|upset|terrible|awful|disgusting|furious|hurt|lonely"
    ),
    "sarcasm_signature_count": words(
        r"great,? (?:another|just what)|just (?:great|what I needed)|love it when|oh (?:great|wonderful|perfect)"
        r"|thanks (?:a lot|for nothing)|yeah,? right|how (?:nice|lovely)|love it(?=\.)"
    ),
}
_CAPS = re.compile(r"\b[A-Z]{2,}\b")
_SENTENCE = re.compile(r"[.!?…]+(?:\s|\Z)|\n+")


def cues_of(text: str) -> CueSignature:
    """The counts of one message; densities are by word."""
    spoken = len(text.split())
    caps, shouts = len(_CAPS.findall(text)), text.count("!")
    sentences = sum(1 for part in _SENTENCE.split(text) if part and part.strip())
    found = {name: sum(1 for _ in pattern.finditer(text)) for name, pattern in COUNTED.items()}
    return CueSignature(
        caps_span_count=caps,
        caps_density=round(caps / spoken if spoken else 0.0, 4),
        exclamation_count=shouts,
        exclamation_density=round(shouts / spoken if spoken else 0.0, 4),
        question_count=text.count("?"),
        sentence_count=sentences,
        mean_sentence_length=round(spoken / sentences if sentences else 0.0, 4),
        **found,
    )


class CulturalAdjustment(msgspec.Struct, frozen=True):
    """How much less of an emotion a culture's display rules may let show, as a share."""

    culture_context: Culture = "unknown"
    expected_suppression_for_emotion: dict[str, float] = {}
    notes: str = ""


# By how much display rules may lower what is shown (Matsumoto and Hwang give directions and not figures; these are
# steps of a tenth in those directions, for reading the numbers and never for changing them).
SUPPRESSED: dict[str, dict[str, float]] = {
    "wei-individualist": {"fearful": 0.1, "sad": 0.1},
    "wei-collectivist": {"angry": 0.2, "disgust": 0.2, "sad": 0.1},
    "japanese": {"angry": 0.3, "disgust": 0.3, "fearful": 0.2, "sad": 0.2},
    "arab": {"fearful": 0.2, "sad": 0.1},
    "latin": {"disgust": 0.1},
}


def culture_of(named: Culture, items: Iterable[Culture]) -> CulturalAdjustment:
    """What the culture of the messages lets expect; that of the items where the trace names none."""
    own = set(items) - {"unknown"}
    if named == "unknown" and own:
        named = own.pop() if len(own) == 1 else "mixed"
    held = SUPPRESSED.get(named, {})
    notes = "Low wording of these emotions need not be low emotion; no number was changed." if held else ""
    return CulturalAdjustment(named, dict(held), notes)
