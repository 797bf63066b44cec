"""Durations and the relations between them."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest
from aiobotocore.session import get_session

from aiodp import ProgressReporter, Quota
from aiodp._core.demand import capacity
from aiodp._core.timing import Timing

DEFAULTS = {
    "interval": 60.0,
    "ack_timeout": 120.0,
    "lease_timeout": 300.0,
    "safety_margin": 10.0,
    "attempt_timeout": 10.0,
}


def timing(**changes):
    return Timing.checked(**(DEFAULTS | changes))


def test_timedelta_is_as_good_as_seconds():
    """Each duration may be a timedelta."""
    assert (
        timing(**{name: timedelta(seconds=value) for name, value in DEFAULTS.items()}) == timing()
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        *[({name: -1}, name) for name in DEFAULTS],
        *[({name: 0}, name) for name in DEFAULTS if name != "safety_margin"],
        *[({name: math.nan}, name) for name in DEFAULTS],
        *[({name: math.inf}, name) for name in DEFAULTS],
        *[({name: "60"}, name) for name in DEFAULTS],
        *[({name: None}, name) for name in DEFAULTS],
        *[({name: True}, name) for name in DEFAULTS],
        ({"interval": timedelta(seconds=-5)}, "-5 s"),
        ({"interval": 301}, r"interval \(301 s\) must be shorter than lease_timeout"),
        ({"interval": 290}, r"300 - 10 s"),
        ({"safety_margin": 300}, r"safety_margin \(300 s\) must be shorter than lease_timeout"),
        ({"lease_timeout": 5}, "safety_margin"),
        ({"lease_timeout": 60}, "interval"),
    ],
)
def test_impossible_durations_are_refused(changes, message):
    """The error names what does not fit, in the constructor, before anything is sent."""
    with pytest.raises(ValueError, match=message):
        ProgressReporter(get_session(), **changes)


def test_a_short_lease_shortens_the_interval():
    """A task whose lease is shorter than the usual interval is reported more often by itself."""
    short = timing().override(interval=None, ack_timeout=None, lease_timeout=40)
    assert short.interval == 10
    assert short.lease_timeout == 40
    longer = timing().override(interval=None, ack_timeout=None, lease_timeout=900)
    assert longer.interval == 60


@pytest.mark.parametrize(
    "override",
    [
        {"interval": 300},
        {"interval": -1},
        {"ack_timeout": 0},
        {"lease_timeout": 10},
        {"lease_timeout": "x"},
        {"interval": 50, "lease_timeout": 55},
    ],
)
def test_overrides_are_checked_like_the_defaults(override):
    """A task's own durations must fit together with the rest."""
    with pytest.raises(ValueError, match="must be"):
        timing().override(
            **{"interval": None, "ack_timeout": None, "lease_timeout": None} | override
        )


@pytest.mark.parametrize("options", [{"quota": 5}, {"quota": (10, 100)}])
def test_what_is_no_quota_is_refused(options):
    """In the constructor, not at the first call."""
    with pytest.raises(TypeError, match="quota must be a Quota or None"):
        ProgressReporter(get_session(), **options)
    with pytest.raises(TypeError, match="session must be a session of aiobotocore"):
        ProgressReporter(None)


@pytest.mark.parametrize("quota", [{"rate": 0}, {"rate": -1}, {"rate": math.inf}, {"burst": 0}])
def test_impossible_quotas_are_refused(quota):
    """A quota that grants nothing is a mistake."""
    with pytest.raises(ValueError, match="quota"):
        Quota(**quota)


def test_capacity():
    """0.98 of the rate times the usable lease: 2,842 at the published quota and the defaults."""
    assert capacity(Quota(), timing()) == 2842
    assert capacity(Quota(), timing(lease_timeout=900)) == 8722
    assert capacity(None, timing()) is None
    assert ProgressReporter(get_session()).capacity == 2842


@pytest.mark.parametrize("changes", [{"interval": 289.9}, {"interval": 10, "safety_margin": 289}])
def test_durations_that_just_fit_are_accepted(changes):
    """A report must be due before the lease is given up."""
    assert timing(**changes).interval == changes["interval"]
    assert timing(safety_margin=0).usable_lease == 300.0
    assert timing(safety_margin=30).usable_lease == 270.0


@pytest.mark.parametrize("name", ["interval", "ack_timeout", "lease_timeout"])
def test_each_duration_can_be_overridden_alone(name):
    """The others stay, and nothing is made anew if none is given."""
    none = {"interval": None, "ack_timeout": None, "lease_timeout": None}
    usual = timing()
    assert usual.override(**none) is usual
    changed = usual.override(**none | {name: 200.0})
    assert {field: getattr(changed, field) for field in DEFAULTS} == DEFAULTS | {name: 200.0} | (
        {"interval": 60.0} if name != "interval" else {}
    )


def test_an_interval_that_is_given_is_kept():
    """A short lease shortens only the usual one, to a third of what can be used."""
    assert timing().override(interval=25, ack_timeout=None, lease_timeout=40).interval == 25
    assert timing().override(interval=None, ack_timeout=None, lease_timeout=190).interval == 60
    assert timing().override(interval=None, ack_timeout=None, lease_timeout=70).interval == 20
