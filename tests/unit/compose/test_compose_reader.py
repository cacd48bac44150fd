"""What is known of a compose file, as Compose says it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.compose import ComposeProject, build_of, containers, read, reader
from harness.compose.model import inside
from harness.core.errors import TopologyError


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A directory that can be built in two places."""
    for folder in (tmp_path, tmp_path / "src"):
        folder.mkdir(exist_ok=True)
        (folder / "Dockerfile").write_text("FROM scratch\n")
    return tmp_path


def project(app: Path, text: str, **environment: str) -> ComposeProject:
    """Read ``text`` as that directory's compose file."""
    return read(app / "docker-compose.yml", text=text, environment=environment)


def test_both_spellings_of_build_are_read(app: Path) -> None:
    """A string is a context; a mapping may say more."""
    found = project(
        app,
        """
        services:
          a: {build: .}
          b: {build: {context: ./src, dockerfile: Dockerfile, target: last, args: [X=1, Y]}}
        """,
        Y="2",
    )
    a, b = (build_of(found, name) for name in found.started)
    assert a is not None
    assert b is not None
    assert a.context == app
    assert b.context == app / "src"
    assert (b.target, dict(b.arguments)) == ("last", {"X": "1", "Y": "2"})


def test_an_argument_without_a_value_anywhere_is_left_to_the_dockerfile(app: Path) -> None:
    """As Compose does: its own default holds."""
    found = project(app, "services: {a: {build: {context: ., args: [X=1, Y]}}}")
    build = build_of(found, "a")
    assert build is not None
    assert dict(build.arguments) == {"X": "1"}


def test_relative_files_and_mounts_are_found(app: Path) -> None:
    """Named volumes and absolute paths are the node's own."""
    (app / "base.yml").write_text("services: {a: {restart: always}}")
    (app / "more.env").touch()
    found = project(
        app,
        """
        services:
          a:
            image: x
            env_file: [.env, {path: more.env}]
            extends: {file: base.yml, service: a}
            configs: [c]
            secrets: [s]
            volumes:
              - ./conf:/conf:ro
              - data:/data
              - /etc/hosts:/hosts
              - {type: bind, source: ./long, target: /long}
              - {type: volume, source: data, target: /d}
        configs: {c: {file: ./c.conf}, outer: {external: true}}
        secrets: {s: {file: s.txt}}
        volumes: {data: {}}
        """,
    )
    wanted = {"./.env", "./more.env", "./conf", "./long", "./base.yml", "./c.conf", "./s.txt"}
    assert set(found.paths()) == wanted


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        ("app:${TAG}", "app:7"),
        ("app:$TAG", "app:7"),
        ("app:${NONE:-latest}", "app:latest"),
        ("app:${TAG:-latest}", "app:7"),
        ("app:${TAG:+with}", "app:with"),
        ("app:$$TAG", "app:$TAG"),
    ],
)
def test_variables_are_replaced_as_compose_does(app: Path, written: str, read_as: str) -> None:
    """From what .env will hold."""
    found = project(app, f"services: {{a: {{image: '{written}'}}}}", TAG="7")
    assert containers(found)[0].image == read_as


def test_missing_required_variable_is_named(app: Path) -> None:
    """With the words its author chose, its place, and what to do."""
    with pytest.raises(TopologyError, match="TAG is missing a value: say which") as caught:
        project(app, "services: {a: {image: 'app:${TAG:?say which}'}}")
    assert caught.value.field == "services.a.image"
    assert "add TAG to the service's environment" in caught.value.remedy


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("services: [", "not YAML"),
        ("- a", "not a compose file"),
        ("version: '3'", "no services"),
        ("services: {a: {ports: ['1:1']}}", "neither an image nor a build"),
        ("services: {a: {build: nowhere}}", "there is no .*nowhere/Dockerfile"),
        ("services: {a: 7}", "must be a mapping"),
    ],
)
def test_unusable_file_is_refused_with_a_remedy(app: Path, text: str, problem: str) -> None:
    """Naming the file."""
    with pytest.raises(TopologyError, match=problem) as caught:
        containers(project(app, text))
    assert str(app / "docker-compose.yml") in str(caught.value)
    assert "remedy: " in str(caught.value)


@pytest.mark.parametrize(
    ("path", "normal"),
    [("./a/../b", "b"), (".", "."), ("..", None), ("../x", None), ("a/../../x", None), ("/etc", None)],
)
def test_paths_that_leave_the_directory_are_told(path: str, normal: str | None) -> None:
    """They have no place on the node."""
    assert inside(path) == normal


def test_services_keep_the_order_of_the_file(app: Path) -> None:
    """Compose sorts them by name; users read them as they wrote them."""
    assert list(project(app, "services: {z: {image: z}, a: {image: a}}").services) == ["z", "a"]


def test_what_compose_adds_by_itself_is_no_key_of_a_service(app: Path) -> None:
    """The default network, and a command and an entry point that nobody named."""
    assert project(app, "services: {a: {image: x}}").services["a"] == {"image": "x"}


def test_a_rendered_file_is_read_in_place_of_the_users(app: Path) -> None:
    """So the answer is about what the node will see; the user's own directory stays as it was."""
    (app / "a.env").write_text("A=users\n")
    (app / "conf").mkdir()
    (app / "conf" / "b.env").write_text("B=users\n")
    (app / "conf" / "c.env").write_text("C=users\n")
    text = "services: {a: {image: '${TAG}', env_file: [a.env, conf/b.env, conf/c.env]}}"
    files = {"a.env": "A=ours\n", "conf/b.env": "B=ours\n", ".env": "TAG=t\n"}
    found = read(app / "docker-compose.yml", text=text, files=files)
    assert found.services["a"]["environment"] == {"A": "ours", "B": "ours", "C": "users"}
    assert found.image("a") == "t"
    assert (app / "a.env").read_text() == "A=users\n"
    assert not (app / ".env").exists()


def test_values_hold_any_character(app: Path) -> None:
    """Neither quotes nor dollar signs nor line ends nor marks of ours are changed on their way through."""
    value = '\ue000it\'s $A ${B} "q" \\ # no\nend$$ \ue001'
    text = "services: {a: {image: x, labels: {said: '${A}'}, env_file: .env}}"
    body = project(app, text, A=value, B="2").services["a"]
    assert body["labels"] == {"said": value}
    assert body["environment"] == {"A": value, "B": "2"}


def test_a_variable_directs_nothing_but_the_file(app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value is for the application, whatever it is called; this process's own are for nobody."""
    monkeypatch.setenv("TAG", "theirs")
    text = "services: {a: {image: 'x:${TAG:-none}'}}"
    found = project(app, text, COMPOSE_FILE="/none.yml", LD_PRELOAD="/none.so", HOME="/h", PATH="/none")
    assert found.image("a") == "x:none"


def test_what_makes_compose_quick_is_no_value_for_the_file(app: Path) -> None:
    """Two variables of Go's runtime, which a service may have as well."""
    (app / "a.env").write_text("LIMIT=${GOMEMLIMIT:-none}\n")
    assert project(app, "services: {a: {image: 'x:${GOGC:-100}'}}").image("a") == "x:100"
    text = "services: {a: {image: x, env_file: a.env}}"
    assert project(app, text).services["a"]["environment"] == {"LIMIT": "none"}
    assert reader.read_variables("A=${GOGC:-1}\n", app / ".env", {}) == {"A": "1"}


def test_paths_are_told_from_the_compose_file(app: Path) -> None:
    """Those of the project's directory however they are written, those beside it, and those of a node."""
    sources = ["./a", "${PWD}/b", "../c", "/d", "~/e"]
    volumes = "".join(f"      - '{each}:/x{at}'\n" for at, each in enumerate(sources))
    found = project(app, f"services:\n  a:\n    image: x\n    volumes:\n{volumes}")
    assert [each["source"] for each in found.services["a"]["volumes"]] == ["./a", "./b", "../c", "/d", "~/e"]


def test_a_directory_in_a_text_is_the_users(app: Path) -> None:
    """Where it is not a path but a part of something."""
    found = project(app, "services: {a: {image: x, labels: {at: 'in ${PWD}.'}}}")
    assert found.services["a"]["labels"] == {"at": f"in {app}."}


def test_files_that_include_and_extend_are_followed(app: Path) -> None:
    """From file to file, each path relative to the file that names it, and a variable in a name."""
    (app / "sub").mkdir()
    (app / "sub" / "base.yml").write_text("services: {base: {image: b, env_file: base.env}}")
    (app / "sub" / "base.env").write_text("A=base\n")
    (app / "sub" / "db.yml").write_text(
        "services: {db: {image: d, extends: {file: base.yml, service: base}}}"
    )
    (app / "sub" / ".env").write_text("X=1\n")
    text = """
    include: ["${WHERE}/db.yml"]
    services:
      api: {extends: {file: sub/base.yml, service: base}, ports: ["80:80"]}
    """
    found = project(app, text, WHERE="sub")
    assert found.compose_files == ("./sub/base.yml", "./sub/db.yml")
    assert found.beside == ("./sub/.env",)
    assert {name: [each.path for each in files] for name, files in found.env_files.items()} == {
        "api": ["./sub/base.env"],
        "db": ["./sub/base.env"],
    }
    assert found.services["api"]["environment"] == {"A": "base"}
    assert found.started == ("api", "db")


def test_a_file_that_is_extended_and_not_there_is_named(app: Path) -> None:
    """With the service that asks for it."""
    with pytest.raises(TopologyError, match=r"there is no .*none\.yml") as caught:
        project(app, "services: {a: {extends: {file: none.yml, service: x}}}")
    assert caught.value.field == "services.a.extends"


def test_networks_of_an_extended_file_need_not_be_declared(app: Path) -> None:
    """They are taken out before it reaches a node, where plain Compose would refuse them."""
    (app / "base.yml").write_text("services: {base: {image: b, networks: [inner]}}\nnetworks: {inner: {}}")
    found = project(app, "services: {a: {extends: {file: base.yml, service: base}}}")
    assert list(found.services["a"]["networks"]) == ["inner"]


def test_profiles_are_those_that_are_active(app: Path) -> None:
    """By COMPOSE_PROFILES in .env, as for `docker compose up`."""
    text = "services: {a: {image: a}, b: {image: b, profiles: [x]}, c: {image: c, profiles: [y]}}"
    assert project(app, text).started == ("a",)
    assert project(app, text, COMPOSE_PROFILES="y").started == ("a", "c")
    assert list(project(app, text).services) == ["a", "b", "c"]


def test_a_service_behind_a_profile_need_not_be_readable(app: Path) -> None:
    """`docker compose up` does not read its files either."""
    text = "services: {a: {image: a}, b: {image: b, profiles: [x], env_file: none.env}}"
    assert project(app, text).started == ("a",)


def test_what_depends_on_a_service_that_does_not_start_is_refused(app: Path) -> None:
    """As Compose refuses it, rather than on a node."""
    text = "services: {a: {image: a, depends_on: [b]}, b: {image: b, profiles: [x]}}"
    with pytest.raises(TopologyError, match='depends on undefined service "b"') as caught:
        project(app, text)
    assert caught.value.field == "services.a.depends_on"


def test_a_change_of_a_file_that_is_named_is_seen(app: Path) -> None:
    """Answers are kept by what was read, not by where."""
    text = "services: {a: {image: a, env_file: a.env}}"
    for value in ("1", "2"):
        (app / "a.env").write_text(f"A={value}\n")
        assert project(app, text).services["a"]["environment"] == {"A": value}


def test_the_same_is_not_asked_twice(app: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Wherever it lies: only what is in the files counts."""
    text = "services: {a: {image: asked-once}}"
    project(app, text)
    known = set(reader._answers)
    project(tmp_path_factory.mktemp("other"), text)
    assert set(reader._answers) == known


def test_a_set_of_answers_has_a_bound(app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest goes."""
    monkeypatch.setattr(reader, "MOST_ANSWERS", 2)
    for number in range(3):
        project(app, f"services: {{a: {{image: 'bound:{number}'}}}}")
    assert len(reader._answers) == 2


def test_a_file_of_more_than_a_mebibyte_is_refused(app: Path) -> None:
    """Before Compose reads it."""
    (app / "big.env").write_text("A=" + "x" * (1 << 20))
    with pytest.raises(TopologyError, match="larger than 1 MiB"):
        project(app, "services: {a: {image: x, env_file: big.env}}")


def test_other_tags_than_composes_own_are_no_matter(app: Path) -> None:
    """`!reset` takes a list away, `!override` replaces one."""
    (app / "base.yml").write_text("services: {b: {image: b, ports: ['1:1'], env_file: none.env}}")
    text = """
    services:
      a:
        extends: {file: base.yml, service: b}
        ports: !override ["2:2"]
        env_file: !reset []
    """
    found = project(app, text)
    assert [each["target"] for each in found.services["a"]["ports"]] == [2]


def test_variables_without_a_value_are_told(app: Path) -> None:
    """As Compose warns of them."""
    found = project(app, "services: {a: {image: 'x$NOBODY', labels: {b: '${NOONE}${NONE:-d}$SET'}}}", SET="")
    assert sorted(found.unset) == ["NOBODY", "NOONE"]


Read = Callable[[str], dict[str, str]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A=1", "1"),
        ("export A = 1 # one", "1"),
        ("A=", ""),
        ("A=a#b", "a#b"),
        ("A=#b", "#b"),
        ("A=# one", "# one"),
        ("A='a # ${HOME} \\n'", "a # ${HOME} \\n"),
        ("A='two\nlines'", "two\nlines"),
        ('A="two\\nlines \\"here\\" $$5"', 'two\nlines "here" $5'),
        ("B=x\nA=${B}/$B-y", "x/x-y"),
        ("A=${NONE:-word}${NONE}", "word"),
        ("A=1\nA=2", "2"),
        ("\ufeffA=1", "1"),
    ],
)
def test_users_own_variables_are_read(tmp_path: Path, text: str, expected: str) -> None:
    """As Compose reads them: quotes, escapes, comments, references to what is above."""
    assert reader.read_variables(text, tmp_path / ".env", {})["A"] == expected


def test_given_variables_take_the_place_of_a_files_own(tmp_path: Path) -> None:
    """And are what the file's other values refer to."""
    text = "HOST=local\nURL=http://$HOST/\n"
    found = reader.read_variables(text, tmp_path / ".env", {"HOST": "db", "NEW": "n"})
    assert found == {"HOST": "db", "NEW": "n", "URL": "http://db/"}


def test_comments_are_no_variables(tmp_path: Path) -> None:
    """Quotes come off."""
    found = reader.read_variables("# c=1\nA=1\nB='x y'\n\nC=\n", tmp_path / ".env", {})
    assert found == {"A": "1", "B": "x y", "C": ""}


def test_a_broken_file_of_variables_is_refused(tmp_path: Path) -> None:
    """With its name."""
    with pytest.raises(TopologyError, match=r"\.env"):
        reader.read_variables("A B C=1\n", tmp_path / ".env", {})
