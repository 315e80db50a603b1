"""Templates about passwords."""

from nexus.adapters.offline.skills.skill import Example, Topic
from nexus.adapters.offline.templates.template import Check, Template


def password_strength(password: str) -> dict[str, int | str | list[str]]:
    """Judges the strength of a password by its length and its kinds of characters.

    Args:
        password: The password.

    Returns:
        A score from 0 to 5, the strength in a word, and advice.
    """
    rules = (
        (len(password) >= 8, "use at least 8 characters"),
        (len(password) >= 14, "use 14 characters or more"),
        (any(c.islower() for c in password) and any(c.isupper() for c in password), "mix small and capital letters"),
        (any(c.isdigit() for c in password), "add digits"),
        (any(not c.isalnum() for c in password), "add other characters"),
    )
    score = sum(kept for kept, _ in rules)
    if len(set(password)) < 5 or password.lower() in ("password", "12345678", "qwertyuiop"):
        score = min(score, 1)
    strength = ("very weak", "very weak", "weak", "fair", "strong", "very strong")[score]
    return {"score": score, "strength": strength, "advice": [advice for kept, advice in rules if not kept]}


_TEXT = (r"[“\"「'‘]([^”\"」'’]+)[”\"」'’]", r"[:：]\s*(.+)$")


TEMPLATES = (
    Template(
        function=password_strength,
        topic=Topic(
            en="Password check",
            zh="密码强度检查",
            category="codes",
            words=r"\bpasswords?\b|密码(?:强度|安全|检查)|(?:检查|检测|评估).{0,6}密码|口令强度",
        ),
        asks=r"\bpassword|\bstrong\b|密码|口令",
        cues={
            "password": (
                *_TEXT,
                r"password\s+(?:is\s+)?(\S+?)(?:\?|\.|,)?(?:\s|$)",
                r"(?:how strong is|is)\s+(?!the |my )(\S+?)(?:\?|\s|$)",
                r"密码\s*(?:是)?\s*([!-~]+)",
            )
        },
        checks=(
            Check(
                {"password": "abc"},
                {
                    "score": 0,
                    "strength": "very weak",
                    "advice": [
                        "use at least 8 characters",
                        "use 14 characters or more",
                        "mix small and capital letters",
                        "add digits",
                        "add other characters",
                    ],
                },
            ),
            Check({"password": "Tr0ub4dor&3-horse"}, {"score": 5, "strength": "very strong", "advice": []}),
        ),
        tell={
            "en": "The password is **{strength}** ({score} of 5). Advice: {advice}",
            "zh": "密码强度：**{strength}**（{score}/5）。建议：{advice}",
        },
        examples={
            "en": (Example('How strong is the password "Tr0ub4dor&3-horse"?', ("very strong", "5")),),
            "zh": (Example("检查密码强度：Tr0ub4dor&3-horse", ("5",)),),
        },
    ),
)
