"""The built-in stand-in without AI: `reading/` says what a text says, `cards/` know the skills, `answers/` reply to
messages, `build/` answers the stages of a build, `templates` and `formulas` write tools."""

from nexus.adapters.offline.model import OfflineModel

__all__ = ["OfflineModel"]
