"""A model service whose certificate nobody signed."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Service


@pytest.fixture(scope="session")
def certificate(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that is signed by nobody else; its key lies beside it."""
    folder = tmp_path_factory.mktemp("stranger")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=a"
    named = ["-addext", "subjectAltName=IP:127.0.0.1"]
    argv = [service("openssl"), *made.split(), *named, "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(argv, check=True, capture_output=True, timeout=20.0)
    return certificate


@pytest.fixture(scope="session")
def stranger(certificate: Path) -> ssl.SSLContext:
    """A server that nobody knows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    return context
