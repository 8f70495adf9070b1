"""The numbers of the DANVA emotion reader: accuracy, confusions, intensity, circumplex, cascade, profile, cues."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Literal, Protocol, get_args

import msgspec

from vstack_proto.patterns.common import Amount, Count, Severity, Share, banded

Emotion = Literal["happy", "sad", "angry", "fearful", "disgust", "surprise", "neutral"]
Inferred = Literal["happy", "sad", "angry", "fearful", "disgust", "surprise", "neutral", "uncertain"]
Weakest = Literal["happy", "sad", "angry", "fearful", "disgust", "surprise", "neutral", "none"]
Explicitness = Literal["explicit", "implicit", "sarcastic"]
Quality = Literal["high-accuracy", "developing", "low-accuracy"]
Quadrant = Literal["high-pos", "high-neg", "low-pos", "low-neg"]
Profile = Literal[
    "balanced_high", "balanced_developing", "balanced_low", "anger_blind", "sadness_collapse", "positive_bias",
    "negative_bias", "valence_only_signal", "categorical_signal_only", "fear_sadness_confusion", "neutral_collapse",
    "uncertain_dump", "sarcasm_blind", "indeterminate",
]  # fmt: skip
Break = Literal["intact", "fails_at_perceive_cue", "fails_at_categorize", "fails_at_intensity", "fails_at_respond"]
Signed = Annotated[float, msgspec.Meta(ge=-1.0, le=1.0)]

EMOTIONS: tuple[Emotion, ...] = get_args(Emotion)
INFERRED: tuple[Inferred, ...] = get_args(Inferred)
# Valence and arousal of each emotion at full intensity (Russell 1980; the contract gives the figures).
PLACE: dict[str, tuple[float, float]] = {
    "happy": (0.85, 0.55), "sad": (-0.75, -0.40), "angry": (-0.65, 0.80), "fearful": (-0.60, 0.70),
    "disgust": (-0.65, 0.30), "surprise": (0.10, 0.85), "neutral": (0.0, 0.0), "uncertain": (0.0, 0.0),
}  # fmt: skip
SEVERITY: tuple[tuple[float, Severity], ...] = (
    (0.0, "critical"), (0.15, "high"), (0.3, "medium"), (0.45, "moderate"), (0.6, "low"), (0.75, "trace"),
    (0.9, "none"),
)  # fmt: skip
BINS = (0.0, 0.25, 0.5, 0.75, 1.0)
# Two points make no curve.
CURVE_ITEMS = 3


class Read(Protocol):
    """A message, what was meant, and what was read in it."""

    @property
    def ground_truth_emotion(self) -> Emotion: ...
    @property
    def ground_truth_intensity(self) -> float: ...
    @property
    def agent_inferred_emotion(self) -> Inferred: ...
    @property
    def agent_inferred_intensity(self) -> float: ...
    @property
    def cue_explicitness(self) -> Explicitness: ...


class EmotionMetric(msgspec.Struct, frozen=True):
    """How well one emotion was read."""

    emotion: Emotion
    n_items: Count
    accuracy: Share
    intensity_mae: Amount
    confusion_with: dict[str, int] = {}
    severity: Severity = "moderate"
    intensity_bias: float = 0.0
    intensity_correlation: Signed = 0.0


# A tuple as default would stand in the JSON Schema as what it is; JSON has lists.
Truths = Annotated[tuple[str, ...], msgspec.Meta(extra_json_schema={"default": [*EMOTIONS]})]
Reads = Annotated[tuple[str, ...], msgspec.Meta(extra_json_schema={"default": [*INFERRED]})]


class ConfusionMatrix(msgspec.Struct, frozen=True):
    """What was meant (rows) against what was read (columns)."""

    emotions_ground_truth: Truths = msgspec.field(default_factory=lambda: EMOTIONS)
    emotions_inferred: Reads = msgspec.field(default_factory=lambda: INFERRED)
    matrix: dict[str, dict[str, int]] = {}
    row_totals: dict[str, int] = {}
    column_totals: dict[str, int] = {}
    diagonal_total: int = 0


class IntensityCurve(msgspec.Struct, frozen=True):
    """Read against true intensity; a collapse below 1 means that differences of strength are lost."""

    emotion: Emotion
    n_items: Count
    truth_bins: tuple[float, ...] = ()
    mean_inferred_by_bin: tuple[float, ...] = ()
    intensity_bias: float = 0.0
    intensity_correlation: float = 0.0
    intensity_collapse_score: float = 1.0


class CircumplexProjection(msgspec.Struct, frozen=True):
    """Where the messages lie on average, as meant and as read."""

    valence_truth: Signed
    arousal_truth: Signed
    valence_inferred: Signed
    arousal_inferred: Signed
    euclidean_distance: Amount
    quadrant_truth: Quadrant
    quadrant_inferred: Quadrant
    quadrant_match: bool = False


class CascadeAnalysis(msgspec.Struct, frozen=True):
    """Where reading breaks off: the cue, the category, the strength, or both together."""

    cascade_break_point: Break = "intact"
    perceive_score: Share = 0.5
    categorize_score: Share = 0.5
    intensity_score: Share = 0.5
    respond_score: Share = 0.5
    notes: str = ""


class Numbers(msgspec.Struct, frozen=True):
    """All of them, from the items alone."""

    metrics: tuple[EmotionMetric, ...]
    accuracy: float
    mae: float
    weakest: Weakest
    quality: Quality
    matrix: ConfusionMatrix
    curves: tuple[IntensityCurve, ...]
    circumplex: CircumplexProjection
    cascade: CascadeAnalysis
    profile: Profile
    severity: Severity


def r4(value: float) -> float:
    """Rounded as the contract rounds, without a minus before zero."""
    return round(value, 4) + 0.0


def right(item: Read) -> bool:
    """Whether the emotion was read."""
    return item.ground_truth_emotion == item.agent_inferred_emotion


def off(item: Read) -> float:
    """How much stronger it was read than it was."""
    return item.agent_inferred_intensity - item.ground_truth_intensity


def share(hits: int, of: int) -> float:
    """Hits as a share; 0 of nothing."""
    return hits / of if of else 0.0


def measure(items: Sequence[Read]) -> Numbers:
    """Everything that is computed, in one walk over the items for each emotion."""
    grouped: dict[Emotion, list[Read]] = {emotion: [] for emotion in EMOTIONS}
    for item in items:
        grouped[item.ground_truth_emotion].append(item)
    metrics = tuple(metric_of(emotion, own) for emotion, own in grouped.items())
    accuracy = share(sum(map(right, items)), len(items))
    mae = share_of_sum([abs(off(item)) for item in items])
    circumplex = projection_of(items)
    return Numbers(
        metrics=metrics,
        accuracy=r4(accuracy),
        mae=r4(mae),
        weakest=weakest_of(metrics),
        quality="high-accuracy" if accuracy >= 0.8 else "developing" if accuracy >= 0.5 else "low-accuracy",
        matrix=matrix_of(items),
        curves=tuple(curve_of(metric, grouped[metric.emotion]) for metric in metrics),
        circumplex=circumplex,
        cascade=cascade_of(items, accuracy, mae),
        profile=profile_of(items, metrics, accuracy, mae, circumplex.quadrant_match),
        severity=banded(accuracy, SEVERITY),
    )


def share_of_sum(values: Sequence[float]) -> float:
    """The mean; 0 of nothing."""
    return math.fsum(values) / len(values) if values else 0.0


def metric_of(emotion: Emotion, own: Sequence[Read]) -> EmotionMetric:
    """The numbers of one emotion."""
    accuracy = share(sum(map(right, own)), len(own))
    return EmotionMetric(
        emotion,
        len(own),
        r4(accuracy),
        r4(share_of_sum([abs(off(item)) for item in own])),
        dict(Counter(str(item.agent_inferred_emotion) for item in own if not right(item))),
        banded(accuracy, SEVERITY) if own else "none",
        r4(share_of_sum([off(item) for item in own])),
        r4(correlation(own)),
    )


def _spread(own: Sequence[Read]) -> tuple[float, float, float]:
    """Variances of true and read intensity, and their covariance; each times the number of items."""
    true, read = [i.ground_truth_intensity for i in own], [i.agent_inferred_intensity for i in own]
    middle, centre = share_of_sum(true), share_of_sum(read)
    apart = [(t - middle, r - centre) for t, r in zip(true, read, strict=True)]
    return math.fsum(t * t for t, _ in apart), math.fsum(r * r for _, r in apart), math.fsum(t * r for t, r in apart)


# A variance below this is that of equal numbers, written in floating point.
EVEN = 1e-9


def correlation(own: Sequence[Read]) -> float:
    """Pearson's r of true and read intensity; 0 where one of them does not vary."""
    true, read, both = _spread(own) if len(own) > 1 else (0.0, 0.0, 0.0)
    if true / max(1, len(own)) <= EVEN or read / max(1, len(own)) <= EVEN:
        return 0.0
    return min(1.0, max(-1.0, both / math.sqrt(true * read)))


def curve_of(metric: EmotionMetric, own: Sequence[Read]) -> IntensityCurve:
    """The curve of one emotion: means at the marks of the scale that have items, from three items on."""
    true, read, _ = _spread(own) if len(own) > 1 else (0.0, 0.0, 0.0)
    collapse = read / true if true / max(1, len(own)) > EVEN else 1.0
    marks: dict[float, list[float]] = {}
    for item in own:
        mark = min(BINS, key=lambda at: abs(at - item.ground_truth_intensity))
        marks.setdefault(mark, []).append(item.agent_inferred_intensity)
    drawn = sorted(marks) if len(own) >= CURVE_ITEMS else []
    return IntensityCurve(
        metric.emotion,
        len(own),
        tuple(drawn) if drawn else BINS if own else (),
        tuple(r4(share_of_sum(marks[mark])) for mark in drawn),
        metric.intensity_bias,
        metric.intensity_correlation,
        r4(collapse),
    )


def matrix_of(items: Sequence[Read]) -> ConfusionMatrix:
    """Counts of every pair of meant and read."""
    pairs = Counter((item.ground_truth_emotion, item.agent_inferred_emotion) for item in items)
    matrix = {str(true): {str(read): pairs[true, read] for read in INFERRED} for true in EMOTIONS}
    rows = {true: sum(row.values()) for true, row in matrix.items()}
    columns = {str(read): sum(row[read] for row in matrix.values()) for read in INFERRED}
    return ConfusionMatrix(EMOTIONS, INFERRED, matrix, rows, columns, sum(map(right, items)))


def _mean_place(felt: Sequence[tuple[str, float]]) -> tuple[float, float]:
    valence = share_of_sum([PLACE[emotion][0] * intensity for emotion, intensity in felt])
    return valence, share_of_sum([PLACE[emotion][1] * intensity for emotion, intensity in felt])


def quadrant_of(valence: float, arousal: float) -> Quadrant:
    """By the signs; zero counts as positive."""
    if arousal >= 0:
        return "high-pos" if valence >= 0 else "high-neg"
    return "low-pos" if valence >= 0 else "low-neg"


def projection_of(items: Sequence[Read]) -> CircumplexProjection:
    """The mean place of the items on the circumplex, as meant and as read."""
    true = _mean_place([(item.ground_truth_emotion, item.ground_truth_intensity) for item in items])
    read = _mean_place([(item.agent_inferred_emotion, item.agent_inferred_intensity) for item in items])
    meant, taken = quadrant_of(*true), quadrant_of(*read)
    return CircumplexProjection(
        r4(true[0]), r4(true[1]), r4(read[0]), r4(read[1]), r4(math.dist(true, read)), meant, taken, meant == taken
    )


def weakest_of(metrics: Sequence[EmotionMetric]) -> Weakest:
    """The least accurately read of the emotions with two items or more, unless it is read well."""
    known = [metric for metric in metrics if metric.n_items >= 2]
    worst = min(known, key=lambda metric: metric.accuracy, default=None)
    return "none" if worst is None or worst.accuracy >= 0.8 else worst.emotion


# Strength read within a fifth of the scale is strength read.
NEAR = 0.2


def cascade_of(items: Sequence[Read], accuracy: float, mae: float) -> CascadeAnalysis:
    """The first ability below 0.5: to see that there is emotion, which, how strong, and all of it at once.

    What was answered is not in the trace; ``respond_score`` is the share of items read well enough to answer.
    """
    felt = [item for item in items if item.ground_truth_emotion != "neutral"]
    seen = [item for item in felt if item.agent_inferred_emotion not in ("neutral", "uncertain")]
    ready = sum(right(item) and abs(off(item)) <= NEAR + EVEN for item in items)
    perceive = share(len(seen), len(felt)) if felt else accuracy
    categorize = share(sum(map(right, seen)), len(seen)) if seen else 0.0 if felt else accuracy
    scores = (r4(perceive), r4(categorize), r4(max(0.0, 1.0 - mae)), r4(share(ready, len(items))))
    names: tuple[Break, ...] = (
        "fails_at_perceive_cue", "fails_at_categorize", "fails_at_intensity", "fails_at_respond",
    )  # fmt: skip
    broken: Break = next((name for name, score in zip(names, scores, strict=True) if score < 0.5), "intact")
    notes = f"{len(seen)} of {len(felt)} messages with an emotion were read as having one."
    return CascadeAnalysis(broken, scores[0], scores[1], scores[2], scores[3], notes)


def profile_of(
    items: Sequence[Read], metrics: Sequence[EmotionMetric], accuracy: float, mae: float, same_quadrant: bool
) -> Profile:
    """The first rule of the contract that holds; "weighted accuracy" is weighted by items, and so the overall one."""
    by = {metric.emotion: metric for metric in metrics}
    angry, sad, fearful = by["angry"], by["sad"], by["fearful"]
    values = [metric.accuracy for metric in metrics if metric.n_items]
    sarcastic = [item for item in items if item.cue_explicitness == "sarcastic"]
    felt = [item for item in items if item.ground_truth_emotion != "neutral"]
    flat = [item for item in items if item.ground_truth_emotion in ("neutral", "sad")]

    def read_as(some: Sequence[Read], emotion: Inferred) -> float:
        return share(sum(item.agent_inferred_emotion == emotion for item in some), len(some))

    def confused(metric: EmotionMetric, other: Emotion) -> float:
        return share(metric.confusion_with.get(other, 0), metric.n_items)

    dull_anger = angry.n_items >= 2 and angry.accuracy < 0.5 and confused(angry, "neutral") > 0.5
    rules: tuple[tuple[bool, Profile], ...] = (
        (read_as(items, "uncertain") > 0.25, "uncertain_dump"),
        (read_as(sarcastic, "happy") > 0.5, "sarcasm_blind"),
        (dull_anger, "anger_blind"),
        (read_as(felt, "neutral") > 0.4, "neutral_collapse"),
        (sad.n_items >= 2 and sad.accuracy >= 0.7 and sad.intensity_bias <= -0.3, "sadness_collapse"),
        (read_as(flat, "happy") > 0.3, "positive_bias"),
        (fearful.n_items >= 2 and confused(fearful, "sad") > 0.5, "fear_sadness_confusion"),
        (same_quadrant and accuracy < 0.5, "valence_only_signal"),
        (accuracy >= 0.7 and r4(mae) >= 0.25, "categorical_signal_only"),
        (min(values) >= 0.8, "balanced_high"),
        (max(values) < 0.4, "balanced_low"),
        (min(values) >= 0.4 and max(values) < 0.8, "balanced_developing"),
    )
    return next((profile for holds, profile in rules if holds), "indeterminate")
