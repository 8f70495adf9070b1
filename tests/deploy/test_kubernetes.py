"""The manifests and the chart: valid for Kubernetes, and true to the service's own promises."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.deploy.conftest import DEPLOY
from vstack_runtime.settings import Settings

CHART = DEPLOY / "helm" / "vstack"
HELM = Path(sys.executable).with_name("helm")
EVERYTHING = (
    "autoscaling.enabled=true",
    "ingress.enabled=true",
    "networkPolicy.redis.enabled=true",
    "serviceMonitor.enabled=true",
    "home.existingClaim=vstack-home",
)
# Its schema comes with the operator, not with Kubernetes.
FOREIGN = {"ServiceMonitor"}


def documents(text: str) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(text) if document]


def rendered(*values: str) -> list[dict[str, Any]]:
    """What the chart makes of values."""
    argv = [str(HELM), "template", "vstack", str(CHART), *(f"--set={value}" for value in values)]
    return documents(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)


def plain() -> list[dict[str, Any]]:
    """The manifests as they are shipped."""
    return [one for file in sorted((DEPLOY / "kubernetes").glob("*.yaml")) for one in documents(file.read_text())]


@pytest.fixture(scope="module", params=["manifests", "chart", "chart with everything"])
def made(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    """What a cluster would be given."""
    if request.param == "manifests":
        return plain()
    return rendered(*(EVERYTHING if "everything" in request.param else ()))


def of(kind: str, made: list[dict[str, Any]]) -> dict[str, Any]:
    """The one document of a kind."""
    (found,) = [document for document in made if document["kind"] == kind]
    return found


def test_kubernetes_takes_each(made: list[dict[str, Any]]) -> None:
    for document in made:
        if document["kind"] not in FOREIGN:
            kubernetes_validate.validate(document, "1.33", strict=True)


def test_the_grace_period_lets_everything_finish(made: list[dict[str, Any]]) -> None:
    settings = of("ConfigMap", made)["data"]
    pod = of("Deployment", made)["spec"]["template"]["spec"]
    drain, timeout = float(settings["VSTACK_DRAIN_DELAY"]), float(settings["VSTACK_API_REQUEST_TIMEOUT"])
    assert pod["terminationGracePeriodSeconds"] == drain + timeout + 10
    # A drain that readiness sees only after the listeners have closed is none.
    (api,) = pod["containers"]
    probe = api["readinessProbe"]
    assert probe["httpGet"]["path"] == "/readyz"
    assert probe["periodSeconds"] * probe["failureThreshold"] < drain
    assert api["livenessProbe"]["httpGet"]["path"] == "/livez"


def test_nothing_runs_as_root_or_writes_where_it_should_not(made: list[dict[str, Any]]) -> None:
    pod = of("Deployment", made)["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["enableServiceLinks"] is False
    assert pod["automountServiceAccountToken"] is False
    for container in (*pod["initContainers"], *pod["containers"]):
        closed = container["securityContext"]
        assert closed["readOnlyRootFilesystem"]
        assert not closed["allowPrivilegeEscalation"]
        assert closed["capabilities"] == {"drop": ["ALL"]}


def test_the_settings_start_the_service(made: list[dict[str, Any]], tmp_path: Path) -> None:
    keys = tmp_path / "api-keys"
    keys.write_text("prod=" + "k" * 32)
    keys.chmod(0o600)
    data = of("ConfigMap", made)["data"]
    settings = Settings.from_env({**data, "VSTACK_API_KEYS_FILE": str(keys), "VSTACK_HOME": str(tmp_path)})
    assert settings.require_auth
    assert not [warning for warning in settings.warnings if "VSTACK_HOME" not in warning]
    # No secret lies in a map that everybody may read.
    assert not [name for name in data if "KEY" in name and name != "VSTACK_API_KEYS_FILE"]


def test_names_and_ports_meet(made: list[dict[str, Any]]) -> None:
    labels = of("Deployment", made)["spec"]["template"]["metadata"]["labels"].items()
    assert of("Service", made)["spec"]["selector"].items() <= labels
    for kind in ("PodDisruptionBudget", "NetworkPolicy"):
        spec = of(kind, made)["spec"]
        assert (spec.get("selector") or spec["podSelector"])["matchLabels"].items() <= labels
    (port,) = of("Service", made)["spec"]["ports"]
    (api,) = of("Deployment", made)["spec"]["template"]["spec"]["containers"]
    assert port["targetPort"] in [own["name"] for own in api["ports"]]


def test_helm_finds_nothing_to_say_against_the_chart() -> None:
    subprocess.run([str(HELM), "lint", "--strict", "--quiet", str(CHART)], check=True, capture_output=True)


def test_the_grace_period_follows_the_values() -> None:
    pod = of("Deployment", rendered("drainDelay=8", "requestTimeout=300"))["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] == 318


@pytest.mark.parametrize(
    "value",
    [
        "replicas=0",
        "settings.VSTACK_API_KEYS=prod=secret",
        "settings.VSTACK_DRAIN_DELAY=3",
        "settings.PATH=x",
        "serviceMonitor.interval=often",
        "unknown=1",
    ],
)
def test_values_that_cannot_be_meant_are_refused(value: str) -> None:
    argv = [
        str(HELM),
        "template",
        "vstack",
        str(CHART),
        f"--set-string={value}" if "VSTACK" in value else f"--set={value}",
    ]
    told = subprocess.run(argv, capture_output=True, text=True)
    assert told.returncode != 0
    assert "values don't meet the specifications of the schema" in told.stderr


def test_the_chart_and_the_manifests_ask_for_the_same_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    images = json.dumps(plain())
    assert f"vstack:{chart['appVersion']}" in images
    assert images.count('"image": "vstack:') == 2
