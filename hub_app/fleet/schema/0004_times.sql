-- The same times from functions that the planner can put in place of their calls: it does so where all
-- that they use is immutable. What works on timestamps with a time zone often is not.
CREATE OR REPLACE FUNCTION from_ms(ms bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (timestamp '1970-01-01 00:00:00' + ms * interval '1 millisecond') AT TIME ZONE 'UTC';

CREATE OR REPLACE FUNCTION to_ms(at timestamptz) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (date_part('epoch', at AT TIME ZONE 'UTC') * 1000)::bigint;
