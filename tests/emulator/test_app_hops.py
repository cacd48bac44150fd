"""The reference code runner as a whole: client, runner, balancer, two Judge0 servers, worker, MongoDB."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import httpx
import jinja2
import pytest
from docker.models.containers import Container
from judge0_stack import APP, Stack

from emulator.docker.engine import execute
from harness.core.wait import NotYet, wait_for

pytestmark = pytest.mark.docker

MONGO_URL = "mongodb://doadmin:secret@mongo:27017/defaultdb?authSource=admin&tls=true"


@dataclass(frozen=True)
class Application:
    """The services' containers, and clients of the front door and of the load balancer."""

    stack: Stack
    mongo: Container
    runner: Container
    balancer: Container
    servers: tuple[str, str]
    client: httpx.Client
    judge0: httpx.Client


def answers(client: httpx.Client, path: str) -> None:
    def probe() -> None:
        try:
            answer = client.get(path)
        except httpx.TransportError as error:
            raise NotYet(str(error)) from error
        if answer.status_code != 200:
            raise NotYet(answer.text)

    wait_for(f"{client.base_url}{path} to answer", probe, deadline=60)


@pytest.fixture(scope="module")
def app() -> Iterator[Application]:
    """Everything, wired by the rendered nginx configuration."""
    with Stack() as stack, ExitStack() as context:
        mongo = stack.mongo()
        servers = [context.enter_context(stack.server()) for _ in range(2)]
        addresses = tuple(str(server.base_url.host) for server in servers)
        context.enter_context(stack.worker(COUNT="2"))
        template = jinja2.Template((APP / "judge0-lb/nginx.conf.j2").read_text(), trim_blocks=True)
        upstreams = [{"private_ip": address} for address in addresses]
        conf = template.render(role=lambda _: upstreams).encode()
        balancer = context.enter_context(stack.service("judge0-lb", {}, {"nginx.conf": conf}))
        runner = context.enter_context(
            stack.service(
                "runner",
                {
                    "JUDGE0_URL": "http://judge0-lb:2358",
                    "MONGO_URL": MONGO_URL,
                    "MONGO_CA_FILE": "ca.pem",
                    "JUDGE0_TIMEOUT": "3",
                },
            )
        )
        front = context.enter_context(stack.service("client", {"RUNNER_API_URL": "http://runner:4000"}))
        client = context.enter_context(httpx.Client(base_url=f"http://{stack.address(front)}", timeout=60))
        url = f"http://{stack.address(balancer)}:2358"
        judge0 = context.enter_context(httpx.Client(base_url=url, timeout=30))
        answers(client, "/api/languages")
        answers(judge0, "/version")
        yield Application(stack, mongo, runner, balancer, (addresses[0], addresses[1]), client, judge0)


YESTERDAY = """
import datetime, os, pymongo
client = pymongo.MongoClient(os.environ["MONGO_URL"], tlsCAFile="/run/app/ca.pem")
then = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
client.editor.runs.insert_one({"_id": "old", "at": then, "source": "echo old"})
print(*client.editor.runs.index_information())
"""


@pytest.mark.parametrize(
    ("language", "source"),
    [
        ("python", "print(input()[::-1])"),
        (
            "javascript",
            "console.log(require('fs').readFileSync(0,'utf8').trim().split('').reverse().join(''))",
        ),
        ("bash", "rev; echo"),
        ("c", '#include <stdio.h>\nint main(){char a,b;scanf("%c%c",&a,&b);printf("%c%c\\n",b,a);}'),
        ("cpp", "#include <iostream>\nint main(){char a,b;std::cin>>a>>b;std::cout<<b<<a<<std::endl;}"),
    ],
)
def test_code_typed_into_the_client_comes_back_run(app: Application, language: str, source: str) -> None:
    """Through all hops, in each language; and it is in the history."""
    answer = app.client.post("/api/run", json={"language": language, "source": source, "stdin": "ab"}).json()
    assert (answer["status"]["description"], answer["stdout"]) == ("Accepted", "ba\n"), answer
    newest = app.client.get("/api/history", params={"limit": 1}).json()["runs"][0]
    assert (newest["id"], newest["source"], newest["stdout"]) == (answer["id"], source, "ba\n")


def test_the_history_has_an_index_and_shows_old_runs_after_recent_ones(app: Application) -> None:
    """The newest are looked for among the recent ones first; where those are too few, all are shown."""
    _, output = execute(app.runner.client, app.runner.id, ["python3", "-c", YESTERDAY])
    assert output.decode().split() == ["_id_", "at_-1"]
    answer = app.client.post("/api/run", json={"language": "bash", "source": "echo new"}).json()
    shown = [run["id"] for run in app.client.get("/api/history", params={"limit": 100}).json()["runs"]]
    assert (shown[0], shown[-1]) == (answer["id"], "old")


def test_text_beyond_ascii_comes_back_as_it_was(app: Application) -> None:
    """The runner speaks Base64 with Judge0."""
    body = {"language": "python", "source": "print('h\u00e9 \u2603', input())", "stdin": "\u017e"}
    assert app.client.post("/api/run", json=body).json()["stdout"] == "h\u00e9 \u2603 \u017e\n"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"language": "cobol", "source": "x"}, "language must be one of python"),
        ({"language": "python", "source": " "}, "source must be"),
        ({"language": "python", "source": "x", "stdin": 1}, "stdin must be"),
        ([], "must be an object"),
    ],
)
def test_a_request_that_makes_no_sense_says_why(app: Application, body: object, says: str) -> None:
    """400, with what would be right."""
    answer = app.client.post("/api/run", json=body)
    assert answer.status_code == 400
    assert says in answer.json()["error"]["message"]


def test_the_page_is_served_on_both_ports_and_needs_nothing_from_elsewhere(app: Application) -> None:
    """http and https (self-signed); the page's policy allows no other origin."""
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    secure = httpx.get(f"https://{app.client.base_url.host}/", verify=trusting)
    plain = app.client.get("/")
    assert plain.status_code == secure.status_code == 200
    assert plain.text == secure.text
    assert "default-src 'self'" in plain.headers["content-security-policy"]
    assert "://" not in plain.text
    for name in ("editor.js", "style.css", "icon.svg"):
        assert app.client.get(f"/{name}").status_code == 200


def test_both_servers_take_their_turn(app: Application) -> None:
    """The balancer says which server answered."""
    seen = {app.judge0.get("/version").headers["x-upstream"] for _ in range(10)}
    assert seen == {f"{address}:2358" for address in app.servers}


def test_judge0_out_of_reach_is_told_as_such_and_kept_in_the_history(app: Application) -> None:
    """The runner lives but is not ready; a run fails with who failed; the history has it."""
    runner = httpx.Client(base_url=f"http://{app.stack.address(app.runner)}:4000", timeout=60)
    app.balancer.pause()
    try:
        answer = app.client.post("/api/run", json={"language": "bash", "source": "echo lost"})
        assert answer.status_code in (502, 504)
        assert answer.json()["error"]["service"] == "judge0"
        assert runner.get("/healthz").status_code == 200
        assert runner.get("/readyz").status_code == 503
    finally:
        app.balancer.unpause()
    answers(runner, "/readyz")
    newest = app.client.get("/api/history", params={"limit": 1}).json()["runs"][0]
    assert (newest["source"], newest["error"]["service"]) == ("echo lost", "judge0")
    runner.close()


def test_a_run_succeeds_without_a_history(app: Application) -> None:
    """MongoDB away: code still runs and the answer says that it was not kept; the history says who failed."""
    app.mongo.pause()
    try:
        answer = app.client.post("/api/run", json={"language": "bash", "source": "echo kept"})
        assert (answer.status_code, answer.json()["stdout"], answer.json()["id"]) == (200, "kept\n", None)
        assert "not in the history" in answer.json()["warning"]
        history = app.client.get("/api/history")
        assert history.status_code in (502, 504)
        assert history.json()["error"]["service"] == "mongo"
    finally:
        app.mongo.unpause()
    answers(app.client, "/api/history")


def test_a_runner_that_is_gone_is_told_as_such(app: Application) -> None:
    """The client's own answer, as JSON like every other."""
    app.runner.stop(timeout=5)
    try:
        answer = app.client.post("/api/run", json={"language": "bash", "source": "true"})
        assert (answer.status_code, answer.json()["error"]["service"]) == (502, "runner")
        assert app.client.get("/healthz").text == "ok\n"
    finally:
        app.runner.start()
