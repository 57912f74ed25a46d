"""What each code means, as text: where the `type` of a problem leads."""

from fastapi import APIRouter
from starlette.responses import Response

from shared.errors import NotFound
from shared.http import words
from shared.tongue import CHINESE, ENGLISH

router = APIRouter(tags=["operations"])


class Markdown(Response):
    media_type = "text/markdown"


class NoSuchPage(NotFound):
    title = "No such code of an error"


@router.get("/errors/{code}", operation_id="get_error_page", response_class=Markdown)
async def get_error_page(code: str) -> Response:
    """What a code of a problem means, in English and Chinese."""
    page = words.page(code)
    if page is None:
        raise NoSuchPage("No answer here carries the code {code!j}.", code=code[:100])
    answer = Markdown(page)
    answer.headers["content-language"] = f"{ENGLISH}, {CHINESE}"
    return answer
