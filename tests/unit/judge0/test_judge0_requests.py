"""What the reference Judge0 takes from a request: its parameters, its path, and the format it is asked in."""

from __future__ import annotations

import pytest

from judge0_server import answers, forms, params, render, routes
from judge0_server.languages import ACTIVE, BY_ID, LANGUAGES

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("query", "given"),
    [
        ("a=1&a=2", {"a": "2"}),
        ("a=1;b=2;%20c=3", {"a": "1", "b": "2", " c": "3"}),
        ("a=1; b=2", {"a": "1", "b": "2"}),
        ("a=x+y%2Bz", {"a": "x y+z"}),
        ("a&b=", {"a": None, "b": ""}),
        ("&&", {}),
        ("a[b]=1&a[c]=2", {"a": {"b": "1", "c": "2"}}),
        ("a[]=1&a[]=2", {"a": ["1", "2"]}),
        ("a[][b]=1&a[][c]=2&a[][b]=3", {"a": [{"b": "1", "c": "2"}, {"b": "3"}]}),
        ("a[][b][c]=1&a[][b][d]=2", {"a": [{"b": {"c": "1", "d": "2"}}]}),
        ("a[][b][]=1&a[][b][]=2", {"a": [{"b": ["1", "2"]}]}),
        ("a%5B%5D=1", {"a": ["1"]}),
        ("a[=1&[]=2", {"a[": "1"}),
    ],
)
def test_a_query_is_read_as_rack_reads_it(query: str, given: dict[str, object]) -> None:
    """The last of a name counts; both & and ; separate; brackets make lists and objects."""
    assert forms.query(query) == given


def test_a_form_is_separated_by_ampersands_only() -> None:
    """So that a program in it may have semicolons."""
    assert forms.form(b"source_code=a;b&language_id=50") == {"source_code": "a;b", "language_id": "50"}


@pytest.mark.parametrize("query", ["a=%zz", "a=%ff", "a=1&a[]=2", "a[]=1&a[b]=2", "a" + "[b]" * 101 + "=1"])
def test_a_query_that_rack_refuses_is_malformed(query: str) -> None:
    """A bare %, bytes that are no UTF-8, one name for two kinds of things, a name that is too deep."""
    with pytest.raises(params.MalformedError):
        params.merged("", b"", query)


@pytest.mark.parametrize(
    ("kind", "raw"), [(JSON, b'{"language_id": 1, "stdin": "x"}'), (FORM, b"language_id=1&stdin=x")]
)
def test_parameters_of_the_query_win_over_those_of_the_body(kind: str, raw: bytes) -> None:
    """Each on its own: what only one of the two has is taken from there."""
    given = params.merged(kind, raw, "language_id=71&source_code=y")
    assert given == {"language_id": "71", "source_code": "y", "stdin": "x"}


def test_json_that_only_python_reads_is_malformed() -> None:
    """NaN and its like are none of JSON's numbers."""
    with pytest.raises(params.MalformedError):
        params.parse_body(JSON, b'{"cpu_time_limit": NaN}')


@pytest.mark.parametrize(
    ("value", "number"),
    [("71abc", 71), ("abc", 0), ("", 0), (" -3", -3), (7, 7), (None, 5), ("9" * 5000, None)],
)
def test_a_number_is_what_a_text_begins_with(value: object, number: int | None) -> None:
    """As Ruby's to_i; the default only where there is nothing. Many digits are some large number."""
    assert params.whole(value, 5) == number if number is not None else params.whole(value) > 2**63


@pytest.mark.parametrize(
    ("text", "parts"), [("a,b", ["a", "b"]), (" a,,b,,", [" a", "", "b"]), ("", []), (",", []), (None, [])]
)
def test_a_list_is_split_as_ruby_splits_it(text: str | None, parts: list[str]) -> None:
    """Nothing is stripped; what is empty at the end is dropped, elsewhere it is kept."""
    assert render.split(text) == parts


def test_a_star_beside_names_means_all_fields() -> None:
    """As long as all names are fields."""
    assert render.parse_fields("*,token") == render.FIELDS
    with pytest.raises(render.InvalidFieldsError, match=r"^invalid fields: \[ stdout\]$"):
        render.parse_fields("token, stdout")


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("GET", "/", ("GET", "", "")),
        ("HEAD", "/version", ("GET", "version", "")),
        ("GET", "/version.json", ("GET", "version", "")),
        ("POST", "//submissions/", ("POST", "submissions", "")),
        ("POST", "/submissions/batch.json", ("POST", "submissions", "batch")),
        ("GET", "/submissions/a-b.json", ("GET", "submissions", "a-b")),
        ("DELETE", "/submissions/a", ("DELETE", "submissions", "a")),
        ("GET", "/languages/all", ("GET", "languages", "all")),
        ("GET", "/languages/71.xml", ("GET", "languages", "71")),
        ("GET", "/submissions/a.b.c", None),
        ("GET", "/submissions/a/b", None),
        ("GET", "/version/1", None),
        ("POST", "/submissions/a", None),
        ("POST", "/version", None),
        ("DELETE", "/submissions", None),
        ("PATCH", "/submissions/a", None),
        ("GET", "/authenticate", None),
    ],
)
def test_a_path_leads_to_its_route(method: str, path: str, route: tuple[str, ...] | None) -> None:
    """A suffix is a format and no part of what is named; slashes too many are none."""
    assert routes.find(method, path) == route


@pytest.mark.parametrize(
    ("path", "given", "headers", "json"),
    [
        ("/submissions/a.json", {}, {}, True),
        ("/submissions/a.json", {}, {"accept": "text/html"}, True),
        ("/submissions/a.xml", {}, {"accept": JSON}, False),
        ("/submissions/a", {"format": "json"}, {}, True),
        ("/submissions/a", {}, {"accept": f"{JSON}; charset=utf-8"}, True),
        ("/submissions/a", {}, {"accept": f"{JSON}, text/plain"}, True),
        ("/submissions/a", {}, {"accept": f"{JSON};q=0.5, text/html"}, False),
        ("/submissions/a", {}, {"accept": f"text/html;q=0.1, {JSON}"}, True),
        ("/submissions/a", {}, {"accept": f"{JSON}, text/plain, */*"}, False),
        (
            "/submissions/a",
            {},
            {"accept": f"{JSON}, */*; q=0.01", "x-requested-with": "XMLHttpRequest"},
            True,
        ),
        ("/submissions/a", {}, {"content-type": JSON, "x-requested-with": "XMLHttpRequest"}, True),
        ("/submissions/a", {}, {"content-type": JSON}, False),
        ("/submissions/a", {}, {"accept": "*/*"}, False),
        ("/submissions/a", {}, {}, False),
        ("/no/such.json", None, {}, True),
        ("/no/such.json", None, {"accept": "*/*"}, False),
        ("/no/such.xml", None, {"accept": JSON}, True),
        ("/no/such", None, {}, False),
    ],
)
def test_json_is_asked_for_by_suffix_parameter_or_header(
    path: str, given: dict[str, object] | None, headers: dict[str, str], json: bool
) -> None:
    """A list with */* is not heard, for browsers send such; a script says that it is none."""
    assert routes.wants_json(path, given, headers) is json


def test_json_may_stand_in_a_page() -> None:
    """Rails escapes what HTML and JavaScript would take for their own; an ETag is that of the bytes sent."""
    assert answers.dump("<&>\u2028é") == '"\\u003c\\u0026\\u003e\\u2028é"'.encode()
    assert answers.plain("1.13.1").headers["etag"] == 'W/"a38a1050d45a66fa375ba4ec097f4511"'


def test_archived_languages_are_known_and_not_offered() -> None:
    """Judge0 1.13.1 has archived 1 to 42; by name they stand among the others."""
    archived = [language for language in LANGUAGES if language.is_archived]
    assert sorted(language.id for language in archived) == list(range(1, 43))
    assert not any(language.is_archived for language in ACTIVE)
    assert [language.name for language in LANGUAGES] == sorted(language.name for language in LANGUAGES)
    assert (BY_ID[4].name, BY_ID[4].compile_cmd) == (
        "C (gcc 7.2.0)",
        "/usr/local/gcc-7.2.0/bin/gcc %s main.c",
    )
    assert BY_ID[1].compile_cmd is None
