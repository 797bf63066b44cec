"""The unit of systemd, the Containerfile and the manifest of Kubernetes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml  # type: ignore[import-untyped]

from aiodp.cli._run.command import run
from aiodp.cli._run.session import _INTERRUPTED_TIMEOUT

EXAMPLES = Path(__file__).parents[3] / "examples"
UNIT = EXAMPLES / "systemd" / "aiodp-runner.service"
OTHER_PATHS = {"/opt/aiodp/bin/aiodp": "/bin/true"}
"""What the unit needs on a machine; systemd looks whether it is there."""


def values(key):
    """Return what the unit says for a key."""
    lines = UNIT.read_text().splitlines()
    return [line.partition("=")[2] for line in lines if line.startswith(f"{key}=")]


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


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd-analyze")
def test_systemd_accepts_the_unit(tmp_path):
    """It has no word to say about it."""
    text = UNIT.read_text()
    for path, other in OTHER_PATHS.items():
        text = text.replace(path, other)
    unit = tmp_path / UNIT.name
    unit.write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, check=False
    )
    own = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert own == []
    assert done.returncode == 0, done.stderr


def test_systemd_waits_until_the_runner_has_stopped():
    """And longer than the runner may be late, before it kills it for that."""
    [command] = values("ExecStart")
    options = parsed(command.split()[2:])
    [timeout] = values("TimeoutStopSec")
    assert int(timeout) >= options.drain_timeout + _INTERRUPTED_TIMEOUT
    assert values("Type") == ["notify"]
    assert values("WatchdogSec") == ["3min"]


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
