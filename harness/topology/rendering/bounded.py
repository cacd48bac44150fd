"""Jinja2 within limits: rendering takes about a second and a few MiB at most, whatever the template says.

A template runs in Jinja's sandbox, where it reaches nothing but the names that it was given. On top of that
each step costs: a turn of a loop, a call, a filter, a text or list that is made. What it costs is known
before it is done, so ``'a' * 10**9``, loops in loops and lists of lists of lists are refused, not tried.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import wraps
from types import CodeType
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace
from jinja2.visitor import NodeTransformer

BUDGET = 16 * 1024 * 1024
TURN_COST = (
    1000  # the minimum cost of a loop's iteration, or of a call; where the template is longer, its length
)
LARGEST_VALUE = 64 * 1024  # characters, with all that is in it
ITEM_SIZE = 16  # a list's item counts as so many characters
MEASURE_COST = 4  # the cost of measuring, for each character
MOST_ITEMS = 2048
MOST_BITS = 4096
MOST_COMPILED, LONGEST_COMPILED = 512, 16 * 1024  # templates that are kept, and the characters of one
# A width of five digits, or one that is given as a value: of ``%``, and of a text's ``format``.
WIDE = re.compile(r"%(?:\([^)]*\))?[^a-zA-Z%]*(?:\*|\d{5,})")
WIDE_BRACES = re.compile(r"\{[^{}]*\{|\{[^{}:]*:[^{}]*?\d{5,}")
# What takes a number of characters or items to make.
WIDENING = {
    "batch", "center", "expandtabs", "indent", "ljust", "rjust", "round", "slice", "tojson", "truncate",
    "wordwrap", "zfill",
}  # fmt: skip
# Configuration files do not need these; they are slow on long texts, or never give the same twice.
LEFT_OUT = {"pprint", "random", "striptags", "urlize", "xmlattr"}
EACH, JOINED, MEASURED = "wavetank_each", "wavetank_joined", "wavetank_measured"


# A command reads a topology several times, and compiling a template takes ten times as long as rendering it.
# With the code is what compiling it cost. By text, name and what the environment does with values.
_compiled: dict[tuple[str, str, Callable[[Any], Any]], tuple[CodeType, int]] = {}


class TooMuchError(jinja2.TemplateRuntimeError):
    """A template exceeds its budget."""


class Bounded(ImmutableSandboxedEnvironment):
    """A sandbox for one template at a time; each begins with the whole budget.

    ``budget_left`` is what the last one left of it.
    """

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, optimized=False, loader=None)
        self._turn_cost, self.budget_left = TURN_COST, BUDGET
        self.filters = {
            name: self._bounded(name, each) for name, each in self.filters.items() if name not in LEFT_OUT
        } | {EACH: self._each, JOINED: self._joined, MEASURED: self._measured}
        kept = {name: self.globals[name] for name in ("dict", "joiner", "cycler")}
        self.globals = {**kept, "range": _bounded_range, "namespace": _Namespace}
        own, self.finalize = self.finalize, self._shown
        self._own_finalize: Callable[[Any], Any] = own or _as_it_is

    def bounded_template(self, text: str, name: str) -> jinja2.Template:
        """A template whose loops, lists and texts are counted as it renders; for one rendering."""
        self._turn_cost, self.budget_left = max(TURN_COST, len(text)), BUDGET
        return jinja2.Template.from_code(self, self._code(text, name), self.make_globals(None))

    def _code(self, text: str, name: str) -> CodeType:
        """The template's code; compiling it costs the same whether or not it was compiled before."""
        key = (text, name, self._own_finalize)
        if found := _compiled.get(key):
            code, cost = found
            self._spend(cost)
            return code
        code = self.compile(_Counted().visit(self.parse(text, name, name)), name, name)
        if len(text) <= LONGEST_COMPILED:
            if len(_compiled) >= MOST_COMPILED:
                _compiled.clear()
            _compiled[key] = code, BUDGET - self.budget_left
        return code

    def call(self, context: Any, obj: Any, /, *arguments: Any, **named: Any) -> Any:
        """Every call of a template: of a macro, a global or a method."""
        method = getattr(obj, "__wrapped__", obj)  # the sandbox wraps a text's ``format``
        name, owner = getattr(method, "__name__", ""), getattr(method, "__self__", None)
        self._spend(self._turn_cost)
        self._measured([arguments, named])
        if isinstance(owner, str):
            self._check_method(name, owner, (*arguments, *named.values()))
        return self._measured(super().call(context, obj, *arguments, **named))

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Arithmetic and the like: the result must not be too large."""
        if operator == "%" and isinstance(left, str):
            _require(not WIDE.search(left), "a text")
        elif operator == "**" and isinstance(left, int) and isinstance(right, int):
            _require(left.bit_length() * right <= MOST_BITS, "a number")
        elif operator == "*":
            _check_product(left, right)
        self._measured([left, right])
        return self._measured(super().call_binop(context, operator, left, right))

    def _bounded(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def bounded(*arguments: Any, **named: Any) -> Any:
            self._spend(TURN_COST)
            if name == "join":
                arguments = tuple(list(each) if isinstance(each, Iterator) else each for each in arguments)
            self._measured([arguments, named])
            values = (*arguments, *named.values())
            if name == "format":
                _require(not WIDE.search(str(values[0])), "a text")
            if name == "sum":
                _require(not any(isinstance(each, list | tuple) for each in values[2:]), "a list")
            _check_widening(name, values)
            return self._measured(function(*arguments, **named))

        return bounded

    def _check_method(self, name: str, owner: str, values: tuple[Any, ...]) -> None:
        """A text's own methods."""
        if name in ("format", "format_map"):
            plain = owner.replace("{{", "").replace("}}", "")
            _require(not WIDE_BRACES.search(plain), "a text")
        if name == "translate":
            raise TooMuchError("`translate` is not known here; take `replace`")
        _check_widening(name, (owner, *values))

    def _shown(self, value: Any) -> Any:
        """The template's output."""
        return self._own_finalize(self._measured(value))

    def _each(self, items: Iterable[Any]) -> Iterator[Any]:
        """The iterations of a loop."""
        for each in items:
            self._spend(self._turn_cost)
            yield each

    def _joined(self, parts: tuple[Any, ...]) -> str:
        """The result of ``~``."""
        self._measured(parts)
        return "".join(map(str, parts))

    def _measured(self, value: Any) -> Any:
        """The value, if it is not too large with its contents."""
        self._spend(MEASURE_COST * _size(value))
        return value

    def _spend(self, amount: int) -> None:
        self.budget_left -= amount
        if self.budget_left < 0:
            raise TooMuchError("this does not end, or does too much: it has too many turns, calls or texts")


class _Counted(NodeTransformer):
    """Puts a filter of ours around loops, ``~`` and lists, which the sandbox does not intercept."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802 (Jinja's name)
        self.generic_visit(node)
        items: Any = node.iter  # visiting makes it another expression
        node.iter = _filtered(items, EACH)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        place = {"lineno": node.lineno, "environment": node.environment}
        return _filtered(nodes.Tuple(node.nodes, "load", **place), JOINED)

    def visit_List(self, node: nodes.List) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _filtered(node, MEASURED)

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _filtered(node, MEASURED)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _filtered(node, MEASURED) if node.ctx == "load" else node


class _Namespace(Namespace):
    """Does not show its contents, which may include itself."""

    def __repr__(self) -> str:
        return "<namespace>"


def _as_it_is(value: Any) -> Any:
    return value


def _filtered(node: nodes.Expr, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno, environment=node.environment)


def _bounded_range(*bounds: int) -> range:
    """``range``, with a limited number of items."""
    made = range(*bounds)
    _require(len(made) <= MOST_ITEMS, "a range")
    return made


def _check_widening(name: str, values: tuple[Any, ...]) -> None:
    """Refuse a result that would be too wide; the first of ``values`` is what the filter is applied to."""
    texts = [each for each in values if isinstance(each, str)]
    if name in WIDENING:
        wide = any(isinstance(each, int) and abs(each) > MOST_ITEMS for each in values)
        _require(not wide, "a text or list")
    elif name == "replace" and len(texts) > 2:
        text, old, new = texts[:3]
        _require(len(text) + text.count(old) * len(new) <= LARGEST_VALUE, "a text")
    elif name == "join":
        items = [each for each in values if isinstance(each, list | tuple | Mapping | range)]
        longest = max(map(len, texts), default=0) * max(map(len, items), default=0)
        _require(longest <= LARGEST_VALUE, "a text")


def _check_product(left: Any, right: Any) -> None:
    for one, other in ((left, right), (right, left)):
        if isinstance(one, int) and hasattr(other, "__len__"):
            each = 1 if isinstance(other, str) else ITEM_SIZE
            _require(one * max(1, len(other)) * each <= LARGEST_VALUE, "a text or list")
    if isinstance(left, int) and isinstance(right, int):
        _require(left.bit_length() + right.bit_length() <= MOST_BITS, "a number")


def _size(value: Any) -> int:
    """How many characters a value has, written out; a list's item counts as some."""
    weight, rest = 0, [value]
    while rest:
        each = rest.pop()
        weight += len(each) if isinstance(each, str | bytes) else ITEM_SIZE
        if isinstance(each, Mapping) and not isinstance(each, Context):
            rest += [*each.keys(), *each.values()]
        elif isinstance(each, list | tuple | set | frozenset):
            rest += each
        _require(weight + ITEM_SIZE * len(rest) <= LARGEST_VALUE, "a text or list")
    return weight


def _require(allowed: bool, what: str) -> None:
    if not allowed:
        most = f"{LARGEST_VALUE // 1024} Ki characters, {MOST_ITEMS} items, {MOST_BITS} bits"
        raise TooMuchError(f"{what} is larger than templates may make it ({most})")
