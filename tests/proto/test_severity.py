"""How bad a detection is: of every pattern, and of forms that none of them has."""

from __future__ import annotations

from typing import Any

import pytest

from tests.proto.last_word import PATTERN as WITHOUT
from vstack_proto.severity import SEVERITIES, severity_of, tells_severity
from vstack_runtime.engine import installed_patterns

# The contract: these two grade their parts, all others the whole.
PARTS = {"lewin": "loci", "goleman_ei": "domains"}


@pytest.mark.parametrize("pattern", installed_patterns(), ids=lambda pattern: pattern.name)
def test_the_detection_of_every_pattern_says_how_bad_it_is(pattern: Any) -> None:
    assert tells_severity(pattern.detection)
    part = PARTS.get(pattern.name)
    assert ("severity" in pattern.detection.__struct_fields__) == (part is None)
    for severity in SEVERITIES:
        told = {"severity": severity}
        assert severity_of(told if part is None else {part: [{"severity": "none"}, told]}) == severity


@pytest.mark.parametrize(
    ("found", "severity"),
    [
        ({"severity": "low", "biases": [{"severity": "high"}]}, "low"),
        ({"severity": "nit"}, None),
        ({"severity": 7}, None),
        ({"severity": ["high"]}, None),
        ({"loci": [{"severity": "low"}, {"severity": "medium"}, {"severity": "moderate"}]}, "medium"),
        ({"loci": [{"severity": "nit"}, {}, "high"], "steps": [3]}, None),
        ({"loci": []}, None),
        ({}, None),
    ],
)
def test_the_verdict_counts_and_else_the_worst_part(found: dict[str, Any], severity: str | None) -> None:
    assert severity_of(found) == severity


def test_a_detection_may_tell_none() -> None:
    assert not tells_severity(WITHOUT.detection)
