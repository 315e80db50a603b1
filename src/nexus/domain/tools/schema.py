"""Tool specifications of this code's own functions, read as those of foreign source are."""

import ast
import inspect
import sys
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from nexus.domain.ports.models import ToolSpec
from nexus.domain.tools.signatures import parse_function_signature, parse_python_source


def parse_tool_spec(function: Callable[..., Any], *, given: Sequence[str] = ()) -> ToolSpec:
    """The specification of a function at the top of a module; parameters in `given` are handed in and not shown."""
    return ToolSpec(**parse_function_signature(_parse_module_source(function.__module__), function.__name__, given))


@lru_cache(maxsize=1)
def _parse_module_source(name: str) -> ast.Module:
    """The last one is kept: the functions of a module are asked for one after the other, and a tree is ten times its text."""
    return parse_python_source(inspect.getsource(sys.modules[name]), name)
