"""The chain of history: each row carries a hash over itself and the row before it about the same thing.

The database computes it when a row is added, so no code path can forget it; the rows themselves cannot be changed by any
role of a service. Once a day the head of all chains is written down (`history_heads`), so that rows cut off the end are
missed as well. `shared.audit` checks it all.
"""

from collections.abc import Iterator

_HASH = """
CREATE OR REPLACE FUNCTION jicai_history_hash(before bytea, h history) RETURNS bytea LANGUAGE sql STABLE AS $$
  SELECT sha256(coalesce(before, ''::bytea) || convert_to(jsonb_build_array(
    h.about, h.action, h.detail, extract(epoch FROM h.at), h.organisation, h.person, h.request_id,
    h.institution_code, h.supplier_code, h.third_code, h.region)::text, 'UTF8'))
$$
"""

_CHAIN = """
CREATE OR REPLACE FUNCTION jicai_chain_history() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public SET enable_seqscan = off AS $$
DECLARE before bytea;
BEGIN
  -- By (about, id), whatever the statistics say: "+ 0" keeps the planner from walking back through all of history.
  SELECT h.hash INTO before FROM history h WHERE h.about = NEW.about ORDER BY h.id + 0 DESC LIMIT 1;
  NEW.hash := jicai_history_hash(before, NEW);
  RETURN NEW;
END $$
"""

_HEADS = """
CREATE OR REPLACE FUNCTION jicai_head_of_history(day date) RETURNS void LANGUAGE sql SECURITY DEFINER
SET search_path = public AS $$
  INSERT INTO history_heads (day, rows, last_id, digest)
  SELECT day, count(*), coalesce(max(id), 0), sha256(coalesce(string_agg(hash, ''::bytea ORDER BY id), ''::bytea))
  FROM history WHERE recorded_at >= day AND recorded_at < day + 1
  ON CONFLICT (day) DO NOTHING
$$
"""


def statements(worker: str) -> Iterator[str]:
    """Puts the chain on; repeating changes nothing."""
    yield _HASH
    yield _CHAIN
    yield (
        "CREATE OR REPLACE TRIGGER history_chain BEFORE INSERT ON history"
        " FOR EACH ROW EXECUTE FUNCTION jicai_chain_history()"
    )
    yield _HEADS
    yield "REVOKE ALL ON FUNCTION jicai_head_of_history(date) FROM PUBLIC"
    yield f"GRANT EXECUTE ON FUNCTION jicai_head_of_history(date) TO {worker}"
