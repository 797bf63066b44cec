"""The keyword arguments of the reporter and of `track`, as types that others hand on."""

from __future__ import annotations

import pytest

from aiodp._reporter.options import ReporterOptions, ScaledOptions, TrackOptions


@pytest.mark.parametrize("options", [ReporterOptions, TrackOptions])
def test_each_option_may_be_left_out(options):
    """Also for those who read the type at run time, as pydantic does."""
    assert not options.__required_keys__


def test_a_scaled_service_needs_all_timings():
    """None of them is that of the service."""
    assert not ScaledOptions.__optional_keys__
