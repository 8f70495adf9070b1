"""What a process shares: health, and documents that are made once."""

from __future__ import annotations

import json
from html import escape

import msgspec

from tests.proto.asking import ask
from tests.proto.last_word import PATTERN
from vstack_proto.docs_page import HERE
from vstack_proto.service import MAX_MOUNTED
from vstack_proto.testing import head_received, make_service

SERVICE = make_service(PATTERN, version="7.8.9")


def test_health_is_told_from_the_start() -> None:
    told = {"status": "ok", "server": "vstack-api", "version": "7.8.9", "patterns": 1}
    assert json.loads(SERVICE.health.body) == told


def test_documents_are_made_once() -> None:
    assert SERVICE.openapi is SERVICE.openapi
    assert SERVICE.docs is SERVICE.docs
    assert SERVICE.openapi.etag == make_service(PATTERN, version="7.8.9").openapi.etag
    assert SERVICE.openapi.etag != make_service(PATTERN, version="7.9.0").openapi.etag


def test_a_document_says_where_the_service_is_mounted() -> None:
    assert SERVICE.mounted("openapi", "") is SERVICE.openapi
    assert SERVICE.mounted("docs", "") is SERVICE.docs
    plain, moved = (json.loads(SERVICE.mounted("openapi", root).body) for root in ("", "/vstack"))
    assert (plain.pop("servers"), moved.pop("servers")) == ([{"url": "/"}], [{"url": "/vstack"}])
    assert plain == moved
    page = SERVICE.mounted("docs", "/a%20b/c").body.decode()
    assert page.count("curl -sS ") == page.count(escape(f"{HERE}/a%20b/c/")) > 5
    assert page.replace(f"{escape(HERE)}/a%20b/c", escape(HERE)) == SERVICE.docs.body.decode()


def test_few_mounted_documents_are_kept_each_with_its_etag() -> None:
    etags = {SERVICE.mounted("openapi", f"/{number}").etag for number in range(2 * MAX_MOUNTED)}
    assert len(etags | {SERVICE.openapi.etag}) == 2 * MAX_MOUNTED + 1
    assert SERVICE.mounted("openapi", "/1").etag in etags
    assert SERVICE._mounted.cache_info().currsize == MAX_MOUNTED


def test_documents_tell_of_the_patterns() -> None:
    assert "/v1/analyze/last_word" in json.loads(SERVICE.openapi.body)["paths"]
    assert SERVICE.docs.content_type == "text/html; charset=utf-8"
    assert b"last_word" in SERVICE.docs.body


def test_the_head_says_where_the_service_is_mounted() -> None:
    head = head_received("GET", "/openapi.json")
    plain, moved = ask(SERVICE, head), ask(SERVICE, msgspec.structs.replace(head, root="/vstack"))
    assert (plain.json["servers"], moved.json["servers"]) == ([{"url": "/"}], [{"url": "/vstack"}])
    known = head_received("GET", "/openapi.json", (("if-none-match", plain.headers["etag"]),))
    assert ask(SERVICE, known).status == 304
    assert ask(SERVICE, msgspec.structs.replace(known, root="/vstack")).status == 200
    # A tape says nothing of it where there is nothing to say.
    assert b"root" not in msgspec.json.encode(head)
