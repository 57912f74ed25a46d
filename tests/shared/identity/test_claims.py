"""What a token says is read where its issuer puts it, and counts within the bounds that the issuer was given, never beyond."""

from typing import Any

import pytest
from pydantic import ValidationError

from shared.access import Access, ScopeTooNarrow
from shared.identity import Caller, Issuer, TokenRefused
from shared.identity.claims import caller_of

HOSPITAL, OTHER = "H33010200059", "H33010200060"
BOUNDS = {"issuer": "https://login.example", "organisations": [HOSPITAL], "roles": ["hospital"], "regions": ["330100"]}
SAID = {"sub": "wang", "org": HOSPITAL, "roles": ["hospital"], "region": "330102"}


def issuer(**other: Any) -> Issuer:
    return Issuer(**(BOUNDS | other))


def read(said: dict[str, Any], **other: Any) -> Caller:
    return caller_of(said, issuer(**other))


def refusal(said: dict[str, Any], **other: Any) -> str:
    with pytest.raises(TokenRefused) as caught:
        read(said, **other)
    return caught.value.detail


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"org": OTHER}, "may not speak for the organisation"),
        ({"org": "*"}, "may not speak for the organisation"),
        ({"org": HOSPITAL.lower()}, "may not speak for the organisation"),
        ({"org": HOSPITAL + " "}, "may not speak for the organisation"),
        ({"org": [HOSPITAL, OTHER]}, "no organisation"),
        ({"roles": ["operator"]}, "may not give the role operator"),
        ({"roles": ["hospital", "authority"]}, "may not give the role authority"),
        ({"roles": "authority"}, "may not give the role authority"),
        ({"region": "330000"}, "may not speak for the region"),
        ({"region": "000000"}, "may not speak for the region"),
        ({"region": "330200"}, "may not speak for the region"),
        ({"region": "３３０１０２"}, "six-digit"),
        ({"region": "330102\n"}, "six-digit"),
    ],
)
def test_an_issuer_cannot_speak_beyond_its_bounds(said: dict[str, Any], reason: str) -> None:
    detail = refusal(SAID | said)
    assert reason in detail
    assert HOSPITAL not in detail, "whom the issuer may speak for is nobody's business"


@pytest.mark.parametrize("region", ["330100", "330102", "330199"])
def test_a_region_lies_under_one_that_is_allowed(region: str) -> None:
    assert read(SAID | {"region": region}).region == region


def test_an_issuer_of_several_speaks_for_each_and_no_other() -> None:
    several = {"organisations": [HOSPITAL, OTHER]}
    assert [read(SAID | {"org": one}, **several).organisation for one in (HOSPITAL, OTHER)] == [HOSPITAL, OTHER]
    assert "may not speak" in refusal(SAID | {"org": "H33010200061"}, **several)
    assert read(SAID | {"org": "H33010200061"}, organisations=["*"]).organisation == "H33010200061"


def test_values_are_mapped_before_the_bounds_are_held_against_them() -> None:
    mapped = {"values": {"organisation": {"site-2": OTHER, "site-1": HOSPITAL}, "roles": {"clerk": "hospital"}}}
    assert read(SAID | {"org": "site-1", "roles": ["clerk"]}, **mapped).organisation == HOSPITAL
    assert "may not speak" in refusal(SAID | {"org": "site-2", "roles": ["clerk"]}, **mapped)
    raised = {"values": {"roles": {"clerk": "operator"}}}
    assert "may not give the role operator" in refusal(SAID | {"roles": ["clerk"]}, **raised)


def test_where_meanings_are_named_other_words_mean_nothing() -> None:
    mapped = {"values": {"roles": {"procurement-clerk": "hospital"}, "organisation": {"site-1": HOSPITAL}}}
    assert "`roles` says is not in the map" in refusal(SAID | {"org": "site-1", "roles": ["hospital"]}, **mapped)
    assert "`org` says is not in the map" in refusal(SAID | {"roles": ["procurement-clerk"]}, **mapped)
    assert "no organisation" in refusal(SAID | {"org": None}, **mapped)
    assert "not among" in refusal(SAID | {"org": "site-1", "roles": []}, **mapped)
    region = {"values": {"region": {"west-lake": "330106"}}}
    assert "(`values.region`)" in refusal(SAID, **region)
    many = {"org": "site-1", "roles": ["offline_access", "procurement-clerk", "uma"]}
    assert read(SAID | many, **mapped).roles == {"hospital"}


def test_what_is_fixed_holds_whatever_the_token_says() -> None:
    fixed = {"organisations": [], "fixed": {"organisation": HOSPITAL, "region": "330102", "roles": ["hospital"]}}
    said = {"sub": "wang", "org": OTHER, "region": "000000", "roles": ["operator"]}
    caller = read(said, **fixed)
    assert (caller.organisation, caller.region, caller.roles) == (HOSPITAL, "330102", {"hospital"})


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("employer.site", {"employer": {"site": HOSPITAL}}),
        ("a.b.c", {"a": {"b": {"c": HOSPITAL}}}),
        ("https://hospital.example/org", {"https://hospital.example/org": HOSPITAL}),
        ("https://hospital.example/org.code", {"https://hospital.example/org": {"code": HOSPITAL}}),
        ("groups", {"groups": [HOSPITAL]}),
    ],
)
def test_a_claim_is_found_where_the_issuer_puts_it(place: str, said: dict[str, Any]) -> None:
    assert read({"sub": "wang", "roles": ["hospital"], "region": "330102"} | said, claims={"organisation": place})


@pytest.mark.parametrize("said", [{}, {"employer": None}, {"employer": HOSPITAL}, {"employer": {"site": 5}}])
def test_a_claim_that_is_not_there_is_named(said: dict[str, Any]) -> None:
    assert "`employer.site`" in refusal(SAID | said, claims={"organisation": "employer.site"})


def test_roles_may_be_a_text_with_spaces_and_stand_deep() -> None:
    said = SAID | {"realm_access": {"roles": ["hospital", "default-roles"]}, "roles": "hospital other"}
    assert read(said).roles == read(said, claims={"roles": "realm_access.roles"}).roles == {"hospital"}
    assert "neither a text nor a list" in refusal(SAID | {"roles": {"hospital": True}})


@pytest.mark.parametrize(
    ("said", "person"),
    [
        ({"sub": "wang", "client_id": "portal"}, "wang"),
        ({"sub": "erp-7", "client_id": "erp-7"}, "client:erp-7"),
        ({"sub": None, "client_id": "erp-7"}, "client:erp-7"),
    ],
)
def test_a_system_is_named_as_a_client_and_a_person_as_itself(said: dict[str, Any], person: str) -> None:
    assert read(SAID | said).person == person


@pytest.mark.parametrize("said", [{"sub": None}, {"sub": ""}, {"sub": "client:erp-7"}, {"sub": "a\x00"}, {"sub": 5}])
def test_nobody_can_be_nobody_or_pose_as_a_system(said: dict[str, Any]) -> None:
    assert "neither a person (`sub`) nor a client (`client_id`)" in refusal(SAID | said)


@pytest.mark.parametrize(
    ("scope", "scopes"),
    [
        (None, None),
        ("", None),
        ("openid profile email offline_access", None),
        ("openid orders:read", {"orders:read"}),
        (["orders:read", "settlement:write"], {"orders:read", "settlement:write"}),
        ("orders:reed", {"orders:reed"}),
        ("orders.read", {"orders.read"}),
        ("openid Orders:Read", {"Orders:Read"}),
        ("ORDERS", {"ORDERS"}),
        ("orders:read.all", {"orders:read.all"}),
        ("alerts/read settlement_write", {"alerts/read", "settlement_write"}),
        ("ordersystem listings", None),
        ("urn:zitadel:iam:org:project https://graph.example/.default", None),
    ],
)
def test_scopes_of_this_platform_count_and_others_do_not(scope: object, scopes: set[str] | None) -> None:
    assert read(SAID | {"scope": scope}).scopes == scopes


@pytest.mark.parametrize("how", [{"values": {"scopes": {"Orders.Read": "orders:read"}}}, {"scopes_needed": True}])
@pytest.mark.parametrize("scope", [None, "", "openid", "profile email"])
def test_where_scopes_are_needed_a_token_without_one_may_do_nothing(how: dict[str, Any], scope: str | None) -> None:
    caller = read(SAID | {"scope": scope}, **how)
    assert caller.scopes == frozenset()
    with pytest.raises(ScopeTooNarrow, match="the token has none"):
        Access("orders", {"list_orders": {"hospital": "own"}}).scope("list_orders", caller, writes=False)


@pytest.mark.parametrize("scope", ["orders.read", "Orders:Read", "orders:read.all", "orders", "orders/read"])
def test_a_scope_that_is_misspelt_opens_nothing(scope: str) -> None:
    caller = read(SAID | {"scope": scope})
    with pytest.raises(ScopeTooNarrow):
        Access("orders", {"list_orders": {"hospital": "own"}}).scope("list_orders", caller, writes=False)


@pytest.mark.parametrize("region", ["990000", "000001", "100000"])
def test_a_region_that_is_nowhere_is_refused_by_its_claim(region: str) -> None:
    assert "its `region` is no code of GB/T 2260" in refusal(SAID | {"region": region}, regions=["*"])
    with pytest.raises(ValidationError):
        issuer(regions=[region])


def test_scopes_may_be_named_in_the_issuer_s_words() -> None:
    mapped = {"claims": {"scopes": "scp"}, "values": {"scopes": {"Orders.Read": "orders:read"}}}
    assert read(SAID | {"scp": ["Orders.Read", "orders:write"]}, **mapped).scopes == {"orders:read"}


@pytest.mark.parametrize(
    ("scope", "operation", "writes", "may"),
    [
        (None, "place_order", True, True),
        ("orders:write", "place_order", True, True),
        ("orders:read", "place_order", True, False),
        ("orders:read", "get_order", False, True),
        ("orders:write", "get_order", False, False),
        ("orders:place_order", "place_order", True, True),
        ("orders:place_order", "cancel_order", True, False),
        ("settlement:write settlement:read", "get_order", False, False),
        ("orders:reed", "get_order", False, False),
    ],
)
def test_a_scope_cuts_the_role_down(scope: str | None, operation: str, writes: bool, may: bool) -> None:
    caller, matrix = read(SAID | {"scope": scope}), Access.of("orders")
    if may:
        assert matrix.scope(operation, caller, writes=writes).reach == "own"
        return
    with pytest.raises(ScopeTooNarrow) as caught:
        matrix.scope(operation, caller, writes=writes)
    needed = f"orders:{'write' if writes else 'read'}"
    assert f'error="insufficient_scope", scope="{needed}"' in caught.value.headers["WWW-Authenticate"]
