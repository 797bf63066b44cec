"""What web pages can do to the local service by their reader's browser: nothing."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.request import Request, urlopen

import pytest

from acceptance.browser_kit import FOREIGN, UNTRUSTED, foreign_site, needs_chromium
from aiodp.emulator import EmulatorServer, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from selenium import webdriver

pytestmark = [needs_chromium, pytest.mark.slow]

BUCKET: Final = "inputs"
TEMPLATE: Final = {
    "Resources": {
        "Attack": {
            "Type": "AWS::DataPipeline::Pipeline",
            "Properties": {
                "Name": "attack",
                "PipelineObjects": [
                    {
                        "Id": "Work",
                        "Name": "Work",
                        "Fields": [
                            {"Key": "type", "StringValue": "ShellCommandActivity"},
                            {"Key": "command", "StringValue": "touch /tmp/attacked"},
                            {"Key": "workerGroup", "StringValue": "workers"},
                        ],
                    }
                ],
            },
        }
    }
}
ATTEMPTS: Final = f"""
const [target, finish] = arguments;
const signed = service => "AWS4-HMAC-SHA256 " +
    `Credential=a/20260101/us-east-1/${{service}}/aws4_request, SignedHeaders=host, Signature=0`;
const form = {{"Content-Type": "application/x-www-form-urlencoded"}};
const stack = new URLSearchParams({{
    Action: "CreateStack", Version: "2010-05-15", StackName: "attack",
    TemplateBody: {json.dumps(json.dumps(TEMPLATE))},
}}).toString();
const element = (name, path) => new Promise((done, failed) => {{
    const made = document.createElement(name);
    Object.assign(made, {{src: target + path, onload: () => done(), onerror: failed}});
    document.body.append(made);
}});
const post = (path, fields) => new Promise(done => {{
    const frame = document.createElement("iframe");
    frame.name = target + path;
    document.body.append(frame);
    const made = document.createElement("form");
    Object.assign(made, {{method: "POST", action: target + path, target: frame.name}});
    made.enctype = "multipart/form-data";
    for (const [key, value] of Object.entries(fields)) {{
        const field = document.createElement("input");
        Object.assign(field, {{name: key, value}});
        made.append(field);
    }}
    document.body.append(made);
    frame.onload = done;
    made.submit();
}});
const attempts = {{
    stack: () => fetch(target + "/", {{
        method: "POST", body: stack, headers: {{...form, Authorization: signed("cloudformation")}},
    }}),
    operation: () => fetch(target + "/", {{
        method: "POST", body: '{{"name": "attack", "uniqueId": "attack"}}',
        headers: {{"X-Amz-Target": "DataPipeline.CreatePipeline"}},
    }}),
    bucket: () => fetch(target + "/attack", {{method: "PUT"}}),
    object: () => fetch(target + "/{BUCKET}/attack.html", {{method: "PUT", body: "<script>"}}),
    read: () => fetch(target + "/{BUCKET}/secret.txt"),
    data: () => fetch(target + "/moto-api/data.json"),
    image: () => element("img", "/{BUCKET}/pixel.svg"),
    script: () => element("script", "/{BUCKET}/script.js"),
}};
const blind = {{mode: "no-cors", method: "POST"}};
const unanswered = [
    fetch(target + "/moto-api/reset", blind),
    fetch(target + "/aiodp-api/reset", blind),
    fetch(target + "/aiodp-api/faults", {{...blind, body: `{{"kind": "throttle"}}`}}),
    fetch(target + "/aiodp-api/assign", blind),
    fetch(target + "/aiodp-api/clock", {{...blind, body: `{{"jump": 1e9}}`}}),
    fetch(target + "/", {{...blind, body: stack, headers: form}}),
    post("/{BUCKET}", {{key: "attack.html", success_action_status: "201", file: "<script>"}}),
];
Promise.allSettled(unanswered).then(async () => {{
    const reached = [];
    for (const [name, attempt] of Object.entries(attempts))
        await attempt().then(() => reached.push(name), () => {{}});
    finish(reached);
}});
"""
"""Tries what it can with the server at an address; finishes with the names of what was answered."""

FRAME: Final = """
const [target, finish] = arguments;
const frame = document.createElement("iframe");
Object.assign(frame, { src: target, onload: () => finish() });
document.body.append(frame);
"""


@contextmanager
def serve(connect: Callable[..., Any], port: int = 0) -> Iterator[EmulatorServer]:
    """A service with a bucket which anybody may read, and in which programs have put something."""
    with EmulatorServer(port=port, settings=Settings(quotas=None), ui=True) as server:
        s3 = connect(server, "s3")
        s3.create_bucket(Bucket=BUCKET)
        for key, content_type, text in (
            ("pixel.svg", "image/svg+xml", '<svg xmlns="http://www.w3.org/2000/svg"/>'),
            ("script.js", "text/javascript", "window.attacked = true"),
            ("secret.txt", "text/plain", "secret"),
        ):
            put(s3, key, content_type, text)
        server.service().perform("CreatePipeline", name="mine", uniqueId="mine")
        yield server
        urlopen(Request(f"{server.endpoint}/moto-api/reset", method="POST")).close()


def put(s3: Any, key: str, content_type: str, text: str) -> None:
    s3.put_object(
        Bucket=BUCKET, Key=key, Body=text.encode(), ContentType=content_type, ACL="public-read"
    )


def content(server: EmulatorServer, connect: Callable[..., Any]) -> dict[str, list[str]]:
    """What is in the service, by its kind."""
    s3 = connect(server, "s3")
    buckets = [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    listed = server.service().perform("ListPipelines")["pipelineIdList"]
    stacks = connect(server, "cloudformation").list_stacks()["StackSummaries"]
    return {
        "faults": [repr(fault) for fault in server.service().faults.active],
        "jumps": ["far"] if server.service().now >= 1e9 else [],
        "pipelines": [pipeline["name"] for pipeline in listed],
        "stacks": [stack["StackName"] for stack in stacks],
        "buckets": buckets,
        "objects": [
            item["Key"]
            for bucket in buckets
            for item in s3.list_objects_v2(Bucket=bucket).get("Contents", [])
        ],
    }


@pytest.mark.parametrize("name", [FOREIGN, "localhost", "127.0.0.1"])
def test_a_page_of_another_origin_reaches_nothing(browser: webdriver.Chrome, connect, name):
    """A page of the web, or of the user's own app on another port, neither changes nor reads."""
    with serve(connect) as server, foreign_site() as port:
        before = content(server, connect)
        browser.get(f"http://{name}:{port}/")
        for target in (server.endpoint, f"http://localhost:{server.port}"):
            assert browser.execute_async_script(ATTEMPTS, target) == []
        assert content(server, connect) == before


def test_nobody_is_led_to_press_the_page_s_buttons(browser: webdriver.Chrome):
    """Another page cannot show this one within itself, even where no header says who asks."""
    with EmulatorServer(ui=True) as server, foreign_site() as port:
        address = f"http://{UNTRUSTED}:{server.port}/aiodp-ui/"
        browser.get(address)  # by which browsers do not say what site a request is from
        assert "aiodp" in browser.title
        browser.get(f"http://{FOREIGN}:{port}/")
        browser.execute_async_script(FRAME, address)
        browser.switch_to.frame(0)
        try:
            assert browser.find_elements("css selector", "button") == []
        finally:
            browser.get("about:blank")


def test_a_page_whose_name_was_rebound_reaches_nothing(browser: webdriver.Chrome, connect):
    """A page from a name that leads to this server later is of its origin, and refused."""
    with foreign_site() as port:
        browser.get(f"http://{FOREIGN}:{port}/")
    with serve(connect, port) as server:
        before = content(server, connect)
        for path in ("/moto-api/data.json", "/aiodp-api/clock", f"/{BUCKET}/secret.txt", "/"):
            asked = f"return fetch('{path}').then(answer => answer.status)"
            assert browser.execute_script(asked) == 403
        for method, path in (("POST", "/moto-api/reset"), ("PUT", "/attack"), ("POST", "/")):
            asked = f"return fetch('{path}', {{method: '{method}'}}).then(answer => answer.status)"
            assert browser.execute_script(asked) == 403
        assert content(server, connect) == before


def test_what_s3_serves_runs_no_script(browser: webdriver.Chrome, connect):
    """A page that a program uploads is shown, but is not of the control paths' origin."""
    script = 'document.title = "active"'
    pages = {
        "text/html": f"<title>uploaded</title><script>{script}</script>",
        "application/xhtml+xml": '<html xmlns="http://www.w3.org/1999/xhtml"><head>'
        f"<title>uploaded</title><script>{script}</script></head></html>",
        "image/svg+xml": '<svg xmlns="http://www.w3.org/2000/svg"><title>uploaded</title>'
        f"<script>{script}</script></svg>",
    }
    with serve(connect) as server:
        s3 = connect(server, "s3")
        for content_type, text in pages.items():
            put(s3, "page", content_type, text)
            browser.get(f"{server.endpoint}/{BUCKET}/page")
            assert browser.title == "uploaded", content_type
            assert browser.execute_script("return origin") == "null"
