"""Sentences in the style of prompts, to train small vocabularies on, and strings to encode: the plain and the awkward."""

import random
import unicodedata

subjects = """絵藍ミツア|白い猫|黒い犬|赤い髪の少女|青い目の少年|侍|魔法使い|古い城|神社の鳥居|桜の木|富士山|東京の夜景|京都の庭|海辺の灯台|
雪の中の狐|機関車|飛行船|宇宙飛行士|ロボット|竜|人魚|妖精|騎士|お茶会|和菓子|ラーメン|ケーキ|果物籠|静かな湖|深い森|滝|砂漠|火山|
満月|流れ星|虹|雨の街角|市場|図書館|教室|温室|時計塔|風車|橋|川辺の柳|竹林|紅葉の山道|祭りの屋台|花火|金魚|蝶|梟|鯨|象""".replace("\n", "").split("|")
places = """滝の中の|森の中の|海の底の|空に浮かぶ|月の上の|雪山の|花畑の|夕焼けの下の|雨上がりの|教室の|図書館の|夏の日の|冬の朝の|未来都市の|水彩の|夢の中の""".replace("\n", "").split("|")
styles = """水彩画|油絵|先生アート|アニメ風|浮世絵|写真|線画|ドット絵|ポスター|絵本の挿絵|印象派|逆光|高画質|背景ぼかし|全身|上半身|正面|横顔|笑顔|
柔らかい光|鮮やかな色|落ち着いた色合い|細かい描き込み|モノクロ|パステルカラー|レトロ|幻想的|朝日|夕暮れ|星空""".replace("\n", "").split("|")
english = """a white cat sleeping on a warm window sill|an oil painting of a lighthouse in a storm|a girl with red hair in a field of flowers|
a portrait of a samurai, ink wash|a robot drinking tea in a quiet garden|a castle above the clouds at sunset|watercolor of cherry blossoms by the river|
a photo of an old steam train crossing a bridge|fantasy landscape with a waterfall and a rainbow|a dragon flying over a snowy mountain|
a bowl of ramen, steam, soft light|city street at night, rain, neon signs|an astronaut riding a horse on the moon|
high quality, detailed, sharp focus|low quality, blurry, bad anatomy, extra fingers|an impressionist painting of a pond with water lilies|
the library of a wizard, candle light, books|a small boat on a calm sea, morning fog|black and white drawing of an owl|a festival with lanterns and fireworks""".replace("\n", "").split("|")

hiragana = "ぁあぃいぅうぇえぉおかがきぎくぐけげこごさざしじすずせぜそぞただちぢっつづてでとどなにぬねのはばぱひびぴふぶぷへべぺほぼぽまみむめもゃやゅゆょよらりるれろゎわゐゑをん"
katakana = "ァアィイゥウェエォオカガキギクグケゲコゴサザシジスズセゼソゾタダチヂッツヅテデトドナニヌネノハバパヒビピフブプヘベペホボポマミムメモャヤュユョヨラリルレロヮワヰヱヲンヴー"
ascii_letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
marks = "、。・「」!?,.()-:;'\"&/"
required = hiragana + katakana + ascii_letters + marks


def sentences(count: int = 4000) -> list[str]:
    draw = random.Random(20)
    lines = []
    for _ in range(count):
        place, subject = draw.choice(places), draw.choice(subjects)
        extra = "、".join(draw.sample(styles, draw.randint(1, 3)))
        lines.append(draw.choice([f"{place}{subject}、{extra}", f"{subject}、{extra}", f"{subject}の{draw.choice(styles)}", f"{place}{subject}と{draw.choice(subjects)}"]))
        line = ", ".join(draw.sample(english, draw.randint(1, 2)))
        lines.append(draw.choice([line, line.capitalize(), line.upper() if draw.random() < 0.1 else line]))
        if draw.random() < 0.05:
            lines.append("".join(draw.choices(required, k=12)))
    return lines


# What editors and mail like to "repair" is written by its code points.
half_kana = {unicodedata.normalize("NFKC", chr(point)): chr(point) for point in range(0xFF61, 0xFFA0)}


def halfwidth(text: str) -> str:
    return "".join(half_kana.get(c, c) for c in unicodedata.normalize("NFD", text))


def fullwidth(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


plain = """滝の中の絵藍ミツア、先生アート
絵藍ミツア
絵藍ミツア、全身、笑顔、柔らかい光
サラリーマン 油絵
白い猫が窓辺で眠っている水彩画
東京の夜景、雨、ネオン、高画質
富士山と桜、浮世絵
赤い髪の少女、花畑、夕焼け、逆光、細かい描き込み
空に浮かぶ古い城、幻想的、パステルカラー
宇宙飛行士が月で馬に乗っている写真
森の中の妖精と狐、絵本の挿絵
ラーメン、湯気、柔らかい光、背景ぼかし
低画質、ぼやけ、指が多い
神社の鳥居、紅葉、朝日
人魚姫、海の底、幻想的な光
a white cat sleeping on a warm window sill
An oil painting of a lighthouse in a storm
watercolor of cherry blossoms by the river, high quality
A GIRL WITH RED HAIR
a bowl of ramen, steam, soft light (detailed:1.2)
an astronaut riding a horse on the moon --ar 16:9
low quality, blurry, bad anatomy
photo of a dog & a cat; "best friends"
don't stop the music
it's a dragon's cave
e-mail: someone@example.com
https://example.com/a?b=c&d=%20e#f
C++ and C# and F#
1girl, solo, 2024, 3.14, 1,000,000
絵藍ミツア in a field of flowers
catと犬とbird
青い目の少年、looking at viewer、上半身
漢字かなカナabc123
私の名前は田中です。よろしくお願いします。
今日はいい天気ですね!散歩に行きましょう?
「こんにちは」と彼女は言った。
『吾輩は猫である』
東京都渋谷区1-2-3
価格は¥1,200です
温度は25℃、湿度60%""".split("\n")

awkward = [
    "", " ", "  ", "\u3000", "\u3000\u3000", "\t", "\n", "\r\n", " \t\n ", "\u00a0", "\u200b", "\ufeff", "\u0085", "\u2028", "\u2029", "\x1c", "\x1d\x1e\x1f", "\x0b\x0c", "\x00", "\x01\x02", "\x7f", "\u00ad",
    "▁", "▁▁", "▁a", "a▁b", "a ▁ b", "▁ ▁", "_a_b_", "猫▁犬", " ▁猫", "▁猫▁ ",
    "!", "!!!", "...", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", "。", "、、、", "「」", "!?", "-", "--- ---", "a.b.c", "'", "( ) [ ] { }", "#猫 #犬", "*", "…", "—", "〜", "~", "・・・",
    *map(halfwidth, ["アイウエオ", "ガギグゲゴ", "パピプペポ", "ミツア", "絵藍ミツア", "ケーキ", "プ", "パン", "ヴァイオリン", "。「」、・", "アニメ風", "ミツア先生アート", "ー", "猫プ 犬プ"]), "ゔ", "ゞ", "ヾ", "ヽヾゝゞ", "\u30f7\u30f8", "\uff9e", "\uff9f", "\uff8c\u309a", "フ\uff9f", "\uff8a\u3099",
    "フ\u309aリン", "カ\u3099ラス", "フ\u309a", "か\u3099き\u3099", "は\u309aひ\u309a", "ウ\u3099", "\u309a", "\u3099か", "ミツア\u3099", "フ\u200d\u309a", "ケ\u30fcキ", "カ\u309b", "ハ\u309c", "アニメ゛", "が\u3099",
    *map(fullwidth, ["ABCabc", "0123456789", "ABC abc 123", "!?.,", "(猫)", "Ctrl+C", "~", "</s>", "<unk>", "</s>.", "word", "[MASK]", "AN OIL PAINTING", "Wide and narrow"]), "\uffe5", "\uff5e", "\uffe0\uffe1", "\uffa1", "\uff0f", "\uff3f", "\u2581\uff3f", "a\u3000b", "猫\u3000犬", "\u3000猫\u3000", "猫 \u3000 犬", "猫\u00a0犬", "a\u200bb", "猫\u200b犬", "a\ufeffb", "\ufeffa", "a\u2003b", "a\u202fb", "a\u205fb", "a\u1680b", "a\u180eb", "a\u2060b",
    "a\tb", "a\nb", "a\r\nb", "a\x0bb", "a\x0cb", "a\x85b", "a\x1cb", "a\x1fb", "a\x00b", "a\x08b", "a\x7fb", "a\u2028b", "a\u2029b", "\ta\t", "\na\n", "a \n b", "Line one\nLine TWO\nLINE three", "猫\n犬\n", "a  b", "a   b", " a", "a ", "  a  b  ",
    "😀", "猫😺", "👩‍🎨", "👨‍👩‍👧‍👦", "👍🏽", "👍🏿👍", "🏳️‍🌈", "🇯🇵", "❤️", "☺", "☺️", "1️⃣", "🫠", "cat 🐱 and dog 🐶", "🎨絵藍ミツア🎨", "𠮷野家", "𩸽", "𝒜𝓃𝒾𝓂𝑒", "𝔸𝔹ℂ", "🄰", "\U0001f9d1\u200d\U0001f680",
    "㍻", "㍿", "㌔", "㌢", "㈱", "①②③", "⑳", "Ⅳ", "ⅳ", "℃", "㎏", "㎡", "ﬁ", "ﬀ", "ﷺ", "½", "x²", "H₂O", "™", "№", "㋿", "令和㋿", "゙", "㍻31年", "株式会社㍿",
    "\u00e9", "e\u0301", "Caf\u00e9", "Cafe\u0301", "na\u00efve", "\u00c5", "A\u030a", "n\u0303", "\u00f1", "\u00fc", "U\u0308", "o\u0308\u0304", "q\u0307\u0323", "a\u0323\u0308", "\u1ea1\u0308", "\u0344", "\u0958", "\u2adc", "\ufb1d", "한국어", "\u1112\u1161\u11ab", "Привет", "ПРИВЕТ", "Ελλάδα", "مرحبا", "שלום", "ไทย", "हिन्दी", "中文", "简体字", "繁體字",
    "İ", "İstanbul", "I", "ı", "DİYARBAKIR", "Σ", "ΟΔΟΣ", "ΟΔΥΣΣΕΥΣ ΟΔΟΣ", "ΑΣ", "ς", "ß", "ẞ", "STRASSE", "Straße", "Ǆ", "ǅ", "ǆ", "ſ", "\u212a", "\u2126", "\u212b", "20 \u212a", "ŉ", "ǰ", "ΐ", "\u1c90", "\u13a0", "\uab70", "Ⓐ", "\U00010400", "\u10a0", "\u1f88", "\u1fbc", "\ufb13", "\u0130\u0307", "\u0049\u0307", "\u03f4", "\u1e9e", "\ua7ae", "\u2c2f", "\U00016e40", "\U0001e900",
    "</s>", "<unk>", "<pad>", "<s>", "[PAD]", "[CLS]", "[SEP]", "[MASK]", "a</s>", "</s>a", "a</s>b", "a </s> b", "a  </s>  b", "猫</s>犬", "</s></s>", "</s> </s>", "a<unk>b", "a <unk> b", "<unk>猫", "猫<unk>", "<UNK>", "</S>", "<pad>a", "a<pad>b", "< /s>", "</s", "/s>", "<</s>>", "<unk></s>", "\u3000</s>\u3000", "猫\t</s>\n犬", "[pad]", "a[MASK]b", "a [MASK] b", "<s>a</s>", "<0x41>", "<0xE3><0x81><0x82>", "<0x0A>", "</s>", "</s>.", "</s>!", "!</s>", "</s>▁a", "▁</s>", " </s>", "<extra_id_0>", "a <extra_id_1> b", "a<extra_id_1>b", "<extra_id_10>", "<extra_id_1>0", "<EXTRA_ID_0>", "<extra_id_0><extra_id_1>", "<extra_id_0> <extra_id_1>",
    "絵藍ミツア絵藍ミツア", "絵藍ミツア 絵藍ミツア", "絵藍ミツアー", "絵藍ミツ", "藍ミツア", "絵藍 ミツア", "x絵藍ミツアx", "絵藍ミツア先生アート", "先生アート絵藍ミツア", "絵藍ミツア", "絵藍ミツア\u3000先生アート", "絵藍ミツア\u200b", "絵藍\u200bミツア", "ミツア先生", "<lora>", "a<lora>b", "a <lora> b", "<LoRA>", "<lora>b<lora>", "a <style> b", "a<style>b", "x <Style> y", "word", "a word b", "swords", "word.", "a word", "word b", "reword word", "猫word犬", "WORD", "a WORD b", "[new1]", "a [new1] b", "a  [New1]  b", "<keep>", "a <keep> b", "<new>", "a <new> b", "<new><new>猫", "<NEW>",
    "a" * 30, "ab" * 100, "pneumonoultramicroscopicsilicovolcanoconiosis", "あ" * 80, "猫" * 200, "ミ" * 63, "ミ" * 64, "ミ" * 65, "-" * 100, "a " * 62, "a " * 63, "a " * 64, "a " * 65, "a " * 75, "a " * 76, "a " * 77, "a " * 78, " " * 200 + "a", "漢" * 70, "😀" * 40, "</s>" * 70, "a</s>" * 40, "<unk>" * 70, "a " * 62 + "</s>", "a " * 63 + "</s>", "a " * 75 + "</s>", "a " * 76 + "</s>",
    "滝の中の絵藍ミツア、先生アート、" * 20, "a white cat sleeping on a warm window sill, " * 20, "高画質、 detailed、 柔らかい光、soft light、" * 15, "絵藍ミツア" * 100, "東京の夜景、雨、" * 12 + "</s>" + "富士山" * 40, "Aa Bb Cc " * 40,
]

fragments = ["猫", "犬と", "絵藍ミツア", "ミツア", "先生アート", "、", "。", " ", "  ", "\u3000", "\n", "a", "A", "cat", "Cat", "CAT", "painting", "プ", "フ\u309a", "\uff8c\uff9f", "\uff37", "\uff13", "9", "👩‍🎨", "é", "e\u0301", "İ", "Σ", "ß", ",", ".", "!", "-", "</s>", "<unk>", "<s>", "[MASK]", "<extra_id_3>", "▁", "\u200b", "\u00a0", "㍿", "한", "<lora>", "word", "<style>", "[new1]", "<", ">", "/", "\x00", "\u0085", "\uff70", "\uff76\uff9e", "\u3099", "の", "夕暮れ", "light", "滝", "ﬁ", "①"]


def mixed(count: int = 200) -> list[str]:
    draw = random.Random(4)
    return ["".join(draw.choices(fragments, k=draw.choice([2, 3, 4, 6, 9, 14, 40]))) for _ in range(count)]


def strings() -> list[str]:
    return list(dict.fromkeys([*plain, *awkward, *mixed()]))
