"""The portable subset of SQL: DuckDB's words, with the same result on Spark.

A statement is parsed and every node of its tree must be on the list. What is not listed is refused, also
where it would run: `hash()` passes through a translator unchanged and means two things, an ordered list
aggregate loses its order, 128-bit integers do not exist on Spark. Rules beyond the list:

- types are BIGINT, INTEGER, DOUBLE, BOOLEAN and VARCHAR; an H3 cell fits BIGINT;
- a number with a fraction is written CAST(0.5 AS DOUBLE): alone it is a decimal, of different precision;
- a DOUBLE becomes an integer through FLOOR or CEIL only: a bare cast rounds here and truncates there;
- LIMIT needs ORDER BY, and so do ranking window functions;
- tables are the given ones, by lower-case names; nothing is recursive.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from passersby.errors import UsageError

_STRUCTURE: tuple[type[exp.Expr], ...] = (
    *(exp.Select, exp.From, exp.Join, exp.Where, exp.Group, exp.Having, exp.Order, exp.Ordered, exp.Limit),
    *(exp.With, exp.CTE, exp.Subquery, exp.Union, exp.Except, exp.Intersect, exp.Exists),
    *(exp.Table, exp.TableAlias, exp.Alias, exp.Column, exp.Identifier, exp.Star, exp.Distinct, exp.Tuple),
)
_VALUES: tuple[type[exp.Expr], ...] = (
    *(exp.Literal, exp.Null, exp.Boolean, exp.Cast, exp.DataType, exp.Paren, exp.Neg),
    *(exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod),
    *(
        exp.EQ,
        exp.NEQ,
        exp.LT,
        exp.LTE,
        exp.GT,
        exp.GTE,
        exp.Between,
        exp.In,
        exp.Is,
        exp.And,
        exp.Or,
        exp.Not,
    ),
    *(exp.Case, exp.If, exp.Coalesce, exp.Nullif),
)
_FUNCTIONS: tuple[type[exp.Expr], ...] = (
    *(exp.Sum, exp.Count, exp.Min, exp.Max, exp.Filter),
    *(exp.Abs, exp.Sqrt, exp.Floor, exp.Ceil, exp.Least, exp.Greatest),
)
_RANKS: tuple[type[exp.Expr], ...] = (exp.RowNumber, exp.Rank, exp.DenseRank, exp.Lag, exp.Lead)
_WINDOWS: tuple[type[exp.Expr], ...] = (exp.Window, exp.WindowSpec)
ALLOWED = frozenset(_STRUCTURE + _VALUES + _FUNCTIONS + _RANKS + _WINDOWS)
"""Every kind of node that a statement may have."""

_Type = exp.DataType.Type
_INTEGERS = (_Type.BIGINT, _Type.INT)
TYPES = frozenset({*_INTEGERS, _Type.DOUBLE, _Type.BOOLEAN, _Type.VARCHAR, _Type.TEXT})
"""Every type that a cast may name."""

_NAME = re.compile("[a-z_][a-z0-9_]*")
_FLOATING = (exp.Div, exp.Sqrt)


def check(sql: str) -> exp.Query:
    """Return the tree of a statement of the portable subset.

    Raises:
        UsageError: it is not one SELECT, or uses what engines do differently.
    """
    try:
        trees = sqlglot.parse(sql, read="duckdb")
    except SqlglotError:
        raise _outside("cannot be parsed") from None
    tree = trees[0] if len(trees) == 1 else None
    if not isinstance(tree, exp.Query):
        raise _outside("is not one SELECT")
    for node in tree.walk():
        if type(node) not in ALLOWED:
            raise _outside(f"uses {_name(node)}")
        for rule in _RULES:
            if reason := rule(node):
                raise _outside(reason)
    return tree


def to_spark(sql: str) -> str:
    """Return the statement in Spark's dialect.

    Raises:
        UsageError: it is not in the portable subset.
    """
    return check(sql).sql(dialect="spark")


def _type_rule(node: exp.Expr) -> str:
    return (
        f"uses the type {node.this.name}" if isinstance(node, exp.DataType) and node.this not in TYPES else ""
    )


def _number_rule(node: exp.Expr) -> str:
    if not isinstance(node, exp.Literal) or node.is_string or node.this.isdigit():
        return ""
    holder = node.parent
    while isinstance(holder, (exp.Neg, exp.Paren)):
        holder = holder.parent
    double = isinstance(holder, exp.Cast) and holder.to.this == _Type.DOUBLE
    return "" if double else "has a number with a fraction that is not cast to DOUBLE"


def _cast_rule(node: exp.Expr) -> str:
    if not isinstance(node, exp.Cast):
        return ""
    if type(node) is not exp.Cast:
        return "uses TRY_CAST"
    if node.to.this in _INTEGERS and _is_floating(node.this):
        return "casts a fraction to an integer without FLOOR or CEIL"
    return ""


def _is_floating(node: exp.Expr) -> bool:
    """Tell whether an expression is a DOUBLE as far as its own text tells; columns count as integers."""
    if isinstance(node, (exp.Floor, exp.Ceil, exp.Predicate)):
        return False  # a comparison is none, whatever it compares
    if isinstance(node, exp.Cast):
        return bool(node.to.this == _Type.DOUBLE)
    if isinstance(node, _FLOATING):
        return True
    return any(_is_floating(child) for child in node.iter_expressions())


def _join_rule(node: exp.Expr) -> str:
    if not isinstance(node, exp.Join):
        return ""
    unusual = {"ASOF", "POSITIONAL", "NATURAL"} & {node.method.upper(), node.kind.upper()}
    return f"uses a {unusual.pop()} JOIN" if unusual else ""


def _order_rule(node: exp.Expr) -> str:
    if isinstance(node, exp.Limit) and node.parent is not None and not node.parent.args.get("order"):
        return "uses LIMIT without ORDER BY"
    if isinstance(node, exp.Window) and isinstance(node.this, _RANKS) and not node.args.get("order"):
        return "uses a ranking window without ORDER BY"
    return ""


def _star_rule(node: exp.Expr) -> str:
    changed = isinstance(node, exp.Star) and any(node.args.values())
    return "uses * with EXCLUDE, REPLACE or RENAME" if changed else ""


def _table_rule(node: exp.Expr) -> str:
    named = isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier)
    if isinstance(node, exp.Table) and not (named and not node.args.get("db") and _NAME.fullmatch(node.name)):
        return "reads something other than a given table"
    return ""


def _once_rule(node: exp.Expr) -> str:
    if isinstance(node, exp.With) and node.recursive:
        return "uses WITH RECURSIVE"
    return "uses DISTINCT ON" if isinstance(node, exp.Distinct) and node.args.get("on") else ""


_RULES: tuple[Callable[[exp.Expr], str], ...] = (
    _type_rule,
    _number_rule,
    _cast_rule,
    _join_rule,
    _order_rule,
    _star_rule,
    _table_rule,
    _once_rule,
)


def _name(node: exp.Expr) -> str:
    if isinstance(node, exp.Anonymous):
        return f"{node.name}()"
    if isinstance(node, exp.Func):
        return f"{node.sql_name()}()"
    return type(node).__name__


def _outside(reason: str) -> UsageError:
    return UsageError(
        f"The statement {reason}: that is outside the portable subset of SQL.",
        "docs/decisions/0005-engines.md lists what every engine runs alike.",
    )
