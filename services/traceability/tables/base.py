"""Where the tables of traceability are collected, and who reads rows about goods of a line beside who wrote them."""

from shared import db

metadata = db.metadata()


def the_supplier_of(table: str) -> str:
    """SQL of a reader: the distributor of the line for which the bill of a row was written.

    Institutions have codes of their own kind, and are not asked; OFFSET 0 keeps the planner from reading every bill at once.
    """
    no_institution = "(SELECT {organisation} !~ '^[HP][0-9]{{11}}$')"
    its_own = f"d.id = {table}.document_id AND d.supplier_code = {{organisation}}"
    return f"{no_institution} AND EXISTS (SELECT FROM documents AS d WHERE {its_own} OFFSET 0)"
