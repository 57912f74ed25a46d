"""The chain of history: each row carries a hash over itself and the row before it about the same thing.

The database computes it when a row is added, so no code path can forget it; the rows themselves cannot be changed by any
role of a service. Two transactions that see the same last row cannot both follow it: the second waits for the first, fails
on `uq_history_follows`, and is done again. Once a day the head of all chains is written down (`history_heads`), each over
the one before it, so that rows cut off the end are missed as well, and no day can be made anew without all that follow.
`shared.audit` checks it all.
"""

from collections.abc import Iterator

_HASH = """
CREATE OR REPLACE FUNCTION jicai_history_hash(before bytea, h history) RETURNS bytea LANGUAGE sql STABLE AS $$
  SELECT sha256(coalesce(before, ''::bytea) || convert_to(jsonb_build_array(
    h.id, h.about, h.action, h.detail, extract(epoch FROM h.at), h.organisation, h.person, h.request_id, h.operation,
    h.institution_code, h.supplier_code, h.third_code, h.region, extract(epoch FROM h.recorded_at))::text, 'UTF8'))
$$
"""

_CHAIN = """
CREATE OR REPLACE FUNCTION jicai_chain_history() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE before record;
BEGIN
  -- By what they are about, whatever the statistics say: "+ 0" keeps the planner from walking back through all of history.
  SELECT h.id, h.hash INTO before FROM history h WHERE h.about = NEW.about ORDER BY h.id + 0 DESC LIMIT 1;
  IF before.id > NEW.id THEN -- it was written after this one had its number: comes again, with the next
    RAISE EXCEPTION 'another deed about the same thing was written meanwhile' USING ERRCODE = 'serialization_failure';
  END IF;
  NEW.follows := coalesce(before.id, 0);
  NEW.hash := jicai_history_hash(before.hash, NEW);
  RETURN NEW;
END $$
"""

_HEAD_HASH = """
CREATE OR REPLACE FUNCTION jicai_head_hash(before bytea, day date, rows bigint, last_id bigint, hashes bytea)
RETURNS bytea LANGUAGE sql STABLE AS $$
  SELECT sha256(coalesce(before, ''::bytea) || convert_to(jsonb_build_array(day, rows, last_id)::text, 'UTF8') || hashes)
$$
"""

_DAY = """
CREATE OR REPLACE FUNCTION jicai_day_of_history(wanted date, OUT rows bigint, OUT last_id bigint, OUT hashes bytea)
LANGUAGE sql STABLE AS $$
  SELECT count(*), coalesce(max(id), 0), coalesce(string_agg(hash, ''::bytea ORDER BY id), ''::bytea) FROM history
  WHERE recorded_at >= wanted::timestamp AT TIME ZONE 'UTC' AND recorded_at < (wanted + 1)::timestamp AT TIME ZONE 'UTC'
$$
"""

# Every day since the newest head, also those on which nobody was there to write one.
_HEADS_UNTIL = """
CREATE OR REPLACE FUNCTION jicai_head_history_until(until date) RETURNS SETOF history_heads LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  newest history_heads;
  next date;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('jicai_head_history'));
  SELECT * INTO newest FROM history_heads ORDER BY day DESC LIMIT 1;
  next := coalesce(newest.day + 1, (SELECT (min(recorded_at) AT TIME ZONE 'UTC')::date FROM history));
  WHILE next <= until LOOP
    INSERT INTO history_heads (day, rows, last_id, digest)
    SELECT next, d.rows, d.last_id, jicai_head_hash(newest.digest, next, d.rows, d.last_id, d.hashes)
    FROM jicai_day_of_history(next) AS d RETURNING * INTO newest;
    RETURN NEXT newest;
    next := next + 1;
  END LOOP;
END $$
"""

# An hour after the day's end: no transaction that began on it is open any more.
_HEADS = """
CREATE OR REPLACE FUNCTION jicai_head_history() RETURNS SETOF history_heads LANGUAGE sql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
  SELECT * FROM jicai_head_history_until((clock_timestamp() AT TIME ZONE 'UTC' - interval '1 hour')::date - 1)
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
    yield _HEAD_HASH
    yield _DAY
    yield _HEADS_UNTIL
    yield _HEADS
    yield "REVOKE ALL ON FUNCTION jicai_head_history_until(date), jicai_head_history() FROM PUBLIC"
    yield f"GRANT EXECUTE ON FUNCTION jicai_head_history() TO {worker}"
