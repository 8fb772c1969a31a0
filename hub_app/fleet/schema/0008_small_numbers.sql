-- A quotient of 0 where `/` would raise an error: below the smallest number that is not 0.
CREATE FUNCTION quotient(total double precision, count double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN abs(total) > 1e-290 THEN total / count ELSE 0 END;

-- As before, with means of the smallest numbers.
CREATE OR REPLACE FUNCTION merge_expired(kept_from timestamptz) RETURNS void LANGUAGE plpgsql AS $$
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
                mean = quotient(m.mean * m.count + excluded.mean * excluded.count, m.count + excluded.count),
                low = least(m.low, excluded.low), high = greatest(m.high, excluded.high)
        $sql$, parent, CASE parent WHEN 'mean_5min' THEN interval '5 min' ELSE interval '1 hour' END, kept_from);
    END LOOP;
    DELETE FROM incoming WHERE flags & 2 = 0 AND from_ms(at_ms) < kept_from;
END $$;

-- As before, with means of the smallest numbers.
CREATE OR REPLACE FUNCTION compute_means(a_site integer, most integer) RETURNS bigint LANGUAGE plpgsql AS $$
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
        SELECT h.series, h.at, sum(f.count), quotient(sum(f.mean * f.count), sum(f.count)), min(f.low), max(f.high)
        FROM unnest(of_series, of_hour) AS h (series, at)
        JOIN mean_5min AS f ON f.series = h.series AND f.at >= h.at AND f.at < h.at + interval '1 hour'
        GROUP BY h.series, h.at
        ON CONFLICT (series, at) DO UPDATE SET count = excluded.count, mean = excluded.mean,
            low = excluded.low, high = excluded.high;
    RETURN computed;
END $$;
