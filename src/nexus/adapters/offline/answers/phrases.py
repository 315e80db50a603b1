"""The offline model's own sentences, in English and Chinese."""

from collections.abc import Mapping, Sequence

from nexus.domain.builds.outputs import Language

_PHRASES: Mapping[str, tuple[str, str]] = {
    "hello": ("Hello! I am the offline model: rules and templates, no AI.", "你好！我是离线模型（offline）：只有规则和模板，没有人工智能。"),
    "thanks": ("You are welcome.", "不客气。"),
    "who": ("I am the offline model, the built-in stand-in of nexus: rules and templates, no AI.",
            "我是离线模型（offline），nexus自带的替身：只有规则和模板，没有人工智能。"),
    "abilities": ("This agent can:", "这个智能体可以："),
    "nothing": ("This agent has no tools that I could use without AI.", "这个智能体没有我不用人工智能就能使用的工具。"),
    "lost": ("I did not understand “{part}”. I am the offline model: rules and templates, no AI, and I never guess.",
             "我没有看懂“{part}”。我是离线模型（offline）：只有规则和模板，没有人工智能，也不会猜测。"),
    "lacking": ("For {title} I still need: {missing}. (I am the offline model and ask instead of guessing.)",
                "关于{title}，我还需要：{missing}。（我是离线模型offline，不会猜测。）"),
    "doubt": (
        "{slot} can be read in two ways: “{first}” or “{second}”. Which one? (I am the offline model and never guess.)",
              "{slot}有两种读法：“{first}”或“{second}”。请问是哪一种？（我是离线模型offline，不会猜测。）"),
    "rivals": (
        "That can be read in several ways: {titles}. Say which you mean. (I am the offline model and never guess.)",
               "这句话有几种理解：{titles}。请说明是哪一种。（我是离线模型offline，不会猜测。）"),
    "example": ("I can answer, for example: “{example}”", "我可以回答，例如：“{example}”"),
    "failed": ("The tool {tool} could not do that: {reason}", "工具{tool}没能完成：{reason}"),
    "answered": ("{tool} answered:", "{tool}的回答："),
    "taken": ("(Taken from before: {taken}.)", "（沿用上文：{taken}。）"),
    "key": ("With a language model (`nexus models`, or NEXUS_MODEL__API_KEY) the agent answers freely.",
            "设置语言模型（`nexus models`或NEXUS_MODEL__API_KEY）之后，智能体就能自由回答。"),
}  # fmt: skip
_NAMES: Mapping[str, tuple[str, str]] = {
    "principal": ("principal", "本金"), "annual_rate_percent": ("annual rate (percent)", "年利率（%）"),
    "years": ("years", "年数"), "value": ("value", "数值"), "from_unit": ("the unit of the value", "原单位"),
    "to_unit": ("the unit to convert to", "目标单位"), "same_kind": ("a unit of the same kind to convert to", "同类的目标单位"),
    "text": ("the text (behind a colon)", "文本（放在冒号后面）"), "start": ("start", "开始日期"), "end": ("end", "结束日期"),
    "day": ("day", "日期"), "birth_date": ("birth date", "出生日期"), "items": ("the items", "明细"),
    "csv_text": ("the table as CSV", "CSV表格"), "weight_kg": ("the weight", "体重"), "height_cm": ("the height", "身高"),
    "number": ("number", "数字"), "numbers": ("numbers", "数字"), "clock": ("the time", "时间"),
    "from_zone": ("from zone", "原时区"), "to_zone": ("to zone", "目标时区"), "targets": ("the zone to convert to", "目标时区"),
    "price": ("price", "价格"), "discount_percent": ("discount percent", "折扣"),
    "total": ("the amount of the bill", "账单金额"), "people": ("people", "人数"), "tip_percent": ("tip percent", "小费比例"),
    "before": ("before", "原来的值"), "after": ("after", "后来的值"),
}  # fmt: skip


def phrase(key: str, language: Language, **values: str) -> str:
    """A sentence with its values."""
    return _PHRASES[key][language == "zh"].format(**values)


def parameter_name(name: str, language: Language) -> str:
    """What an answer calls a slot."""
    name = name.split("+")[0]
    return _NAMES[name][language == "zh"] if name in _NAMES else name.replace("_", " ")


def joined(parts: Sequence[str], language: Language) -> str:
    """`a, b and c`, `a、b和c`."""
    between, last = ("、", "和") if language == "zh" else (", ", " and ")
    return between.join(parts[:-1]) + last + parts[-1] if len(parts) > 1 else "".join(parts)
