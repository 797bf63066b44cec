"""Take the pictures of the local service's page which the documentation shows.

Run `PYTHONPATH=tests python .ci/pictures.py` in the environment of the group `dev`, with chromium
and chromedriver on the PATH, after the page has changed; then look at what is in docs/images.
"""

from __future__ import annotations

import io
from base64 import b64decode
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from PIL import Image

from acceptance.browser_kit import open_browser
from acceptance.page_kit import Page, serve

FOLDER: Final = Path(__file__).parents[1] / "docs" / "images"
PORT: Final = 5005
COLORS: Final = 256
TRACE: Final = """Traceback (most recent call last):
  File "report.py", line 12, in write
OSError: [Errno 28] No space left on device"""


def fill(page: Page) -> None:
    """Let workers hold, finish and fail tasks; nobody polls the group of one pipeline."""
    page.pipeline("nightly-report", 4)
    page.pipeline("import-orders", 2, workerGroup="imports", reportProgressTimeout="20 minutes")
    page.pipeline("mistyped", 3, workerGroup="import")
    tasks = [page.poll(f"worker-{number}.example") for number in (1, 2, 3)]
    tasks.append(page.poll("worker-4.example", "imports"))
    page.server.jump(90)
    page.call("ReportTaskProgress", taskId=tasks[0])
    for task_id, done in ((tasks[1], "80"), (tasks[3], "40")):
        fields = [{"key": "percentComplete", "stringValue": done}]
        page.call("ReportTaskProgress", taskId=task_id, fields=fields)
    page.server.jump(200)
    page.call("ReportTaskProgress", taskId=tasks[0])
    failed = {"errorId": "DiskFull", "errorMessage": "disk full", "errorStackTrace": TRACE}
    page.call("SetTaskStatus", taskId=tasks[0], taskStatus="FAILED", **failed)


def take(page: Page, name: str, width: int, height: int, *, dark: bool = False) -> None:
    """Take a picture of the page as it is in a window of this size."""
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < height}
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    page.script("scrollTo(0, 0)")
    seen = page.script("clock.got")
    page.wait(lambda: page.script("clock.got") != seen)  # so it is laid out anew
    taken = page.browser.execute_cdp_cmd("Page.captureScreenshot", {})["data"]
    picture = Image.open(io.BytesIO(b64decode(taken))).convert("RGB")
    picture.quantize(COLORS, dither=Image.Dither.NONE).save(FOLDER / name, optimize=True)


def main() -> None:
    """Take all pictures: wide and narrow, light and dark, of few tasks and of many."""
    FOLDER.mkdir(exist_ok=True)
    with (
        TemporaryDirectory() as profile,
        open_browser(Path(profile)) as browser,
        serve(PORT, time_scale=1) as server,
    ):
        page = Page(browser, server)
        fill(page)
        page.wait(lambda: page.rows("ended"))
        take(page, "page.png", 1280, 1060)
        browser.find_element("css selector", "#ended tbody a").click()
        page.wait(lambda: page.rows("log"))
        take(page, "page-attempt.png", 1280, 900, dark=True)
        server.service().assign(500, hostname="worker-5.example")
        browser.back()
        page.wait(lambda: len(page.rows("tasks")) > 50)  # noqa: PLR2004 - of the 500
        take(page, "page-narrow.png", 375, 900, dark=True)
        page.press("#tasks", "Give away")
        take(page, "page-dialog.png", 375, 900)


if __name__ == "__main__":
    main()
