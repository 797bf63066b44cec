"""Moto's own tests of Data Pipeline, from its source distribution, against the local service."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from xml.etree import ElementTree as ET

import moto
import pytest

from acceptance.support import ROOT

FAULTS: Final = {
    "test_describing_pipeline_objects": "components are described without the @pipelineId, @sphere,"
    " @status and @version which they have in the API reference of DescribeObjects",
    "test_activate_pipeline": "a pipeline without a definition is activated, though"
    " ActivatePipeline fails for what does not pass validation",
    "test_list_streams": "DescribePipelines without its required pipelineIds is a success",
}
"""What these tests of moto assert, though AWS does otherwise."""
UNREACHABLE: Final = ("connection broken", "Temporary failure in name resolution")


@pytest.fixture(scope="module")
def motos_tests() -> Path:
    """The tests of the moto which is installed, fetched once and kept."""
    home = ROOT / ".cache" / f"moto-{moto.__version__}"
    if not home.exists():
        home.parent.mkdir(exist_ok=True)
        with TemporaryDirectory(dir=home.parent) as scratch:
            extracted = _extract(_download(Path(scratch)))
            with suppress(OSError):  # another run of the tests was faster
                extracted.rename(home)
    assert home.is_dir()
    return home


def _download(folder: Path) -> Path:
    pip = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--retries=1"]
    source = ["--no-deps", "--no-binary=moto", f"moto=={moto.__version__}", f"--dest={folder}"]
    done = subprocess.run([*pip, *source], check=False, capture_output=True, text=True)
    if done.returncode and any(sign in done.stdout + done.stderr for sign in UNREACHABLE):
        pytest.skip("PyPI, which has moto's tests, cannot be reached")
    assert done.returncode == 0, done.stderr
    [archive] = folder.glob("moto-*.tar.gz")
    return archive


def _extract(archive: Path) -> Path:
    wanted = ("tests/__init__.py", "tests/conftest.py", "tests/test_datapipeline/")
    with tarfile.open(archive) as opened:
        chosen = [one for one in opened if one.name.partition("/")[2].startswith(wanted)]
        how: Any = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # since 3.11.4
        opened.extractall(archive.parent, chosen, **how)
    return archive.parent / chosen[0].name.partition("/")[0]


def _run(home: Path, report: Path) -> dict[str, str]:
    """Run the tests in a process of their own; return how each ended, by its name."""
    pytest_run = [sys.executable, "-m", "pytest", "-p", "moto_own", "-p", "no:cacheprovider"]
    given = ["-c", os.devnull, f"--rootdir={home}", f"--junitxml={report}", "tests"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(
        [*pytest_run, *given],
        cwd=home,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
    )
    print(done.stdout)  # noqa: T201 - seen where the test fails
    assert done.returncode in (0, 1), done.stderr
    return {
        case.attrib["name"]: next((child.tag for child in case), "passed")
        for case in ET.parse(report).iter("testcase")
    }


@pytest.mark.slow
def test_motos_tests_pass_but_those_which_assert_its_faults(motos_tests, tmp_path):
    """Of moto's tests those which assert a fault of moto fail, and all others pass."""
    outcomes = _run(motos_tests, tmp_path / "report.xml")
    expected = {name: "failure" if name in FAULTS else "passed" for name in outcomes}
    assert outcomes == expected
    assert FAULTS.keys() < outcomes.keys()
