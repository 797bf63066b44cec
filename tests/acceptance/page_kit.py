"""The page about the local service in a browser, and a service for it."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from aiodp.emulator import EmulatorServer, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from selenium import webdriver

TOO_LONG: Final = 60  # seconds, which a machine at a tenth of the usual speed needs
ESCAPE: Final = "\ue00c"  # the key, as WebDriver writes it


class Page:
    """The page in the browser, and the service behind it."""

    def __init__(self, browser: webdriver.Chrome, server: EmulatorServer) -> None:
        self.browser = browser
        self.server = server
        browser.get_log("browser")  # what was before is forgotten by being read
        browser.get(f"{server.endpoint}/aiodp-ui/")
        browser.execute_script("window.sameDocument = true")

    def call(self, operation: str, **params: Any) -> dict[str, Any]:
        answer = self.server.service().request(operation, params)
        assert answer.status == 200, answer.body
        result: dict[str, Any] = json.loads(answer.body or b"{}")
        return result

    def pipeline(self, name: str, count: int = 1, **fields: str) -> str:
        pipeline_id: str = self.call("CreatePipeline", name=name, uniqueId=name)["pipelineId"]
        fields = {
            "type": "ShellCommandActivity",
            "command": "true",
            "workerGroup": "workers",
            "scheduleType": "ondemand",
        } | fields
        wire = [{"key": key, "stringValue": value} for key, value in fields.items()]
        objects = [{"id": f"Work{n}", "name": f"Work{n}", "fields": wire} for n in range(count)]
        self.call("PutPipelineDefinition", pipelineId=pipeline_id, pipelineObjects=objects)
        self.call("ActivatePipeline", pipelineId=pipeline_id)
        return pipeline_id

    def poll(self, hostname: str = "host.example", group: str = "workers") -> str:
        polled = self.call("PollForTask", workerGroup=group, hostname=hostname)
        return str(polled["taskObject"]["taskId"])

    def rows(self, section: str) -> list[str]:
        """The text of each row of a section's table, on one line."""
        script = "return [...document.querySelectorAll(arguments[0])].map(row => row.innerText)"
        found = self.browser.execute_script(script, f"#{section} tbody tr")
        return [" ".join(row.split()) for row in found]

    def look(self) -> None:
        """Have the page fetch now what it would fetch within a second."""
        self.script("look()")

    def script(self, expression: str) -> Any:
        return self.browser.execute_script(f"return {expression}")

    def press(self, selector: str, within: str = "") -> None:
        """Press the button which matches, and whose label has that text within it.

        It is done by key, because the page may move what is under the mouse at any time.
        """
        found = self.wait(
            lambda: [
                one
                for one in self.browser.find_elements("css selector", f"{selector} button")
                if one.is_displayed() and within in one.text
            ]
        )
        found[0].send_keys("\n")

    def follow(self, selector: str) -> None:
        """Follow the link which matches, by key as well."""
        self.wait(lambda: self.browser.find_elements("css selector", selector))[0].send_keys("\n")

    def wait(self, condition) -> Any:
        """Return what the condition gives as soon as that is true."""
        # Only for those who have it.
        from selenium.common.exceptions import (  # noqa: PLC0415 - see above
            StaleElementReferenceException,
        )
        from selenium.webdriver.support.wait import WebDriverWait  # noqa: PLC0415 - see above

        gone = [StaleElementReferenceException]  # between being found and being looked at
        wait = WebDriverWait(self.browser, TOO_LONG, 0.1, ignored_exceptions=gone)
        return wait.until(lambda _: condition())


@contextmanager
def serve(port: int = 0, time_scale: float = 1) -> Iterator[EmulatorServer]:
    with EmulatorServer(
        port=port, time_scale=time_scale, settings=Settings(quotas=None), ui=True
    ) as server:
        yield server


def find(page: Page, selector: str) -> Any:
    return page.browser.find_element("css selector", selector)


def choose(page: Page, selector: str, text: str) -> None:
    from selenium.webdriver.support.select import Select  # noqa: PLC0415 - only for those who have it

    Select(find(page, selector)).select_by_visible_text(text)


def focused(page: Page) -> str:
    """The text of what has the focus."""
    return str(page.browser.switch_to.active_element.text)


def visible(page: Page, selector: str) -> bool:
    return bool(find(page, selector).is_displayed())


def attempt_hash(page: Page, task_id: str) -> str:
    task = page.server.service().task(task_id)
    return f"#/attempt?{urlencode({'pipeline': task.pipeline_id, 'attempt': task.attempt_id})}"
