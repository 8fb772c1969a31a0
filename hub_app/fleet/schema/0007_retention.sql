-- As before; and no partition of readings is dropped while a transaction of the site uses this lock.
CREATE OR REPLACE FUNCTION lock_site(a_site integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(1213223505, a_site);
    LOCK TABLE ONLY stored_reading IN ROW EXCLUSIVE MODE;
END $$;

-- The partitions whose times have expired by the table `setting`: those of readings first, the oldest first.
CREATE FUNCTION expired_partitions()
RETURNS TABLE (parent text, name text, from_at timestamptz, until_at timestamptz) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT * FROM (
        SELECT child.parent, child.name, child.from_at, child.from_at + partition_length(child.parent) AS until_at
        FROM (
            SELECT p.relname::text AS parent, c.relname::text AS name,
                to_date(right(c.relname, 8), 'YYYYMMDD')::timestamp AT TIME ZONE 'UTC' AS from_at
            FROM pg_inherits AS i JOIN pg_class AS p ON p.oid = i.inhparent
            JOIN pg_class AS c ON c.oid = i.inhrelid
            WHERE i.inhparent IN ('stored_reading'::regclass, 'mean_5min'::regclass, 'mean_hour'::regclass)
                AND c.relkind = 'r' AND c.relname !~ '_other$'
        ) AS child
    ) AS found WHERE found.until_at < now() - interval '1 day' * (
        SELECT value FROM setting WHERE setting.name = CASE found.parent
            WHEN 'stored_reading' THEN 'keep_readings_days' ELSE 'keep_means_days' END
    ) ORDER BY found.parent <> 'stored_reading', found.name;
END $$;

-- Drops the partitions whose times have expired; returns how many. A partition of readings waits until
-- all of them are in the means, of which some are computed here: their hub may be gone. Those whose times
-- are still to be repaired are kept: the clock of their node was wrong.
CREATE OR REPLACE FUNCTION drop_expired() RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    child record;
    a_site integer;
    most bigint := 10000;
    is_pending boolean := false;
    undated stored_reading[];
    dropped integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(1213223505, 0);
    -- Before any lock of a whole table: others first lock their site, then the table.
    FOR a_site IN
        SELECT DISTINCT p.site FROM expired_partitions() AS e
        JOIN pending_mean AS p ON p.at >= e.from_at AND p.at < e.until_at
        WHERE e.parent = 'stored_reading' ORDER BY p.site
    LOOP
        EXIT WHEN most <= 0;
        most := most - compute_means(a_site, most::integer);
    END LOOP;
    FOR child IN SELECT * FROM expired_partitions() LOOP
        IF child.parent = 'stored_reading' THEN
            LOCK TABLE ONLY stored_reading IN ACCESS EXCLUSIVE MODE;
            is_pending := is_pending OR EXISTS (
                SELECT FROM pending_mean WHERE at >= child.from_at AND at < child.until_at);
            -- Nor are newer ones dropped: `readings_kept_from_ms` is one time for all.
            CONTINUE WHEN is_pending;
            UPDATE setting SET value = greatest(value, to_ms(child.until_at))
                WHERE name = 'readings_kept_from_ms';
            EXECUTE format('SELECT array_agg(r::stored_reading) FROM %I AS r WHERE flags & 2 <> 0', child.name)
                INTO undated;
        END IF;
        EXECUTE format('DROP TABLE %I', child.name);
        IF child.parent = 'stored_reading' THEN
            INSERT INTO stored_reading SELECT * FROM unnest(undated);
        END IF;
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END $$;

-- As before; and of readings whose right times are older than all partitions, only the means keep a trace.
CREATE OR REPLACE FUNCTION redate_readings(a_site integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    expired bigint := 0;
    redated bigint;
    kept_from timestamptz;
BEGIN
    PERFORM lock_site(a_site);
    SELECT from_ms(value::bigint) INTO kept_from FROM setting WHERE name = 'readings_kept_from_ms';
    IF EXISTS (SELECT FROM incoming WHERE flags & 2 = 0 AND from_ms(at_ms) < kept_from) THEN
        DELETE FROM incoming AS i WHERE NOT EXISTS (SELECT FROM stored_reading AS r
            WHERE r.stream = i.stream AND r.seq = i.seq AND r.flags & 2 <> 0);
        DELETE FROM stored_reading AS r USING incoming AS i
            WHERE r.stream = i.stream AND r.seq = i.seq AND r.flags & 2 <> 0
                AND i.flags & 2 = 0 AND from_ms(i.at_ms) < kept_from;
        GET DIAGNOSTICS expired = ROW_COUNT;
        PERFORM merge_expired(kept_from);
    END IF;
    WITH changed AS (
        UPDATE stored_reading AS r SET at = from_ms(i.at_ms), flags = i.flags FROM incoming AS i
        WHERE r.stream = i.stream AND r.seq = i.seq AND r.flags & 2 <> 0
        RETURNING r.sensor, r.at
    ), noted AS (
        INSERT INTO pending_mean
            SELECT DISTINCT a_site, bucket_of(at, interval '5 min'), sensor FROM changed
            ON CONFLICT DO NOTHING
    )
    SELECT count(*) INTO redated FROM changed;
    RETURN redated + expired;
END $$;
