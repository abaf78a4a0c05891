"""How alike two names sound, whatever the scripts they are written in.

A name keeps its sound when a text is translated. Here both sides are brought to rough Latin
letters, spellings of the same sound are folded into one, and the rest is edit distance. It is
enough to tell that Шульман, 舒爾曼 and Schulman are one name, and no more than that.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

import numpy
from rapidfuzz.distance import Indel
from rapidfuzz.process import cdist

# One line a script: its letters, and how each sounds.
ALPHABETS = (
    (
        "абвгдеёжзийклмнопрстуфхцчшщъыьэюяіїєґўјљњћђџќѓѕ",
        "a b v g d e e zh z i i k l m n o p r s t u f kh ts ch sh sh _ i _ e yu ya "
        "i i e g u j l n c d dzh k g dz",
    ),
    (
        "αβγδεζηθικλμνξοπρσςτυφχψω",
        "a v g d e z i th i k l m n x o p r s s t i f kh ps o",
    ),
    (
        "ابتثجحخدذرزسشصضطظعغفقكلمنهويىةءپچژگکی",
        "a b t th j h kh d d r z s sh s d t z _ g f k k l m n h u i a a _ p ch zh g k i",
    ),
    (
        "אבגדהוזחטיכךלמםנןסעפףצץקרשת",
        "a b g d h u z h t i k k l m m n n s _ p p ts ts k r sh t",
    ),
    (
        "აბგდევზთიკლმნოპჟრსტუფქღყშჩცძწჭხჯჰ",
        "a b g d e v z t i k l m n o p zh r s t u p k g k sh ch ts dz ts ch kh j h",
    ),
    (
        "աբգդեզէըթժիլխծկհձղճմյնշոչպջռսվտրցւփքօֆ",
        "a b g d e z e e t zh i l kh ts k h dz g ch m i n sh o ch p j r s v t r ts u p k o f",
    ),
)
# The characters that Chinese writes foreign names with, simplified and traditional.
HAN = """
a 阿 ai 艾爱愛埃 an 安 ang 昂 ao 奥奧 ba 巴芭 bai 拜白 ban 班 bao 鲍鮑保宝寶 bei 贝貝 ben 本
bi 比彼毕畢碧 bin 宾賓彬 bo 波伯博柏勃 bu 布 cha 查 chen 陈陳 chu 楚 chuan 川 ci 茨 da 达達
dai 戴代 dan 丹 dao 道 de 德得 deng 邓鄧登 di 迪蒂狄帝 ding 丁 dong 东東 du 杜 dun 顿頓敦 duo 多朵
e 厄俄 en 恩 er 尔爾耳儿 fa 法 fan 凡范范 fei 费費菲 fen 芬 feng 冯馮 fu 弗夫福富甫芙 ga 嘎伽
gan 甘 gang 冈岡 gao 高 ge 格戈葛 gen 根 gu 古 gua 瓜 gui 圭 guo 果郭 ha 哈 hai 海 han 汉漢罕翰
hao 豪 he 赫荷 heng 亨 hong 洪 hu 胡 hua 华華 hui 惠 huo 霍 ji 吉基季 jia 加贾賈佳嘉 jiang 江
jie 杰傑 jin 金津 jing 京 ka 卡 kai 凯凱 kan 坎 kang 康 kao 考 ke 克科柯可 ken 肯 kong 孔 ku 库庫
kui 奎 kun 昆 la 拉 lai 莱萊来來赖賴 lan 兰蘭 lang 朗郎 lao 劳勞 le 勒乐樂 lei 雷蕾
li 利里莉丽麗李 lian 连莲 liang 良 lie 列烈 lin 林琳 ling 灵 liu 刘柳 long 龙龍隆 lu 卢盧鲁魯路露
lun 伦倫 luo 罗羅洛 ma 马馬玛瑪 mai 迈邁麦麥 man 曼 mao 毛 mei 梅美 men 门門 meng 蒙孟 mi 米密
ming 明 mo 莫摩墨默 mu 穆姆木 na 纳納娜那 nai 奈 nan 南楠 ni 尼妮 nie 涅 ning 宁寧 niu 纽紐 nu 努
nuo 诺諾 ou 欧歐 pa 帕 pai 派 pan 潘 pei 佩裴 peng 彭 pi 皮 ping 平 pu 普蒲 qi 奇齐齊契 qiao 乔喬
qin 钦欽 qiu 丘邱 rang 让讓 ren 任仁 rong 荣榮 ru 茹 rui 瑞 ruo 若 sa 萨薩 sai 塞赛賽 sang 桑
se 色瑟 sen 森 sha 沙莎 shan 珊 shang 尚 shao 绍紹 she 舍 shen 申 sheng 圣聖 shi 什史施石 shu 舒
si 斯思司丝絲 song 松宋 su 苏蘇 sun 孙孫 suo 索 ta 塔 tai 泰太台 tan 坦谭 tang 汤湯唐 tao 陶 te 特
teng 腾滕 ti 提 tian 田 ting 廷 tong 通 tu 图圖 tuo 托 wa 瓦娃 wan 万萬 wang 旺王 wei 威维維韦韋魏
wen 文温 weng 翁 wo 沃 wu 乌烏武伍 xi 西希锡錫 xia 夏 xiao 肖萧 xie 谢謝 xin 辛 xiong 雄 xiu 休修
xu 许 xue 雪 ya 亚亞雅娅婭 yang 扬揚 yao 姚 ye 耶叶葉 yi 伊 yin 因 ying 英 you 尤 yu 于 yue 约約
yun 云 za 扎 ze 泽澤 zeng 曾 zhan 詹 zhao 赵 zhe 哲 zhen 珍 zhi 芝 zhu 朱 zhuo 卓 zi 兹茲 zu 祖
zuo 佐
"""
# What sounds alike is written alike; in this order.
SPELLINGS = (
    (r"c(?=[eiy])", "s"),
    ("t?sch|tch|ch", "sh"),
    ("ph", "f"),
    ("ck", "k"),
    ("th", "t"),
    ("kh", "h"),
    ("x", "ks"),
    ("qu", "kv"),
    ("w", "v"),
    ("ß", "s"),
    ("dzh|zh", "j"),
    ("[cq]", "k"),
    ("[yj]", "i"),
    ("æ", "e"),
    ("ø", "o"),
    (r"[\W_]+", ""),
    (r"(.)\1+", r"\1"),
)


def _read_tables() -> dict[str, str]:
    table: dict[str, str] = {}
    for letters, sounds in ALPHABETS:
        table.update(zip(letters, sounds.replace("_", "").split(" "), strict=True))
    entries = HAN.split()
    for sound, letters in zip(entries[::2], entries[1::2], strict=True):
        table.update(dict.fromkeys(letters, sound))
    return table


SOUNDS = _read_tables()
_SPELLINGS = [(re.compile(pattern), sound) for pattern, sound in SPELLINGS]
_SYLLABLE = re.compile(r"(?:HIRAGANA|KATAKANA) LETTER (?:SMALL )?(\w+)$|HANGUL SYLLABLE (\w+)$")
_INDIC = re.compile(r"\w+ (?:LETTER|VOWEL SIGN) (\w+?)(A?)$")


@lru_cache(maxsize=4096)
def _sound_of(character: str) -> str:
    if character in SOUNDS:
        return SOUNDS[character]
    name = unicodedata.name(character, "")
    syllable = _SYLLABLE.match(name)
    if syllable:
        return (syllable[1] or syllable[2]).lower()
    # in these blocks a consonant's name ends in the vowel that is only sometimes spoken
    indic = _INDIC.match(name) if "\u0900" <= character <= "\u0dff" else None
    return indic[1].lower() if indic else character


@lru_cache(maxsize=1 << 16)
def sound(name: str) -> str:
    """Reduce a name to how it sounds, roughly.

    name (str): The name, in any script.
    RETURNS (str): Lower-case letters without spaces. What has no sound here stays as it is.
    """
    letters = name.lower()
    if not letters.isascii():
        # composed, because a Hangul syllable has its sound in its name
        letters = "".join(map(_sound_of, unicodedata.normalize("NFKC", letters)))
        decomposed = unicodedata.normalize("NFKD", letters)
        letters = "".join(c for c in decomposed if not unicodedata.combining(c))
        letters = "".join(map(_sound_of, letters))
    for pattern, folded in _SPELLINGS:
        letters = pattern.sub(folded, letters)
    return letters


def compare_names(names: Sequence[str], others: Sequence[str]) -> numpy.ndarray:
    """Compute the phonetic similarity of names.

    names (Sequence[str]): n names.
    others (Sequence[str]): m names.
    RETURNS (numpy.ndarray): float32, (n, m), between 0 and 1. Names without a single letter or
        digit are like nothing.
    """
    if not names or not others:
        return numpy.zeros((len(names), len(others)), dtype="float32")
    sounds, other_sounds = list(map(sound, names)), list(map(sound, others))
    alike = cdist(sounds, other_sounds, scorer=Indel.normalized_similarity, dtype=numpy.float32)
    alike[[not one for one in sounds]] = 0.0
    alike[:, [not one for one in other_sounds]] = 0.0
    return alike
