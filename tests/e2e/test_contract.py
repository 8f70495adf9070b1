"""The document at /openapi.json held against the service, by a program that is not ours.

Schemathesis makes requests from the document, sound ones and broken ones, and judges each answer by it: no status that
it does not name, no 5xx, no body, header or content type that does not fit. ``SCHEMATHESIS_EXAMPLES=200`` and
``SCHEMATHESIS_SECONDS=3600`` look for longer.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import Serve
from tests.e2e.serving import ALICE, Runtime

PROGRAM = Path(sys.executable).with_name("schemathesis")
EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES", "1")
SECONDS = int(os.environ.get("SCHEMATHESIS_SECONDS", "12"))
# Whether a document's schema may admit what is refused for what it means is no question here.
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "use_after_free",
)


@pytest.mark.slow
def test_every_answer_is_as_the_document_says(serve: Serve, runtime: Runtime, tmp_path: Path) -> None:
    server = serve(
        runtime,
        VSTACK_API_KEYS=f"alice={ALICE}",
        VSTACK_API_AUTH_FAILURES="10000000/60",
        VSTACK_LLM="offline",
        VSTACK_CACHE="memory",
    )
    ended = subprocess.run(
        [
            *(str(PROGRAM), "--no-color", "run", f"http://127.0.0.1:{server.port}/openapi.json"),
            *("--header", f"X-API-Key: {ALICE}", "--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing"),
            *("--max-examples", EXAMPLES, "--max-time", str(SECONDS), "--seed", "1", "--continue-on-failure"),
            *("--generation-database", "none", "--warnings", "off"),
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=SECONDS + 120,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    counted = sum(server.counted().values())
    assert counted > 50, f"only {counted} analyses were asked for"
