"""Loans and interest: amounts, rates and terms in any order, and the steps of the answer."""

import re
from typing import Any

from nexus.adapters.offline.language.numbers import NUMBER, money, number, shown
from nexus.adapters.offline.skills.arguments import fitting, read_arguments
from nexus.adapters.offline.skills.skill import Example, Reading, Said, Skill, Topic
from nexus.domain.builds.outputs import Language
from nexus.domain.ports.models import JSON, ToolSpec

_NOT_TIME = r"(?!\s*%)(?![\s-]*(?:years?|yrs?|months?|个月|年(?!利|息|化|率)))"
_CUES = {
    "annual_rate_percent": (r"({n})\s*%", r"(?:rate|interest|利率|利息|年息)(?:\s+(?:of|is|at)|[是为:])?\s*({n})" + _NOT_TIME),
    "years": (r"({n})[\s-]*(?:years?|yrs?|y)\b", r"({n})\s*年(?!利|息|化|率)"),
    "contribution": (r"(?:add(?:ing)?|contribut\w+|deposit(?:ing)?|plus|sav(?:e|ing))\s+({n})\s*(?:a|per|each|every|/)\s*month", r"每月(?:存入|存|追加|投入|定投)\s*({n})"),
    "principal": (
        rf"(?:loan|borrow\w*|mortgage|principal|invest\w*|deposit\w*|sav\w+|贷款|借款?|本金|存入?|投资|按揭)\D{{0,14}}?({{n}}){_NOT_TIME}",
        rf"(?:\bon|\bof|\bfor)\s+({{n}}){_NOT_TIME}", rf"({{n}}){_NOT_TIME}",
    ),
}  # fmt: skip
_PER_YEAR = {
    "weekly": 52,
    "每周": 52,
    "biweekly": 26,
    "quarterly": 4,
    "每季": 4,
    "按季": 4,
    "yearly": 1,
    "annually": 1,
    "daily": 365,
    "每日": 365,
    "按日": 365,
    "monthly": 12,
    "每月": 12,
    "按月": 12,
}
_COMPOUNDED_YEARLY = r"(?:compound\w*|复利)\D{0,12}(?:yearly|annually|a year|每年|按年)|(?:每年|按年)\D{0,4}复利"


def read(said: Said, tool: ToolSpec) -> list[Reading]:
    """Amount, rate and term; months become years, and how often is paid is heard."""
    found = dict(read_arguments(said, tool, _CUES).arguments)
    heard = re.search(rf"({NUMBER})[\s-]*(?:months?\b|个月)", said.plain, re.IGNORECASE)
    if heard and not re.search(r"\d[\s-]*(?:years?|yrs?)\b|\d\s*年(?!利|息|化|率)", said.plain, re.IGNORECASE):
        found["years"] = number(str(round(number(heard[1]) / 12, 6)))
    often = next((count for word, count in _PER_YEAR.items() if word in said.plain.lower()), None)
    per_year = {
        "payments_per_year": often,
        "compounds_per_year": 1 if re.search(_COMPOUNDED_YEARLY, said.plain, re.IGNORECASE) else often,
    }
    defaults = {name: value for name, value in per_year.items() if value and (value != 12 or said.previous)}
    return [fitting(tool, found | defaults)]


def tell_payment(arguments: JSON, result: Any, language: Language) -> str:
    principal, rate, years = (
        float(arguments["principal"]),
        float(arguments["annual_rate_percent"]),
        float(arguments["years"]),
    )
    count = int(result["payments"])
    per_year = int(arguments.get("payments_per_year", 12))
    payment, total, interest = money(result["payment"]), money(result["total_paid"]), money(result["total_interest"])
    period = shown(round(rate / per_year, 6))
    formula = "P × r ÷ (1 − (1 + r)^−n)"
    if language == "zh":
        name = {12: "每月还款", 1: "每年还款", 4: "每季还款", 52: "每周还款"}.get(per_year, "每期还款")
        return (
            f"{name}：**{payment}**\n\n步骤：\n1. 每期利率 r = {shown(rate)}% ÷ {per_year} = {period}%\n2. 期数 n = {shown(years)} × {per_year} = {count}\n"
            f"3. 还款额 = {formula} = {shown(principal)} × {period}% ÷ (1 − (1 + {period}%)^−{count}) = {payment}\n\n总还款{total}，其中利息{interest}。"
        )
    name = {12: "monthly", 1: "yearly", 4: "quarterly", 52: "weekly"}.get(per_year, "regular")
    return (
        f"The {name} payment is **{payment}**.\n\nSteps:\n1. Rate per period: r = {shown(rate)}% ÷ {per_year} = {period}%\n2. Number of payments: n = {shown(years)} × {per_year} = {count}\n"
        f"3. Payment = {formula} = {shown(principal)} × {period}% ÷ (1 − (1 + {period}%)^−{count}) = {payment}\n\nPaid in all: {total}, of which {interest} is interest."
    )


def tell_interest(arguments: JSON, result: Any, language: Language) -> str:
    final, interest = money(result["final_amount"]), money(result["interest"])
    principal, rate, years = (
        shown(arguments["principal"]),
        shown(arguments["annual_rate_percent"]),
        shown(arguments["years"]),
    )
    if "paid_in" not in result:
        steps = f"{principal} × {rate}% × {years} = {interest}"
        return (
            f"利息**{interest}**（{steps}），本息合计**{final}**。"
            if language == "zh"
            else f"The interest is **{interest}** ({steps}); in all **{final}**."
        )
    per_year = arguments.get("compounds_per_year", 12)
    if arguments.get("contribution"):
        added = shown(arguments["contribution"])
        steps = (
            f"{principal} + {added} per period, {rate}% ÷ {per_year}, {years} years"
            if language == "en"
            else f"本金{principal}，每期追加{added}，每期利率{rate}% ÷ {per_year}，{years}年"
        )
    else:
        steps = f"{principal} × (1 + {rate}% ÷ {per_year})^({per_year} × {years})"
    if language == "zh":
        return f"到期金额**{final}**，其中利息**{interest}**。步骤：{steps} = {final}。"
    return f"It grows to **{final}**, of which **{interest}** is interest. Steps: {steps} = {final}."


def tell_schedule(arguments: JSON, result: Any, language: Language) -> str:
    rows = result["rows"]
    head = (
        "| # | payment | interest | principal | balance |" if language == "en" else "| 期 | 还款 | 利息 | 本金 | 余额 |"
    )
    lines = [head, "|---|---|---|---|---|"]
    lines += [
        f"| {row['number']} | {money(row['payment'])} | {money(row['interest'])} | {money(row['principal'])} | {money(row['balance'])} |"
        for row in rows
    ]
    interest = money(result["total_interest"])
    last = (
        f"共{result['payments']}期，利息合计{interest}。"
        if language == "zh"
        else f"{result['payments']} payments, {interest} interest in all."
    )
    return "\n".join(lines) + "\n\n" + last


SKILLS = (
    Skill(
        tool="loan_payment",
        topic=Topic(
            en="Loan calculator",
            zh="贷款计算",
            category="finance",
            words=r"\bloans?\b|\bmortgages?\b|\bmonthly payments?\b|\binstal?lments?\b|贷款|房贷|按揭|月供|还款",
        ),
        asks=r"\bloan|\bmortgage|\bpayments?\b|\bborrow|\bpay\b.*%|贷款|房贷|按揭|月供|还款|还多少|每月还|借",
        weight=16,
        read=read,
        tell=tell_payment,
        examples={
            "en": (Example("What is the monthly payment on 200000 at 5% over 30 years?", ("1073.64",)),),
            "zh": (Example("贷款20万，年利率5%，30年，每月还多少？", ("1073.64",)),),
        },
    ),
    Skill(
        tool="amortization_schedule",
        topic=Topic(
            en="Repayment schedule",
            zh="还款计划",
            category="finance",
            words=r"\bamorti[sz]|\b(?:re)?payment (?:plan|schedule|table)|还款计划|还款表|还款明细|逐月|分期表",
        ),
        asks=r"\bamorti[sz]|\bschedule\b|payment (?:plan|table)|还款计划|还款表|还款明细|逐月|分期表",
        weight=18,
        read=read,
        tell=tell_schedule,
        examples={
            "en": (Example("Show the amortization schedule for 1200 at 12% over 1 year", ("106.62",)),),
            "zh": (Example("列出还款计划：贷款1200，年利率12%，1年", ("106.62",)),),
        },
    ),
    Skill(
        tool="compound_interest",
        topic=Topic(
            en="Savings growth",
            zh="复利计算",
            category="finance",
            words=r"\bcompound|\bsavings?\b(?! time)|\binvestments? (?:growth|return)|复利|储蓄|存款(?:收益|利息|增长)?|理财收益|定投",
        ),
        asks=r"\bcompound|\bsavings?\b|\bgrows?\b|\binvest|\bdeposit|复利|存款|储蓄|存入|投资|定投",
        weight=17,
        read=read,
        tell=tell_interest,
        examples={
            "en": (Example("What does 1000 at 5% compound interest over 10 years grow to?", ("1647.01",)),),
            "zh": (Example("本金1000，年利率5%，复利10年是多少？", ("1647.01",)),),
        },
    ),
    Skill(
        tool="simple_interest",
        topic=Topic(en="Simple interest", zh="单利计算", category="finance", words=r"\bsimple interest|单利"),
        asks=r"\bsimple interest|单利",
        weight=19,
        read=read,
        tell=tell_interest,
        examples={
            "en": (Example("Simple interest on 1000 at 5% for 2 years", ("100.00",)),),
            "zh": (Example("本金1000，年利率5%，2年，单利多少？", ("100.00",)),),
        },
    ),
)
