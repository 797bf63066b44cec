"""What `aiodp emulate` prints once it serves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiodp._core.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiodp.cli._emulate.load import Loaded
    from aiodp.cli._emulate.options import Options


def greeting(endpoint: str, loaded: Sequence[Loaded], options: Options) -> str:
    """Return it for the endpoint, and the pipelines that were loaded."""
    minute = f"{60 / options.time_scale:.3g} s"
    page = f"See what it does: {endpoint}/aiodp-ui/\n\n" if options.ui else ""
    return f"""\
Serving AWS Data Pipeline, and the rest of moto, on {endpoint}
Point an AWS client at it:

    export AWS_ENDPOINT_URL={endpoint}
    export AWS_ACCESS_KEY_ID=testing
    export AWS_SECRET_ACCESS_KEY=testing
    export AWS_DEFAULT_REGION=us-east-1

{_pipelines(loaded)}{page}{_dates(options)}\
A minute of the service lasts {minute}.{_scaling_hint(options.time_scale)}Ctrl-C stops it.
"""


def _pipelines(loaded: Sequence[Loaded]) -> str:
    if not loaded:
        return ""
    rows = [
        (pipeline.pipeline_id, pipeline.state, pipeline.name, "" if pipeline.new else "(kept)")
        for pipeline in loaded
    ]
    lines = [f"    {printable(' '.join(row).rstrip())}\n" for row in rows]
    return f"Pipelines:\n\n{''.join(lines)}\n"


def _dates(options: Options) -> str:
    """Return which dates the service has, if they are not the real ones, and what that means."""
    ahead = not options.catch_up and (options.time_scale > 1 or options.first_date > options.now)
    if options.epoch is None and not ahead:
        return ""
    course = "may" if ahead else "never"
    advice = "restart with --epoch and --catch-up, or" if ahead else "for other runs"
    return f"""\
The service's dates begin with {options.first_date:%Y-%m-%dT%H:%M:%S} UTC, and {course} run ahead of
the real ones. `aws datapipeline list-runs` lists what started in the last four
real days; {advice} give it --start-interval.

"""


def _scaling_hint(time_scale: float) -> str:
    if time_scale == 1:
        return " "
    options = f"**aiodp.testing.scaled({time_scale:g})"
    scale = f"--time-scale {time_scale:g}"
    return f""" Who works for it must keep up:

    ProgressReporter(..., {options})
    TaskRunner(..., {options})
    aiodp run {scale} ...
    aiodp hold {scale} ...

"""
