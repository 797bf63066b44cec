"""`aiodp validate`: checks definition files as the service does, without a server."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from aiodp.cli._command import command
from aiodp.cli._params import option
from aiodp.cli._shared import hint
from aiodp.cli._validate.check import Checker, JsonFile, ReadError
from aiodp.cli._validate.remarks import Format, as_json, as_text, is_ok
from aiodp.emulator import load_values
from aiodp.emulator._definition.files import load_parameters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiodp.cli._validate.remarks import Remark

_FILE: Final = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
_EXIT_CODES: Final = """\b
Exit codes:
  0  no errors, warnings allowed
  1  there are errors
  2  wrong usage
  74  stdout or stderr cannot be written"""


@command(epilog=_EXIT_CODES)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=_FILE)
@option(
    "--parameters",
    type=_FILE,
    metavar="FILE",
    help='File with the parameters, instead of those of the definitions: {"parameters": [...]}.',
)
@option(
    "--values",
    type=_FILE,
    metavar="FILE",
    help='File with values for the parameters: {"myName": "value", ...}.',
)
@option(
    "--format",
    "output_format",
    envvar="AIODP_VALIDATE_FORMAT",
    type=click.Choice([output_format.value for output_format in Format]),
    default=Format.TEXT.value,
    show_default=True,
    help="Form of the output: a line for each finding, or one JSON object.",
)
def validate(
    *, files: Sequence[Path], parameters: Path | None, values: Path | None, output_format: str
) -> int:
    """Check definition files as the service does, without a server.

    Each error and each warning of ValidatePipelineDefinition is told with its object, its
    field and the line of the file. Nothing leaves the machine, and no credentials are
    needed.
    """
    try:
        remarks = _remarks(files, parameters, values)
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"validate needs the module {error.name}; {hint('validate')}"
        ) from error
    as_json_wanted = output_format == Format.JSON
    click.echo(as_json(remarks) if as_json_wanted else as_text(remarks, len(files)))
    return 0 if is_ok(remarks) else 1


def _remarks(files: Sequence[Path], parameters: Path | None, values: Path | None) -> list[Remark]:
    try:
        checker = Checker(
            now=datetime.now(UTC),
            parameters=None if parameters is None else JsonFile.read(parameters, load_parameters),
            values=None if values is None else JsonFile.read(values, load_values),
        )
    except ReadError as error:
        return [error.remark]
    remarks = [remark for path in files for remark in checker.check(path)]
    return list(dict.fromkeys(remarks))  # one of a file beside is the same for several definitions
