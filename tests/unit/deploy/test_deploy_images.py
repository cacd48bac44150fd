"""Naming, building and saving images, with a fake ``docker`` that remembers what it was asked."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.compose import Build
from harness.core.errors import EngineError, ResourceError
from harness.deploy import engine
from harness.deploy.engine import Image
from harness.deploy.images import Archive, bases_of, build_image, reference_of, unpacked


@pytest.fixture
def fake_docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a fake first on the path; ``write`` its body to choose what it does."""
    folder = tmp_path / "docker-bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    engine.builder_environment.cache_clear()
    return folder / "docker"


def behave(fake: Path, body: str) -> None:
    """Make the fake do this."""
    fake.write_text(f'#!/bin/sh\necho "$*" >> {fake}.log\n{body}\n')
    fake.chmod(0o755)


def asked(fake: Path) -> list[str]:
    """What the fake was asked."""
    return Path(f"{fake}.log").read_text().splitlines()


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """A context with two files."""
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text("FROM base:1\nCOPY main /main\n")
    (context / "main").write_text("one\n")
    return Build(context)


def test_reference_is_of_content(build: Build) -> None:
    """The same content has the same name, whenever it was written."""
    first = reference_of("Judge0 Server", build, {"base:1": "sha256:aa"})
    (build.context / "main").touch()
    assert first == reference_of("Judge0 Server", build, {"base:1": "sha256:aa"})
    assert first.startswith("wavetank-app/judge0-server:")


def test_reference_changes_with_context_base_and_arguments(build: Build) -> None:
    """All that decides what is built."""
    names = {reference_of("a", build, {}), reference_of("a", build, {"base:1": "sha256:aa"})}
    names.add(reference_of("a", Build(build.context, arguments={"X": "1"}), {}))
    names.add(reference_of("a", Build(build.context, target="last"), {}))
    (build.context / "main").write_text("two\n")
    names.add(reference_of("a", build, {}))
    assert len(names) == 5


def test_reference_changes_with_everything_else_that_a_build_says(build: Build, tmp_path: Path) -> None:
    """Instructions, options, BuildKit's, a further directory; not with where that or a secret lies."""
    names = {reference_of("a", build, {}), reference_of("a", Build(build.context, inline="FROM x"), {})}
    names.add(reference_of("a", Build(build.context, options=("--label", "a=b")), {}))
    names.add(reference_of("a", Build(build.context, contexts={"c": "docker-image://d:1"}), {}))
    for place in ("one", "other"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "file").write_text("x")
        names.add(reference_of("a", Build(build.context, contexts={"c": str(tmp_path / place)}), {}))
        names.add(reference_of("a", Build(build.context, buildkit=("--secret", f"id=k,src=/{place}")), {}))
    assert len(names) == 6
    (tmp_path / "other" / "file").write_text("y")
    names.add(reference_of("a", Build(build.context, contexts={"c": str(tmp_path / "other")}), {}))
    assert len(names) == 7


def test_values_of_build_arguments_are_in_no_process_list(fake_docker: Path, build: Build) -> None:
    """Docker takes them from its environment."""
    behave(fake_docker, f'[ "$1" = build ] && echo "$LDAP_TOKEN|${{EMPTY-unset}}" > {fake_docker}.env; true')
    build_image("web", replace(build, arguments={"LDAP_TOKEN": "s3 cret", "EMPTY": ""}), "wavetank-app/web:1")
    (line,) = (each for each in asked(fake_docker) if each.startswith("build "))
    assert "--build-arg LDAP_TOKEN --build-arg EMPTY " in line
    assert Path(f"{fake_docker}.env").read_text() == "s3 cret|\n"


@pytest.mark.parametrize("name", ["PATH", "HOME", "DOCKER_HOST", "DOCKER_BUILDKIT", "HTTPS_PROXY", "no-name"])
def test_build_arguments_do_not_change_what_docker_does(fake_docker: Path, build: Build, name: str) -> None:
    """Docker has its own variables, whatever an image is given under their names."""
    behave(fake_docker, f'[ "$1" = build ] && env > {fake_docker}.env; true')
    build_image("web", replace(build, arguments={name: "/other"}), "wavetank-app/web:1")
    (line,) = (each for each in asked(fake_docker) if each.startswith("build "))
    assert f"--build-arg {name}=/other " in line
    assert "/other" not in Path(f"{fake_docker}.env").read_text()


def test_options_of_a_build_are_given_to_docker(fake_docker: Path, build: Build) -> None:
    """With its instructions in a file outside of the context, where the compose file holds them."""
    keep = f'case $1 in build) while [ "$1" != --file ]; do shift; done; cat "$2" > {fake_docker}.file;; esac'
    behave(fake_docker, keep)
    more = Build(
        build.context,
        inline="FROM y",
        options=("--label", "a=b"),
        buildkit=("--ssh", "default"),
        contexts={"c": "/d"},
    )
    build_image("web", more, "wavetank-app/web:1")
    (line,) = (each for each in asked(fake_docker) if each.startswith("build "))
    for words in ("--label a=b", "--ssh default", "--build-context c=/d"):
        assert words in line
    assert str(build.context / "Dockerfile") not in line
    assert Path(f"{fake_docker}.file").read_text() == "FROM y"


@pytest.mark.parametrize("more", [{"buildkit": ("--ssh", "default")}, {"contexts": {"c": "/d"}}])
def test_what_only_buildkit_knows_is_refused_without_it(
    fake_docker: Path, build: Build, more: dict[str, Any]
) -> None:
    """Instead of an image without it."""
    behave(fake_docker, '[ "$1" = buildx ] && exit 1; exit 0')
    with pytest.raises(ResourceError, match="docker-buildx"):
        build_image("web", Build(build.context, **more), "wavetank-app/web:1")
    assert not any(each.startswith("build ") for each in asked(fake_docker))


@pytest.mark.parametrize("directory", [".git", "__pycache__"])
def test_what_comes_about_by_itself_is_no_content(directory: str, build: Build) -> None:
    """A commit alone builds nothing anew, nor does an installation that compiles its Python files."""
    before = reference_of("a", build, {})
    (build.context / directory).mkdir()
    (build.context / directory / "HEAD").write_text("x")
    assert reference_of("a", build, {}) == before


@pytest.mark.parametrize("name", [".dockerignore", "Dockerfile.dockerignore"])
def test_what_the_builder_is_not_sent_is_no_content(name: str, build: Build) -> None:
    """Files that ``.dockerignore`` excludes build nothing anew; what it excludes, and what it keeps, does."""
    (build.context / name).write_text("# local\n\nnotes/*\n!notes/kept\n")
    (build.context / "notes").mkdir()
    before = reference_of("a", build, {})
    (build.context / "notes/today").write_text("x")
    assert reference_of("a", build, {}) == before
    (build.context / "notes/kept").write_text("x")
    kept = reference_of("a", build, {})
    assert kept != before
    (build.context / name).write_text("notes\n")
    assert reference_of("a", build, {}) not in (before, kept)


def test_an_ignored_dockerfile_counts(build: Build) -> None:
    """Builders are sent it all the same."""
    (build.context / ".dockerignore").write_text("*\n")
    before = reference_of("a", build, {})
    (build.context / "main").write_text("three\n")
    assert reference_of("a", build, {}) == before
    (build.context / "Dockerfile").write_text("FROM base:2\n")
    assert reference_of("a", build, {}) != before


def test_what_one_of_two_ignore_files_keeps_counts(build: Build) -> None:
    """Builders differ in which of the two they read."""
    (build.context / ".dockerignore").write_text("main\n")
    (build.context / "Dockerfile.dockerignore").write_text("other\n")
    before = reference_of("a", build, {})
    (build.context / "main").write_text("four\n")
    assert reference_of("a", build, {}) != before


def test_bases_are_read_with_arguments_and_platforms(build: Build) -> None:
    """Names that stay unknown, and scratch, are left out."""
    (build.context / "Dockerfile").write_text(
        "FROM --platform=linux/amd64 a:1 AS one\nfrom ${BASE}\nFROM $OTHER\nFROM scratch\n"
    )
    assert bases_of(Build(build.context, arguments={"BASE": "b:2"})) == ("a:1", "b:2")
    assert bases_of(Build(build.context, inline="FROM c:3")) == ("c:3",)


def test_failed_build_shows_image_step_and_last_lines(fake_docker: Path, build: Build) -> None:
    """As the classic builder prints them."""
    body = (
        "echo 'Step 2/2 : RUN make'; echo 'make: *** no rule'; echo 'returned a non-zero code: 2' >&2; exit 1"
    )
    behave(fake_docker, body)
    with pytest.raises(ResourceError) as caught:
        build_image("web", build, "wavetank-app/web:1")
    text = str(caught.value)
    assert "image 'web': docker build of" in text
    assert "failed at `Step 2/2 : RUN make`" in text
    assert "make: *** no rule" in text
    assert "returned a non-zero code: 2" in text


def test_full_disk_is_said_in_so_many_words(fake_docker: Path, build: Build) -> None:
    """With what is free."""
    behave(fake_docker, "echo 'write /x: no space left on device' >&2; exit 1")
    with pytest.raises(ResourceError, match=r"the disk is full \(\d+ MiB free"):
        build_image("web", build, "wavetank-app/web:1")


def test_without_buildx_the_classic_builder_is_asked_for(fake_docker: Path, build: Build) -> None:
    """Docker's own command warns and may refuse otherwise."""
    behave(fake_docker, f'[ "$1" = buildx ] && exit 1; echo "$DOCKER_BUILDKIT" > {fake_docker}.kit')
    build_image("web", build, "wavetank-app/web:1")
    assert Path(f"{fake_docker}.kit").read_text() == "0\n"


def test_engine_that_does_not_answer_is_an_engine_error(fake_docker: Path) -> None:
    """Not the image's fault."""
    behave(fake_docker, "echo 'Cannot connect to the Docker daemon at unix:///x' >&2; exit 1")
    with pytest.raises(EngineError, match="the Docker engine cannot be used"):
        engine.local_images(["a:1"])


def test_no_docker_command_is_an_engine_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what can be done about it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError, match="install Docker"):
        engine.docker(["version"])


def test_images_that_are_there(fake_docker: Path) -> None:
    """Those that are not are left out; duplicates are asked once."""
    body = """for word; do last=$word; done
    case $*/$last in
      *a:1*gone:1*|*/gone:1) echo 'Error: No such image: gone:1' >&2; exit 1;;
      *) echo "id-$last 7";;
    esac"""
    behave(fake_docker, body)
    assert engine.local_images(["a:1", "gone:1", "a:1"]) == {"a:1": Image("a:1", "id-a:1", 7)}


FAKE_ZSTD = """\
for word; do last=$word; done
case $* in
  *-dc*) tr b-z a-y < "$last";;
  *) tr a-y b-z;;
esac"""


@pytest.fixture(params=["zstd", "plain"])
def packing(request: pytest.FixtureRequest, fake_docker: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """With a ``zstd`` that shifts letters, and without one."""
    behave(fake_docker.with_name("zstd"), FAKE_ZSTD)
    if request.param == "plain":
        real = shutil.which
        monkeypatch.setattr(shutil, "which", lambda name: None if name == "zstd" else real(name))
    return str(request.param)


def test_saved_once_and_kept(fake_docker: Path, packing: str, tmp_path: Path) -> None:
    """The second time the file is there; packed where it can be."""
    behave(fake_docker, "echo archive")
    archive, image = Archive(tmp_path / "images"), Image("web:1", "sha256:aa")
    file = archive.path(image)
    assert archive.path(image) == file
    assert file.name == {"zstd": "aa.tar.zst", "plain": "aa.tar"}[packing]
    assert file.read_text() == {"zstd": "bsdijwf\n", "plain": "archive\n"}[packing]
    assert asked(fake_docker) == ["save web:1"]
    with unpacked(file) as stream:
        assert stream.read() == b"archive\n"


@pytest.mark.usefixtures("packing")
def test_failed_save_leaves_nothing(fake_docker: Path, tmp_path: Path) -> None:
    """Half an archive must not be taken for a whole one."""
    behave(fake_docker, "echo half; echo broken >&2; exit 1")
    with pytest.raises(ResourceError, match="docker save failed: broken"):
        Archive(tmp_path / "images").path(Image("web:1", "sha256:aa"))
    assert list((tmp_path / "images").iterdir()) == []


def test_failed_packing_says_why(fake_docker: Path, tmp_path: Path) -> None:
    """Not that whoever wrote to it saw a broken pipe."""
    behave(fake_docker, "echo archive; echo 'broken pipe' >&2; exit 1")
    behave(fake_docker.with_name("zstd"), "echo 'no space left on device' >&2; exit 1")
    with pytest.raises(
        ResourceError, match="docker save failed: no space left on device\n  the disk is full"
    ):
        Archive(tmp_path / "images").path(Image("web:1", "sha256:aa"))


def test_too_little_room_is_said_before_saving(fake_docker: Path, tmp_path: Path) -> None:
    """With both figures."""
    behave(fake_docker, "exit 1")
    with pytest.raises(ResourceError, match=r"saving it takes \d+ MiB and .* has \d+ MiB free"):
        Archive(tmp_path / "images").path(Image("web:1", "sha256:aa", 1 << 60))


def test_archives_nobody_uses_are_deleted(tmp_path: Path) -> None:
    """After three days; others stay."""
    for name, age in (("old.tar", 4 * 86400), ("new.tar", 86400)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    Archive(tmp_path).prune(now=1e9)
    assert [file.name for file in tmp_path.iterdir()] == ["new.tar"]
