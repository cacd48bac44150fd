"""What is asked of the engine, and what its answers become."""

from __future__ import annotations

import fcntl
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import docker.errors
import pytest

from emulator.docker.images import build, rootfs
from emulator.docker.images.build import build_image, ensure
from emulator.docker.images.errors import ImageBuildError
from emulator.planes.base import PlaneError


class Engine:
    """An engine that has the images it is told, and plays back a build's output."""

    def __init__(self, images: dict[str, str], output: list[dict[str, Any]] | None = None) -> None:
        self.ids, self.output = images, output or []
        self.built: list[str] = []
        self.images = SimpleNamespace(get=self._get)
        self.api = SimpleNamespace(build=self._build)

    def _get(self, reference: str) -> SimpleNamespace:
        if reference not in self.ids:
            raise docker.errors.ImageNotFound(reference)
        return SimpleNamespace(id=self.ids[reference])

    def _build(self, *, tag: str, **_: Any) -> list[dict[str, Any]]:
        self.built.append(tag)
        return self.output


@pytest.fixture
def dockerfile(tmp_path: Path) -> Path:
    """A directory with a Dockerfile."""
    (tmp_path / "Dockerfile").write_text("ARG BASE\nFROM ${BASE}\n")
    return tmp_path


def test_an_unknown_name_is_refused() -> None:
    """The error says which names there are."""
    with pytest.raises(ValueError, match=r"no such image: redis; there are base, droplet"):
        ensure(["redis"])


def test_nothing_is_built_when_all_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second call only looks."""
    base = build.base_reference()
    engine = Engine({base: "sha256:1", "wavetank/base:latest": "sha256:1"})
    reference = f"wavetank/postgres:{build.content_hash(build.IMAGES / 'postgres', 'sha256:1')}"
    engine.ids[reference] = "sha256:2"
    assert ensure(["base", "postgres"], client=engine) == {"base": base, "postgres": reference}
    assert engine.built == []


def test_a_droplet_needs_only_its_own_image() -> None:
    """What its files were made from may be gone, or be on another machine than the one it was loaded on."""
    engine = Engine({build.base_reference(): "sha256:1", "wavetank/base:latest": "sha256:1"})
    debian = build.base_reference(rootfs.DROPLET)
    files = f"wavetank/droplet-rootfs:{build.content_hash(build.IMAGES / 'droplet-rootfs', debian)}"
    droplet = f"wavetank/droplet:{build.content_hash(build.IMAGES / 'droplet', 'sha256:1', files)}"
    assert build._all_there(engine, ["droplet"]) is None
    engine.ids[droplet] = "sha256:3"
    assert build._all_there(engine, ["droplet"]) == {"droplet": droplet}


def test_base_and_droplet_get_their_debian_side_by_side(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Neither waits for the other; what a droplet is made of is there before its files are put in."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    engine, both = Engine({}), threading.Barrier(2, timeout=60)

    def have(reference: str) -> None:
        engine.ids[reference] = f"sha256:{reference}"

    def make_root(_: Any, root: rootfs.Root, reference: str, __: Any) -> None:
        both.wait()
        have(reference)

    def put(_: Any, runtime: str, files: str, reference: str) -> None:
        assert runtime in engine.ids
        assert files in engine.ids
        have(reference)

    engine.api.tag = lambda reference, *_: engine.ids.setdefault(
        "wavetank/base:latest", engine.ids[reference]
    )
    monkeypatch.setattr(build, "make_root", make_root)
    monkeypatch.setattr(build, "build_image", lambda *given, **_: have(given[3]))
    monkeypatch.setattr(build, "add_files", put)
    made = ensure(["droplet", "base"], lambda _: None, client=engine)
    assert made == build._all_there(engine, ["droplet", "base"])


def test_the_droplets_debian_is_made_with_its_packages(tmp_path: Path) -> None:
    """So that they are unpacked once; each suite from the mirror that mmdebstrap finds for it."""
    argv = rootfs.mmdebstrap_argv("mmdebstrap", rootfs.DROPLET, tmp_path / "root.tar")
    assert argv[-2:] == ["trixie", str(tmp_path / "root.tar")]
    (included,) = [word for word in argv if word.startswith("--include=")]
    assert {"docker.io", "docker-compose", "systemd", "openssh-server"} <= set(included[10:].split(","))
    assert rootfs.mmdebstrap_argv("mmdebstrap", rootfs.BASE, tmp_path / "root.tar")[-2] == "bookworm"


def test_a_failing_step_is_named_with_the_last_lines(dockerfile: Path) -> None:
    """The error says which image, at which step, and what the command printed."""
    output = [
        {"stream": "Step 1/2 : FROM ${BASE}\n"},
        {"stream": "Step 2/2 : RUN make-it\n"},
        {"stream": "make-it: cannot find flour\n"},
        {"error": "The command '/bin/sh -c make-it' returned a non-zero code: 2"},
    ]
    with pytest.raises(ImageBuildError) as caught:
        build_image(Engine({}, output), "cake", dockerfile, "wavetank/cake:1", base="b", progress=print)
    assert str(caught.value) == (
        "image 'cake' failed to build at Step 2/2 : RUN make-it: "
        "The command '/bin/sh -c make-it' returned a non-zero code: 2\n  | make-it: cannot find flour"
    )


def test_progress_tells_each_step(dockerfile: Path) -> None:
    """A long build shows where it is."""
    said: list[str] = []
    output = [{"stream": "Step 1/1 : FROM ${BASE}\n"}, {"stream": " ---> 0123\n"}]
    build_image(Engine({}, output), "cake", dockerfile, "t:1", base="b", progress=said.append)
    assert said == ["image cake: Step 1/1 : FROM ${BASE}"]


def test_a_second_builder_waits_no_longer_than_its_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the lock that another process holds."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(build, "LOCK_SECONDS", 0.0)
    lock = tmp_path / "wavetank" / "images.lock"
    lock.parent.mkdir()
    with lock.open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(PlaneError, match=r"images\.lock is held by another builder"):
            ensure(["base"], print, client=Engine({}))


def test_no_engine_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an engine the error carries the remedy."""
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    with pytest.raises(PlaneError, match=r"no Docker engine answers: .*wavetank setup"):
        ensure(["base"])


@pytest.mark.parametrize(("root", "tag"), [(rootfs.BASE, "12-slim"), (rootfs.DROPLET, "13-slim")])
def test_without_mmdebstrap_the_official_image_is_pulled(
    monkeypatch: pytest.MonkeyPatch, root: rootfs.Root, tag: str
) -> None:
    """Any engine that reaches a registry will do. It is of the same suite."""
    monkeypatch.setattr(rootfs.shutil, "which", lambda *_, **__: None)
    pulled: list[tuple[str, str]] = []
    engine = SimpleNamespace(images=SimpleNamespace(pull=lambda name, tag: pulled.append((name, tag))))
    assert rootfs.make_root(engine, root, "wavetank/base:1", print) == f"debian:{tag}"
    assert pulled == [("debian", tag)]


def test_droplets_of_ubuntu_come_from_its_official_image() -> None:
    """There is no mirror of it to bootstrap from. Its packages have their own names, each once."""
    root = rootfs.DROPLETS["ubuntu-24.04"]
    pulled: list[tuple[str, str]] = []
    engine = SimpleNamespace(images=SimpleNamespace(pull=lambda name, tag: pulled.append((name, tag))))
    assert rootfs.make_root(engine, root, "wavetank/base:1", print) == "ubuntu:24.04"
    assert pulled == [("ubuntu", "24.04")]
    assert {"docker.io", "docker-compose-v2", "openssh-server"} <= set(root.packages)
    assert not {"docker-compose", "docker-cli"} & set(root.packages)
    assert len(set(root.packages)) == len(root.packages)


def test_droplets_of_another_system_are_other_images() -> None:
    """Debian's being there is not enough."""
    engine = Engine({build.base_reference(): "sha256:1", "wavetank/base:latest": "sha256:1"})
    for root in rootfs.DROPLETS.values():
        reference = build._found("droplet", "sha256:1", build._rootfs_reference(root))
        engine.ids[reference] = f"sha256:{root.name}"
    debian, ubuntu = (ensure(["droplet"], client=engine, system=each) for each in rootfs.DROPLETS)
    assert debian != ubuntu
    del engine.ids[ubuntu["droplet"]]
    assert build._all_there(engine, ["droplet"]) == debian
    assert build._all_there(engine, ["droplet"], rootfs.UBUNTU) is None


def test_ubuntu_that_cannot_be_pulled_says_what_else() -> None:
    """Installing mmdebstrap would not help."""

    def pull(*_: Any, **__: Any) -> None:
        raise docker.errors.APIError("lookup registry: no such host")

    engine = SimpleNamespace(images=SimpleNamespace(pull=pull))
    with pytest.raises(ImageBuildError, match=r"(?s)getting ubuntu:24.04.*droplets be Debian.*no such host"):
        rootfs.make_root(engine, rootfs.UBUNTU, "wavetank/base:1", print)


def test_no_way_to_a_base_names_every_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """With neither mmdebstrap nor a registry the error says what was tried and what helps."""

    def pull(*_: Any, **__: Any) -> None:
        raise docker.errors.APIError("lookup registry: no such host")

    monkeypatch.setattr(rootfs.shutil, "which", lambda *_, **__: None)
    engine = SimpleNamespace(images=SimpleNamespace(pull=pull))
    expected = (
        r"(?s)install mmdebstrap.*mmdebstrap is not installed.*docker pull debian:12-slim.*no such host"
    )
    with pytest.raises(ImageBuildError, match=expected):
        rootfs.make_root(engine, rootfs.BASE, "wavetank/base:1", print)
