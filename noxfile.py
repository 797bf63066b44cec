"""The checks, each in an environment of its own: `nox -l` lists them, `nox -s NAME` runs one.

What follows `--` goes to pytest, or to the mutation check: `nox -s tests-3.13 -- -m "not slow"`.
"""

from __future__ import annotations

import re
from typing import Final

import nox

nox.needs_version = ">=2025.5"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "typing", "tests"]

PYTHONS: Final = ["3.11", "3.12", "3.13", "3.14"]
OLDEST: Final = PYTHONS[0]
EXTRAS: Final = "cli,emulator,otel,sql,trio"
PROJECT: Final = nox.project.load_toml("pyproject.toml")["project"]


def floors(*extras: str) -> list[str]:
    """Return the oldest versions that the project and these extras allow, as pip takes them.

    Where two of them bound one package, as the extra `trio` does aiobotocore, the later wins.
    """
    oldest = {}
    for requirements in (
        PROJECT["dependencies"],
        *(PROJECT["optional-dependencies"][extra] for extra in extras),
    ):
        for requirement in requirements:
            name, version = requirement.split(">=")
            oldest[re.sub(r"\[.*\]", "", name)] = f"{name}=={version}"
    return list(oldest.values())


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests on each Python that is installed."""
    session.install("-e", f".[{EXTRAS}]", "--group", "test")
    session.run("pytest", "-q", *session.posargs)


@nox.session(python=OLDEST)
@nox.parametrize("extras", ["cli,emulator,otel,sql", EXTRAS], ids=["asyncio", "trio"])
def lowest(session: nox.Session, extras: str) -> None:
    """Run with the oldest dependencies the fast tests without trio, or those on trio."""
    session.install("-e", f".[{extras}]", *floors(*extras.split(",")), "--group", "test")
    chosen = ["-k", "trio"] if "trio" in extras else ["-m", "not slow", "-k", "not trio"]
    session.run("pytest", "-q", *chosen, *session.posargs)


@nox.session
def bare(session: nox.Session) -> None:
    """Test what needs no extra, and that the rest says which one it needs."""
    session.install(".", "--group", "pytest")
    session.run("pytest", "-q", "tests/unit/core", "tests/unit/test_layers.py", *session.posargs)
    said = session.run("aiodp", "--help", success_codes=[1], silent=True)
    if 'pip install "aiodp[cli]"' not in str(said):
        session.error(f"without extras, the command says: {said}")


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and layout."""
    session.install("--group", "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def typing(session: nox.Session) -> None:
    """Check all types with mypy, and what users see with pyright as well."""
    session.install("-e", f".[{EXTRAS}]", "--group", "dev")
    session.run("mypy")
    session.run("pyright")


@nox.session
def coverage(session: nox.Session) -> None:
    """Measure which branches the tests without sockets take; fail below the number in pyproject."""
    session.install("-e", f".[{EXTRAS}]", "--group", "test")
    session.run("pytest", "-q", "--cov", "-m", "not slow", "tests/unit", "tests/virtual")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site, in which no link may be broken and no name missing; `-- serve` serves it."""
    session.install("--group", "docs")
    command = session.posargs or ["build", "--strict", "-d", session.create_tmp()]
    session.run("mkdocs", *command, env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session
def mutation(session: nox.Session) -> None:
    """Change the code of a folder at random, and list the changes that no test notices."""
    session.install("-e", f".[{EXTRAS}]", "--group", "test")
    session.run("python", ".ci/mutate.py", *session.posargs)
