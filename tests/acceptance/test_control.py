"""Control of the service over HTTP: what each path does, refuses, and keeps out."""

from __future__ import annotations

import json
import socket
from contextlib import closing
from http.client import HTTPConnection
from urllib.request import urlopen

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from acceptance.support import signed
from aiodp.emulator import EmulatorServer, Settings
from aiodp.emulator._server.admin.paths import PATHS
from aiodp.emulator._store import Store
from aiodp.testing import FaultKind

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def server():
    """A server in real time, without quotas."""
    with EmulatorServer(settings=Settings(quotas=None)) as running:
        yield running


class Api:
    """Requests to the control paths of a server, as a program sends them."""

    def __init__(self, server: EmulatorServer) -> None:
        self._port = server.port

    def raw(self, method, path, body=None, headers=JSON):
        with closing(HTTPConnection("127.0.0.1", self._port, timeout=20)) as one:
            text = body if isinstance(body, bytes | None) else json.dumps(body).encode()
            one.request(method, path, text, headers)
            answer = one.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()

    def __call__(self, method, path, body=None):
        """Return the answer to a request which must succeed."""
        status, headers, text = self.raw(method, f"/aiodp-api/{path}", body)
        assert status == 200, text
        assert headers["Content-Type"] == "application/json"
        return json.loads(text)

    def refused(self, method, path, body=None):
        """Return status and message of a request which must be refused."""
        status, headers, text = self.raw(method, f"/aiodp-api/{path}", body)
        assert headers["Content-Type"] == "application/json"
        [(key, message)] = json.loads(text).items()
        assert key == "error"
        return status, message


@pytest.fixture
def api(server):
    return Api(server)


def test_the_index_names_every_path(api):
    """`/aiodp-api/` lists the paths and methods, each with what it does."""
    paths = api("GET", "")["paths"]
    assert list(paths["/aiodp-api/faults"]) == ["GET", "POST", "DELETE"]
    assert all(text for methods in paths.values() for text in methods.values())
    for path, methods in paths.items():
        status, message = api.refused("PATCH", path.removeprefix("/aiodp-api/"))
        assert status == 405
        assert all(method in message for method in methods)
    assert api.raw("GET", "/aiodp-api")[0] == 200


def test_faults_are_scripted(api, connect, server):
    """A fault is added, befalls calls, is listed with what it did, and is cleared."""
    [task_id] = server.service().assign()
    client = connect(server, config=Config(retries={"total_max_attempts": 1}))
    body = {"kind": "throttle", "actions": ["ReportTaskProgress"], "tasks": [task_id], "count": 2}
    [added] = api("POST", "faults", body)["faults"]
    assert added["kind"] == "throttle"
    assert added["tasks"] == [task_id]
    for _ in range(2):
        with pytest.raises(client.exceptions.ClientError, match="ThrottlingException"):
            client.report_task_progress(taskId=task_id)
    assert api("GET", "faults")["faults"] == []
    api("POST", "faults", {"kind": "clock_jump", "jump": 10})
    assert len(api("GET", "faults")["faults"]) == 1
    assert api("DELETE", "faults")["faults"] == []
    assert client.report_task_progress(taskId=task_id)["canceled"] is False


@pytest.mark.parametrize("kind", FaultKind)
def test_every_kind_of_fault_can_be_scripted(api, kind):
    """Each kind is known by its name."""
    body = {"kind": kind, "jump": 1.5} if kind is FaultKind.CLOCK_JUMP else {"kind": kind}
    [added] = api("POST", "faults", body)["faults"]
    assert added["kind"] == kind.value


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "kind is missing"),
        ({"kind": "tornado"}, "tornado"),
        ({"kind": "tornado"}, "throttle"),
        (
            {"kind": 5},
            "kind must be a string of 1 to 2048 characters which are legal in XML, not 5",
        ),
        ({"kind": "hang", "colour": "red"}, "colour"),
        ({"kind": "hang", "colour": "red"}, "duration"),
        ({"kind": "hang", "count": -1}, "count"),
        ({"kind": "hang", "count": 1.5}, "count"),
        ({"kind": "hang", "count": True}, "count"),
        ({"kind": "hang", "every": 0}, "every"),
        ({"kind": "hang", "actions": "PollForTask"}, "actions must be a list of strings"),
        ({"kind": "hang", "actions": ["Fly"]}, "Fly"),
        ({"kind": "slow", "delay": -1}, "delay"),
        ({"kind": "slow", "delay": 1e300}, "delay"),
        ({"kind": "clock_jump"}, "jump"),
        (b"[]", "JSON object"),
        (b"{", "JSON object"),
        (b"\xff", "JSON object"),
        (b'{"kind": "slow", "delay": NaN}', "JSON object"),
        (b"[" * 100_000, "JSON object"),
    ],
)
def test_bad_faults_are_refused(api, body, said):
    """What is missing, unknown or impossible is named, and nothing is added."""
    status, message = api.refused("POST", "faults", body)
    assert status == 400
    assert said in message
    assert api("GET", "faults")["faults"] == []


def test_time_leaps(api, server):
    """The clock leaps in every region, also in one that is used only later."""
    before = api("GET", "clock?region=eu-west-1")
    assert before["scale"] == 1.0
    assert api("POST", "clock", {"jump": 500})["now"] >= before["now"] + 500
    assert api("GET", "clock?region=eu-west-1")["now"] >= before["now"] + 500
    assert server.service("us-west-2").now >= before["now"] + 500
    for body in ({}, {"jump": -1}, {"jump": "1"}, {"jump": None}, {"leap": 5}):
        assert api.refused("POST", "clock", body)[0] == 400


def test_a_body_is_json_whatever_it_says_it_is(api):
    """`curl -d` calls every body a form; nobody should have to mind."""
    for content_type in ("application/x-www-form-urlencoded", "text/plain"):
        headers = {"Content-Type": content_type}
        assert api.raw("POST", "/aiodp-api/clock", {"jump": 1}, headers)[0] == 200


def test_a_leap_wakes_a_held_poll(api, server):
    """A long poll ends when time leaps past its end."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as one:
        body = b'{"workerGroup":"none"}'
        head = b"POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Target: DataPipeline.PollForTask\r\n"
        one.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        one.settimeout(0.1)
        answer = b""
        while not answer:
            api("POST", "clock", {"jump": 90})
            try:
                answer = one.recv(1000)
            except TimeoutError:
                continue
    assert answer.startswith(b"HTTP/1.1 200")


def test_tasks_are_assigned_looked_at_canceled_and_given_away(api, server, connect):
    """What can be done with a task in Python can be done over HTTP."""
    client = connect(server)
    options = {"count": 3, "workerGroup": "group", "hostname": "host"}
    first, second, third = api("POST", "assign", options)["taskIds"]
    assert client.report_task_progress(taskId=first)["canceled"] is False
    task = api("GET", f"tasks?taskId={_quoted(first)}")
    assert (task["state"], task["workerGroup"], task["hostname"]) == ("held", "group", "host")
    assert task["taskId"] == first
    assert task["attemptId"].endswith("_Attempt=1")
    assert api("POST", "tasks/cancel", {"taskId": first})["canceled"] is True
    assert client.report_task_progress(taskId=first)["canceled"] is True
    assert api("POST", "tasks/give-away", {"taskId": second})["state"] == "unacknowledged"
    status, message = api.refused("POST", "tasks/give-away", {"taskId": second})
    assert status == 400
    assert "unacknowledged" in message.lower()
    assert api("GET", f"tasks?taskId={_quoted(third)}")["state"] == "assigned"


def _quoted(task_id):
    return task_id.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "said"),
    [
        ("GET", "tasks", None, 400, "taskId is missing"),
        ("GET", "tasks?taskId=none", None, 404, "none"),
        ("GET", "tasks?taskid=none", None, 400, "unknown parameter"),
        ("GET", "tasks?taskId=a&taskId=b", None, 400, "more than once"),
        ("POST", "tasks/cancel", {"taskId": "none"}, 404, "none"),
        ("POST", "tasks/cancel", {"taskId": ""}, 400, "taskId"),
        ("POST", "tasks/cancel", {}, 400, "taskId is missing"),
        ("POST", "tasks/give-away", {"taskId": ["a"]}, 400, "taskId"),
        ("POST", "taskrunners/terminate", {"taskrunnerId": "nobody"}, 404, "nobody"),
        ("POST", "assign", {"count": 0}, 400, "count"),
        ("POST", "assign", {"count": 1_000_000}, 400, "count"),
        ("POST", "assign", {"reportProgressTimeout": "soon"}, 400, "soon"),
        ("POST", "assign", {"reportProgressTimeout": "\ud800"}, 400, "reportProgressTimeout"),
        ("POST", "assign", {"workerGroup": "\ud800"}, 400, "legal"),
        ("POST", "assign", {"workerGroup": "a\x00"}, 400, "workerGroup"),
        ("POST", "assign", {"hostname": "\udfff"}, 400, "hostname"),
        ("POST", "assign", {"hostname": "h" * 1025}, 400, "1 to 1024"),
        ("POST", "assign", {"workerGroup": "w" * 1025}, 400, "1 to 1024"),
        ("POST", "faults", {"kind": "hang", "tasks": ["\ud800"]}, 400, "tasks"),
        ("GET", "audit?since=-1", None, 400, "since"),
        ("GET", "audit?since=x", None, 400, "since"),
        ("GET", "calls?region=mars", None, 400, "mars"),
        ("GET", "calls?account=me", None, 400, "twelve digits"),
        ("POST", "reset", {"hard": True}, 400, "hard"),
        ("GET", "nothing", None, 404, "/aiodp-api/nothing"),
        ("GET", "state", None, 404, "/aiodp-api/state"),
        ("PUT", "faults", None, 405, "DELETE"),
    ],
)
def test_what_is_refused(api, method, path, body, status, said):
    """An error says which value it is about, and what there is instead."""
    assert api.refused(method, path, body)[0] == status
    assert said in api.refused(method, path, body)[1]


def test_task_runners_are_listed_and_terminated(api, server, connect):
    """The runners which sent heartbeats are there; one is told to terminate."""
    client = connect(server)
    client.report_task_runner_heartbeat(taskrunnerId="one", workerGroup="g", hostname="h")
    [runner] = api("GET", "taskrunners")["taskrunners"]
    assert (runner["taskrunnerId"], runner["workerGroup"], runner["terminating"]) == (
        "one",
        "g",
        False,
    )
    assert api("POST", "taskrunners/terminate", {"taskrunnerId": "one"})["terminating"] is True
    answer = client.report_task_runner_heartbeat(taskrunnerId="one")
    assert answer["terminate"] is True


def test_the_audit_is_followed(api, server):
    """Each answer says from where on the next one tells what is new."""
    [task_id] = server.service().assign()
    first = api("GET", "audit")
    assert [event["kind"] for event in first["events"]] == ["offered", "assigned"]
    assert first["events"][1]["taskId"] == task_id
    server.service().cancel(task_id)
    second = api("GET", f"audit?since={first['next']}")
    assert [event["kind"] for event in second["events"]] == ["canceled"]
    third = api("GET", f"audit?since={second['next']}")
    assert third == {"next": second["next"], "events": []}


def test_calls_are_counted_and_a_reset_forgets(api, server, connect):
    """Calls are counted by region; a reset of one leaves the other and the time alone."""
    for region in ("us-east-1", "eu-west-1"):
        connect(server, region_name=region).list_pipelines()
    assert api("GET", "calls")["calls"] == {"ListPipelines": {"ok": 1}}
    server.service().jump(1000)
    assert api("POST", "reset")["now"] >= 1000
    assert api("GET", "calls")["calls"] == {}
    assert api("GET", "calls?region=eu-west-1")["calls"] == {"ListPipelines": {"ok": 1}}


def test_regions_and_accounts_are_apart(api, server):
    """The query says whose service it is."""
    query = "?region=eu-west-1&account=999999999999"
    api("POST", f"assign{query}")
    assert api("GET", "audit")["events"] == []
    assert api("GET", f"audit{query}")["events"]
    assert server.service("eu-west-1", "999999999999").audit


def test_to_look_makes_no_service(tmp_path):
    """Of an account or region which nobody has used, reading shows what a new service has."""
    path = tmp_path / "state"
    with EmulatorServer(state=path, ui=True) as server:
        api = Api(server)
        for n in range(3):
            query = f"?account={n:012}&region=eu-west-1"
            assert api("GET", f"audit{query}") == {"next": 0, "events": []}
            assert api("GET", f"faults{query}") == {"faults": []}
            assert api("GET", f"state{query}")["pipelines"] == {"rows": [], "total": 0}
        api("POST", "assign?account=000000000009")
        assert len(api("GET", "audit?account=000000000009")["events"]) == 2
    with closing(Store(path)) as store:
        assert store.known() == [("000000000009", "us-east-1")]


def test_what_cannot_be_kept_is_not_begun(tmp_path):
    """A name which the state file has no place for is refused, and the service goes on."""
    with EmulatorServer(state=tmp_path / "state") as server:
        api = Api(server)
        for name in ("workerGroup", "hostname"):
            assert api.refused("POST", "assign", {name: "\ud800"})[0] == 400
        assert len(api("POST", "assign")["taskIds"]) == 1


def test_a_run_is_done_again(api, server):
    """What has ended runs again as by SetStatus RERUN; what has not, or is no instance, is told."""
    [task_id] = server.service().assign()
    ids = {key: api("GET", f"tasks?taskId={task_id}")[key] for key in ("pipelineId", "instanceId")}
    status, message = api.refused("POST", "pipelines/rerun", ids)
    assert (status, "WAITING_FOR_RUNNER" in message) == (400, True)
    server.service().cancel(task_id)
    again = api("POST", "pipelines/rerun", ids)
    assert (again["status"], again["attempts"]) == ("WAITING_FOR_RUNNER", 2)
    for wrong in ({"instanceId": "Activity1"}, {"pipelineId": "df-NONE"}):
        assert api.refused("POST", "pipelines/rerun", ids | wrong)[0] == 400


def test_the_page_asks_for_one_pipeline_or_attempt():
    """Each has a path of its own, and what is not there or not understood is said."""
    with EmulatorServer(ui=True) as server:
        api = Api(server)
        [task_id] = server.service().assign()
        task = api("GET", f"tasks?taskId={task_id}")
        pipeline = f"pipelineId={task['pipelineId']}"
        attempt = f"{pipeline}&attemptId={task['attemptId']}"
        assert api("GET", f"state/attempt?{attempt}")["attempt"]["held"]["task"] == task_id
        assert api("GET", f"state/pipeline?{pipeline}&status=RUNNING")["runs"]["total"] == 0
        assert api("GET", "state?order=lease&limit=1&text=activity")["tasks"]["total"] == 1
        for path, expected in {
            "state?order=x": 400,
            "state?status=x": 400,
            "state?limit=1001": 400,
            "state/pipeline": 400,
            "state/pipeline?pipelineId=df-NONE": 404,
            f"state/attempt?{pipeline}": 400,
            f"state/attempt?{pipeline}&attemptId=x": 404,
            "state/attempt?pipelineId=df-NONE&attemptId=x": 404,
        }.items():
            assert api.refused("GET", path)[0] == expected, path


def test_foreign_pages_reach_no_path(api, server, connect):
    """What a page may have sent is refused before anything is done, on moto's paths as well."""
    target = {"X-Amz-Target": "DataPipeline.CreatePipeline"}
    stack = b'Action=CreateStack&StackName=s&TemplateBody={"Resources":{}}'
    requests = [
        ("GET", "/aiodp-api/", {}, None),
        *((method, f"/aiodp-api/{path}", {}, {}) for path in PATHS for method in PATHS[path]),
        ("GET", "/moto-api/data.json", {}, None),
        ("POST", "/moto-api/reset", {}, None),
        ("POST", "/", target, {"name": "n", "uniqueId": "u"}),
        ("PUT", "/bucket", {}, None),
        ("OPTIONS", "/bucket", {}, None),
        ("POST", "/", signed("cloudformation") | FORM, stack),
    ]
    s3, stacks = connect(server, "s3"), connect(server, "cloudformation")

    def content():
        buckets = [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]  # of all tests before
        summaries = stacks.list_stacks()["StackSummaries"]
        return api("GET", "audit"), api("GET", "calls"), buckets, len(summaries)

    api("POST", "assign")
    before = content()
    for foreign in (
        {"Host": "evil.example"},
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        for method, path, headers, body in requests:
            status, answered, text = api.raw(method, path, body, headers | foreign)
            assert status == 403
            assert not [name for name in answered if name.lower().startswith("access-control-")]
            assert b"use this server" in text or b"known to be this server" in text
    assert content() == before


def test_a_client_is_told_why_it_is_refused(connect):
    """An SDK's error says which host is unknown, and an allowed host is known."""
    with EmulatorServer(allowed_hosts=["127.0.0.1.example"]) as server:

        def call(host):
            client = connect(server)
            client.meta.events.register(
                "before-sign", lambda request, **_: request.headers.add_header("Host", host)
            )
            return client.list_pipelines()

        assert call("127.0.0.1.example:80")["pipelineIdList"] == []
        with pytest.raises(ClientError, match=r"'unknown\.example'.*--allowed-host"):
            call("unknown.example")


@pytest.mark.parametrize(
    ("service", "operation"),
    [("s3", "list_buckets"), ("cloudformation", "list_stacks"), ("dynamodb", "list_tables")],
)
def test_clients_of_moto_are_told_why_they_are_refused(server, connect, service, operation):
    """In the form that each service's clients read."""
    client = connect(server, service)
    client.meta.events.register(
        "before-sign", lambda request, **_: request.headers.add_header("Host", "<x>.example")
    )
    with pytest.raises(ClientError, match=r"'<x>\.example'.*--allowed-host"):
        getattr(client, operation)()


def test_moto_shares_nothing_with_pages(api, server, connect):
    """Answers of moto have no header that lets pages read them, and one that stops scripts."""
    s3 = connect(server, "s3")
    s3.create_bucket(Bucket="bucket")
    rule = {"AllowedMethods": ["GET"], "AllowedOrigins": ["*"], "MaxAgeSeconds": 60}
    s3.put_bucket_cors(Bucket="bucket", CORSConfiguration={"CORSRules": [rule]})
    origin = {"Origin": f"http://127.0.0.1:{server.port}"}
    for method in ("GET", "OPTIONS"):
        status, headers, _ = api.raw(method, "/bucket", None, signed("s3") | origin)
        assert status == 200
        assert not [name for name in headers if name.lower().startswith("access-control-")]
        assert headers["Content-Security-Policy"] == "sandbox"


def test_answers_are_not_kept(api):
    """No cache between keeps an answer, and nothing guesses its type."""
    for path in ("/aiodp-api/calls", "/aiodp-api/nothing"):
        headers = api.raw("GET", path)[1]
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_a_connection_is_kept_over_control_and_service(server):
    """Control paths, the service and moto share one connection; HEAD has no body."""
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=20)) as one:
        for method, path, status in (
            ("HEAD", "/aiodp-api/calls", 200),
            ("GET", "/aiodp-api/nothing", 404),
            ("POST", "/aiodp-api/reset", 200),
            ("GET", "/moto-api/config", 201),
        ):
            one.request(method, path)
            answer = one.getresponse()
            answer.read()
            assert answer.status == status


@pytest.mark.parametrize("path", ["/AIODP-API/reset", "/aiodp-uix", "/aiodp-apis/x", "/Aiodp-Ui/"])
def test_a_misspelt_path_is_none(api, path):
    """What only looks like the control's paths is answered as one which is not there."""
    for method in ("GET", "PATCH", "POST"):
        status, _, text = api.raw(method, path)
        assert status == 404
        assert path in json.loads(text)["error"]


def test_moto_s_own_paths_stay_moto_s(server, connect):
    """A bucket whose name only begins like the control's paths is a bucket."""
    client = connect(server, "s3")
    client.create_bucket(Bucket="aiodp-apis")
    client.put_object(Bucket="aiodp-apis", Key="key", Body=b"text")
    assert client.get_object(Bucket="aiodp-apis", Key="key")["Body"].read() == b"text"
    names = {"Bucket": "aiodp-apis", "Key": "key"}
    with urlopen(client.generate_presigned_url("get_object", Params=names)) as answer:
        assert answer.read() == b"text"


def test_the_page_is_off_unless_it_was_asked_for(api):
    """Without `ui` the page's path says how to have it; with it page and state are there."""
    status, _, text = api.raw("GET", "/aiodp-ui/")
    assert status == 404
    assert b"ui=True" in text
    with EmulatorServer(ui=True) as server:
        api = Api(server)
        status, headers, text = api.raw("GET", "/aiodp-ui/")
        assert status == 200
        assert headers["Content-Type"].startswith("text/html")
        assert headers["Content-Security-Policy"] == "frame-ancestors 'none'"
        assert api.raw("POST", "/aiodp-ui/")[0] == 405
        assert api.raw("GET", "/aiodp-ui/", None, {"Host": "evil.example"})[0] == 403
        assert api("GET", "state")


WORK = {"id": "Work", "type": "ShellCommandActivity", "command": "say #{myWord}"}
ONCE = {"scheduleType": "ondemand", "workerGroup": "group"}
PARAMETERS = [{"id": "myWord", "type": "String"}]
DEFINITION = {"objects": [WORK | ONCE], "parameters": PARAMETERS}


def test_a_pipeline_is_made_of_a_definition_file(api, connect, server):
    """It is activated, unless told otherwise, and its runs are shown as they stand."""
    made = api("POST", "pipelines", {"definition": DEFINITION, "values": {"myWord": "yes"}})
    [warning] = made["warnings"]
    assert (made["state"], "belongs on the Default object" in warning) == ("SCHEDULED", True)
    client = connect(server)
    task = client.poll_for_task(workerGroup="group", hostname="here")["taskObject"]
    client.set_task_status(taskId=task["taskId"], taskStatus="FINISHED")
    path = f"pipelines?pipelineId={made['pipelineId']}"
    [run] = api("GET", path)["runs"]
    assert (run["componentId"], run["status"], run["hostname"]) == ("Work", "FINISHED", "here")
    given = {"definition": DEFINITION, "name": "later", "activate": False}
    later = api("POST", "pipelines", given)
    assert (later["state"], later["runs"]) == ("PENDING", [])
    [_, listed] = server.service().perform("ListPipelines")["pipelineIdList"]
    assert listed == {"id": later["pipelineId"], "name": "later"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "definition is missing"),
        ({"definition": []}, "definition must be a JSON object"),
        ({"definition": {}}, 'a list of "objects"'),
        ({"definition": DEFINITION, "activate": "no"}, "activate must be true or false"),
        ({"definition": {"objects": [WORK | ONCE | {"runsOn": {"ref": "Lost"}}]}}, "Lost"),
        ({"definition": {"objects": [WORK | {"id": "a" * 2000}]}}, "InvalidRequestException"),
    ],
)
def test_a_pipeline_which_cannot_be_made(api, server, given, said):
    """What is wrong with it is said, and no pipeline is left."""
    status, message = api.refused("POST", "pipelines", given)
    assert status == 400
    assert said in message
    assert server.service().perform("ListPipelines")["pipelineIdList"] == []


def test_a_pipeline_which_there_is_not(api):
    """A missing id and an unknown one are said apart."""
    assert api.refused("GET", "pipelines") == (400, "pipelineId is missing")
    assert api.refused("GET", "pipelines?pipelineId=df-1")[0] == 404
