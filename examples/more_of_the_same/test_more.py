"""Run it where the package is installed."""

from vstack_runtime import Settings, analyze
from vstack_runtime.scripted import ScriptedProvider

STEP = {"agent": "dev", "type": "tool_call", "content": "pytest tests/parser"}
TRACE = {"goal": "Mend the parser", "steps": [STEP, STEP], "outcome": "It fails still"}


def test_a_repetition_is_found_without_a_model() -> None:
    found = analyze(TRACE, pattern="more_of_the_same", model="offline", settings=Settings())["detection"]
    assert (found["repeated"], found["severity"]) == (1, "low")
    assert found["evidence"][0]["steps"] == [1, 0]


def test_a_model_says_why() -> None:
    provider = ScriptedProvider(['{"explanation": "It hopes."}'])
    found = analyze(TRACE, pattern="more_of_the_same", settings=Settings(), provider=provider)["detection"]
    assert found["explanation"] == "It hopes."
    assert "pytest tests/parser" in provider.asked[0].shared
