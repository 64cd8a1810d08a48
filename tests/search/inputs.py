"""What people write and what they ask for: texts, each with queries that must find it."""

# ruff: noqa: RUF001  (Letters of all scripts, lookalikes included.)

import unicodedata


def _apart(text: str) -> str:
    """Return a text with its letters and marks apart, as macOS names files."""
    return unicodedata.normalize("NFD", text)


#: Found by every backend.
EVERYWHERE = {
    # Names, addresses, numbers: whole and in parts.
    "The advisory CVE-2026-2332, out today": [
        "CVE-2026-2332",
        "cve-2026-2332",
        "CVE",
        "2332",
        "CVE 2026 2332",
        "CVE-20",
    ],
    "Use os.path.join(base, name) here": ["os.path.join", "os.path", "path.join", "join", "os.path.jo", "os path"],
    "Write to jane.doe@example.com today": ["jane.doe@example.com", "jane.doe", "doe@example", "example.com", "jane"],
    "See https://docs.example.net/guide/intro.html?q=1#top": [
        *("https://docs.example.net/guide/intro.html", "docs.example.net", "example.net", "guide/intro", "intro.html"),
        *("intro", "https://docs.example.net/guide/intro.html?q=1#top", "docs.example"),
    ],
    "It came to an end.Next day it rained": ["end.Next", "end", "next day", "end.Next day"],
    "Version 3.12.4 is out": ["3.12.4", "3.12", "version 3.12.4"],
    "Released v1.2.3-rc1 tonight": ["v1.2.3", "v1.2", "v1", "v1.2.3-rc1", "rc1"],
    "Edit /etc/nginx/nginx.conf and restart": ["/etc/nginx/nginx.conf", "nginx.conf", "etc/nginx", "nginx"],
    r"Open C:\Users\Jane\report_final.docx": [r"C:\Users\Jane", "report_final.docx", "report_final", "report", "docx"],
    "Ping 192.168.10.254 twice": ["192.168.10.254", "192.168", "10.254"],
    "Build it with C++ and node.js": ["C++", "node.js", "node", "c++ node.js"],
    "A state-of-the-art machine": ["state-of-the-art", "state of the art", "art", "state-of-the"],
    "A well known sailor": ["well-known", "well known"],
    "Ask O\u2019Brien, who can\u2019t know": ["O'Brien", "o\u2019brien", "brien", "can't"],
    "The snake_case_name of HTTPResponse": ["snake_case_name", "snake_case", "case", "httpresponse", "HTTPResp"],
    "Set retries=5 and x<y|z~w^v$u": ["retries=5", "retries", "x<y", "y", "z", "w", "v", "u"],
    "a <b>lantern</b> in the dark": ["lantern", "<b>lantern</b>", "dark"],
    "Order #4711 of 1,250 ©Nightshift": ["#4711", "4711", "1,250", "nightshift"],
    "It costs 25€\u2192cheap": ["25", "25€", "cheap"],
    # Accents, and their letters taken apart.
    "Nach Zürich und Köln": ["zurich", "Zürich", "ZURICH", "koln", _apart("zürich")],
    _apart("Nach München, Ångström"): ["München", "munchen", "angstrom"],
    "Tiếng Việt ở Đà Nẵng": ["Việt", _apart("Việt"), "viet", "da nang"],
    _apart("Tiếng nước ngoài"): ["Tiếng", "tieng", "nước"],
    "Le café naïf, déjà vu": ["cafe", "naif", "deja", "CAFÉ"],
    "Αθήνα, Σίσυφος": [
        "αθηνα",
        "ΣΙΣΥΦΟΣ",
    ],
    "Дом и йод города": [
        "дом",
        "ЙОД",
        _apart("йод"),
        "город",
    ],
    "İstanbul'da ışık": ["istanbul", "ISTANBUL", "isik", "ışık"],
    "A ﬁne oﬃce in Ælfheim, an œuvre": ["fine", "office", "aelf", "oeuvre"],
    # Scripts with vowels over and under their letters.
    "हिन्दी भाषा": [
        "हिन्दी",
        "भाषा",
        "हिन्",
    ],
    "বাংলা தமிழ்": [
        "বাংলা",
        "தமிழ்",
    ],
    "مُحَمَّد كتاب": [
        "محمد",
        "مُحَمَّد",
        "كِتاب",
    ],
    "שָׁלוֹם עולם": [
        "שלום",
        "עולם",
    ],
    "می\u200cخواهم بروم": [
        "می\u200cخواهم",
        "بروم",
    ],
    # Scripts without spaces between words.
    "我在北京大学学习中文。": [
        "北京大学",
        "学习",
        "中文",
    ],
    "東京タワーの夜景が、きれい": [
        "東京",
        "タワー",
        "夜景",
    ],
    "서울에서 김치를 먹는다": [
        "서울",
        "김치를",
        "서울에서",
    ],
    "ภาษาไทยสวยงาม": [
        "ภาษาไทย",
        "ภาษา",
    ],
    "GPT模型很大": ["gpt", "模型", "GPT模型"],
    # Beside emoji.
    "The rocket 🚀 launch ❤\ufe0f": ["rocket", "launch", "rocket 🚀 launch", "🚀 launch"],
}

#: Found by both databases; a search server has a tokeniser of its own, which does not take them for the same.
IN_DATABASES = {
    "Straße": ["strasse", "STRASSE", "straße", "STRAẞE"],
    "Łódź, Smørrebrød, Þing": ["lodz", "smorrebrod", "thing"],
    "ＦｕｌｌＷｉｄｔｈ １２３": ["fullwidth", "123"],
    "ｶﾞｲﾄﾞ": ["ガイド"],
    "Zusammen\u00adarbeit": ["zusammenarbeit"],
    "Ёлка за\u0301мок": [
        "елка",
        "замок",
    ],
    _apart("한국어를"): ["한국어"],
    _apart("ドラゴン"): ["ドラゴン"],
    "ज़िंदगी": ["जिंदगी"],
    "Half: ½, Nightshift™": ["½", "1/2", "nightshift", "nightshift half"],
    "launch🚀day": ["launch", "day", "launch🚀day"],
    "Tagged v20.1 only": ["20.1", "v20.1"],
}
