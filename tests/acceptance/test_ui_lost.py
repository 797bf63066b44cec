"""The page about the local service when something is not there, or does not answer."""

from __future__ import annotations

import pytest

from acceptance.browser_kit import needs_chromium
from acceptance.page_kit import attempt_hash, find, focused, visible

pytestmark = [needs_chromium, pytest.mark.slow]


def test_what_was_not_answered_may_have_been_done(page):
    """The dialog does not deny it, keeps the focus, and gives it to where its task was."""
    service = page.server.service()
    [task_id] = service.assign()
    page.look()
    page.press("#tasks", "Cancel")
    page.script(
        "(AbortSignal.timeout = () => window.limit.signal, "
        "window.limit = new AbortController()) && null"
    )
    with service:  # the lock: every answer waits
        page.press("#ask", "Cancel the task")
        page.script("window.limit.abort()")
        text = "It is not known whether it was done: The service does not answer."
        page.wait(lambda: find(page, "#ask [role=alert]").text == text)
        assert focused(page) == "Cancel the task"
        page.script("(window.limit = new AbortController()) && null")
    page.wait(lambda: service.task(task_id).canceled)
    page.wait(lambda: not page.rows("tasks"))
    page.press("#ask", "No, leave it")
    page.wait(lambda: focused(page) == "In progress")


def test_a_filter_that_matches_nothing_is_said(page):
    """What is filtered away is not said to be missing; a tile keeps the filter in the address."""
    page.server.service().assign()
    page.look()
    page.wait(lambda: page.rows("tasks"))
    page.script("(location.hash = '#/?status=FAILED&limit=-5') && null")
    page.wait(lambda: not page.rows("tasks"))
    assert find(page, "#tasks .empty").text == "None matches the filter."
    assert find(page, "#ended .empty").text == "None matches the filter."
    assert not visible(page, "#banner")
    page.script("(location.hash = '#/?text=nowhere') && null")
    page.wait(lambda: not page.rows("pipelines"))
    assert find(page, "#pipelines .empty").text == "None matches the filter."
    page.script("addEventListener('hashchange', event => window.followed = event.newURL)")
    page.follow("#tiles a")
    page.wait(lambda: str(page.script("window.followed")).endswith("#tasks"))
    page.wait(lambda: page.script("location.hash") == "#/?text=nowhere")
    page.press("#filter", "Show all")
    page.wait(lambda: page.rows("tasks"))
    assert find(page, "#ended .empty").text == "No attempt has ended."


def test_a_way_leads_out_of_what_is_gone(page):
    """After a reset, the view of an attempt says that it is gone, and links to what there is."""
    service = page.server.service()
    [task_id] = service.assign()
    page.script(f"(location.hash = {attempt_hash(page, task_id)!r}) && null")
    page.wait(lambda: visible(page, "#attempt-view"))
    service.reset()
    page.wait(lambda: visible(page, "#banner"))
    assert find(page, "#banner").text.endswith(
        "does not exist. There is nothing to show; trying again each second."
    )
    assert not visible(page, "#attempt-view")
    assert focused(page) == "Local AWS Data Pipeline"
    page.follow("#way-out a")
    page.wait(lambda: visible(page, "#overview") and not visible(page, "#banner"))
    assert not visible(page, "#way-out")
