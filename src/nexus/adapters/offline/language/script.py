"""Which language a text is in, and how it falls into parts."""

import re

from nexus.domain.builds.outputs import Language

CJK = re.compile(r"[㐀-䶿一-鿿豈-﫿]")
_SIMPLER = str.maketrans(
    "計貸單換發電郵關鍵詞總結統時區間幾還個萬億點錯誤數價稅圓圖翻譯寫詩與並長轉週碼強檢羅馬標題網頁讀錄誌報應該這樣體質預訂搜尋語歲壽從為變級輸顯費華溫攝氏憶",
    "计贷单换发电邮关键词总结统时区间几还个万亿点错误数价税圆图翻译写诗与并长转周码强检罗马标题网页读录志报应该这样体质预订搜寻语岁寿从为变级输显费华温摄氏忆",
)
_MEETING = re.compile(r"(?<=[㐀-鿿])(?=[A-Za-z])|(?<=[A-Za-z])(?=[㐀-鿿])")
_LATIN_WORD = re.compile(r"[A-Za-z][A-Za-z'’-]+")
_QUOTED = re.compile(
    r"“([^”]+)”|\"([^\"\n]+)\"|「([^」]+)」|『([^』]+)』|‘([^’]+)’|(?<![A-Za-z])'([^'\n]+)'(?![A-Za-z])|`([^`\n]+)`"
)
_COLON = re.compile(r"(?<!\d)[:：](?!//)\s*|(?<=[^:])\n+")
_QUESTION_ENDS = re.compile(
    r"(?<=[?？!！。；;])\s*|(?<=[^\d\s.][.])\s+(?=[A-Z])|\n+"
    r"|,?\s+(?:and|also|then|plus)\s+(?:also\s+|then\s+)?(?=(?:convert|how|what|when|calculate|compute|tell|find|extract|summari[sz]e|count|is|which)\b)"
    r"|[，,]?\s*(?:另外|还有|然后|并且|同时|顺便|再帮我|再)[，,]?",
    re.IGNORECASE,
)


def language_of(text: str) -> Language:
    """Chinese when there are at least as many Chinese characters as there are other words."""
    shown = text[:4000]
    chinese = len(CJK.findall(shown))
    return "zh" if chinese and chinese >= len(_LATIN_WORD.findall(shown)) else "en"


def spoken_language(text: str) -> Language:
    """The language of the question in a message, whatever the material is in."""
    asked = [instruction(text), text.strip().rpartition("\n")[2]]
    return (
        "zh"
        if any(language_of(part) == "zh" for part in asked)
        else language_of(asked[0] if re.search(r"[A-Za-z]", asked[0]) else text)
    )


def spaced(text: str) -> str:
    """With a space wherever Chinese and Latin letters meet, so that both have word boundaries."""
    return _MEETING.sub(" ", simplified(text))


def simplified(text: str) -> str:
    """Traditional characters of the words that matter here, as simplified ones."""
    return text.translate(_SIMPLER)


def quoted(text: str) -> list[str]:
    """What stands in quotation marks, in order."""
    return [next(part for part in found.groups() if part is not None) for found in _QUOTED.finditer(text)]


def unquoted(text: str) -> str:
    return _QUOTED.sub(" ", text)


def payload(text: str) -> str:
    """The material a question is about: what follows the first colon or line break; nothing when there is none."""
    found = _COLON.search(text)
    return text[found.end() :].strip() if found else ""


def instruction(text: str) -> str:
    """The question itself: what stands before its material."""
    found = _COLON.search(text)
    return text[: found.start()] if found else text


def questions(text: str) -> list[str]:
    """The questions of a message that asks several, in order."""
    return [part.strip() for part in _QUESTION_ENDS.split(text) if part and part.strip(" \n,.，。")]


def joined(parts: list[str], language: Language) -> str:
    """`a, b and c`, `a、b和c`."""
    between, last = ("、", "和") if language == "zh" else (", ", " and ")
    return between.join(parts[:-1]) + last + parts[-1] if len(parts) > 1 else "".join(parts)
