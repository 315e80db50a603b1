"""How long a text is, in the ways that matter here."""


def is_cjk(character: str) -> bool:
    return (
        "\u2e80" <= character <= "\u9fff"
        or "\uac00" <= character <= "\ud7af"
        or "\uf900" <= character <= "\ufaff"
        or character >= "\U00020000"
    )


def weight(text: str) -> int:
    """About how many tokens a model sees in it: a CJK character is one, four others are one."""
    wide = sum(map(is_cjk, text))
    return wide + (len(text) - wide + 3) // 4


def within(text: str, most: int) -> str:
    """The text, cut so that it takes at most so many bytes where it is stored."""
    encoded = text.encode(errors="replace")
    return text if len(encoded) <= most else encoded[: most - 3].decode(errors="ignore") + "…"
