"""Templates about words and letters."""

from nexus.adapters.offline.skills.skill import Example, Topic
from nexus.adapters.offline.templates.template import Check, Template


def slugify(text: str) -> str:
    """Turns a title into a slug for a web address: small letters, digits and hyphens.

    Args:
        text: The title.

    Returns:
        The slug.
    """
    slug = "".join(character if character.isalnum() else "-" for character in text.lower())
    slug = "-".join(part for part in slug.split("-") if part)
    if not slug:
        raise ValueError("The text has no letters or digits.")
    return slug


def reverse_text(text: str) -> str:
    """Reverses a text.

    Args:
        text: The text.

    Returns:
        The same characters from last to first.
    """
    return text[::-1]


def is_palindrome(text: str) -> bool:
    """Says whether a text reads the same backwards, without regard to case and punctuation.

    Args:
        text: A word or a sentence.

    Returns:
        Whether it is a palindrome.
    """
    letters = [character for character in text.lower() if character.isalnum()]
    if not letters:
        raise ValueError("The text has no letters or digits.")
    return letters == letters[::-1]


def are_anagrams(first: str, second: str) -> bool:
    """Says whether two texts are made of the same letters.

    Args:
        first: A word or a sentence.
        second: Another one.

    Returns:
        Whether they are anagrams.
    """
    letters = [sorted(character for character in text.lower() if character.isalnum()) for text in (first, second)]
    if not letters[0] or not letters[1]:
        raise ValueError("Both texts need letters.")
    return letters[0] == letters[1] and first.lower() != second.lower()


def count_words(text: str, word: str = "") -> dict[str, int]:
    """Counts words, characters and, where one is given, how often a word occurs.

    Args:
        text: The text.
        word: The word to be counted, in any case.

    Returns:
        The counts; a Chinese character counts as a word.
    """
    spaced = "".join(
        f" {character} "
        if "一" <= character <= "鿿"
        else character
        if character.isalnum() or character in "'-"
        else " "
        for character in text
    )
    words = [part.lower() for part in spaced.split() if any(character.isalnum() for character in part)]
    found = text.lower().count(word.lower()) if word and not word.isascii() else words.count(word.lower())
    return {"words": len(words), "characters": len(text), "occurrences": found if word else 0}


_TEXT = (r"[“\"「『'‘]([^”\"」』'’]+)[”\"」』'’]", r"[:：]\s*(.+)$")

TEMPLATES = (
    Template(
        function=slugify,
        topic=Topic(en="Slug maker", zh="网址别名", category="text", words=r"\bslug|url.friendly|网址别名|短链接名"),
        cues={"text": (*_TEXT, r"(?:slug(?:ify)?|title)\s+(?:for|of|from)?\s*(.+?)[?.]*$")},
        checks=(Check({"text": "Hello, World!"}, "hello-world"), Check({"text": "  A  B "}, "a-b")),
        refuses=({"text": "!!!"},),
        tell={"en": "The slug is `{result}`.", "zh": "别名是`{result}`。"},
        examples={
            "en": (Example('Make a slug of "Hello, World!"', ("hello-world",)),),
            "zh": (Example("把“Hello World”变成slug", ("hello-world",)),),
        },
    ),
    Template(
        function=reverse_text,
        topic=Topic(
            en="Text reverser",
            zh="文本反转",
            category="text",
            words=r"\brevers(?:e|es|ing)\b.*\b(?:text|string|word|sentence|letter)|\bbackwards\b|反转(?:文本|字符|文字|句子)|倒序|颠倒",
        ),
        asks=r"\brevers|\bbackwards\b|反转|倒序|颠倒|倒过来",
        cues={
            "text": (
                *_TEXT,
                r"revers\w+\s+(?:the )?(?:text|string|word|sentence)?\s*(.+?)[?.]*$",
                r"(?:反转|颠倒|倒序)(?:文本|字符串|文字)?\s*(.+?)[？。]*$",
            )
        },
        checks=(Check({"text": "nexus"}, "suxen"), Check({"text": ""}, ""), Check({"text": "上海"}, "海上")),
        tell={"en": "Reversed: **{result}**", "zh": "反转后：**{result}**"},
        examples={
            "en": (Example('Reverse the text "nexus"', ("suxen",)),),
            "zh": (Example("反转“上海自来水”", ("水来自海上",)),),
        },
    ),
    Template(
        function=is_palindrome,
        topic=Topic(en="Palindrome check", zh="回文判断", category="text", words=r"\bpalindrom|回文"),
        cues={
            "text": (
                *_TEXT,
                r"\bis\s+(?:the word\s+)?(.+?)\s+an?\s+palindrome",
                r"(?:check|whether|if)\s+(.+?)\s+is\s+a",
                r"^(?:请?判断)?\s*(.+?)\s*是不?是?(?:不是)?(?:一个)?回文",
            )
        },
        checks=(Check({"text": "A man, a plan, a canal: Panama"}, True), Check({"text": "nexus"}, False)),
        refuses=({"text": "..."},),
        tell={"en": "Is “{text}” a palindrome? **{result}**.", "zh": "“{text}”是回文吗？**{result}**。"},
        examples={
            "en": (Example("Is racecar a palindrome?", ("yes",)),),
            "zh": (Example("“上海自来水来自海上”是回文吗？", ("是",)),),
        },
    ),
    Template(
        function=are_anagrams,
        topic=Topic(en="Anagram check", zh="易位构词判断", category="text", words=r"\banagram|易位构词|变位词"),
        cues={
            "first": (r"[“\"']([^”\"']+)[”\"']", r"\bare\s+(\S+)\s+and\s", r"\bis\s+(\S+)\s+an anagram"),
            "second": (
                r"[“\"'][^”\"']+[”\"'].+?[“\"']([^”\"']+)[”\"']",
                r"\band\s+(\S+?)\s+anagram",
                r"anagram of\s+(\S+?)[?.]*$",
            ),
        },
        checks=(Check({"first": "Listen", "second": "Silent"}, True), Check({"first": "abc", "second": "abd"}, False)),
        refuses=({"first": "", "second": "abc"},),
        tell={
            "en": "Are “{first}” and “{second}” anagrams? **{result}**.",
            "zh": "“{first}”和“{second}”是变位词吗？**{result}**。",
        },
        examples={
            "en": (Example("Are listen and silent anagrams?", ("yes",)),),
            "zh": (Example("“listen”和“silent”是变位词吗？", ("是",)),),
        },
    ),
    Template(
        function=count_words,
        topic=Topic(
            en="Word counter",
            zh="字数统计",
            category="text",
            words=r"\b(?:count\w*|number of) (?:the )?(?:words?|characters|letters|occurrences)|\bword count|字数|词数|出现次数",
        ),
        asks=r"\bhow (?:many|often)\b.*\b(?:words?|characters|times|occur)|\bcount\w*\b|\bword count|字数|多少(?:个)?(?:字|词)|几次|出现",
        cues={
            "word": (
                r"(?:how often|how many times)\s+(?:does\s+)?[“\"']?(\w+)[”\"']?\s+(?:occurs?|appears?|is)",
                r"[“\"'](\S+)[”\"']\s*出现",
            ),
            "text": (r"[:：]\s*(.+)$", *_TEXT),
        },
        checks=(
            Check({"text": "the cat and the dog", "word": "the"}, {"words": 5, "characters": 19, "occurrences": 2}),
            Check({"text": "你好世界"}, {"words": 4, "characters": 4, "occurrences": 0}),
            Check({"text": ""}, {"words": 0, "characters": 0, "occurrences": 0}),
        ),
        tell={
            "en": "**{words}** words, {characters} characters, {occurrences} occurrences of the word asked for.",
            "zh": "**{words}**个字词，{characters}个字符，所问的词出现{occurrences}次。",
        },
        examples={
            "en": (Example("Count the words in: the cat and the dog", ("5",)),),
            "zh": (Example("统计字数：你好世界", ("4",)),),
        },
    ),
)
