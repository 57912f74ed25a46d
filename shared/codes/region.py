"""Administrative regions (GB/T 2260, six digits): which region lies in which is decided by the code alone."""

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from shared.codes.refused import CodeRefused, code_text

NATION = "000000"

PROVINCES: Mapping[str, str] = MappingProxyType(
    {
        "11": "北京市",
        "12": "天津市",
        "13": "河北省",
        "14": "山西省",
        "15": "内蒙古自治区",
        "21": "辽宁省",
        "22": "吉林省",
        "23": "黑龙江省",
        "31": "上海市",
        "32": "江苏省",
        "33": "浙江省",
        "34": "安徽省",
        "35": "福建省",
        "36": "江西省",
        "37": "山东省",
        "41": "河南省",
        "42": "湖北省",
        "43": "湖南省",
        "44": "广东省",
        "45": "广西壮族自治区",
        "46": "海南省",
        "50": "重庆市",
        "51": "四川省",
        "52": "贵州省",
        "53": "云南省",
        "54": "西藏自治区",
        "61": "陕西省",
        "62": "甘肃省",
        "63": "青海省",
        "64": "宁夏回族自治区",
        "65": "新疆维吾尔自治区",
        "71": "台湾省",
        "81": "香港特别行政区",
        "82": "澳门特别行政区",
    }
)

_ALLOWED = f"6 digits beginning with one of the {len(PROVINCES)} province codes, or {NATION} for the nation"
_SIX_DIGITS = re.compile(r"[0-9]{6}")


@lru_cache(maxsize=4096)
def parse_region(text: str) -> str:
    """The six digits of a region; only the province is checked, since lower boundaries change.

    Source: GB/T 2260; domain rules 2.6. Raises CodeRefused.
    """
    code = code_text(text, _ALLOWED)
    if not _SIX_DIGITS.fullmatch(code):
        raise CodeRefused(text, "a region code is 6 digits", _ALLOWED)
    if code != NATION and code[:2] not in PROVINCES:
        raise CodeRefused(text, "the first two digits name no province", _ALLOWED)
    return code


@lru_cache(maxsize=4096)
def region_prefix(region: str) -> str:
    """What every code inside the region begins with: 330000 gives 33, 330100 gives 3301, the nation nothing.

    Raises CodeRefused.
    """
    code = parse_region(region)
    if code == NATION:
        return ""
    if code.endswith("0000"):
        return code[:2]
    if code.endswith("00"):
        return code[:4]
    return code


def covers(outer: str, inner: str) -> bool:
    """Whether `inner` is `outer` or lies in it. Raises CodeRefused for either."""
    return parse_region(inner).startswith(region_prefix(outer))


def province_name(region: str) -> str:
    """The name of the province a region lies in, or 全国 for the nation. Raises CodeRefused."""
    code = parse_region(region)
    return "全国" if code == NATION else PROVINCES[code[:2]]
