-- For sites that get another name: which history is forwarded as the site.
ALTER TABLE site ADD COLUMN history text NOT NULL DEFAULT '';

-- The names of a shape's fields are longer than an entry of an index may be; a digest is not.
CREATE FUNCTION shape_key(numbers text[], booleans text[], texts text[]) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN sha256(convert_to(
    jsonb_build_array(to_jsonb(numbers), to_jsonb(booleans), to_jsonb(texts))::text, 'UTF8'));
ALTER TABLE shape DROP CONSTRAINT shape_numbers_booleans_texts_key;
CREATE UNIQUE INDEX shape_key ON shape (shape_key(numbers, booleans, texts));

-- As before, and makes a default partition again that somebody dropped.
CREATE OR REPLACE FUNCTION make_partitions(times_ms bigint[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    parent text;
    a_time timestamptz;
BEGIN
    FOREACH parent IN ARRAY ARRAY['stored_reading', 'mean_5min', 'mean_hour'] LOOP
        IF to_regclass(parent || '_other') IS NULL THEN
            PERFORM pg_advisory_xact_lock(1213223505, 0);
            EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF %I DEFAULT', parent || '_other', parent);
        END IF;
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
