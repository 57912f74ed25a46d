"""From a cell's text to a typed value, or to a refusal that says what would have been accepted.

Invariant: a value is taken only when it can be meant in one way, and a row reports all its faults at once.
"""

import datetime as dt
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from types import TracebackType
from typing import Final, Self, TypeVar, cast
from zoneinfo import ZoneInfo

from shared.codes import emoji_in
from shared.errors import Said
from shared.imports.folding import folded
from shared.imports.numbers import SCIENTIFIC
from shared.imports.refusals import Refusal, shortened
from shared.imports.sheet import Row

T = TypeVar("T")
Parser = Callable[[str], T]
"""Takes a stripped text that is not empty; raises ValueError, best with `rule` and `allowed`."""

ERRORS: Final = frozenset(
    {"#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A", "#GETTING_DATA", "#SPILL!", "#CALC!"}
)
"""What a workbook shows where a formula came to nothing (ECMA-376 part 1, 18.17.3, and the newer ones of Excel)."""
LOCAL: Final = ZoneInfo("Asia/Shanghai")
MAX_DIGITS = 18

_NUMBER = re.compile(r"[+-]?(?:\d+|\d{1,3}(?:,\d{3})+)(?:\.\d+)?")
_DATE = re.compile(r"(\d{4})(?:-(\d{1,2})-|/(\d{1,2})/|\.(\d{1,2})\.|年(\d{1,2})月)(\d{1,2})日?")
_COMPACT_DATE = re.compile(r"(\d{4})(\d{2})(\d{2})")
_TIME = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d{1,9})?)?")
_DATES_ALLOWED = "2023-06-29, 2023/6/29, 2023.6.29, 20230629 or 2023年6月29日"

# Marks that turn or hide what stands next to them (Unicode bidi controls).
_BIDI = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class FieldRefused(ValueError):
    """One text that is not what its field takes."""

    def __init__(self, given: str, rule: str, allowed: str) -> None:
        self.given = given
        self.rule = rule
        self.allowed = allowed
        super().__init__(f"{shortened(given)!r}: {rule}; accepted: {allowed}")


class RowRefused(ValueError):
    """A row with at least one fault; `refusals` are all of them."""

    def __init__(self, refusals: tuple[Refusal, ...]) -> None:
        self.refusals = refusals
        super().__init__("; ".join(f"row {r.row}, {r.column}: {r.rule}" for r in refusals))


class RowReader:
    """Collects every fault of a row and raises them together at the end of its `with` block.

        with RowReader(row, binder(row), binder.columns) as fields:
            code = fields.need("product_code", parse_product_code)
            price = fields.need("price_yuan", decimal(places=4))
        # here every value is good

    Inside the block a value may be None where a fault was found: do no more than read there.
    """

    def __init__(self, row: Row, values: Mapping[str, str | None], columns: Mapping[str, str]) -> None:
        self._row = row
        self._values = values
        self._columns = columns
        self._refusals: list[Refusal] = []
        if row.surplus:
            surplus = ", ".join(row.surplus)
            self._refusals.append(
                Refusal(row.number, "", shortened(surplus), "more cells than columns", "one cell for each column")
            )

    @property
    def faulty(self) -> bool:
        """Whether a fault was found so far."""
        return bool(self._refusals)

    def need(self, field: str, parser: Parser[T]) -> T:
        """The field's value; a missing one is a fault."""
        text = self._values.get(field)
        if text is None:
            self.refuse(field, "", "a value is missing", "a value that is not empty")
            return cast(T, None)
        return self._parsed(field, text, parser)

    def take(self, field: str, parser: Parser[T]) -> T | None:
        """The field's value, or None where the sheet has none."""
        text = self._values.get(field)
        return None if text is None else self._parsed(field, text, parser)

    def refuse(self, field: str, given: str, rule: str, allowed: str) -> None:
        """Add a fault that the importer itself found."""
        column = self._columns.get(field, field)
        self._refusals.append(Refusal(self._row.number, column, shortened(given), rule, allowed))

    def _parsed(self, field: str, text: str, parser: Parser[T]) -> T:
        if text.startswith("=") or text in ERRORS:
            rule = "an error of the workbook" if text in ERRORS else "a formula whose value the file does not hold"
            self.refuse(field, text, rule, "the value itself")
            return cast(T, None)
        try:
            return parser(text)
        except ValueError as error:
            allowed = getattr(error, "allowed", "")
            rule = getattr(error, "rule", str(error))
            self.refuse(field, text, rule, allowed if isinstance(allowed, str) else ", ".join(map(str, allowed)))
            return cast(T, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None and self._refusals:
            raise RowRefused(tuple(self._refusals))


def text(*, max_characters: int = 200) -> Parser[str]:
    """Text of one line, without characters that cannot be seen."""
    allowed = Said("at most {most} characters in one line, without control marks or emoji", most=max_characters)

    def parse(given: str) -> str:
        if len(given) > max_characters:
            raise FieldRefused(given, Said("{count} characters are too many", count=len(given)), allowed)
        for character in given:
            if character in _BIDI or unicodedata.category(character) in {"Cc", "Cs", "Cn"}:
                raise FieldRefused(given, _not_allowed(character), allowed)
        if emoji := emoji_in(given):
            raise FieldRefused(given, _not_allowed(emoji), allowed)
        return given

    return parse


def decimal(
    *, places: int, minimum: Decimal | int | None = None, maximum: Decimal | int | None = None
) -> Parser[Decimal]:
    """An exact decimal of at most `places`; zeros beyond them are no fault. Never rounds."""
    allowed = Said(
        "a number of at most {places} decimal places{between}", places=places, between=_between(minimum, maximum)
    )

    def parse(given: str) -> Decimal:
        value = _exact_number(given, allowed)
        whole, _, fraction = f"{value:f}".partition(".")
        if len(fraction.rstrip("0")) > places:
            raise FieldRefused(given, Said("more than {places} decimal places", places=places), allowed)
        if len(whole.lstrip("-")) > MAX_DIGITS:
            raise FieldRefused(given, Said("more than {most} digits", most=MAX_DIGITS), allowed)
        _check_between(given, value, minimum, maximum, allowed)
        return value

    return parse


def whole_number(*, minimum: int | None = None, maximum: int | None = None) -> Parser[int]:
    """A whole number; `12.0` is 12, `12.5` is refused."""
    allowed = Said("a whole number{between}", between=_between(minimum, maximum))

    def parse(given: str) -> int:
        value = _exact_number(given, allowed)
        if value != value.to_integral_value():
            raise FieldRefused(given, "not a whole number", allowed)
        if abs(value) >= 10**MAX_DIGITS:
            raise FieldRefused(given, Said("more than {most} digits", most=MAX_DIGITS), allowed)
        _check_between(given, value, minimum, maximum, allowed)
        return int(value)

    return parse


def date(given: str) -> dt.date:
    """A day in the usual ways of writing it; a time of day behind it is left out, a bare serial number refused."""
    day, _ = _day_and_time(given)
    return day


def local_time(given: str) -> dt.datetime:
    """A moment by the clock of Asia/Shanghai, aware; a day without a time is its midnight."""
    day, time = _day_and_time(given)
    return dt.datetime.combine(day, time, LOCAL)


def yes_no(given: str) -> bool:
    return _YES_NO(given)


def choice(values: Mapping[str, T]) -> Parser[T]:
    """One of a closed set, compared without regard to width, case and spaces."""
    by_name = {folded(name): value for name, value in values.items()}
    allowed = ", ".join(values)

    def parse(given: str) -> T:
        try:
            return by_name[folded(given)]
        except KeyError:
            raise FieldRefused(given, "not one of the values of this field", allowed) from None

    return parse


def choice_of(names: Iterable[str]) -> Parser[str]:
    """One of these names, as it is written here."""
    return choice({name: name for name in names})


_YES_NO = choice(
    {"是": True, "否": False, "yes": True, "no": False, "true": True, "false": False}
    | {"Y": True, "N": False, "1": True, "0": False, "有": True, "无": False}
)


def _exact_number(given: str, allowed: str) -> Decimal:
    plain = unicodedata.normalize("NFKC", given).strip()
    if SCIENTIFIC.fullmatch(plain):
        raise FieldRefused(given, "a number in scientific form has lost digits", allowed)
    if not plain.isascii() or not _NUMBER.fullmatch(plain):
        raise FieldRefused(given, "not a number", allowed)
    return Decimal(plain.replace(",", ""))


def _not_allowed(character: str) -> Said:
    return Said("the character U+{number} is not allowed", number=f"{ord(character):04X}")


def _between(minimum: Decimal | int | None, maximum: Decimal | int | None) -> Said:
    lower = Said("") if minimum is None else Said(", at least {minimum}", minimum=minimum)
    return lower if maximum is None else Said("{lower}, at most {maximum}", lower=lower, maximum=maximum)


def _check_between(
    given: str, value: Decimal, minimum: Decimal | int | None, maximum: Decimal | int | None, allowed: str
) -> None:
    if minimum is not None and value < minimum:
        raise FieldRefused(given, Said("less than {minimum}", minimum=minimum), allowed)
    if maximum is not None and value > maximum:
        raise FieldRefused(given, Said("more than {maximum}", maximum=maximum), allowed)


def _day_and_time(given: str) -> tuple[dt.date, dt.time]:
    plain = unicodedata.normalize("NFKC", given).strip()
    written, _, rest = plain.partition("T" if "T" in plain else " ")
    found = _DATE.fullmatch(written) or _COMPACT_DATE.fullmatch(written)
    clock = _TIME.fullmatch(rest.strip()) if rest.strip() else None
    if found is None or (rest.strip() and clock is None):
        rule = "a bare number is no date" if plain.isdecimal() else "not a date"
        raise FieldRefused(given, rule, _DATES_ALLOWED)
    year, month, day = (int(part) for part in found.groups() if part is not None)
    hour, minute, second = (int(part or 0) for part in clock.groups()) if clock else (0, 0, 0)
    try:
        return dt.date(year, month, day), dt.time(hour, minute, second)
    except ValueError:
        raise FieldRefused(given, "no such day or time", _DATES_ALLOWED) from None
