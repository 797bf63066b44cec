"""The page about the local service, in a headless Chromium."""

from __future__ import annotations

import re
from urllib.request import urlopen

import pytest

from acceptance.browser_kit import needs_chromium
from acceptance.page_kit import Page, serve
from aiodp.emulator import EmulatorServer, Fault, FaultKind

HOSTILE = '<img src=x onerror="window.hacked = true"><script>window.hacked = true</script>'

pytestmark = [needs_chromium, pytest.mark.slow]


def test_it_shows_who_holds_what_for_how_long(page):
    """A task in progress shows its pipeline, its owner, its lease and what was reported."""
    pipeline_id = page.pipeline("nightly", count=2)
    task_id = page.poll("worker-7.example")
    reported = [{"key": "percentComplete", "stringValue": "40"}]
    page.call("ReportTaskProgress", taskId=task_id, fields=reported)
    page.wait(lambda: "40 %" in "".join(page.rows("tasks")))
    [row] = page.rows("tasks")
    for part in (pipeline_id, "nightly", "@Work0_", "worker-7.example", "workers", "40 %"):
        assert part in row
    assert re.search(r" (4 min \d+ s|5 min) of 5 min ", row)
    [row] = page.rows("pipelines")
    for part in (pipeline_id, "nightly", "SCHEDULED", "1 RUNNING", "1 WAITING_FOR_RUNNER"):
        assert part in row
    [row] = page.rows("queues")
    assert re.fullmatch(r"workers 1 1 0 \d+ s ago", row)
    assert any(row.startswith("PollForTask 1") for row in page.rows("calls"))


def test_a_lease_counts_down_and_a_report_renews_it(page):
    """The bar of a lease shrinks by itself, and is full again after a report."""
    page.pipeline("p")
    task_id = page.poll()
    page.call("ReportTaskProgress", taskId=task_id)
    bar = "document.querySelector('#tasks [role=meter][aria-valuemax=\"300\"]')"
    page.wait(lambda: page.script(bar))
    width = f"{bar}.firstElementChild.getBoundingClientRect().width"
    before, left = page.script(width), int(page.script(f"{bar}.getAttribute('aria-valuenow')"))
    page.wait(lambda: page.script(width) < before)
    page.wait(lambda: int(page.script(f"{bar}.getAttribute('aria-valuenow')")) < left - 2)
    assert page.script(f"{bar}.getAttribute('aria-label')").startswith("Lease left of @Work0_")
    low = page.script(width)
    page.call("ReportTaskProgress", taskId=task_id)
    page.wait(lambda: page.script(width) > low)


def test_a_lease_counts_down_between_two_looks(page):
    """The page does not need the service to count down: it does so while that is silent."""
    page.pipeline("p")
    page.poll()
    bar = "document.querySelector('#tasks [role=meter]')"
    page.wait(lambda: page.script(bar))
    page.script("(window.fetch = () => new Promise(() => {})) && null")
    left = int(page.script(f"{bar}.getAttribute('aria-valuenow')"))
    page.wait(lambda: int(page.script(f"{bar}.getAttribute('aria-valuenow')")) < left - 2)


def test_what_happens_is_seen_without_a_reload(page):
    """After SetTaskStatus the row is among the ended ones, in the same document."""
    page.pipeline("p")
    task_id = page.poll()
    page.wait(lambda: page.rows("tasks"))
    page.call(
        "SetTaskStatus",
        taskId=task_id,
        taskStatus="FAILED",
        errorId="Broken",
        errorMessage="no such file",
    )
    [row] = page.wait(lambda: page.rows("ended"))
    assert page.rows("tasks") == []
    for part in ("@Work0_", "FAILED", "host.example", "errorId: Broken", "no such file"):
        assert part in row
    assert page.script("window.sameDocument") is True
    assert "Nobody holds a task." in page.script("document.querySelector('#tasks').innerText")


def test_what_users_name_is_text(page):
    """Names with HTML in them are shown as they are, and nothing in them is run."""
    page.pipeline(HOSTILE)
    task_id = page.poll(HOSTILE)
    fields = [{"key": "note", "stringValue": HOSTILE}]
    page.call("ReportTaskProgress", taskId=task_id, fields=fields)
    page.wait(lambda: "".join(page.rows("tasks")).count(HOSTILE) == 3)
    for link, view in (("attempt", "attempt-view"), ("pipeline", "pipeline-view")):
        page.follow(f"tbody a[href^='#/{link}']")
        page.wait(lambda view=view: HOSTILE in page.browser.find_element("id", view).text)
        page.browser.back()
        page.wait(lambda: page.browser.find_element("id", "overview").is_displayed())
    assert page.script("document.querySelectorAll('img').length") == 0
    assert page.script("window.hacked") is None


def test_a_lost_service_is_said_and_found_again(browser):
    """While the service is gone a banner says so; when it is back the page goes on by itself."""
    with serve() as server:
        port = server.port
        page = Page(browser, server)
        page.pipeline("before")
        page.wait(lambda: "before" in "".join(page.rows("pipelines")))
        assert not banner(page).is_displayed()
    page.wait(lambda: banner(page).is_displayed())
    assert banner(page).text.startswith("The service does not answer.")
    assert banner(page).get_attribute("role") == "alert"
    assert "before" in page.rows("pipelines")[0]
    with serve(port) as page.server:
        page.pipeline("after")
        page.wait(lambda: "after" in "".join(page.rows("pipelines")))
        assert not banner(page).is_displayed()
        assert page.script("window.sameDocument") is True
        browser.get("about:blank")


def test_a_service_that_refuses_is_said(page):
    """An answer which is no state is as good as none, and the banner names its status."""
    page.wait(lambda: page.script("document.title.includes('in progress')"))
    page.script("(window.fetch = async () => new Response('', { status: 500 })) && null")
    page.wait(lambda: banner(page).is_displayed())
    assert "HTTP status 500" in banner(page).text


def test_a_region_is_asked_for_in_the_address(page):
    """The page shows the region of its address, and says what is wrong with one that is none."""
    page.pipeline("here")
    page.browser.get(f"{page.server.endpoint}/aiodp-ui/?region=eu-west-1")
    page.wait(lambda: page.script("document.title.includes('in progress')"))
    assert page.rows("pipelines") == []
    assert "eu-west-1" in page.script("document.querySelector('#place').innerText")
    page.browser.get(f"{page.server.endpoint}/aiodp-ui/?region=nowhere")
    page.wait(lambda: banner(page).is_displayed())
    assert "nowhere" in banner(page).text


def test_it_rests_while_nobody_sees_it(page):
    """A hidden page asks for nothing; once it is seen again it goes on."""
    page.wait(lambda: page.script("document.title.includes('in progress')"))
    page.script(
        "(Object.defineProperty(document, 'hidden', { get: () => window.unseen, "
        "configurable: true }), window.unseen = true, window.looks = 0, "
        "window.realFetch = window.fetch, "
        "window.fetch = (...all) => { window.looks += 1; return window.realFetch(...all); }) "
        "&& null"
    )
    page.wait(lambda: page.script("updating") is False)
    looks = page.script("window.looks")
    page.script("(window.unseen = false, document.dispatchEvent(new Event('visibilitychange')))")
    page.wait(lambda: page.script("window.looks") > looks)


def test_thousands_of_tasks_are_shown_in_part(page):
    """Of many tasks the page shows a hundred, says how many more there are, and stays quick."""
    page.server.service().assign(3000)
    page.wait(lambda: page.rows("tasks"))
    title = page.script("document.querySelector('#tasks .title').innerText")
    assert "100 shown, and 2,900 more" in title
    assert len(page.rows("tasks")) == 100
    # The shortest of ten, for other processes may take the processor meanwhile.
    took = page.script(
        "Math.min(...Array.from({length: 10}, () => "
        "{ const t = performance.now(); tick(); return performance.now() - t; }))"
    )
    assert took < 250


def test_it_can_be_used_without_a_mouse(page):
    """Each table has a name and can be scrolled by keys, and each tile leads to its section."""
    page.pipeline("p")
    page.poll()
    page.wait(lambda: page.rows("tasks"))
    names = page.script(
        "[...document.querySelectorAll('.scroll:not([hidden])')].map(one => [one.tabIndex, "
        "document.getElementById(one.getAttribute('aria-labelledby')).innerText])"
    )
    assert [0, "In progress"] in names
    assert {index for index, _ in names} == {0}
    targets = page.script("[...document.querySelectorAll('nav a')].map(one => one.hash.slice(1))")
    assert targets
    assert all(page.script(f"document.getElementById('{one}') !== null") for one in targets)


def test_faults_are_shown(page):
    """What goes wrong on purpose is shown, with the calls it befalls."""
    page.server.service().faults.add(
        Fault(kind=FaultKind.SLOW, actions=frozenset({"SetTaskStatus"}), every=3, delay=1.0)
    )
    [row] = page.wait(lambda: page.rows("faults"))
    assert "slow" in row
    assert "one in 3 calls of SetTaskStatus" in row


def test_rows_whose_names_are_cut_alike_stay_as_many(page):
    """However often the page looks, each thing has one row, and what is gone has none."""
    service = page.server.service()
    for tail in "abc":
        service.assign(worker_group="w" * 300 + tail)
        page.call("ReportTaskRunnerHeartbeat", taskrunnerId="r" * 300 + tail)
        service.request("O" * 300 + tail, {})
    lists = ("queues", "runners", "calls")
    page.wait(lambda: [len(page.rows(one)) for one in lists] == [3, 3, 4])
    looks = page.script("shown.now")
    page.wait(lambda: page.script("shown.now") > looks + 2)  # two looks
    assert [len(page.rows(one)) for one in lists] == [3, 3, 4]


def test_rows_with_the_same_key_do_not_pile_up(page):
    """A table shows what it was given last, whatever the keys."""
    counts = page.script(
        "(() => { const made = makeTable('x', [lines('A', (row) => [[row]])], () => 'same');"
        " return [3, 3, 1].map((n) => { made.update(Array(n).fill('text'));"
        " return made.table.tBodies[0].children.length; }); })()"
    )
    assert counts == [3, 3, 1]


def test_the_page_says_nothing_on_the_console(page):
    """The page's own policy blocks nothing of it, and its script fails nowhere."""
    page.pipeline("p")
    page.wait(lambda: page.rows("pipelines"))
    assert [line["message"] for line in page.browser.get_log("browser")] == []


def test_without_the_option_there_is_no_page():
    """A server that was not asked for the page does not serve it."""
    with EmulatorServer() as server, pytest.raises(OSError, match="404"):
        urlopen(f"{server.endpoint}/aiodp-ui/")


def banner(page: Page):
    return page.browser.find_element("id", "banner")
