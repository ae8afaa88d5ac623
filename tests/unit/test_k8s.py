"""The manifests are valid, agree with each other, and agree with the program that they run."""

import inspect
import re
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from pgsupervise.metrics import exposition
from pgsupervise.supervisor import exporter
from pgsupervise.supervisor.cli import main

K8S = Path(__file__).parents[2] / "k8s"
FILES = sorted(path for path in (K8S / "base").glob("*.yaml") if path.name != "kustomization.yaml")
OLDEST_KUBERNETES = "1.29"

# The operator's own definition, in so far as these manifests could use it: kubernetes-validate has none of it.
DURATION = re.compile(r"([0-9]+(ms|s|m|h))+")
SERVICE_MONITOR = {
    "spec": {"jobLabel", "selector", "endpoints", "namespaceSelector", "targetLabels", "podTargetLabels"},
    "endpoint": {"port", "path", "scheme", "interval", "scrapeTimeout", "honorLabels", "relabelings"},
}


def load(path: Path) -> Any:
    """Return the one object of a manifest."""
    return yaml.safe_load(path.read_text())


def one(kind: str) -> Any:
    """Return the base's only object of a kind."""
    (found,) = [manifest for manifest in map(load, FILES) if manifest["kind"] == kind]
    return found


def check_service_monitor(manifest: Any) -> None:
    """Check a ServiceMonitor against the fields that the Prometheus Operator documents."""
    assert manifest["apiVersion"] == "monitoring.coreos.com/v1"
    assert set(manifest) == {"apiVersion", "kind", "metadata", "spec"}
    spec = manifest["spec"]
    assert set(spec) <= SERVICE_MONITOR["spec"]
    assert set(spec["selector"]) == {"matchLabels"}
    for endpoint in spec["endpoints"]:
        assert set(endpoint) <= SERVICE_MONITOR["endpoint"]
        assert DURATION.fullmatch(endpoint["interval"])
        assert DURATION.fullmatch(endpoint["scrapeTimeout"])


def validate(manifest: Any) -> None:
    """Check a manifest against Kubernetes' own schemas, unknown fields refused."""
    if manifest["kind"] == "ServiceMonitor":
        check_service_monitor(manifest)
        return
    for version in (OLDEST_KUBERNETES, kubernetes_validate.latest_version()):
        kubernetes_validate.validate(manifest, version, strict=True)


@pytest.fixture
def pod() -> Any:
    """Return the pod's specification."""
    return one("Deployment")["spec"]["template"]["spec"]


@pytest.fixture
def container(pod: Any) -> Any:
    """Return the pod's only container."""
    (only,) = pod["containers"]
    return only


@pytest.fixture
def options(container: Any) -> dict[str, Any]:
    """Return the container's arguments as the program itself reads them."""
    with main.make_context("pgsupervise", list(container["args"])) as context:
        return dict(context.params)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_manifest_is_valid_and_part_of_the_base(path: Path) -> None:
    validate(load(path))
    assert path.name in load(K8S / "base" / "kustomization.yaml")["resources"]


def test_kustomize_builds_the_base() -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed: the base is not built, only its parts are checked")
    built = subprocess.run([kubectl, "kustomize", K8S / "base"], check=True, capture_output=True, text=True).stdout
    manifests = list(yaml.safe_load_all(built))
    assert len(manifests) == len(FILES)
    for manifest in manifests:
        validate(manifest)


def test_the_grace_period_leaves_time_after_the_drain(pod: Any, options: dict[str, Any]) -> None:
    grace_period = timedelta(seconds=pod["terminationGracePeriodSeconds"])
    assert options["grace_period"] == grace_period, "the supervisor is told, and checks it too"
    assert grace_period - options["drain_timeout"] >= timedelta(seconds=10)


def test_each_probe_asks_for_a_path_that_is_served_on_the_exposed_port(container: Any, options: dict[str, Any]) -> None:
    (port,) = container["ports"]
    assert port["containerPort"] == options["metrics_port"]
    assert options["metrics_host"] == "0.0.0.0"  # noqa: S104 - the pod's own network
    served = inspect.getsource(exporter)
    for probe, path in {"startupProbe": "/startupz", "livenessProbe": "/livez", "readinessProbe": "/readyz"}.items():
        assert container[probe]["httpGet"] == {"path": path, "port": port["name"]}
        assert f'"{path}":' in served


def test_prometheus_finds_the_pods_by_way_of_the_service(container: Any) -> None:
    service, monitor = one("Service"), one("ServiceMonitor")
    labels = one("Deployment")["spec"]["template"]["metadata"]["labels"]
    (exposed,), (scraped,) = service["spec"]["ports"], monitor["spec"]["endpoints"]
    assert service["spec"]["selector"].items() <= labels.items()
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["spec"]["jobLabel"] in service["metadata"]["labels"]
    assert scraped["port"] == exposed["name"]
    assert exposed["targetPort"] == container["ports"][0]["name"]
    assert f'"{scraped["path"]}"' in inspect.getsource(exposition)


@pytest.mark.parametrize("kind", ["Deployment", "PodDisruptionBudget"])
def test_a_selector_matches_the_pods(kind: str) -> None:
    labels = one("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert one(kind)["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_the_pod_has_no_rights_that_it_does_not_need(pod: Any, container: Any) -> None:
    assert pod["automountServiceAccountToken"] is False
    assert one("ServiceAccount")["automountServiceAccountToken"] is False
    assert pod["serviceAccountName"] == one("ServiceAccount")["metadata"]["name"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert [mount["mountPath"] for mount in container["volumeMounts"]] == ["/tmp"]  # noqa: S108 - the only place it writes
    assert "emptyDir" in volumes[container["volumeMounts"][0]["name"]]


def test_secrets_are_references(container: Any) -> None:
    environment = {variable["name"]: variable for variable in container["env"]}
    for name in ("PGPASSWORD", "SENDGRID_API_KEY"):
        assert set(environment[name]["valueFrom"]) == {"secretKeyRef"}


def test_the_image_runs_the_program_without_a_shell_as_the_pods_user(pod: Any) -> None:
    instructions = (K8S / "Dockerfile").read_text().splitlines()
    final = instructions[max(number for number, line in enumerate(instructions) if line.startswith("FROM ")) :]
    security = pod["securityContext"]
    assert f"USER {security['runAsUser']}:{security['runAsGroup']}" in final
    assert final[-1] == 'ENTRYPOINT ["pgsupervise"]'


def test_an_update_never_has_fewer_pods() -> None:
    update = one("Deployment")["spec"]["strategy"]["rollingUpdate"]
    assert update == {"maxSurge": 1, "maxUnavailable": 0}
