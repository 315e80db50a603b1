"""The offline model's own sentences, in English and Chinese."""

from collections.abc import Mapping, Sequence

from nexus.domain.builds.outputs import Language

_WHO = ("I am the offline model: rules and templates, no AI, and I never guess.",
        "我是离线模型（offline）：只有规则和模板，没有人工智能，也不会猜测。")  # fmt: skip
_PHRASES: Mapping[str, tuple[str, str]] = {
    "who": _WHO,
    "hello": (f"Hello! {_WHO[0]}", f"你好！{_WHO[1]}"),
    "thanks": ("You are welcome.", "不客气。"),
    "abilities": ("This agent can:", "这个智能体可以："),
    "nothing": ("This agent has no tools that I could use without AI.", "这个智能体没有我不用人工智能就能使用的工具。"),
    "lost": (f"I did not understand “{{part}}”. {_WHO[0]}", f"我没有看懂“{{part}}”。{_WHO[1]}"),
    "lacking": (f"For {{title}} I still need: {{missing}}. ({_WHO[0]})", f"关于{{title}}，我还需要：{{missing}}。（{_WHO[1]}）"),
    "rivals": (f"That can be read in several ways: {{titles}}. Say which you mean. ({_WHO[0]})",
               f"这句话有几种理解：{{titles}}。请说明是哪一种。（{_WHO[1]}）"),
    "example": ("I can answer, for example: “{example}”", "我可以回答，例如：“{example}”"),
    "failed": ("The tool {tool} could not do that: {reason}", "工具{tool}没能完成：{reason}"),
    "taken": ("(Taken from before: {taken}.)", "（沿用上文：{taken}。）"),
    "key": ("With a language model (`nexus models`, or NEXUS_MODEL__API_KEY) the agent answers freely.",
            "设置语言模型（`nexus models`或NEXUS_MODEL__API_KEY）之后，智能体就能自由回答。"),
}  # fmt: skip
_NAMES: Mapping[str, tuple[str, str]] = {
    "from_unit": ("the unit of the value", "原单位"), "to_unit": ("the unit to convert to", "目标单位"),
    "same_kind": ("a unit of the same kind to convert to", "同类的目标单位"), "csv_text": ("the table as CSV", "CSV表格"),
    "total": ("the amount of the bill", "账单金额"),
    "annual_rate_percent": ("annual rate (percent)", "年利率（%）"),
    "weight_kg": ("the weight", "体重"), "height_cm": ("the height", "身高"),
}  # fmt: skip
_NAMES_ZH = {
    "principal": "本金", "years": "年数", "value": "数值", "start": "开始日期", "end": "结束日期", "day": "日期", "birth_date": "出生日期",
    "items": "明细", "numbers": "数字", "price": "价格", "discount_percent": "折扣", "people": "人数",
    "tip_percent": "小费比例", "before": "原来的值", "after": "后来的值",
}  # fmt: skip


def render_phrase_in_language(key: str, language: Language, **values: str) -> str:
    """A sentence with its values."""
    return _PHRASES[key][language == "zh"].format(**values)


def get_parameter_label(name: str, language: Language) -> str:
    """What an answer calls a slot."""
    en, zh = _NAMES.get(name, (name.replace("_", " "), _NAMES_ZH.get(name, name)))
    return zh if language == "zh" else en


def join_with_and(parts: Sequence[str], language: Language) -> str:
    """`a, b and c`, `a、b和c`."""
    between, last = ("、", "和") if language == "zh" else (", ", " and ")
    return between.join(parts[:-1]) + last + parts[-1] if len(parts) > 1 else "".join(parts)
