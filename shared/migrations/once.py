"""Claims the Idempotency-Key of a write in the first words of its transaction: no row when the key is ours and unused.

A function, because its plan is kept by the session, where a query among the first words would be planned for each request.
"""

from collections.abc import Iterator

# The key is looked up by a statement of its own: it sees what was committed until the lock was ours.
_CLAIM = """
CREATE OR REPLACE FUNCTION jicai_claim(lock bigint, by text, doing text, under text) RETURNS SETOF integer
LANGUAGE plpgsql AS $$
DECLARE ours boolean := pg_try_advisory_xact_lock(lock);
BEGIN
  IF NOT ours OR EXISTS (
    SELECT FROM idempotency_keys AS k WHERE k.organisation = by AND k.operation = doing AND k.key = under
  ) THEN
    RETURN NEXT 1;
  END IF;
END $$
"""


def statements(api: str) -> Iterator[str]:
    """Makes the function for the API, as whom it runs; repeating changes nothing."""
    yield _CLAIM
    yield "REVOKE ALL ON FUNCTION jicai_claim(bigint, text, text, text) FROM PUBLIC"
    yield f"GRANT EXECUTE ON FUNCTION jicai_claim(bigint, text, text, text) TO {api}"
