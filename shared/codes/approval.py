"""Approval, registration and filing numbers of drugs and devices: parts that contradict are refused."""

import re
import unicodedata
from enum import StrEnum

from shared.codes.refused import CodeRefused, code_text
from shared.codes.region import PROVINCES
from shared.errors import Said
from shared.values import frozen


class ApprovalKind(StrEnum):
    DRUG = "drug"
    DRUG_IMPORT_CERTIFICATE = "drug_import_certificate"
    DEVICE_REGISTRATION = "device_registration"
    DEVICE_REGISTRATION_OLD = "device_registration_old"
    DEVICE_FILING = "device_filing"


class Origin(StrEnum):
    DOMESTIC = "domestic"
    OVERSEAS = "overseas"
    HONG_KONG_MACAO_TAIWAN = "hong_kong_macao_taiwan"


@frozen
class Approval:
    """`number` is the normal form; `device_class` is 1 to 3, and None for drugs.

    `issued_by` is 国 or the abbreviation of a province for devices; for drugs renumbered in 2002 the GB code
    of the province they come from, and None for the nation's.
    """

    number: str
    kind: ApprovalKind
    origin: Origin
    year: int
    issued_by: str | None
    device_class: int | None


# As printed before the 械 of a device number; Guizhou and Yunnan are met with both of their abbreviations.
PROVINCE_ABBREVIATIONS = "京津冀晋蒙辽吉黑沪苏浙皖闽赣鲁豫鄂湘粤桂琼渝川贵黔云滇藏陕甘青宁新"

_DRUG_ALLOWED = (
    "国药准字 with H, Z, S (behind it J for overseas, C for Hong Kong, Macao, Taiwan), B, T, F, J or C; "
    "then 8 digits; or an import certificate: H, Z, S, HC, ZC, SC (B before it for bulk packs) or F, 8 digits"
)
_DEVICE_ALLOWED = (
    "国 or a province, 械注, 准 (进, 许 only with 国), year, class, 2 digits of category, 4 or 5 of serial; "
    "国械注准 is class 3, 国械注进 and 国械注许 are 2 or 3, a province is 准 and class 2; "
    "or …械备…号, or …食药监械(准)字…第…号"
)
_DRUG = re.compile(r"国药准字([HZS][JC]?|[BTFJC])([0-9]{8})")
_IMPORT = re.compile(r"(B?[HZS]C?|F)([0-9]{8})")
_DEVICE = re.compile(r"([一-龥])械注(准|进|许)(20[0-9]{2})([123])[0-9]{2}[0-9]{4,5}")
_DEVICE_OLD = re.compile(r"([一-龥])([一-龥]?)食药监械\((准|进|许)\)字(20[0-9]{2})第([123])[0-9]{2}[0-9]{4,5}号")
_FILING = re.compile(r"([一-龥])([一-龥]{0,2})械备(20[0-9]{2})[0-9]{4,5}号?")

_ORIGINS = {"J": Origin.OVERSEAS, "C": Origin.HONG_KONG_MACAO_TAIWAN}
_DEVICE_ORIGINS = {
    "准": Origin.DOMESTIC,
    "进": Origin.OVERSEAS,
    "许": Origin.HONG_KONG_MACAO_TAIWAN,
}
_TURN_OF_CENTURY = 50

# The device classes each authority registers.
_NATIONAL: tuple[int, ...] = (3,)
_PROVINCIAL: tuple[int, ...] = (2,)
_MUNICIPAL: tuple[int, ...] = (1,)
_IMPORTED: tuple[int, ...] = (2, 3)
_IMPORTED_OLD: tuple[int, ...] = (1, 2, 3)


def parse_approval(text: str) -> Approval:
    """A drug's or a device's number, told apart by its words. Raises CodeRefused."""
    return parse_device_approval(text) if "械" in text else parse_drug_approval(text)


def parse_drug_approval(text: str) -> Approval:
    """国药准字 and the older import certificates.

    Digits 1 to 4 are a year only when they begin with 19 or 20: the renumbering of 2002 gave older drugs the
    origin (10 for the ministry of health, else the province) and two digits of the year.
    Source: Drug Registration Regulation; domain rules 2.7. Raises CodeRefused.
    """
    number = _normal(text, _DRUG_ALLOWED)
    if match := _DRUG.fullmatch(number):
        letters, digits = match.groups()
        # J alone is an import packed at home; C alone a classic formula 古代经典名方, which is domestic.
        origin = Origin.OVERSEAS if letters == "J" else _ORIGINS.get(letters[1:], Origin.DOMESTIC)
        kind = ApprovalKind.DRUG
    elif match := _IMPORT.fullmatch(number):
        letters, digits = match.groups()
        origin = Origin.HONG_KONG_MACAO_TAIWAN if letters.endswith("C") else Origin.OVERSEAS
        kind = ApprovalKind.DRUG_IMPORT_CERTIFICATE
    else:
        raise CodeRefused(text, "not an approval number of a drug", _DRUG_ALLOWED)
    year, province = _year_and_province(digits)
    return Approval(number, kind, origin, year, province, None)


def parse_device_approval(text: str) -> Approval:
    """Registrations 械注, filings 械备 of class 1, and registrations from before 2014.

    Source: Device Registration Regulation; domain rules 2.7. Raises CodeRefused, also when issuer, word and
    class contradict each other.
    """
    number = _normal(text, _DEVICE_ALLOWED)
    if match := _DEVICE.fullmatch(number):
        issuer, word, year, digit = match.groups()
        _check_device(text, issuer, word, int(digit))
        kind = ApprovalKind.DEVICE_REGISTRATION
        return Approval(number, kind, _DEVICE_ORIGINS[word], int(year), issuer, int(digit))
    if match := _DEVICE_OLD.fullmatch(number):
        issuer, city, word, year, digit = match.groups()
        _check_old_device(text, issuer + city, word, int(digit))
        kind = ApprovalKind.DEVICE_REGISTRATION_OLD
        return Approval(number, kind, _DEVICE_ORIGINS[word], int(year), issuer, int(digit))
    if match := _FILING.fullmatch(number):
        issuer, city, year = match.groups()
        _check_issuer(text, issuer + city)
        origin = Origin.OVERSEAS if issuer == "国" else Origin.DOMESTIC
        normal = number.removesuffix("号") + "号"
        return Approval(normal, ApprovalKind.DEVICE_FILING, origin, int(year), issuer, 1)
    raise CodeRefused(text, "not a registration or filing number of a device", _DEVICE_ALLOWED)


def _normal(text: str, allowed: str) -> str:
    plain = code_text(text, allowed)
    return "".join(unicodedata.normalize("NFC", plain).split())


def _year_and_province(digits: str) -> tuple[int, str | None]:
    if digits[:2] in ("19", "20"):
        return int(digits[:4]), None
    short_year = int(digits[2:4])
    year = short_year + (1900 if short_year >= _TURN_OF_CENTURY else 2000)
    return year, digits[:2] if digits[:2] in PROVINCES else None


def _check_issuer(text: str, issuer: str) -> None:
    if issuer != "国" and issuer[0] not in PROVINCE_ABBREVIATIONS:
        raise CodeRefused(
            text, Said("{issuer} is neither 国 alone nor begins with a province", issuer=issuer), _DEVICE_ALLOWED
        )


def _check_device(text: str, issuer: str, word: str, device_class: int) -> None:
    _check_issuer(text, issuer)
    if issuer != "国":
        allowed = _PROVINCIAL if word == "准" else ()
    else:
        allowed = _NATIONAL if word == "准" else _IMPORTED
    if device_class not in allowed:
        raise CodeRefused(text, _not_of_class(f"{issuer}…{word}", device_class), _DEVICE_ALLOWED)


def _not_of_class(form: str, device_class: int) -> Said:
    return Said("{form} is not given to class {device_class}", form=form, device_class=device_class)


def _check_old_device(text: str, issuer: str, word: str, device_class: int) -> None:
    """Before 2014 cities registered class 1, provinces class 2, and the nation class 3 and all imports."""
    _check_issuer(text, issuer)
    if issuer == "国":
        allowed = _NATIONAL if word == "准" else _IMPORTED_OLD
    elif word == "准":
        allowed = _PROVINCIAL if len(issuer) == 1 else _MUNICIPAL
    else:
        allowed = ()
    if device_class not in allowed:
        raise CodeRefused(text, _not_of_class(f"{issuer}…({word})", device_class), _DEVICE_ALLOWED)
