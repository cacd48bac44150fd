"""Where a target comes from, and what is refused before anything is asked of it."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

import emulator
from harness.access.ssh import open_access
from harness.core.errors import ApiError, CredentialsError, EngineError, UsageError
from harness.core.progress import Progress
from harness.judge0.frontdoor import open_client
from harness.run.rundir import RunDir
from harness.target.target import Target, check_endpoint, check_operators, resolve_target
from harness.topology.deployment import Deployment
from harness.topology.model import FrontDoor, Topology
from harness.verify.network.probe import from_here

DOOR = FrontDoor("client", "/run", {}, {})


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the developer has set is not what is tested."""
    for name in ("DIGITALOCEAN_TOKEN", "DIGITALOCEAN_API_URL", "WAVETANK_CA_FILE", "WAVETANK_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("WAVETANK_OPERATORS", raising=False)


def resolve(tmp_path: Path, **options: object) -> Target:
    """The cloud, with these options."""
    return resolve_target("do", state_dir=tmp_path, progress=Progress(quiet=True), **options)  # type: ignore[arg-type]


def test_the_cloud_needs_nothing_but_a_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The endpoint is DigitalOcean's."""
    monkeypatch.setenv("DIGITALOCEAN_TOKEN", " secret\n")
    with emulator.mock():
        target = resolve(tmp_path)
    assert (target.endpoint, target.token, target.ca_file) == ("https://api.digitalocean.com", "secret", None)
    assert "secret" not in repr(target)


def test_options_win_over_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each falls back on a variable of its own."""
    monkeypatch.setenv("DIGITALOCEAN_TOKEN", "theirs")
    monkeypatch.setenv("DIGITALOCEAN_API_URL", "https://elsewhere.test/v2/")
    monkeypatch.setenv("WAVETANK_PROXY", "socks5://127.0.0.1:1")
    monkeypatch.setenv("WAVETANK_OPERATORS", "198.51.100.7, 192.0.2.0/24")
    with emulator.mock(endpoint="https://elsewhere.test"):
        target = resolve(tmp_path, token="mine", proxy="socks5://127.0.0.1:2")
    assert (target.token, target.proxy) == ("mine", "socks5://127.0.0.1:2")
    assert target.endpoint == "https://elsewhere.test"
    assert target.operators == ("198.51.100.7/32", "192.0.2.0/24")


def test_without_a_token_it_says_which_variable(tmp_path: Path) -> None:
    """Exit code 4."""
    with pytest.raises(CredentialsError, match="DIGITALOCEAN_TOKEN") as raised:
        resolve(tmp_path)
    assert raised.value.exit_code == 4


def test_an_endpoint_that_does_not_answer_is_found_out_early(tmp_path: Path) -> None:
    """Before anything is planned."""
    with pytest.raises(ApiError, match=r"https://127\.0\.0\.1:9/v2/account"):
        resolve(tmp_path, token="x", endpoint="https://127.0.0.1:9")


@pytest.mark.parametrize(
    ("given", "words"),
    [("http://127.0.0.1:1", "https only"), ("api.digitalocean.com", "must begin with https")],
)
def test_a_token_is_sent_over_https_only(given: str, words: str) -> None:
    """Whatever the client library would do."""
    with pytest.raises(UsageError, match=words):
        check_endpoint(given)


def test_operators_that_are_no_addresses_are_refused() -> None:
    """With an example of what would do."""
    with pytest.raises(UsageError, match=r"--operator-cidr.*198\.51\.100\.7/32"):
        check_operators(["me"])
    assert check_operators(["10.1.2.3/8", ""]) == ("10.0.0.0/8",)


def test_a_ca_file_must_be_there_and_be_one(tmp_path: Path) -> None:
    """Both errors name the file."""
    wrong = tmp_path / "wrong.pem"
    with pytest.raises(UsageError, match=r"wrong\.pem: no such file"):
        resolve(tmp_path, token="x", ca_file=wrong)
    wrong.write_text("not a certificate")
    with pytest.raises(UsageError, match=r"wrong\.pem is not a PEM certificate"):
        resolve(tmp_path, token="x", ca_file=wrong)


def test_an_unknown_target_is_refused(tmp_path: Path) -> None:
    """It says what there is."""
    with pytest.raises(UsageError, match="use local or do"):
        resolve_target("aws", state_dir=tmp_path, progress=Progress(quiet=True))


def test_nothing_is_sent_to_addresses_that_are_no_machines(tmp_path: Path) -> None:
    """The memory plane's public addresses lead out of this machine, so no connection to one is begun."""
    target = Target("local", "https://127.0.0.1:1", "token", info={"plane": "memory"})
    with pytest.raises(EngineError, match="runs no machines"):
        open_client(target, "203.0.113.9", DOOR)
    with pytest.raises(EngineError, match="runs no machines"):
        from_here(target, [("203.0.113.9", 22)])
    cloud = Target("do", "https://127.0.0.1:1", "token")
    with pytest.raises(EngineError, match="is a documentation address"):
        open_client(cloud, "203.0.113.9", DOOR)
    with pytest.raises(EngineError, match="is a documentation address"):
        from_here(cloud, [("203.0.113.9", 22)])
    with pytest.raises(EngineError, match="runs no machines"):
        open_access(RunDir(tmp_path, "r"), target, cast("Topology", None), cast("Deployment", None))
