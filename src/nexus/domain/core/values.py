"""Types of plain values."""

from typing import Any

JSON = dict[str, Any]
"""A JSON object."""
