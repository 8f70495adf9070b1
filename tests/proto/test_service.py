"""What a process shares: health, and documents that are made once."""

from __future__ import annotations

import json

from tests.proto.last_word import PATTERN
from vstack_proto.testing import make_service

SERVICE = make_service(PATTERN, version="7.8.9")


def test_health_is_told_from_the_start() -> None:
    told = {"status": "ok", "server": "vstack-api", "version": "7.8.9", "patterns": 1}
    assert json.loads(SERVICE.health.body) == told


def test_documents_are_made_once() -> None:
    assert SERVICE.openapi is SERVICE.openapi
    assert SERVICE.docs is SERVICE.docs
    assert SERVICE.openapi.etag == make_service(PATTERN, version="7.8.9").openapi.etag
    assert SERVICE.openapi.etag != make_service(PATTERN, version="7.9.0").openapi.etag


def test_documents_tell_of_the_patterns() -> None:
    assert "/v1/analyze/last_word" in json.loads(SERVICE.openapi.body)["paths"]
    assert SERVICE.docs.content_type == "text/html; charset=utf-8"
    assert b"last_word" in SERVICE.docs.body
