"""The small parts of the test kit."""

from __future__ import annotations

import pytest
from aiobotocore.session import get_session

import aiodp.testing
from aiodp import ProgressReporter
from aiodp.testing import scaled


def test_scaled_options_are_the_reporters():
    """They fit the constructor, and keep the proportions of the defaults."""
    reporter = ProgressReporter(get_session(), **scaled(60))
    assert reporter._timing.lease_timeout == 5
    assert reporter._timing.interval == 1
    assert reporter._quota is not None
    assert reporter._quota.rate == 600


@pytest.mark.parametrize("scale", [0, -1])
def test_impossible_scales(scale):
    """Time does not stand still."""
    with pytest.raises(ValueError, match="time_scale"):
        scaled(scale)


def test_all_of_the_test_kit_is_documented():
    """Each public name has a docstring."""
    for name in aiodp.testing.__all__:
        assert getattr(aiodp.testing, name).__doc__, name
