"""NHSA consumable codes 医保医用耗材编码: 20 characters name a product of a maker, 27 one model of it."""

import re

from shared.codes.refused import CodeRefused, code_text
from shared.values import frozen

_ALLOWED = "C and 19 digits, or C and 26 digits with the model"
_FORM = re.compile(r"C([0-9]{6})([0-9]{3})([0-9]{5})([0-9]{5})([0-9]{7})?")


@frozen
class ConsumableCode:
    """The parts: class 分类码, generic name 通用名码, material and specification 产品特征码, maker, model."""

    code: str
    class6: str
    generic3: str
    feature5: str
    maker5: str
    model7: str | None


def parse_consumable(text: str) -> ConsumableCode:
    """The parts of a consumable code. Source: NHSA coding rules; domain rules 2.2. Raises CodeRefused."""
    code = code_text(text, _ALLOWED)
    match = _FORM.fullmatch(code)
    if match is None:
        raise CodeRefused(text, "a consumable code is C and 19 or 26 digits", _ALLOWED)
    return ConsumableCode(code, *match.groups())
