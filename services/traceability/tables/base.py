"""Where the tables of traceability are collected, and who reads rows about goods of a line beside who wrote them."""

from shared import db

metadata = db.metadata()


def the_supplier_of(receipt: str) -> str:
    """SQL of a reader: the distributor of the line that a row is about, given the end of a query for its receipt.

    Institutions have codes of their own kind, and are not asked; OFFSET 0 keeps the planner from reading every line at once.
    """
    no_institution = "(SELECT {organisation} !~ '^[HP][0-9]{{11}}$')"
    its_line = f"EXISTS (SELECT FROM receipts AS r {receipt} AND r.distributor_code = {{organisation}} OFFSET 0)"
    return f"{no_institution} AND {its_line}"
