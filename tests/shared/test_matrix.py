"""An operation without a row of the access matrix is found when the app is made, not when somebody calls it."""

from dataclasses import replace

import pytest
from fastapi import APIRouter

from shared.access import MatrixIncomplete
from shared.http import Edge, create_app
from tests.house import House
from tests.toy import let_in, toy

let_in()


@pytest.mark.parametrize("nested", [False, True])
def test_an_operation_without_a_row_is_found_at_the_start(house: House, nested: bool) -> None:
    more = APIRouter(route_class=Edge)

    @more.get("/open-door")
    async def open_door() -> None:
        """Nobody has said who may."""

    outer = APIRouter()
    outer.include_router(more)
    with pytest.raises(MatrixIncomplete, match="toy: no row of the access matrix for open_door"):
        create_app(replace(toy, routers=(outer if nested else more,)), house.settings(toy))
