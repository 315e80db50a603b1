"""The built-in stand-in without AI. `chat/` answers messages, `skills/` know the tools, `build/` answers the stages of a build,
`templates/` are the tools that it can write, `language/` is what it knows of English and Chinese."""

from nexus.adapters.offline.model import OfflineModel

__all__ = ["OfflineModel"]
