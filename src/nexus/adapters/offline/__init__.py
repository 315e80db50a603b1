"""The built-in stand-in without AI: `reading/` says what a text says, `cards/` know the skills, `answers/` reply to
messages, `build/` answers the stages of a build, `writing` writes tools from `templates`."""

from nexus.adapters.offline.model import OfflineModel

__all__ = ["OfflineModel"]
