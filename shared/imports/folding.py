"""When two names in a sheet are the same name.

Invariant: only width, case and spaces may differ, never a character that carries meaning.
"""

import unicodedata


def folded(name: str) -> str:
    """挂网价格（元） and 挂网价格 (元) fold to one text."""
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())
