"""What keeps the tables small: partitions of the inbox, and vacuum where rows come and go.

A partition of the inbox is a day: made two days ahead, dropped when Kafka has long forgotten its events.

Ids are UUIDv7, whose first 48 bits are milliseconds since 1970, so a day is a range of ids. Ids of another kind, and
days whose partition was not made in time, go to the default partition and are deleted by age.
"""

from collections.abc import Iterator

PARTITION = "inbox_"
A_CENTURY = 36_500
"""Days to keep when a migration makes the first partitions: it forgets nothing; how long is kept is the worker's setting."""

COME_AND_GO = ("outbox", "deadlines", "idempotency_keys")
"""Tables that shed rows all the time, and are asked for the few that wait: vacuumed after a hundredth of them is dead, not a
fifth, which of a week of a busy region's events would be millions to step over."""

_FIRST_ID = """
CREATE OR REPLACE FUNCTION jicai_first_id(day date) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
  SELECT (lpad(to_hex((extract(epoch FROM day::timestamp) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$
"""

_UPKEEP = """
CREATE OR REPLACE FUNCTION jicai_upkeep_inbox(keep_days integer) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
DECLARE
  today date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
  day date;
  old record;
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtext('jicai_upkeep_inbox')) THEN RETURN; END IF;
  FOR day IN SELECT generate_series(today, today + 2, interval '1 day')::date LOOP
    BEGIN
      EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF inbox FOR VALUES FROM (%L) TO (%L)',
                     'inbox_' || to_char(day, 'YYYYMMDD'), jicai_first_id(day), jicai_first_id(day + 1));
    EXCEPTION WHEN check_violation THEN NULL; -- the default partition already holds ids of that day
    END;
  END LOOP;
  FOR old IN SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
             WHERE i.inhparent = 'inbox'::regclass AND c.relname ~ '^inbox_[0-9]{8}$'
               AND to_date(right(c.relname, 8), 'YYYYMMDD') < today - keep_days LOOP
    EXECUTE format('DROP TABLE %I', old.relname);
  END LOOP;
  DELETE FROM inbox_default WHERE received_at < clock_timestamp() - make_interval(days => keep_days);
END $$
"""


def vacuuming(table: str) -> str:
    """Sets how often a table is vacuumed, and touches none that is set so already."""
    often = ("autovacuum_vacuum_scale_factor=0.01", "autovacuum_analyze_scale_factor=0.01")
    return (
        f"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_class WHERE oid = '{table}'::regclass"
        f" AND reloptions @> ARRAY{list(often)}) THEN ALTER TABLE {table} SET ({', '.join(often)}); END IF; END $$"
    )


def statements(worker: str) -> Iterator[str]:
    """Makes the default partition, the first days and the function that keeps them; repeating changes nothing."""
    yield "CREATE TABLE IF NOT EXISTS inbox_default PARTITION OF inbox DEFAULT"
    yield _FIRST_ID
    yield _UPKEEP
    yield "REVOKE ALL ON FUNCTION jicai_upkeep_inbox(integer) FROM PUBLIC"
    yield f"GRANT EXECUTE ON FUNCTION jicai_upkeep_inbox(integer) TO {worker}"
    yield f"SELECT jicai_upkeep_inbox({A_CENTURY})"
