"""Faults that heartbeat libraries are known for, and the tests that show them impossible here."""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

FAULTS = {
    "heartbeats wait for a pool slot behind long polls": (
        "acceptance/test_wire.py::test_long_polls_do_not_starve_heartbeats"
    ),
    "retries of the HTTP library outlast the lease": (
        "virtual/test_track.py::test_the_server_that_stops_answering"
    ),
    "a deadline that counts from the answer, or moves on a failure": (
        "unit/core/test_lease.py::test_the_deadline_counts_from_the_send_time_of_the_last_success"
    ),
    "impossible timings are accepted": (
        "unit/core/test_timing.py::test_impossible_durations_are_refused"
    ),
    "any error but throttling ends the heartbeat": (
        "virtual/test_track.py::test_whatever_goes_wrong_is_survived_and_counted"
    ),
    "a few failures end healthy work": (
        "virtual/test_long_running.py::test_three_failures_in_a_row_are_no_reason_to_give_up"
    ),
    "a local lapse stops the heartbeat and so guarantees the loss": (
        "virtual/test_track.py::test_a_lapsed_lease_is_still_reported_while_its_body_winds_down"
    ),
    "the heartbeat ends before the work does": (
        "virtual/test_cancellation.py::test_heartbeats_go_on_while_a_canceled_body_cleans_up"
    ),
    "a beat after completion": (
        "virtual/test_status.py::test_after_an_acknowledged_status_no_report_is_sent"
    ),
    "a beat and the completion in flight together": (
        "virtual/test_status.py::test_a_report_and_a_status_are_never_in_flight_together"
    ),
    "a blocked event loop hides a lapse": (
        "virtual/test_engine.py::test_a_blocked_loop_cannot_hide_a_lapse"
    ),
    "throttling for ever goes unnoticed": (
        "virtual/test_track.py::test_whatever_goes_wrong_for_ever_ends_in_lost"
    ),
    "throttled beats never learn of the cancellation": (
        "virtual/test_engine.py::test_three_processes_share_the_quota_without_talking"
    ),
    "the scheduler sleeps on an old long deadline": (
        "unit/core/test_schedule.py::test_a_new_short_lease_is_seen_at_once"
    ),
    "the same task again is taken for the old one": (
        "virtual/test_track.py::test_the_same_task_twice_has_two_leases"
    ),
    "the heartbeater dies silently": (
        "virtual/test_engine.py::test_a_crash_of_the_reporter_ends_every_lease_with_its_cause"
    ),
    "the heartbeat ends when the worker begins to stop": (
        "virtual/test_runner_end.py::test_heartbeats_go_on_to_the_last_status_of_a_drain"
    ),
    "the same job given twice crashes the worker": (
        "virtual/test_runner_polls.py::test_the_same_task_given_twice_is_done_once"
    ),
    "stopping hangs on a connection": (
        "virtual/test_runner_end.py::test_a_stop_is_bounded_when_the_service_hangs"
    ),
    "hung work beats for ever": (
        "virtual/test_long_running.py::test_hung_work_can_be_capped_by_its_user"
    ),
    "a late success revives a lease": (
        "unit/core/test_lease.py::test_a_late_success_does_not_count"
    ),
    "warnings flood the log": (
        "virtual/test_long_running.py::test_logs_tell_changes_not_repetitions"
    ),
    "a half-open connection makes stopping hang": (
        "virtual/test_track.py::test_leaving_is_bounded_when_the_server_hangs"
    ),
    "the user's exception comes out in a group": (
        "virtual/test_track.py::test_an_exception_of_the_body_comes_out_bare"
    ),
    "counts that are wrong in spite of full coverage": (
        "unit/core/test_schedule.py::TestSchedules"
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_has_its_test(fault):
    """The test that shows it exists under the name given here."""
    file, _, name = FAULTS[fault].partition("::")
    text = (TESTS / file).read_text()
    assert f"def {name}(" in text or f"\n{name} = " in text
