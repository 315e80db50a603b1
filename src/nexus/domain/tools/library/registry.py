"""Every tool of the library."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Literal

from msgspec import Struct

from nexus.domain.ports.models import ToolSpec
from nexus.domain.ports.tools import Effect
from nexus.domain.tools.library import calculator, dates, http, layouts, lists, money, patterns, tabular, texts, units
from nexus.domain.tools.schema import parse_tool_spec

Category = Literal["math", "finance", "dates", "text", "extraction", "tables", "web"]
Given = Literal["clock", "web", "workers"]


class LibraryTool(Struct, frozen=True, dict=True):
    """A tool that comes with nexus. `words` are what people say when they want it; `given` is what is handed in."""

    function: Callable[..., Any]
    category: Category
    en: str
    zh: str
    words: tuple[str, ...]
    effect: Effect
    given: tuple[Given, ...]

    @property
    def name(self) -> str:
        return self.function.__name__

    @cached_property
    def spec(self) -> ToolSpec:
        return parse_tool_spec(self.function, given=self.given)


def _make_library_tool(
    function: Callable[..., Any], category: Category, en: str, zh: str, words: str, *given: Given
) -> LibraryTool:
    """One that is given something reads the world."""
    effect: Effect = "read" if given else "pure"
    return LibraryTool(function, category, en, zh, tuple(words.split(",")), effect, given)


_TOOLS = (
    _make_library_tool(calculator.calculate, "math", "Calculator", "计算器", "calculate,calculator,arithmetic,math,percent,sum,计算,算术,数学,百分比,加减乘除"),
    _make_library_tool(units.convert_units, "math", "Unit converter", "单位换算", "convert,units,kilometers,miles,celsius,fahrenheit,单位,换算,转换,公里,英里,温度"),
    _make_library_tool(lists.number_statistics, "math", "Number statistics", "数字统计", "average,mean,median,standard deviation,平均,中位数,标准差"),
    _make_library_tool(money.loan_payment, "finance", "Loan payment", "贷款月供", "loan,mortgage,monthly payment,instalment,贷款,房贷,月供,还款"),
    _make_library_tool(money.amortization_schedule, "finance", "Amortization schedule", "还款计划", "amortization,repayment schedule,loan schedule,还款计划,还款明细"),
    _make_library_tool(money.compound_interest, "finance", "Compound interest", "复利", "compound interest,savings,investment growth,复利,储蓄,投资"),
    _make_library_tool(money.simple_interest, "finance", "Simple interest", "单利", "simple interest,单利,利息"),
    _make_library_tool(money.line_items_total, "finance", "Invoice total", "发票合计", "invoice,quote,subtotal,tax,discount,vat,发票,账单,税,折扣,报价"),
    _make_library_tool(money.percent_change, "finance", "Percent change", "百分比变化", "percent change,growth rate,increase,decrease,增长率,涨幅,变化率"),
    _make_library_tool(dates.date_difference, "dates", "Date difference", "日期间隔", "days between,date difference,how many days,日期,相差,间隔,多少天"),
    _make_library_tool(dates.add_to_date, "dates", "Add to date", "日期加减", "add days,date after,deadline,due date,business days,日期加减,之后,到期日,工作日"),
    _make_library_tool(dates.weekday_of, "dates", "Weekday", "星期几", "weekday,day of the week,星期几,周几"),
    _make_library_tool(dates.convert_time_zone, "dates", "Time zone converter", "时区转换", "time zone,timezone,convert time,时区,时差"),
    _make_library_tool(dates.current_time, "dates", "Current time", "当前时间", "current time,now,today,what time,现在,当前时间,几点,今天", "clock"),
    _make_library_tool(dates.days_until, "dates", "Days until", "倒计时", "days until,countdown,days left,倒计时,还有多少天,距离", "clock"),
    _make_library_tool(texts.text_statistics, "text", "Text statistics", "文本统计", "word count,count words,characters,reading time,text statistics,字数,统计,词频,阅读时间"),
    _make_library_tool(texts.summarize_by_statistics, "text", "Extractive summary", "摘要", "summarize,summary,shorten,摘要,总结,概括"),
    _make_library_tool(texts.extract_keywords, "text", "Keywords", "关键词", "keywords,key words,topics,tags,关键词,关键字,主题"),
    _make_library_tool(texts.change_case, "text", "Change case", "大小写转换", "uppercase,lowercase,title case,snake case,大写,小写,大小写"),
    _make_library_tool(patterns.extract_pattern, "extraction", "Pattern search", "正则提取", "regex,regular expression,pattern,正则,匹配,模式"),
    _make_library_tool(patterns.extract_entities, "extraction", "Entity extraction", "信息提取", "extract,email,url,phone,ip address,提取,邮箱,网址,电话,手机号"),
    _make_library_tool(patterns.parse_log_lines, "extraction", "Log reader", "日志分析", "log,logs,error lines,日志,报错,错误"),
    _make_library_tool(tabular.query_csv, "tables", "CSV query", "表格查询", "csv,spreadsheet,filter rows,group by,table query,表格,查询,筛选,分组,汇总"),
    _make_library_tool(tabular.describe_csv, "tables", "CSV description", "表格概览", "describe csv,columns,data profile,表格概览,列,数据概况"),
    _make_library_tool(tabular.query_json, "tables", "JSON query", "JSON 查询", "json,json path,json value,JSON,字段"),
    _make_library_tool(layouts.format_table, "tables", "Table layout", "表格排版", "format table,markdown table,排版,制表,表格"),
    _make_library_tool(lists.sort_list, "tables", "Sort list", "列表排序", "sort,order,deduplicate,unique,排序,去重"),
    _make_library_tool(lists.count_values, "tables", "Count values", "计数", "count,frequency,tally,how often,计数,次数,频率"),
    _make_library_tool(http.http_get, "web", "Web page reader", "网页读取", "http,fetch,web page,website,download,网页,网址,抓取,网站", "web", "workers"),
)  # fmt: skip

LIBRARY: Mapping[str, LibraryTool] = {tool.name: tool for tool in _TOOLS}
