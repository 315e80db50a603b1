"""Lines of an invoice in a sentence: `3 x 19.99 and 2 pens at 5 with 20% tax`."""

import re
from typing import Any

from nexus.adapters.offline.language.numbers import money, number, shown
from nexus.adapters.offline.skills.skill import Example, Reading, Said, Skill, Topic
from nexus.domain.builds.outputs import Language
from nexus.domain.ports.models import JSON, ToolSpec

_N = r"\d{1,30}(?:\.\d{1,30})?"
_LINES = (
    re.compile(rf"(?<![\w.])(?P<quantity>{_N})\s*(?:x|\*|@)\s*(?P<price>{_N})(?!\s*%)(?:\s*元)?", re.IGNORECASE),
    re.compile(rf"(?<![\w.])(?P<quantity>{_N})\s+(?:x\s+)?(?P<name>[A-Za-z][A-Za-z -]{{0,40}}?)\s*(?:at|@|for|a|costing|priced at|x)\s+(?P<price>{_N})(?!\s*%)(?:\s+each)?", re.IGNORECASE),
    re.compile(rf"(?P<quantity>{_N})\s*(?:件|个|本|支|张|台|箱|小时|杯|套)?(?P<name>[一-鿿]{{0,12}}?)[,，]?\s*(?:单价|每(?:件|个|本|支|张|台|箱|小时|杯|套)|各)\s*(?:为|是)?\s*(?P<price>{_N})"),
    re.compile(rf"(?P<quantity>{_N})\s*(?:件|个|本|支|张|台|箱|杯|套)(?P<name>[一-鿿]{{0,12}}?)\s*(?P<price>{_N})\s*元"),
)  # fmt: skip
_TAX = (
    rf"({_N})\s*%\s*(?:sales\s+)?(?:tax|vat|gst)",
    rf"(?:tax|vat|gst)\w*\D{{0,10}}({_N})\s*%",
    rf"(?:税率?|增值税)\D{{0,4}}({_N})\s*%",
    rf"({_N})\s*%\s*的?(?:增值)?税",
)
_OFF = (
    rf"({_N})\s*%\s*(?:discount|off)",
    rf"discount\w*\D{{0,10}}({_N})\s*%",
    rf"(?:折扣|优惠|减免)\D{{0,4}}({_N})\s*%",
    rf"({_N})\s*%\s*的?(?:折扣|优惠)",
)


def read(said: Said, tool: ToolSpec) -> list[Reading]:
    """Quantities with prices, the tax and the discount; a follow-up keeps the lines that it does not name."""
    text, items = said.plain, []
    for form in _LINES:
        for found in form.finditer(text):
            items.append((found.start(), _item(found.groupdict())))
        text = form.sub(lambda found: "\0" * len(found[0]), text)
    arguments: JSON = {
        name: value
        for name, forms in (("tax_percent", _TAX), ("discount_percent", _OFF))
        if (value := _percent(said.plain, forms)) is not None
    }
    if items:
        arguments["items"] = [item for _, item in sorted(items, key=lambda one: one[0])]
    if said.previous is not None:
        return [Reading({**said.previous, **arguments})]
    if "items" not in arguments:
        bare = re.search(rf"(?:on|of|for|to|amount|金额|总额|对|给)\s*({_N})(?!\s*%)", said.plain, re.IGNORECASE)
        if bare and arguments:
            arguments["items"] = [{"price": number(bare[1]), "quantity": 1}]
    return [Reading(arguments, () if "items" in arguments else ("items",))]


def _item(parts: dict[str, str | None]) -> JSON:
    item: JSON = {"quantity": number(parts["quantity"] or "1"), "price": number(parts["price"] or "0")}
    name = (parts.get("name") or "").strip()
    return item | ({"description": name} if name else {})


def _percent(text: str, forms: tuple[str, ...]) -> float | None:
    found = next((match for form in forms if (match := re.search(form, text, re.IGNORECASE))), None)
    return number(found[1]) if found else None


def tell(arguments: JSON, result: Any, language: Language) -> str:
    lines = [
        f"- {shown(line['quantity'])} × {shown(line['price'])} = {money(line['total'])}"
        + (f" ({line['description']})" if not line["description"].startswith("Item ") else "")
        for line in result["lines"]
    ]
    names = ("小计", "折扣", "税", "合计") if language == "zh" else ("Subtotal", "Discount", "Tax", "Total")
    colon = "：" if language == "zh" else ": "
    lines.append(f"- {names[0]}{colon}{money(result['subtotal'])}")
    if result["discount"]:
        lines.append(f"- {names[1]} {shown(arguments.get('discount_percent', 0))}%{colon}−{money(result['discount'])}")
    if result["tax"]:
        lines.append(f"- {names[2]} {shown(arguments.get('tax_percent', 0))}%{colon}{money(result['tax'])}")
    return "\n".join(lines) + f"\n\n**{names[3]}{colon}{money(result['total'])}**"


SKILLS = (
    Skill(
        tool="line_items_total",
        topic=Topic(
            en="Invoice calculator",
            zh="发票计算",
            category="finance",
            words=r"\binvoic|\bquot(?:e|es|ation)\b(?! from)|\breceipts?\b|\bline items?\b|\bshopping (?:list )?totals?|\bsubtotals?|\bvat\b|\btax(?:es)?\b|发票|账单(?!分)|小计|报价|含税|税额|增值税|合计金额",
        ),
        asks=r"\binvoice|\btotal|\btax\b|\bvat\b|\bdiscount|\d\s*[x×*@]\s*\d.*(?:%|\band\b)|\d x \d|发票|合计|总价|税|单价|折扣|报价",
        weight=14,
        read=read,
        tell=tell,
        examples={
            "en": (Example("Invoice: 3 x 19.99 and 2 x 5 with 20% tax", ("69.97", "83.96")),),
            "zh": (Example("发票：3 x 19.99，2 x 5，税率20%，合计多少？", ("69.97", "83.96")),),
        },
    ),
)
