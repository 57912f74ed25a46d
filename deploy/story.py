"""The main job on the small sample that ships, told as it happens: who did what, and what happened by itself."""

from collections.abc import Callable

from deploy.addresses import Addresses

TokenFor = Callable[[str, str, str], str]
"""Role, organisation, region (six digits): a token."""


async def tell(addresses: Addresses, token_for: TokenFor) -> None:
    """Plays the story over HTTP against a platform that runs, in one process or in ten, and prints it line by line."""
