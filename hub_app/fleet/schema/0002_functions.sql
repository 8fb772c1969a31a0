CREATE FUNCTION from_ms(ms bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN timestamptz '1970-01-01 00:00:00+00' + ms * interval '1 millisecond';

CREATE FUNCTION to_ms(at timestamptz) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN round(extract(epoch FROM at) * 1000)::bigint;

CREATE FUNCTION bucket_of(at timestamptz, length interval) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN date_bin(length, at, timestamptz '1970-01-01 00:00:00+00');

-- Serializes what changes the readings of a site, until the transaction ends.
CREATE FUNCTION lock_site(a_site integer) RETURNS void LANGUAGE sql
AS $$ SELECT pg_advisory_xact_lock(1213223505, a_site) $$;

-- The length of the partitions of a table.
CREATE FUNCTION partition_length(parent text) RETURNS interval LANGUAGE sql IMMUTABLE
RETURN CASE parent WHEN 'stored_reading' THEN interval '7 days' WHEN 'mean_5min' THEN interval '91 days'
    ELSE interval '1092 days' END;

-- Makes the partition of a table that holds a time. Rows that wait in the default partition for it
-- are moved there. Without the lock of the whole table, so that others go on writing.
CREATE FUNCTION make_partition(parent text, a_time timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    from_at timestamptz := bucket_of(a_time, partition_length(parent));
    until_at timestamptz := from_at + partition_length(parent);
    child text := parent || to_char(from_at AT TIME ZONE 'UTC', '_YYYYMMDD');
BEGIN
    IF to_regclass(child) IS NOT NULL THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(1213223505, 0);
    -- Another connection may have made it meanwhile. `to_regclass` may not know yet.
    IF EXISTS (SELECT FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
            WHERE i.inhparent = parent::regclass AND c.relname = child) THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', child, parent);
    EXECUTE format(
        'WITH moved AS (DELETE FROM %I WHERE at >= %L AND at < %L RETURNING *)'
        ' INSERT INTO %I SELECT * FROM moved', parent || '_other', from_at, until_at, child);
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
        parent, child, from_at, until_at);
END $$;

-- Makes the partitions for times that are to be stored, and the next ones. Times of clocks that
-- were not set get none.
CREATE FUNCTION make_partitions(times_ms bigint[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    parent text;
    a_time timestamptz;
BEGIN
    FOREACH parent IN ARRAY ARRAY['stored_reading', 'mean_5min', 'mean_hour'] LOOP
        FOR a_time IN
            SELECT DISTINCT bucket_of(at, partition_length(parent)) FROM (
                SELECT from_ms(ms) AS at FROM unnest(times_ms) AS ms
                UNION SELECT now() UNION SELECT now() + partition_length(parent)
            ) AS wanted
            WHERE at BETWEEN greatest(now() - interval '20 years', from_ms(
                (SELECT value::bigint FROM setting WHERE name = 'readings_kept_from_ms')))
                AND now() + partition_length(parent)
        LOOP
            PERFORM make_partition(parent, a_time);
        END LOOP;
    END LOOP;
END $$;

-- Temporary tables of a connection that forwards.
CREATE FUNCTION open_forwarding() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    CREATE TEMPORARY TABLE incoming (
        at_ms bigint, seq bigint, stream integer, sensor integer, shape integer, flags smallint,
        v1 double precision, v2 double precision, v3 double precision, v4 double precision,
        v5 double precision, v6 double precision, v7 double precision, v8 double precision,
        more double precision[], texts text[]
    ) ON COMMIT DELETE ROWS;
    CREATE TEMPORARY TABLE incoming_range (
        stream integer, first bigint, last bigint
    ) ON COMMIT DELETE ROWS;
END $$;

-- Writes the numbers in `incoming` as ranges to `incoming_range`.
CREATE FUNCTION collect_ranges() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM incoming_range;
    INSERT INTO incoming_range SELECT stream, min(seq), max(seq) FROM (
        SELECT stream, seq, seq - row_number() OVER (PARTITION BY stream ORDER BY seq) AS island
        FROM (SELECT DISTINCT stream, seq FROM incoming) AS named
    ) AS numbered GROUP BY stream, island;
END $$;

-- Adds the ranges in `incoming_range` to those that are stored; they overlap none.
CREATE FUNCTION add_ranges() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    island record;
    before record;
    until_seq bigint;
BEGIN
    FOR island IN
        WITH extended AS (
            UPDATE stored_range AS r SET last = i.last
            FROM incoming_range AS i CROSS JOIN LATERAL (
                SELECT l.first, l.last FROM stored_range AS l
                WHERE l.stream = i.stream AND l.first < i.first ORDER BY l.first DESC LIMIT 1
            ) AS l
            WHERE r.stream = i.stream AND r.first = l.first AND l.last = i.first - 1
                AND NOT EXISTS (SELECT FROM stored_range AS n
                    WHERE n.stream = i.stream AND n.first = i.last + 1)
            RETURNING i.stream, i.first
        )
        SELECT * FROM incoming_range AS i WHERE NOT EXISTS (
            SELECT FROM extended AS e WHERE e.stream = i.stream AND e.first = i.first
        ) ORDER BY stream, first
    LOOP
        DELETE FROM stored_range WHERE stream = island.stream AND first = island.last + 1
            RETURNING last INTO until_seq;
        until_seq := coalesce(until_seq, island.last);
        SELECT first, last INTO before FROM stored_range
            WHERE stream = island.stream AND first < island.first ORDER BY first DESC LIMIT 1;
        IF before.last = island.first - 1 THEN
            UPDATE stored_range SET last = until_seq
                WHERE stream = island.stream AND first = before.first;
        ELSE
            INSERT INTO stored_range VALUES (island.stream, island.first, until_seq);
        END IF;
    END LOOP;
END $$;

-- Adds the readings in `incoming` that are older than all partitions to the means: their single
-- values have expired.
CREATE FUNCTION merge_expired(kept_from timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    parent text;
BEGIN
    FOREACH parent IN ARRAY ARRAY['mean_5min', 'mean_hour'] LOOP
        EXECUTE format($sql$
            INSERT INTO %1$I AS m (series, at, count, mean, low, high)
            SELECT series.id, bucket_of(from_ms(i.at_ms), %2$L), count(*), avg(value), min(value), max(value)
            FROM incoming AS i JOIN shape_field AS f ON f.shape = i.shape AND NOT f.is_text
            JOIN series ON series.sensor = i.sensor AND series.field = f.field
            CROSS JOIN LATERAL (SELECT (ARRAY[v1, v2, v3, v4, v5, v6, v7, v8] || more)[f.place] AS value) AS v
            WHERE i.flags & 2 = 0 AND from_ms(i.at_ms) < %3$L AND value IS NOT NULL GROUP BY 1, 2
            ON CONFLICT (series, at) DO UPDATE SET count = m.count + excluded.count,
                mean = (m.mean * m.count + excluded.mean * excluded.count) / (m.count + excluded.count),
                low = least(m.low, excluded.low), high = greatest(m.high, excluded.high)
        $sql$, parent, CASE parent WHEN 'mean_5min' THEN interval '5 min' ELSE interval '1 hour' END, kept_from);
    END LOOP;
    DELETE FROM incoming WHERE flags & 2 = 0 AND from_ms(at_ms) < kept_from;
END $$;

-- Stores the readings in `incoming`, each once; returns how many of them are new.
CREATE FUNCTION store_readings(a_site integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    added bigint;
    kept_from timestamptz;
BEGIN
    PERFORM lock_site(a_site);
    PERFORM collect_ranges();
    IF EXISTS (SELECT FROM incoming_range AS i CROSS JOIN LATERAL (
            SELECT r.last FROM stored_range AS r WHERE r.stream = i.stream AND r.first <= i.last
            ORDER BY r.first DESC LIMIT 1
        ) AS l WHERE l.last >= i.first) THEN
        DELETE FROM incoming AS i WHERE i.seq <= (
            SELECT r.last FROM stored_range AS r WHERE r.stream = i.stream AND r.first <= i.seq
            ORDER BY r.first DESC LIMIT 1
        );
        PERFORM collect_ranges();
    END IF;
    SELECT count(*) INTO added FROM incoming;
    IF added <> (SELECT coalesce(sum(last - first + 1), 0) FROM incoming_range) THEN
        RAISE EXCEPTION 'a reading came twice in one batch';
    END IF;
    PERFORM add_ranges();
    INSERT INTO series (sensor, field) SELECT DISTINCT i.sensor, f.field
        FROM (SELECT DISTINCT sensor, shape FROM incoming) AS i JOIN shape_field AS f ON f.shape = i.shape
        WHERE NOT EXISTS (SELECT FROM series AS s WHERE s.sensor = i.sensor AND s.field = f.field)
        ON CONFLICT DO NOTHING;
    SELECT from_ms(value::bigint) INTO kept_from FROM setting WHERE name = 'readings_kept_from_ms';
    IF EXISTS (SELECT FROM incoming WHERE flags & 2 = 0 AND from_ms(at_ms) < kept_from) THEN
        PERFORM merge_expired(kept_from);
    END IF;
    INSERT INTO stored_reading SELECT from_ms(at_ms), seq, stream, sensor, shape, flags,
        v1, v2, v3, v4, v5, v6, v7, v8, more, texts FROM incoming;
    INSERT INTO pending_mean
        SELECT DISTINCT a_site, bucket_of(from_ms(at_ms), interval '5 min'), sensor FROM incoming
        WHERE flags & 2 = 0 ON CONFLICT DO NOTHING;
    RETURN added;
END $$;

-- Gives readings that were stored with the time of a clock that was not set their right times, from
-- `incoming`; returns how many.
CREATE FUNCTION redate_readings(a_site integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    redated bigint;
BEGIN
    PERFORM lock_site(a_site);
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
    RETURN redated;
END $$;

-- Computes the means of a site's intervals that are over, at most so many; returns how many. Those
-- of an hour are made of those of 5 minutes.
CREATE FUNCTION compute_means(a_site integer, most integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    computed bigint;
    of_series integer[];
    of_hour timestamptz[];
BEGIN
    PERFORM lock_site(a_site);
    WITH due AS (
        DELETE FROM pending_mean AS p USING (
            SELECT site, at, sensor FROM pending_mean
            WHERE site = a_site AND at < now() - interval '5 min' ORDER BY at LIMIT most
        ) AS d WHERE p.site = d.site AND p.at = d.at AND p.sensor = d.sensor
        RETURNING p.sensor, p.at
    ), value AS (
        SELECT due.sensor, due.at, f.field,
            CASE f.place WHEN 1 THEN v1 WHEN 2 THEN v2 WHEN 3 THEN v3 WHEN 4 THEN v4 WHEN 5 THEN v5
                WHEN 6 THEN v6 WHEN 7 THEN v7 WHEN 8 THEN v8 ELSE more[f.place - 8] END AS value
        FROM due CROSS JOIN LATERAL (
            -- OFFSET makes the planner use the index for each interval: it cannot know how few there are.
            SELECT * FROM stored_reading AS r WHERE r.sensor = due.sensor AND r.at >= due.at
                AND r.at < due.at + interval '5 min' AND r.flags & 2 = 0 OFFSET 0
        ) AS r JOIN shape_field AS f ON f.shape = r.shape AND NOT f.is_text
    ), stored AS (
        INSERT INTO mean_5min AS m (series, at, count, mean, low, high)
        SELECT series.id, value.at, count(*), avg(value), min(value), max(value)
        FROM value JOIN series ON series.sensor = value.sensor AND series.field = value.field
        WHERE value IS NOT NULL GROUP BY series.id, value.at
        ON CONFLICT (series, at) DO UPDATE SET count = excluded.count, mean = excluded.mean,
            low = excluded.low, high = excluded.high
        RETURNING series, at
    ), hour AS (
        SELECT DISTINCT series, bucket_of(at, interval '1 hour') AS at FROM stored
    )
    SELECT array_agg(hour.series), array_agg(hour.at), (SELECT count(*) FROM due)
        INTO of_series, of_hour, computed FROM hour;
    INSERT INTO mean_hour AS m (series, at, count, mean, low, high)
        SELECT h.series, h.at, sum(f.count), sum(f.mean * f.count) / sum(f.count), min(f.low), max(f.high)
        FROM unnest(of_series, of_hour) AS h (series, at)
        JOIN mean_5min AS f ON f.series = h.series AND f.at >= h.at AND f.at < h.at + interval '1 hour'
        GROUP BY h.series, h.at
        ON CONFLICT (series, at) DO UPDATE SET count = excluded.count, mean = excluded.mean,
            low = excluded.low, high = excluded.high;
    RETURN computed;
END $$;

-- Drops the partitions whose times have expired by the table `setting`; returns how many.
CREATE FUNCTION drop_expired() RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    child record;
    until_at timestamptz;
    dropped integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(1213223505, 0);
    FOR child IN
        SELECT p.relname AS parent, c.relname AS name, s.value AS days
        FROM pg_inherits AS i JOIN pg_class AS p ON p.oid = i.inhparent
        JOIN pg_class AS c ON c.oid = i.inhrelid JOIN setting AS s ON s.name = CASE p.relname
            WHEN 'stored_reading' THEN 'keep_readings_days' ELSE 'keep_means_days' END
        WHERE i.inhparent IN ('stored_reading'::regclass, 'mean_5min'::regclass, 'mean_hour'::regclass)
            AND c.relkind = 'r' AND c.relname !~ '_other$' AND s.value IS NOT NULL
        ORDER BY c.relname
    LOOP
        until_at := to_date(right(child.name, 8), 'YYYYMMDD')::timestamp AT TIME ZONE 'UTC'
            + partition_length(child.parent);
        IF until_at < now() - child.days * interval '1 day' THEN
            EXECUTE format('DROP TABLE %I', child.name);
            dropped := dropped + 1;
            IF child.parent = 'stored_reading' THEN
                UPDATE setting SET value = greatest(value, to_ms(until_at))
                    WHERE name = 'readings_kept_from_ms';
            END IF;
        END IF;
    END LOOP;
    RETURN dropped;
END $$;

-- Stores the names and the description of a sensor, and the units and labels of its fields.
CREATE FUNCTION describe_sensor(a_sensor integer, a_title text, an_area text, a_description jsonb)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE sensor SET title = a_title, area = an_area, description = a_description WHERE id = a_sensor;
    INSERT INTO field (name) SELECT key FROM jsonb_each(a_description -> 'fields') ORDER BY key
        ON CONFLICT DO NOTHING;
    INSERT INTO series AS s (sensor, field, unit, label)
        SELECT a_sensor, field.id, coalesce(f.value ->> 'unit', ''), coalesce(f.value ->> 'label', '')
        FROM jsonb_each(a_description -> 'fields') AS f JOIN field ON field.name = f.key
        ON CONFLICT (sensor, field) DO UPDATE SET unit = excluded.unit, label = excluded.label;
END $$;
