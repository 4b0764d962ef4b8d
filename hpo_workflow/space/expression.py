"""Derived values: safe arithmetic over parameters (`expr: lr * batch / 64`).

An expression is parsed once into Python's syntax tree and walked by hand, node by node: nothing is ever compiled or
looked up outside the values that are given. Allowed: numbers, texts (to compare with), names of parameters,
+ - * / // % **, comparisons, `and or not`, `A if CONDITION else B`, and the functions of `FUNCTIONS`.
"""

from __future__ import annotations

import ast
import difflib
import keyword
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hpo_workflow.errors import HPOWorkflowError
from hpo_workflow.trial import Value

MAX_CHARACTERS = 1000
MAX_DEPTH = 60
MAX_BITS = 256
"""Size of an intermediate whole number; without a bound `9**9**9` would not end."""

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": abs,
    "ceil": math.ceil,
    "exp": math.exp,
    "float": float,
    "floor": math.floor,
    "int": int,
    "log": math.log,
    "log10": math.log10,
    "log2": math.log2,
    "max": max,
    "min": min,
    "round": round,
    "sqrt": math.sqrt,
}

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}

_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Not: operator.not_,
}

_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}

# `lambda` is a common parameter name and a word of Python: such names travel through the parser in disguise.
_WORDS = frozenset(keyword.kwlist) - {"and", "or", "not", "if", "else", "in", "is", "True", "False", "None"}
_DISGUISE = "parameter__"
_DISGUISED = re.compile(rf"\b{_DISGUISE}({'|'.join(sorted(_WORDS))})\b")
_DISGUISABLE = re.compile(rf"\b({'|'.join(sorted(_WORDS))})\b")


class ExpressionError(HPOWorkflowError):
    """An expression cannot be read, or has no value for these parameters.

    Attributes:
        problem: What is wrong, a sentence.
        cure: What to write instead; may be empty.
    """

    def __init__(self, problem: str, cure: str = "") -> None:
        self.problem = problem
        self.cure = cure
        super().__init__(f"{problem} {cure}".strip())


@dataclass(frozen=True)
class Expression:
    """A derived value.

    Args:
        text: As written in the study file.
        inputs: Names that it reads, sorted.
    """

    text: str
    inputs: tuple[str, ...]
    _tree: ast.expr = field(repr=False, compare=False)

    def value(self, values: Mapping[str, Value]) -> Value:
        """The value for these parameters; ExpressionError where there is none (division by zero, overflow)."""
        try:
            result = _evaluate(self._tree, values)
        except (ArithmeticError, ValueError, TypeError) as error:
            reason = str(error) or type(error).__name__
            raise ExpressionError(f"{self.text!r} has no value here: {reason}.") from error
        if isinstance(result, float) and not math.isfinite(result):
            raise ExpressionError(f"{self.text!r} has no finite value here: {result}.")
        if isinstance(result, (bool, int, float, str)):
            return result
        raise ExpressionError(f"{self.text!r} is not a number here.")


def parse_expression(text: str) -> Expression:
    """The expression that `text` spells; ExpressionError says what is not allowed in it."""
    if len(text) > MAX_CHARACTERS:
        raise ExpressionError(f"The expression has {len(text)} characters; at most {MAX_CHARACTERS} are allowed.")
    try:
        tree = ast.parse(_DISGUISABLE.sub(rf"{_DISGUISE}\1", text.strip()), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else "too deep"
        cure = "Write arithmetic such as lr * batch / 64."
        raise ExpressionError(f"{text!r} is not an expression ({_plain(reason)}).", cure) from error
    names: set[str] = set()
    _check(tree, names, text, 0)
    return Expression(text, tuple(sorted(names)), tree)


def unknown_name_cure(name: str, known: Iterable[str]) -> str:
    """What to write instead of a name that no parameter has."""
    known = list(known)
    hints = {"true": "True", "false": "False"}
    if name in hints:
        return f"Write {hints[name]}."
    close = difflib.get_close_matches(name, known, 1)
    return f"Did you mean {close[0]}?" if close else f"Known names: {', '.join(known)}."


def _plain(text: str) -> str:
    """`text` without disguises."""
    return _DISGUISED.sub(r"\1", text)


def _dotted(node: ast.expr) -> str | None:
    """`model.lr` of a name or a chain of attributes, else None."""
    if isinstance(node, ast.Name):
        return _plain(node.id)
    if isinstance(node, ast.Attribute):
        head = _dotted(node.value)
        return None if head is None else f"{head}.{_plain(node.attr)}"
    return None


def _check(node: ast.expr, names: set[str], text: str, depth: int) -> None:
    """Refuse what is not allowed below `node`; collect the names it reads."""
    if depth > MAX_DEPTH:
        raise ExpressionError(
            f"{text!r} is nested more than {MAX_DEPTH} deep.", "Split it into several derived values."
        )
    children: list[ast.expr]
    name = _dotted(node)
    if name is not None:
        names.add(name)
        return
    if isinstance(node, ast.Constant):
        if isinstance(node.value, (bool, int, float, str)):
            return
        raise ExpressionError(f"{ast.unparse(node)} in {text!r} is not a number.")
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        children = [node.left, node.right]
    elif isinstance(node, ast.UnaryOp) and type(node.op) in _UNARY:
        children = [node.operand]
    elif isinstance(node, ast.BoolOp):
        children = node.values
    elif isinstance(node, ast.Compare) and all(type(op) in _COMPARE for op in node.ops):
        children = [node.left, *node.comparators]
    elif isinstance(node, ast.IfExp):
        children = [node.test, node.body, node.orelse]
    elif isinstance(node, ast.Call):
        function = _dotted(node.func)
        if function not in FUNCTIONS:
            raise ExpressionError(
                f"{_plain(ast.unparse(node.func))}() in {text!r} is not a known function.",
                f"Known functions: {', '.join(sorted(FUNCTIONS))}.",
            )
        if node.keywords or not node.args or any(isinstance(arg, ast.Starred) for arg in node.args):
            raise ExpressionError(f"{function}() in {text!r} needs plain arguments.", f"Write {function}(x).")
        children = node.args
    else:
        raise ExpressionError(
            f"{_plain(ast.unparse(node))} in {text!r} is not arithmetic.",
            "Allowed: numbers, parameters, + - * / // % **, comparisons, and, or, not, A if CONDITION else B, "
            f"{', '.join(sorted(FUNCTIONS))}.",
        )
    for child in children:
        _check(child, names, text, depth + 1)


def _number(value: Any) -> Any:
    if isinstance(value, str):
        raise TypeError(f"{value!r} is a text, not a number")
    return value


def _bounded(value: Any) -> Any:
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise OverflowError("a whole number becomes too large")
    if isinstance(value, complex):
        raise ValueError("a power of a negative number is not real")
    return value


def _evaluate(node: ast.expr, values: Mapping[str, Value]) -> Any:
    name = _dotted(node)
    if name is not None:
        return values[name]
    if isinstance(node, ast.Constant):
        return _plain(node.value) if isinstance(node.value, str) else node.value
    if isinstance(node, ast.BinOp):
        left, right = _number(_evaluate(node.left, values)), _number(_evaluate(node.right, values))
        whole = isinstance(left, int) and isinstance(right, int)
        if isinstance(node.op, ast.Pow) and whole and left.bit_length() * abs(right) > 4 * MAX_BITS:
            raise OverflowError("a power becomes too large")
        return _bounded(_BINARY[type(node.op)](left, right))
    if isinstance(node, ast.UnaryOp):
        operand = _evaluate(node.operand, values)
        return _UNARY[type(node.op)](operand if isinstance(node.op, ast.Not) else _number(operand))
    if isinstance(node, ast.BoolOp):
        result: Any = None
        for child in node.values:
            result = _evaluate(child, values)
            if bool(result) is isinstance(node.op, ast.Or):
                break
        return result
    if isinstance(node, ast.Compare):
        left = _evaluate(node.left, values)
        for op, comparator in zip(node.ops, node.comparators, strict=True):
            right = _evaluate(comparator, values)
            if not _COMPARE[type(op)](left, right):
                return False
            left = right
        return True
    if isinstance(node, ast.IfExp):
        return _evaluate(node.body if _evaluate(node.test, values) else node.orelse, values)
    assert isinstance(node, ast.Call), ast.dump(node)
    arguments = [_number(_evaluate(argument, values)) for argument in node.args]
    return _bounded(FUNCTIONS[str(_dotted(node.func))](*arguments))
