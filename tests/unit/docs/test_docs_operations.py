"""The Containerfile and the manifest of Kubernetes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml  # type: ignore[import-untyped]

from aiodp.cli._run.command import run
from aiodp.cli._run.session import _INTERRUPTED_TIMEOUT

EXAMPLES = Path(__file__).parents[3] / "examples"


def parsed(arguments):
    """Return the options of `aiodp run` that these arguments mean."""
    context = run.make_context("run", list(arguments), resilient_parsing=True)
    return SimpleNamespace(**context.params)


@pytest.fixture(scope="module")
def pod():
    [deployment] = yaml.safe_load_all((EXAMPLES / "kubernetes" / "runner.yaml").read_text())
    assert deployment["kind"] == "Deployment"
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
    return deployment["spec"]["template"]["spec"]


def test_kubernetes_waits_until_the_runner_has_stopped(pod):
    """The grace period is longer than a drain with all that follows it."""
    [container] = pod["containers"]
    options = parsed(container["args"])
    assert pod["terminationGracePeriodSeconds"] >= options.drain_timeout + _INTERRUPTED_TIMEOUT


def test_the_probes_are_those_of_the_image(pod):
    """Port and paths; a probe of a path that does not exist would fail for ever."""
    text = (EXAMPLES / "container" / "Containerfile").read_text()
    [entry] = [line for line in text.splitlines() if line.startswith("ENTRYPOINT")]
    health = parsed(yaml.safe_load(entry.removeprefix("ENTRYPOINT "))[2:]).health
    [container] = pod["containers"]
    [port] = container["ports"]
    assert health == ("0.0.0.0", port["containerPort"])
    probes = {name: container[name]["httpGet"] for name in container if name.endswith("Probe")}
    assert {name: probe["path"] for name, probe in probes.items()} == {
        "startupProbe": "/ready",
        "livenessProbe": "/live",
        "readinessProbe": "/ready",
    }
    assert {probe["port"] for probe in probes.values()} == {port["name"]}
