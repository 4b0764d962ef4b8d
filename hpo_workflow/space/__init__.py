"""The search space: parameters, conditions, derived values; standard library only (numpy: `encoding`, `prior`)."""

from hpo_workflow.space.conditions import Condition
from hpo_workflow.space.expression import Expression, ExpressionError, parse_expression
from hpo_workflow.space.parameters import Categorical, Float, Int, Parameter, Prior
from hpo_workflow.space.reading import read_space
from hpo_workflow.space.search_space import SearchSpace

__all__ = [
    "Categorical",
    "Condition",
    "Expression",
    "ExpressionError",
    "Float",
    "Int",
    "Parameter",
    "Prior",
    "SearchSpace",
    "parse_expression",
    "read_space",
]
