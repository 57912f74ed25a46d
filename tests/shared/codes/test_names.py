"""Names: spellings that are one enterprise, spellings that are not, and characters that may not be stored."""

import pytest

from shared.codes import is_clean_text, normal_name


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("英特明州（宁波）医药有限公司", "英特明州(宁波)医药有限公司"),
        ("华东医药股份有限公司 ", "华东医药股份有限公司"),
        ("诺和诺德 (中国) 制药", "诺和诺德(中国)制药"),
        ("Novo  Nordisk\u3000A/S", "Novo Nordisk A/S"),
        ("Ｎｏｖｏ Nordisk", "Novo Nordisk"),
        ("某〔集团〕公司", "某(集团)公司"),
    ],
)
def test_two_spellings_of_one_enterprise_are_equal(one: str, other: str) -> None:
    assert normal_name(one) == normal_name(other)
    assert normal_name(normal_name(one)) == normal_name(one)


def test_different_words_stay_different() -> None:
    assert normal_name("国药控股宁波有限公司") != normal_name("国药控股温州有限公司")
    assert normal_name("Novo Nordisk") != normal_name("NovoNordisk")


@pytest.mark.parametrize("text", ["", "浙江大学医学院附属第二医院", "ok 👩‍⚕️", "a\u2029b", "\u2065", "\u206a", "x" * 50])
def test_ordinary_text_is_clean(text: str) -> None:
    assert is_clean_text(text, 50)


@pytest.mark.parametrize(
    "text",
    [
        "a\x00",
        "\x01",
        "\x1f",
        "\x7f",
        "\x85",
        "\n",
        "\t",
        "\ud800",
        "a\udfff",
        "\u202a",
        "\u202e",
        "\u2066",
        "\u2069",
        "x" * 51,
    ],
)
def test_text_that_hides_reorders_breaks_or_is_too_long_is_not_clean(text: str) -> None:
    assert not is_clean_text(text, 50)
