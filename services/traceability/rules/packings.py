"""What may lie in what: the level of the outer package is higher, so nothing can ever lie in itself.

Source: domain rules 1.2 (小码 一级, 中码 二级, 大码 三级; a case of several drugs is opened before it is scanned).
"""

from collections.abc import Mapping, Sequence

from services.traceability.errors import PackingRefused
from services.traceability.rules.documents import Item, Refused
from services.traceability.rules.identification_codes import Meaning
from shared.codes import CodeRefused, Family, TraceCode, classify
from shared.errors import Fault, Said

SMALLEST = 1


def read_packing(parent: str, children: Sequence[str]) -> tuple[TraceCode, list[TraceCode]]:
    """The codes in their normal form. Raises PackingRefused with every fault."""
    faults: list[Fault] = []
    read: list[TraceCode] = []
    seen: set[str] = set()
    for pointer, text in [("/parent", parent), *((f"/children/{place}", text) for place, text in enumerate(children))]:
        try:
            trace = classify(text)
        except CodeRefused as error:
            faults.append(Fault(pointer, error.given, error.rule, error.allowed))
            continue
        if trace.family is Family.SPLIT_PLACEHOLDER:
            faults.append(
                Fault(pointer, trace.code, "the placeholder of split packs stands for no package", "a trace code")
            )
        elif trace.code in seen:
            faults.append(Fault(pointer, trace.code, "the code stands in this packing twice", "each code once"))
        seen.add(trace.code)
        read.append(trace)
    if faults:
        raise PackingRefused(
            "{count:#code} of the packing of {parent} cannot be taken.",
            faults=faults,
            count=len(faults),
            parent=parent[:40],
        )
    return read[0], read[1:]


def check_levels(
    parent: TraceCode, children: Sequence[TraceCode], meanings: Mapping[str, Meaning]
) -> tuple[Meaning, list[Meaning]]:
    """The meanings of all, the outer package's level being higher. Raises PackingRefused with every fault."""
    outer = meanings.get(parent.ident or parent.code)
    if outer is None:
        raise PackingRefused(
            "The identification code of {code} is not known; upload it first.",
            faults=[Fault("/parent", parent.code, "its identification code is not known", "a known one")],
            code=parent.code,
        )
    faults: list[Fault] = []
    inner: list[Meaning] = []
    for place, child in enumerate(children):
        meaning = meanings.get(child.ident or child.code)
        if meaning is None:
            faults.append(
                Fault(f"/children/{place}", child.code, "its identification code is not known", "a known one")
            )
        elif meaning.level >= outer.level:
            faults.append(
                Fault(
                    f"/children/{place}",
                    child.code,
                    Said("level {level} cannot lie in level {level_2}", level=meaning.level, level_2=outer.level),
                    Said("levels below {level}", level=outer.level),
                )
            )
        else:
            inner.append(meaning)
    if faults:
        raise PackingRefused("{count:#code} cannot lie in {code}.", faults=faults, count=len(faults), code=parent.code)
    return outer, inner


def said_to_hold(case: Meaning) -> int | None:
    """Sale units of a case by its identification code. None: it was uploaded without them, so it says one."""
    return case.packs_per_unit if case.packs_per_unit > 1 else None


def fitting(
    case: Meaning, inside: int, codes: Sequence[tuple[TraceCode, Meaning]]
) -> tuple[list[tuple[TraceCode, Meaning]], list[Refused]]:
    """The codes that fit into a case beside the sale units `inside`, in their order, and those that are too many."""
    fit: list[tuple[TraceCode, Meaning]] = []
    refused: list[Refused] = []
    ratio = said_to_hold(case)
    for trace, meaning in codes:
        if ratio is not None and inside + meaning.packs_per_unit > ratio:
            rule = Said(
                "the case holds {ratio} sale units by its identification code {ident}, {inside} lie in it: {more} more do"
                " not fit",
                ratio=ratio,
                ident=case.ident,
                inside=inside,
                more=meaning.packs_per_unit,
            )
            refused.append(Refused(trace.code, "case_full", rule))
        else:
            inside += meaning.packs_per_unit
            fit.append((trace, meaning))
    return fit, refused


def packs_in(content: Sequence[Item], known: Mapping[str, Meaning]) -> int:
    """Sale units of the codes that lie in a case."""
    return sum(known[one.ident].packs_per_unit for one in content if one.ident in known)


def contradiction(case: str, said: int, inside: int) -> Refused | None:
    """What is wrong when a case's map shows other sale units than its identification code says; the map counts."""
    if said == inside:
        return None
    rule = Said(
        "{inside} sale units lie in the case by its packing map, {said} by its identification code; {inside} count",
        inside=inside,
        said=said,
    )
    return Refused(case, "content_differs", rule)
