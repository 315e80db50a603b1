"""Words that change nothing, and words that always do."""

from nexus.adapters.offline.reading.patterns import literal

_EN = """a an the please pls plz kindly can could would will you i me my we our us i'm i'd i've i'll tell give show
say what what's whats which is are was be do does did it its it's that's there this that these those hi
hello hey thanks thank_you ok okay so just need want like know get figure_out work_out find_out help have
got let's let and if when then how how's how_much how_many right exactly approximately roughly about value
result answer equal equals come_to make makes gives currently quickly quick question trying_to have_to
want_to like_to going_to need_to know_what i_wonder wonder wondering anyone should shall am were i_am let_me
hmm um well simply compute calculate find determine see here here's following come_out"""
_ZH = """请 请问 帮我 帮 帮忙 我 我们 你 您 能 能不能 能否 可以 可不可以 吗 呢 吧 啊 呀 了 的 是 是多少 一下 多少 几 什么 怎么 如何 想 想要 要 知道 想知道 算
计算 算出 求 求出 有 等于 那 那么 给 给我 告诉 告诉我 谢谢 麻烦 大概 大约 左右 约 是什么 得 得到 应 应该 应该是 会 会是 你好 看看 看 帮我算 算算 算一算 我想 一共是
个 到底 现在 这 这个 这些 下面 以下 如下 为 结果 答案 问 问一下 有多少 有几个 共有 哪 哪个 和 以及 如果 的话 若"""
_STOPS = "— , . ? ! ; : 。 、 … ( ) \n ~ ".split(" ")
FILLERS = literal([*_EN.split(), *_ZH.split(), *(stop for stop in _STOPS if stop)]).words
"""Skipped wherever they stand, in all patterns."""

MEANINGFUL = literal(
    """not no without except excluding another other before after original reverse least most per each every
    average mean highest lowest maximum minimum less more than below above under over between tax discount vat
    off tip plus minus times total sum both twice double half and or if each apiece for at from to with same
    first last next of in on by x invoice bill order receipt add subtotal price cost
    不 没 除 另 再 前 后 原 至少 最 每 平均 少 多 低于 高于 税 折 优惠 小费 合计 共 总 倍 半 发票 账单 打 买 单价 价格 加 含 明细 计算""".split()
).words
"""Never part of a name that a user makes up."""
