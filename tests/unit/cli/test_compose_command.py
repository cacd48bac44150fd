"""``wavetank compose``: what will run, and what runs, without a look at any node."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from tests_cli import Outcome

from harness import provision
from harness.core.errors import EngineError
from harness.core.paths import PROJECT
from harness.deploy import gather
from harness.run import session, settings
from harness.swarm import deploy
from harness.topology.deployment import Connection, Deployment
from harness.topology.model import Topology
from harness.topology.rendering.imagined import imagined

EDITOR = PROJECT / "tests/apps/editor.yaml"
PASSWORD = "pa$$word/0123"
TOKEN = "t0ken-of-the-run"
URI = f"mongodb://doadmin:{PASSWORD}@mongo.private:27017/"

Compose = Callable[..., Outcome]


@pytest.fixture
def compose(wavetank: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Compose:
    """Run ``compose`` on a machine without an engine, with a state directory of its own."""

    def none(*_: object) -> object:
        raise EngineError("no engine")

    monkeypatch.setattr(gather, "local_images", none)
    return lambda *arguments: wavetank("compose", f"--state-dir={tmp_path / 'state'}", *arguments)


def documents(text: str) -> list[dict[str, Any]]:
    """The YAML documents of a text."""
    return list(YAML(typ="safe", pure=True).load_all(text))


def test_it_shows_what_runs_on_a_droplet_before_there_is_any(compose: Compose, tmp_path: Path) -> None:
    """The repository's file, the topology's changes and our image names, and that addresses are made up."""
    done = compose("client@client", f"--topology={EDITOR}")
    assert done.code == 0
    assert done.out.splitlines()[:2] == [
        "# client@client",
        "# not deployed: addresses and passwords of the deployment are made up; others are masked: --secrets "
        "shows them",
    ]
    (document,) = documents(done.out)
    body = document["services"]["code-client"]
    assert body["image"] == "wavetank-app/client", "the name of the file that names images"
    assert body["environment"]["APP_ENV"] == "production", "the topology's"
    assert body["container_name"] == "code-client", "the repository's"
    assert [each["published"] for each in body["ports"]] == ["80"]
    assert list(document["networks"]) == ["default"], "the repository's networks are gone"
    assert not (tmp_path / "state").exists()


def test_what_the_application_keeps_secret_is_masked(compose: Compose, tmp_path: Path) -> None:
    """By the names of its variables, and passwords in URLs, wherever they stand; its other values are not."""
    app = tmp_path / "app"
    app.mkdir()
    text = """
    services:
      api:
        image: api
        command: ["serve", "--key=sk_live_0123"]
        environment: {STRIPE_API_KEY: sk_live_0123, URL: "amqp://me:hunter22@mq/", MODE: production}
    """
    (app / "docker-compose.yml").write_text(text)
    whole = (PROJECT / "topologies/standard.yaml").read_text()
    services = "services:\n  api: {droplets: [runner], compose: docker-compose.yml}\n"
    file = tmp_path / "mine.yaml"
    file.write_text(whole[: whole.index("app: app\n")] + f"app: {app}\n{services}")
    hidden, shown = (compose("api", f"--topology={file}", *more) for more in ((), ("--secrets",)))
    (body,) = (each["services"]["api"] for each in documents(hidden.out))
    assert body["environment"] == {
        "STRIPE_API_KEY": "********",
        "URL": "amqp://me:********@mq/",
        "MODE": "production",
    }
    assert body["command"] == ["serve", "--key=********"]
    assert "sk_live_0123" in shown.out
    assert "hunter22" in shown.out


def test_each_droplet_has_its_own(compose: Compose) -> None:
    """Without a node it is all of them, one document each; what does not run is left out."""
    done = compose("judge0", f"--topology={EDITOR}")
    assert [list(each["services"]) for each in documents(done.out)] == [
        ["judge0-lb"],
        ["judge0-server-1"],
        ["judge0-server-2"],
    ]
    hosts = documents(done.out)[0]["services"]["judge0-lb"]["extra_hosts"]
    assert len({each.partition("=")[2] for each in hosts}) == 2, "made-up addresses differ"


def test_droplets_with_the_same_stand_together(compose: Compose) -> None:
    """As for the plan's own servers."""
    done = compose("judge0-server", "--topology=standard", "-o", "json")
    merged = json.loads(done.out)["merged"]
    assert [each["nodes"] for each in merged] == [["server-1", "server-2"]]
    assert merged[0]["compose"]["services"]["judge0-server"]["environment"]["POSTGRES_HOST"] == "db.example"


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (
            "judge",
            "has no service 'judge': did you mean 'judge0'? known here: client, judge0, runner, workers",
        ),
        ("judge0@server", "judge0 has no droplet 'server': did you mean 'server-2'?"),
        ("judge0@", "judge0 has no droplet '': known here: judge0-lb, server-1, server-2"),
    ],
)
def test_what_there_is_not_is_an_error(compose: Compose, wanted: str, said: str) -> None:
    """That names those there are."""
    done = compose(wanted, f"--topology={EDITOR}")
    assert (done.code, done.out) == (4, "")
    assert said in done.err


@pytest.fixture
def up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path | str], str]:
    """Make a run of a topology, which the API describes."""

    def make(topology: Path | str) -> str:
        chosen = settings.choose_new(settings.Settings(topology=str(topology), state_dir=tmp_path / "state"))
        chosen.run_dir.create()
        settings.remember(chosen)
        (tmp_path / "state" / "emulator").mkdir()
        (chosen.run_dir.path / "secrets.json").write_text(json.dumps({"authn": TOKEN}))
        monkeypatch.setattr(settings, "resolve", lambda *_: None)
        monkeypatch.setattr(provision, "observe", lambda _, topology, __: deployment(topology))
        monkeypatch.setattr(deploy, "has_ipvs", lambda *_: False)
        monkeypatch.setattr(session, "open_access", lambda *_: Closed())
        return chosen.run

    return make


class Closed:
    """An access that is not used."""

    def close(self) -> None:
        """As one is closed."""


def deployment(topology: Topology) -> Deployment:
    """One whose databases have a real password."""
    end = Connection("mongo.private", 27017, "doadmin", PASSWORD, "defaultdb", URI)
    made = imagined(topology)
    databases = {name: replace(each, public=end, private=end) for name, each in made.databases.items()}
    return replace(made, databases=databases, secrets={})


def test_passwords_of_a_run_are_masked(compose: Compose, up: Callable[[Path | str], str]) -> None:
    """In values, within URIs, and in the arguments of a health check."""
    run = up(EDITOR)
    client, server = compose("client"), compose("judge0@server-1", f"--run={run}")
    assert client.out.splitlines()[1] == "# passwords are masked: --secrets shows them"
    environment = documents(client.out)[0]["services"]["code-client"]["environment"]
    assert environment["MONGODB_URI"].startswith("mongodb://doadmin:********@mongo.private")
    body = documents(server.out)[0]["services"]["judge0-server-1"]
    assert body["environment"]["POSTGRES_PASSWORD"] == "********"
    assert "X-Auth-Token: ********" in body["healthcheck"]["test"]
    assert not any(each in client.out + server.out for each in ("0123", TOKEN))


def test_passwords_are_shown_to_who_asks(compose: Compose, up: Callable[[Path | str], str]) -> None:
    """Written as Compose reads them again."""
    up(EDITOR)
    done = compose("judge0@server-1", "--secrets", "-o", "json")
    document = json.loads(done.out)
    body = document["merged"][0]["compose"]["services"]["judge0-server-1"]
    assert document["note"] == ""
    assert body["environment"]["POSTGRES_PASSWORD"] == PASSWORD.replace("$", "$$")
    assert body["environment"]["AUTHN_TOKEN"] == TOKEN


def test_of_a_swarm_it_is_the_services_part_of_the_stack(compose: Compose) -> None:
    """With the configs and secrets that it names, and of no other service."""
    done = compose("judge0-server", "--topology=swarm")
    assert done.out.splitlines()[1] == "# not deployed: ${NAME} stands for what only a deployment knows"
    (document,) = documents(done.out)
    assert list(document["services"]) == ["judge0-server"]
    assert document["services"]["judge0-server"]["environment"]["POSTGRES_HOST"] == "${POSTGRES_PRIVATE_HOST}"
    assert all("judge0-server" in name for name in document["secrets"])


def test_a_swarm_that_is_up_has_the_runs_values(compose: Compose, up: Callable[[Path | str], str]) -> None:
    """And its nodes are asked for what their kernels can do; a password is in a secret, asked for or not."""
    up("swarm")
    done = compose("judge0-server", "--secrets")
    (document,) = documents(done.out)
    body = document["services"]["judge0-server"]
    assert body["environment"]["POSTGRES_HOST"] == "mongo.private"
    assert body["deploy"]["endpoint_mode"] == "dnsrr"
    assert "0123" not in done.out
