"""Words that change nothing, and words that always do."""

from nexus.adapters.offline.reading.patterns import parse_phrases

_EN = """a an the please pls plz kindly can could would will i you me my we our us i'm i'd i've i'll tell give show
say what what's whats which is are was be do does did it its it's that's there this that these those hi he'd how's
hello hey thanks thank_you thx cheers ok okay so just need want like know get figure_out work_out find_out help have
has got let's let and if when then how how's how_much how_many right exactly approximately roughly about around value
result answer equal equals come_to comes_to come_out_to make makes gives currently quickly quick question trying_to
have_to want_to like_to going_to need_to know_what i_wonder wonder wondering anyone should shall am were i_am let_me
hmm um well simply compute calculate find determine see here here's following come_out by_the_way btw
for_me to_me looking please_help real_quick good_morning good_evening dear someone somebody i_think guess
possible her his their she he they them we're we_are there_are as was were a of for with at on in ever too actually basically one_more_question another_question today's work be_able_to able_to use using"""
_ZH = """请 请问 帮我 帮 帮忙 我 我们 我想 我要 你 您 能 能不能 能否 可以 可不可以 吗 呢 吧 啊 呀 哦 嘛 了 的 是 是多少 一下 下 多少 几 什么
怎么 怎样 如何 想 想要 要 知道 想知道 想问 算 计算 算出 算下 求 求出 有 等于 那 那么 给 给我 告诉 告诉我 谢谢 麻烦 大概 大约 左右 约 是什么 得 得到
应 应该 应该是 会 会是 将 你好 您好 看看 看 帮我算 算算 算一算 一共是 个 到底 现在 这 这个 这些 下面 以下 如下 为 结果 答案 问 问一下 有多少 有几个
共有 哪 哪个 和 以及 如果 的话 若 多大 很 大约是 大概是 就 就是 请教 请帮我 请帮忙 具体 分别 所以 呗 怎么算 咋算 一共 共 总共 里 中 元 数 钱 值 从 那天 还 现在 如 她 他 它 我的"""
_NOUNS_EN = """jacket coat shirt shirts shoes dress jeans sweater tv stand phone laptop computer tablet headphones
camera bag backpack watch bike sofa chair desk table lamp item product ticket tickets book books car fridge oven
suitcase luggage parcel package box bottle tank pool room apartment house home garden office field road
trail trip walk run marathon race flight train film movie song meeting call dinner lunch breakfast meal brunch drinks
pizza coffee tea restaurant cafe bar hotel taxi flour sugar butter milk water rice oil juice beer wine bread cheese
meat chicken beef fish apples potatoes cake recipe dough baby child kid daughter son mother mom mum father dad brother
sister wife husband grandmother grandma grandfather grandpa uncle aunt friend man woman boy girl person adult dog cat
boss colleague team company shop store class school doctor rent salary wage stock share_price monitor keyboard printer
file photo video disk drive outside river mountain building tower tree rope wall fence window door
customer employee town lake park pair_of set_of students people persons questions answers guests kids children adults"""
_NOUNS_ZH = """大衣 衣服 鞋子 鞋 手机 电脑 笔记本电脑 外套 衬衫 裤子 裙子 T恤 毛衣 羽绒服 电饭煲 冰箱 电视 洗衣机 空调 耳机 沙发 手表 相机 书包 商品 东西
牛奶 黄油 面粉 糖 水 米饭 大米 油 果汁 啤酒 苹果 土豆 猪肉 牛肉 鸡蛋 蛋糕 面包 咖啡 茶 房间 房子 卧室 客厅 公寓 花园 办公室 土地 田 农田 行李 箱子 包裹
瓶子 马拉松 跑步 跑道 路程 绳子 房租 工资 月薪 股票 股价 房价 菜谱 鱼缸 泳池 文件 照片 视频 硬盘 室温 外面 今天气温 妈妈 我妈 爸爸 我爸 爷爷 奶奶 外公 外婆 哥哥
姐姐 弟弟 妹妹 儿子 女儿 孩子 宝宝 小孩 老公 老婆 朋友 同事 老板 公司 商店 超市 饭店 餐厅 聚餐 晚饭 午饭 晚餐 午餐 早餐 火锅 会议 航班 电影 班里 全班 成年人"""
_STOPS = "— , . ? ! ; : 。 、 … ( ) \n ~ ".split(" ")
FOLLOWING = "what_about/how_about/what_if/instead/but/or/for/with/at/over/in/那/换成/改成/再/也/还有/要是"
"""Stands in messages that go on from the one before."""
LIGHT = parse_phrases(*"a an the of is are was am be my our your his her it's , : ( ) 的 了 是 为 、".split())
"""Skipped between the items of a pattern."""
NOUNS = parse_phrases(*_NOUNS_EN.split(), *_NOUNS_ZH.split())
"""Things and people that change no sum; behind a bare number they are what it counts."""
FILLERS = parse_phrases(
    *_EN.split(), *_ZH.split(), *_NOUNS_EN.split(), *_NOUNS_ZH.split(), *(stop for stop in _STOPS if stop)
)
"""Skipped wherever else they stand, for every card: politeness, questions, and things and people that change no sum."""

MEANINGFUL = parse_phrases(
    *"""not no without except excluding another other before after original reverse least most per each every
    average mean highest lowest maximum minimum less more than below above under over between tax discount vat
    off tip plus minus times total sum both twice double half and or if each apiece for at from to with same
    first last next of in on by x invoice bill order receipt add subtotal price cost only deposit paid pay refund credit
    coupon voucher shipping delivery fee balance amount change budget limit rest remaining deduct spent left including
    不 没 除 另 再 前 后 原 至少 最 每 平均 少 多 低于 高于 税 折 优惠 小费 合计 共 总 倍 半 发票 账单 买 单价 价格 加 含 明细 计算 运费 押金 定金 满 减
    """.split()
)
"""Never part of a name that a user makes up."""
