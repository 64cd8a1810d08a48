"""The manifests of deploy/kubernetes are valid, and run what the Procfile runs."""

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from django.conf import settings

from jobs.conf import conf

FOLDER: Path = settings.BASE_DIR / "deploy" / "kubernetes"
RESOURCES: list[dict[str, Any]] = [
    one for file in sorted(FOLDER.glob("*.yaml")) for one in yaml.safe_load_all(file.read_text())
]
PODS = {
    one["metadata"]["name"]: one["spec"]["template"]["spec"]
    for one in RESOURCES
    if one["kind"] in {"Deployment", "Job"}
}
PROCFILE = dict(line.split(": ", 1) for line in (settings.BASE_DIR / "Procfile").read_text().splitlines())

#: Names of the Procfile for the names of the manifests.
SAME = {"nightshift-web": "web", "nightshift-beat": "beat", "nightshift-migrate": "release"} | {
    f"nightshift-worker-{queue}": f"worker_{queue}"
    for queue in ("default", "email", "indexing", "storage", "maintenance")
}


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda one: f"{one['kind']}-{one['metadata']['name']}")
def test_a_manifest_is_what_kubernetes_knows(resource: dict[str, Any]) -> None:
    kubernetes_validate.validate(resource, kubernetes_validate.latest_version(), strict=True)


def test_every_process_has_its_manifest() -> None:
    # Flower shows what workers do to whoever can log in: it is no part of a set that is published.
    assert set(PODS) == set(SAME)
    assert set(SAME.values()) == set(PROCFILE) - {"flower"}


@pytest.mark.parametrize("name", sorted(SAME))
def test_a_pod_runs_what_the_procfile_runs(name: str) -> None:
    [container] = PODS[name]["containers"]
    written = [word for word in PROCFILE[SAME[name]].split() if "$" not in word]
    assert [word for word in written if word not in container["command"]] == []


@pytest.mark.parametrize("name", sorted(SAME))
def test_a_pod_has_no_privileges_and_bounds_its_memory(name: str) -> None:
    [container] = PODS[name]["containers"]
    assert PODS[name]["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("name", [name for name in sorted(SAME) if "worker" in name])
def test_a_worker_has_time_to_stop_in_order(name: str) -> None:
    assert PODS[name]["terminationGracePeriodSeconds"] > conf().shutdown_seconds


def test_the_image_runs_as_a_number_that_kubernetes_can_check() -> None:
    assert "\nUSER 10001\n" in (settings.BASE_DIR / "Dockerfile").read_text()
