"""What rules and templates cannot do: needs of a language model, and of tools that reach the world."""

from typing import Literal

from msgspec import Struct

from nexus.adapters.offline.skills.skill import Topic
from nexus.domain.builds.outputs import Language


class Gap(Struct, frozen=True, kw_only=True):
    """`en` and `zh` end the sentence `the offline model cannot …`; `example` is a message that asks for it."""

    topic: Topic
    lacks: Literal["model", "tool"]
    en: str
    zh: str
    example_en: str = ""
    example_zh: str = ""

    def reason(self, language: Language) -> str:
        if self.lacks == "model":
            if language == "zh":
                return f"需要语言模型：离线模型不能{self.zh}。设置NEXUS_MODEL__API_KEY后即可用模型构建。"
            return f"Needs a language model: the offline model cannot {self.en}. Set NEXUS_MODEL__API_KEY to build it with one."
        if language == "zh":
            return f"需要外部工具：工具库里没有能{self.zh}的工具，离线模型也没有相应模板。"
        return f"Needs a tool that reaches the outside: the library has none to {self.en}, and the offline model has no template for it."

    def example(self, language: Language) -> str:
        return self.example_zh if language == "zh" else self.example_en


def _gap(
    lacks: Literal["model", "tool"],
    title: tuple[str, str],
    cannot: tuple[str, str],
    words: str,
    example: tuple[str, str] = ("", ""),
) -> Gap:
    return Gap(
        topic=Topic(en=title[0], zh=title[1], words=words, category="language" if lacks == "model" else "integration"),
        lacks=lacks,
        en=cannot[0],
        zh=cannot[1],
        example_en=example[0],
        example_zh=example[1],
    )


GAPS = (
    _gap("tool", ("Random generator", "随机生成"), ("make random things", "随机生成内容"), r"\b(?:generat|creat|mak)\w*\b[^,.;]{0,20}\b(?:passwords?|random\b[^,.;]*|uuids?)|\brandom\w*[^,.;]*|\b(?:rolls?|throws?) (?:a )?(?:dice|die)|\bflips? (?:a )?coins?|(?:生成|创建)[^，。；]{0,6}(?:密码|随机|UUID)|随机|抽签|抛硬币|掷骰子(?!.*概率)",
         ("Pick a random card", "随机抽一张牌")),
    _gap("model", ("Translator", "翻译"), ("translate", "翻译"), r"\btranslat\w*(?!\s+(?:to |into )?morse)[^,.;]*|\b(?:in)?to (?:french|german|spanish|japanese|korean|italian|russian|arabic)\b|(?<!摩尔斯)翻译[^，。；、]*|互译|译成[^，。；]*",
         ("Translate “good morning” into French", "把“早上好”翻译成英语")),
    _gap("model", ("Writer", "写作"), ("write texts of its own", "自行写作"), r"\b(?:write|writes|writing|compos\w+|draft\w*|creat\w+|generat\w+|invent\w*|tell\w*)\b[^,.;]{0,30}\b(?:poems?|poetry|stor(?:y|ies)|essays?|songs?|lyrics|jokes?|articles?|blogs?|(?:blog )?posts?|slogans?|e-?mails?|letters|speeches|novels?|scripts?|descriptions?|copy|cover letters?|captions?|tweets?)\b|\b(?:write|writes|writing|draft\w*)\b[^,.;]{0,20}\breports?\b|\bghost.?writ\w+|\bcopywrit\w+|\bpoet\b|(?:写|创作|撰写|编写|起草|生成|讲)[^，。；]{0,10}(?:诗|故事|文章|作文|小说|歌词|文案|邮件|演讲稿|笑话|剧本|博客|标语|对联)",
         ("Write a poem about the sea", "写一首关于大海的诗")),
    _gap("model", ("Editor", "润色"), ("correct or rewrite texts", "改写或润色文字"), r"\b(?:proofread|paraphras|rewrit|rephras|polish)\w*[^,.;]*|\b(?:grammar|spelling|tone)\b[^,.;]*|润色|改写|校对|语法(?:检查|纠正)|纠错",
         ("Proofread this sentence: She go to school", "润色这句话：我今天很高兴")),
    _gap("model", ("Question answering", "问答"), ("answer questions of knowledge", "回答知识性问题"), r"\b(?:answers?|answering)\b[^,.;]{0,30}\bquestions?\b[^,.;]*|\bteach\w*\b[^,.;]*|\btutor\w*\b[^,.;]*|\bexplain\w*\b (?!(?:its|the|each|every|all|their|his|your)?\s*(?:steps?|work|workings?|reasoning|calculation|result|answer))[^,.;]*|\b(?:history|trivia|general knowledge)\b[^,.;]*|\bquiz\w*|回答[^，。；]{0,12}问题|知识问答|百科|答疑|讲解(?!步骤|过程)|辅导|教(?:我|学|授)",
         ("Who wrote Hamlet?", "《红楼梦》的作者是谁？")),
    _gap("model", ("Adviser", "顾问"), ("advise or recommend", "提供建议或推荐"), r"\b(?:recommend|advis|suggest|brainstorm)\w*[^,.;]*|\badvice\b[^,.;]*|\bplans? (?:trips?|travels?|meals?|holidays?|vacations?|workouts?)\b[^,.;]*|\bitinerar\w+|推荐|建议|咨询|出主意|旅游攻略|食谱|行程安排",
         ("Recommend a book for me", "给我推荐一本书")),
    _gap("model", ("Sentiment analysis", "情感分析"), ("judge what texts mean", "判断文字的含义"), r"\bsentiment\w*[^,.;]*|\bclassif\w+[^,.;]*|\bcategori[sz]\w*[^,.;]*|\b(?:detect|recogni[sz])\w* (?:emotions?|tone|spam|intent\w*)|情感分析|情绪|分类|归类|识别意图",
         ("Is the sentiment of this review positive? I loved it", "这条评论是正面的吗？我很喜欢")),
    _gap("model", ("Programmer", "编程"), ("write programs", "编写程序"), r"\b(?:write|writes|generat\w+|review\w*|debug\w*|refactor\w*|fix\w*)\b[^,.;]{0,20}\b(?:code|programs?|scripts?|sql|software|functions?|bugs?)\b|\bcod(?:es|ing) assistant|写代码|编程|代码(?:审查|生成|解释)|调试程序",
         ("Write a program that plays chess", "写一个下棋的程序")),
    _gap("model", ("Companion", "聊天"), ("hold a free conversation", "自由聊天"), r"\b(?:chat|talk|convers)\w*\b (?:about|with|freely)[^,.;]*|\b(?:companion|role.?play\w*|therap\w+)\b|\bsmall talk|聊天|陪伴|谈心|闲聊|角色扮演|心理咨询",
         ("Let us chat about your day", "我们聊聊天吧")),
    _gap("model", ("Image maker", "图像生成"), ("make or read images", "生成或识别图像"), r"\b(?:draw|paint|illustrat|generat|creat|edit|recogni[sz]|analy[sz]|describ|design)\w*\b[^,.;]{0,20}\b(?:images?|pictures?|photos?|logos?|drawings?|illustrations?|videos?|posters?|paintings?)\b|\bocr\b|画(?:图|画|一)|(?:生成|识别|编辑|制作|设计)[^，。；]{0,6}(?:图片|图像|照片|海报|视频|标志)|绘画",
         ("Draw a picture of a cat", "画一只猫")),
    _gap("model", ("Speech", "语音"), ("hear or speak", "识别或合成语音"), r"\b(?:transcrib|dictat)\w*[^,.;]*|\b(?:speech|voice|audio|podcasts?|music)\b[^,.;]*|语音|音频|录音|作曲|音乐",
         ("Transcribe this audio file", "把这段录音转成文字")),
    _gap("tool", ("News", "实时信息"), ("look up live news, weather or prices", "查询实时新闻、天气或行情"), r"\b(?:latest|live|current|breaking|daily|today'?s)\b[^,.;]{0,20}\b(?:news|headlines|weather|prices?|stocks?|scores?|rates?)\b|\bweather\b[^,.;]*|\bnews\b(?!letters? draft)[^,.;]*|\bstocks?\b(?: prices?| quotes?| market)?|\bexchange rates?|\bcurrenc(?:y|ies) conver\w+|\bconvert\w* (?:\w+ )?(?:currenc(?:y|ies)|dollars|euros)\b[^,.;]*|新闻|天气|股票|股价|汇率|货币换算|行情|比分",
         ("What is the weather in Paris?", "北京今天天气怎么样？")),
    _gap("tool", ("Web search", "网络搜索"), ("search the web", "搜索网络"), r"\b(?:search\w*|google|browse|research\w*)\b[^,.;]{0,20}\b(?:web|internet|online|google)\b|\bresearch\w*\b[^,.;]*|上网搜索|网络搜索|搜索引擎|联网",
         ("Search the web for cheap flights", "上网搜索便宜的机票")),
    _gap("tool", ("Messenger", "消息发送"), ("send mails or messages", "发送邮件或消息"), r"\b(?:send|sends|sending|forward\w*|repl(?:y|ies) to|post|posts|posting|notif\w+|text)\b[^,.;]{0,30}\b(?:e-?mails?|mails?|messages?|sms|slack|telegram|whatsapp|wechat|twitter|teams|notifications?)\b|\bemails? (?:me|us|them|him|her)\b[^,.;]*|发送?(?:邮件|短信|消息|微信|通知)|(?:发|群发|回复)[^，。；]{0,8}(?:邮件|短信|微信|消息)|推送",
         ("Send an email to Bob", "给小王发一封邮件")),
    _gap("tool", ("Reminders", "提醒"), ("remember and remind by itself", "自动提醒"), r"\bremind\w*[^,.;]*|\balarms?\b|\bto.?do lists?\b|\btrack(?:s|ing)? (?:my|habits?|tasks?|expenses?|spending)[^,.;]*|提醒|闹钟|待办|打卡|记账",
         ("Remind me to call Ann", "提醒我打电话")),
    _gap("tool", ("Bookings", "预订"), ("book, buy or pay", "预订、购买或支付"), r"\b(?:book|books|booking|reserv\w+|order|orders|buy|buys|purchas\w+)\b[^,.;]{0,25}\b(?:flights?|hotels?|tables?|tickets?|rooms?|food|pizza|groceries|products?|appointments?|restaurants?|taxis?)\b|订(?:票|机票|酒店|餐|房)|预订|预约|购买|下单|支付",
         ("Book a flight to Rome", "订一张去罗马的机票")),
    _gap("tool", ("Documents", "文件读取"), ("read files such as PDF, Word or databases", "读取PDF、Word或数据库等文件"), r"\b(?:pdfs?|word documents?|docx|powerpoint|xlsx|excel files?|databases?|sql database|google (?:sheets|docs|drive)|notion|crm|jira)\b[^,.;]*|PDF|Word文档|数据库|Excel文件",
         ("Read the PDF contract", "读取这份PDF合同")),
)  # fmt: skip
