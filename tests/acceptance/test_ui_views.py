"""The page about the local service: its views, its filters, and what its buttons do."""

from __future__ import annotations

import pytest

from acceptance.browser_kit import needs_chromium
from acceptance.page_kit import ESCAPE, Page, attempt_hash, choose, find, focused, visible
from aiodp.emulator import EmulatorServer

pytestmark = [needs_chromium, pytest.mark.slow]

WIDTH = 375  # pixels, of a small telephone


def test_it_says_that_it_loads_and_what_is_wrong_if_nothing_comes(browser):
    """Until the first answer the page says so; if there is none, a banner says why."""
    with EmulatorServer(ui=True) as server:
        endless = "AbortSignal.timeout = () => new AbortController().signal"
        patch = browser.execute_cdp_cmd(
            "Page.addScriptToEvaluateOnNewDocument", {"source": endless}
        )
        with server.service():  # the lock: every answer waits
            page = Page(browser, server)
            browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", patch)
            assert visible(page, "#loading")
            assert find(page, "#loading").get_attribute("role") == "status"
            assert not visible(page, "#overview")
        page.wait(lambda: visible(page, "#overview"))
        assert not visible(page, "#loading")
        browser.execute_cdp_cmd("Network.enable", {})
        browser.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["*/aiodp-api/*"]})
        try:
            browser.refresh()
            page.wait(lambda: visible(page, "#banner"))
        finally:
            browser.execute_cdp_cmd("Network.setBlockedURLs", {"urls": []})
        assert find(page, "#banner").text == (
            "The service does not answer. There is nothing to show yet; trying again each second."
        )
        assert not visible(page, "#loading")
        page.wait(lambda: visible(page, "#overview") and not visible(page, "#banner"))
        browser.get("about:blank")


def test_what_is_listed_is_filtered_and_sorted_by_its_address(page):
    """By text, status and worker group; a reload keeps it, and what matches is said once."""
    service = page.server.service()
    service.assign(3, worker_group="a", hostname="early")
    [late] = service.assign(worker_group="b", hostname="late")
    page.call("ReportTaskProgress", taskId=late)
    page.look()
    page.wait(lambda: len(page.rows("tasks")) == 4)
    choose(page, "[name=status]", "RUNNING")
    page.wait(lambda: len(page.rows("tasks")) == 1)
    assert page.wait(lambda: find(page, "#said").text).startswith("1 task in progress and 0 ended")
    choose(page, "[name=status]", "any")
    choose(page, "[name=workerGroup]", "a")
    find(page, "[name=text]").send_keys("EARLY")
    page.wait(lambda: "text=EARLY" in page.script("location.hash"))
    page.wait(lambda: len(page.rows("tasks")) == 3)
    page.browser.refresh()
    page.wait(lambda: len(page.rows("tasks")) == 3)
    assert find(page, "[name=text]").get_attribute("value") == "EARLY"
    page.press("#filter", "Show all")
    page.wait(lambda: len(page.rows("tasks")) == 4)
    assert "late" in page.rows("tasks")[3]
    service.assign(worker_group="c", hostname="newest")
    choose(page, "[name=order]", "the shortest lease left first")
    page.wait(lambda: len(page.rows("tasks")) == 5 and "late" in page.rows("tasks")[4])


def test_an_attempt_and_a_pipeline_have_views_of_their_own(page):
    """A link opens them, back leads to where one was, and a reload stays there."""
    page.pipeline("nightly")
    task_id = page.poll("worker-7.example")
    for _ in range(250):
        page.call("ReportTaskProgress", taskId=task_id)
    page.call("SetTaskStatus", taskId=task_id, taskStatus="FAILED", errorMessage="disk full")
    page.look()
    page.wait(lambda: page.rows("ended"))
    page.follow("#ended tbody a")
    page.wait(lambda: visible(page, "#attempt-view"))
    assert page.wait(lambda: focused(page)).startswith("Attempt @Work0_")
    assert "worker-7.example" in page.rows("owners")[0]
    assert page.rows("error") == ["errorMessage disk full"]
    ended, reported, *_ = page.rows("log")
    assert "its worker ended it FAILED" in ended
    assert " report " in reported
    assert find(page, "#log .title").text == "Log\n200 shown, and 53 more"  # and no button
    assert "command true" in page.rows("fields")
    assert page.script("document.title").startswith("Attempt @Work0_")
    page.browser.refresh()
    page.wait(lambda: visible(page, "#attempt-view"))
    page.follow("#attempt-now a[href^='#/pipeline']")
    page.wait(lambda: visible(page, "#pipeline-view"))
    assert "WAITING_FOR_RUNNER attempt 1 worker-7.example" in page.rows("runs")[0]
    page.browser.back()
    page.wait(lambda: visible(page, "#attempt-view"))
    page.browser.back()
    page.wait(lambda: visible(page, "#overview"))
    page.follow("#pipelines tbody a")
    page.wait(lambda: visible(page, "#pipeline-view"))
    page.browser.back()
    page.wait(lambda: focused(page) == "nightly")
    page.browser.get(f"{page.server.endpoint}/aiodp-ui/#/pipeline?pipeline=df-NONE")
    page.browser.refresh()
    page.wait(lambda: visible(page, "#banner"))
    assert "df-NONE" in find(page, "#banner").text
    assert not visible(page, "#pipeline-view")


def test_each_button_asks_first_and_refusals_are_shown(page):
    """Escape leaves everything as it is and gives the focus back; a refusal stays to be read."""
    first, second = page.server.service().assign(2)
    page.look()
    page.wait(lambda: page.rows("tasks"))
    page.press("#tasks", "Cancel")
    assert page.wait(lambda: focused(page)) == "No, leave it"
    page.browser.switch_to.active_element.send_keys(ESCAPE)
    page.wait(lambda: not visible(page, "#ask"))
    assert focused(page) == "Cancel…"
    assert page.server.service().task(first).canceled is False
    page.press("#tasks", "Cancel")
    page.press("#ask", "Cancel the task")
    page.wait(lambda: page.server.service().task(first).canceled)
    page.wait(lambda: find(page, "#said").text == "The task is canceled.")
    page.wait(lambda: len(page.rows("tasks")) == 1)
    assert focused(page) == "In progress"  # the button has gone with its row
    page.press("#tasks", "Give away")
    page.server.service().give_away(second)
    page.press("#ask", "End its lease")
    refusal = "It was not done: a task which is UNACKNOWLEDGED cannot be given away"
    page.wait(lambda: find(page, "#ask [role=alert]").text == refusal)


def test_time_faults_and_runs_are_under_control(page):
    """The buttons jump, add and end faults, and run again what has ended."""
    service = page.server.service()
    [task_id] = service.assign()
    service.cancel(task_id)
    task = service.task(task_id)
    page.press("header", "Let time jump")
    page.press("#ask", "Jump")
    page.wait(lambda: not visible(page, "#ask"))
    assert service.now > 60
    page.press("header", "Add a fault")
    choose(page, "#ask [name=kind]", "slow")
    choose(page, "#ask [name=operation]", "SetTaskStatus")
    page.press("#ask", "Add the fault")
    [row] = page.wait(lambda: page.rows("faults"))
    assert "slow SetTaskStatus" in row
    [active] = service.faults.active
    assert (active.fault.delay, active.fault.count) == (10.0, 1)
    page.press("#faults", "End all faults")
    page.press("#ask", "End them")
    page.wait(lambda: not service.faults.active)
    page.wait(lambda: not visible(page, "#ask"))
    page.script(f"(location.hash = {attempt_hash(page, task_id)!r}) && null")
    page.press("#attempt-view", "Run again")
    page.press("#ask", "Run it again")
    page.wait(lambda: len(service.audit.owners(task.instance_id)) == 1)
    page.wait(lambda: "attempt 2" in page.rows("attempt-now")[0])


def test_work_that_no_worker_polls_for_is_said(page):
    """Its worker group says so, and so does what sums them up; the first poll ends it."""
    page.pipeline("p", count=2)
    page.look()
    [row] = page.wait(lambda: page.rows("queues"))
    assert row == "workers 2 0 0 never no worker polls this group"
    assert "waiting; 1 group unpolled" in page.script("document.querySelector('#tiles').innerText")
    page.poll()
    page.look()
    page.wait(lambda: "no worker" not in page.rows("queues")[0])


def test_it_speaks_only_when_something_has_happened(page):
    """A screen reader is told of no look; fields have labels, rows and columns heads."""
    page.server.service().assign(2)
    page.look()
    page.wait(lambda: page.rows("tasks"))
    page.script(
        "(window.told = 0, document.querySelectorAll('[role=status], [role=alert]').forEach("
        "(one) => new MutationObserver(() => { window.told += 1; }).observe("
        "one, { attributes: true, childList: true, characterData: true, subtree: true })))"
    )
    for _ in range(3):
        looked = page.script("clock.got")
        page.look()
        page.wait(lambda looked=looked: page.script("clock.got") > looked)
    assert page.script("window.told") == 0
    fields = "document.querySelectorAll('input, select')"
    assert page.script(f"[...{fields}].filter((one) => !one.labels.length).length") == 0
    heads = "document.querySelectorAll('thead th:not([scope=col]), tbody th:not([scope=row])')"
    assert page.script(f"{heads}.length") == 0


def test_it_stays_a_page_on_a_telephone_with_hundreds_of_tasks(page):
    """Nothing is wider than the screen, and whoever reads or types is not disturbed."""
    service = page.server.service()
    *_, last = service.assign(500, hostname="h" * 300)
    size = {"width": WIDTH, "height": 667, "deviceScaleFactor": 1, "mobile": True}
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        page.browser.get(f"{page.server.endpoint}/aiodp-ui/#/?order=lease&limit=500")
        page.browser.refresh()
        page.wait(lambda: len(page.rows("tasks")) == 500)
        assert page.script("document.documentElement.scrollWidth") <= WIDTH
        row = "document.querySelector('#tasks tbody tr')"
        moved = page.script(f"(window.kept = {row}).row.task")
        page.script("window.kept.querySelector('button').focus()")
        page.call("ReportTaskProgress", taskId=moved)  # which makes its lease the longest
        page.look()
        page.wait(lambda: page.script(f"{row} !== window.kept"))
        assert page.script("window.kept.isConnected && window.kept.row.reports") == 1
        assert page.script("document.activeElement === window.kept.querySelector('button')")
        page.script(f"(location.hash = {attempt_hash(page, last)!r}) && null")
        page.wait(lambda: visible(page, "#attempt-view"))
        assert page.script("document.documentElement.scrollWidth") <= WIDTH
        page.press("#attempt-view", "Add a fault")
        assert page.script("document.querySelector('#ask').getBoundingClientRect().right") <= WIDTH
    finally:
        page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
