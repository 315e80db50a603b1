"""One card a skill, as data."""

from collections.abc import Mapping

from nexus.adapters.offline.cards.card import Card, Example, load_cards

CARDS: Mapping[str, Card] = load_cards()
"""By the name of the tool."""

__all__ = ["CARDS", "Card", "Example"]
