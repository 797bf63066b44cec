"""The AWS CLI in one process, run by its own Python, for commands one after the other.

A line of JSON on the standard input has the arguments of a command, and what is special about its
environment; a line on the standard output tells its exit code, and what it printed.
"""

from __future__ import annotations

import io
import json
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from typing import Any

from awscli.clidriver import create_clidriver  # type: ignore[import-not-found]
from botocore import session

# The descriptions of services are read from disk once, not once for each command.
session.create_loader = cache(session.create_loader)


def run(arguments: list[str], environment: dict[str, str]) -> dict[str, Any]:
    """Run a command as `aws` does."""
    os.environ.update(environment)
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        try:
            code = create_clidriver().main(arguments) or 0
        except SystemExit as error:
            code = error.code
    return {"returncode": code, "stdout": out.getvalue(), "stderr": err.getvalue()}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(run(*json.loads(line))), flush=True)  # noqa: T201 - the answer
