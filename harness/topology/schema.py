"""The keys of a topology file and the type of each; docs/topology.md says what they mean.

Only shapes are checked here. Whether names, ports and addresses make sense is for the modules after it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from harness.core import yaml
from harness.topology.judge0_ids import NAMES
from harness.topology.source import Problems, Step, closest, did_you_mean

VERSION = "wavetank/topology/v1"
GENERATED = "generated"

# Types of YAML values, for messages.
SHOWN: Mapping[type, str] = {
    dict: "a mapping",
    list: "a list",
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a fraction",
    type(None): "nothing",
    yaml.Tagged: "a value with a tag",
}


def _none_is_empty(value: Any) -> Any:
    return {} if value is None else value


def _number_as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _generated_is_empty(value: Any) -> Any:
    return {} if value == GENERATED else value


def _scalar_as_text(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else _number_as_text(value)


def _url_as_health(value: Any) -> Any:
    return {"url": value} if isinstance(value, str) else value


def _status_as_answer(value: Any) -> Any:
    return {"status": value} if isinstance(value, int) and not isinstance(value, bool) else value


def _ids_by_name(value: Any) -> Any:
    """A list of ids as a mapping; an id that is none of our languages, or the second of one, names itself."""
    if not isinstance(value, list) or not all(type(each) is int for each in value):
        return value
    found: dict[str, int] = {}
    for each in value:
        name = NAMES.get(each, str(each))
        found[str(each) if name in found else name] = each
    return found


def _files_by_name(value: Any) -> Any:
    """A file, or a list of them, as a mapping that says nothing more of each."""
    files = _one_as_list(value)
    return {each: {} for each in files} if isinstance(files, list) and _are_texts(files) else value


def _are_texts(values: list[Any]) -> bool:
    return all(isinstance(each, str) for each in values)


def _one_as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Text = Annotated[str, BeforeValidator(_number_as_text)]
Word = Annotated[str, BeforeValidator(_scalar_as_text)]
Languages = Annotated[dict[str, int], BeforeValidator(_ids_by_name)]
Ends = Annotated[list[str], BeforeValidator(_one_as_list)]


class Raw(BaseModel):
    """Base of all sections: no unknown key, no conversion of types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=False)


class RawVpc(Raw):
    ip_range: str | None = None


class RawDroplet(Raw):
    size: str | None = None
    image: Text | None = None
    role: str | None = None
    public_networking: bool | None = None
    user_data: str | None = None


class RawDefaults(Raw):
    size: str | None = None
    image: Text | None = None
    public_networking: bool = True
    user_data: str = ""


class RawDatabase(Raw):
    engine: str
    version: Text
    size: str
    nodes: int = 1
    trusted_sources: list[str] = Field(default_factory=list)


class RawInbound(Raw):
    protocol: str
    ports: Text = "0"
    peers: list[str] = Field(alias="from")


class RawOutbound(Raw):
    protocol: str
    ports: Text = "0"
    peers: list[str] = Field(alias="to")


class RawFirewall(Raw):
    droplets: list[str]
    inbound: list[RawInbound]
    outbound: list[RawOutbound]


class RawFlow(Raw):
    sources: Ends = Field(alias="from")
    destinations: Ends = Field(alias="to")
    tcp: list[Text] = Field(default_factory=list)
    udp: list[Text] = Field(default_factory=list)
    icmp: bool = False


class RawManagement(Raw):
    bastion: str
    operators: list[str]


class RawSecret(Raw):
    """Without a key it is one that is generated."""

    environment: str | None = None
    file: str | None = None


class RawBuild(Raw):
    context: str | None = None
    dockerfile: str | None = None
    target: str | None = None
    args: dict[str, Text] = Field(default_factory=dict)


class RawHealth(Raw):
    url: str = ""
    headers: dict[str, Text] = Field(default_factory=dict)


class RawApplication(Raw):
    """What a service of compose and one of a swarm have in common."""

    droplets: list[str]
    compose: Annotated[list[str] | None, BeforeValidator(_one_as_list)] = None
    tls_tunnel: dict[str, int] = Field(default_factory=dict)
    add: dict[str, dict[str, Any]] = Field(default_factory=dict)
    override: dict[str, Any] = Field(default_factory=dict)
    ports: list[int] = Field(default_factory=list)
    environment: dict[str, Text | dict[str, Text]] = Field(default_factory=dict)
    files: dict[str, str] = Field(default_factory=dict)
    build: dict[str, RawBuild] = Field(default_factory=dict)


class RawService(RawApplication):
    run: list[str] | dict[str, list[str]] | None = None
    publish: dict[str, list[Text]] = Field(default_factory=dict)
    hosts: dict[str, str] = Field(default_factory=dict)
    upstreams: Annotated[
        dict[str, Annotated[dict[str, str], BeforeValidator(_none_is_empty)]], BeforeValidator(_files_by_name)
    ] = Field(default_factory=dict)
    health: Annotated[RawHealth, BeforeValidator(_url_as_health)] = RawHealth()


class RawOverlay(Raw):
    name: str
    encrypted: bool = False
    esp: str = ""


class RawStackService(RawApplication):
    run: list[str] | None = None
    replicas: int = 1
    constraints: list[str] = Field(default_factory=list)
    order: str = "start-first"
    cap_add: list[str] = Field(default_factory=list)


class RawSwarm(Raw):
    managers: list[str]
    stack: str
    network: RawOverlay
    heartbeat: int = 5
    services: dict[str, RawStackService]


class RawFrontDoor(Raw):
    node: str
    path: str
    request: dict[str, str]
    reply: dict[str, str]
    history: str = ""
    scheme: str = "http"
    port: int | None = None
    server_name: str = ""
    headers: dict[str, Text] = Field(default_factory=dict)
    languages: Languages = Field(default_factory=dict)
    statuses: dict[Word, Word] = Field(default_factory=dict)


class RawEndpoint(Raw):
    port: int
    node: str | None = None
    source: str | None = None
    service: str | None = None


class RawJudge0(RawEndpoint):
    workers: list[str] = Field(default_factory=list)
    headers: dict[str, Text] = Field(default_factory=dict)


class RawRunner(RawEndpoint):
    path: str = ""
    request: dict[str, str] = Field(default_factory=dict)
    reply: dict[str, str] = Field(default_factory=dict)
    headers: dict[str, Text] = Field(default_factory=dict)
    languages: Languages = Field(default_factory=dict)
    statuses: dict[Word, Word] = Field(default_factory=dict)


class RawAnswer(Raw):
    status: int = 200
    body: Any = Field(default=None, alias="json")


class RawRequest(Raw):
    get: str | None = None
    post: str | None = None
    put: str | None = None
    delete: str | None = None
    body: Any = Field(default=None, alias="json")
    expect: Annotated[RawAnswer, BeforeValidator(_status_as_answer)] = RawAnswer()


class RawChecks(Raw):
    front_door: RawFrontDoor | None = None
    judge0: RawJudge0 | None = None
    runner: RawRunner | None = None
    requests: list[RawRequest] = Field(default_factory=list)


Number = Annotated[float, Field(allow_inf_nan=False)]


class RawObjectives(Raw):
    workload: str = "hello"
    rate: Number = 10.0
    p95_ms: Number | None = None
    p99_ms: Number | None = None
    errors: Number | None = None
    throughput: Number | None = None
    worse_by: Number = 0.1


class RawEmulator(Raw):
    droplets: str | None = None


class RawTopology(Raw):
    version: str = Field(alias="schema")
    name: str
    region: str
    vpc: Annotated[RawVpc, BeforeValidator(_none_is_empty)] = RawVpc()
    defaults: Annotated[RawDefaults, BeforeValidator(_none_is_empty)] = RawDefaults()
    droplets: dict[str, Annotated[RawDroplet, BeforeValidator(_none_is_empty)]]
    databases: dict[str, RawDatabase] = Field(default_factory=dict)
    management: RawManagement
    emulator: Annotated[RawEmulator, BeforeValidator(_none_is_empty)] = RawEmulator()
    firewalls: dict[str, RawFirewall]
    intent: list[RawFlow]
    app: str
    secrets: dict[str, Annotated[RawSecret, BeforeValidator(_generated_is_empty)]] = Field(
        default_factory=dict
    )
    services: dict[str, RawService] = Field(default_factory=dict)
    swarm: RawSwarm | None = None
    checks: Annotated[RawChecks, BeforeValidator(_none_is_empty)] = RawChecks()
    objectives: RawObjectives | None = None


def check(problems: Problems) -> RawTopology:
    """The file's data as typed sections. Raises ``TopologyError`` with all that has the wrong shape."""
    data = problems.source.data
    version = data.get("schema") if isinstance(data, Mapping) else None
    if version != VERSION:
        problem = f"{version!r} is not a version this Wavetank reads" if version else "is missing"
        if not isinstance(data, Mapping):
            problem = "the file is not a mapping of keys"
        problems.add(("schema",), problem, f"begin the file with 'schema: {VERSION}'")
        problems.raise_any()
    try:
        return RawTopology.model_validate(data)
    except ValidationError as error:
        found = [
            (tuple(step for step in each["loc"] if step != "[key]"), each)
            for each in error.errors(include_url=False)
        ]
        misspelt = {_meant(path) for path, each in found if each["type"] == "extra_forbidden"}
        for path, each in found:
            # A key that is there, with a slip in its name, is told once.
            if each["type"] != "missing" or path not in misspelt:
                problems.add(path, *_explain(each["type"], path, each["msg"], each.get("input")))
        problems.raise_any()
        raise


def keys(model: type[BaseModel] = RawTopology) -> dict[str, Any]:
    """The keys of a section, as written in the file, and the type of each."""
    return {info.alias or name: info.annotation for name, info in model.model_fields.items()}


def section_at(path: Sequence[Step]) -> type[BaseModel] | None:
    """The section that ``path`` leads to; names and numbers in it stand for any."""
    current: Any = RawTopology
    for step in path:
        current = _unwrap(current)
        if isinstance(current, type) and issubclass(current, BaseModel):
            current = keys(current).get(str(step))
        else:
            current = get_args(current)[-1] if get_args(current) else None
    current = _unwrap(current)
    return current if isinstance(current, type) and issubclass(current, BaseModel) else None


def _unwrap(annotation: Any) -> Any:
    """``Annotated[X, ...]`` and ``X | None`` are ``X``."""
    if get_origin(annotation) is Annotated:
        return _unwrap(get_args(annotation)[0])
    if type(None) in get_args(annotation):
        return _unwrap(next(arg for arg in get_args(annotation) if arg is not type(None)))
    return annotation


def _meant(path: tuple[Step, ...]) -> tuple[Step, ...]:
    """The key that an unknown key was meant to be; its own path where none is close."""
    section = section_at(path[:-1])
    return (*path[:-1], closest(str(path[-1]), keys(section) if section else []) or path[-1])


def _explain(kind: str, path: tuple[Step, ...], message: str, value: Any) -> tuple[str, str]:
    """Problem and remedy for one of pydantic's errors."""
    if kind == "extra_forbidden":
        section = section_at(path[:-1])
        return f"unknown key {path[-1]!r}", did_you_mean(str(path[-1]), keys(section) if section else [])
    if kind == "missing":
        return "is missing", "add it; docs/topology.md says what it holds"
    got = SHOWN.get(type(value), repr(value))
    wanted = message.removeprefix("Input should be ").partition(" or instance of ")[0]
    wanted = wanted.replace("valid ", "").replace("dictionary", "mapping")
    quotes = ", in quotes" if wanted == "a string" else ""
    return f"is {got}, but should be {wanted}", f"write {wanted}{quotes}; docs/topology.md shows the form"
