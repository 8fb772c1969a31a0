-- Names are stored once and stand elsewhere as integers. Times are `timestamptz`.

CREATE TABLE setting (name text PRIMARY KEY, value double precision);
-- Days; null: for ever. `readings_kept_from`: no partition of readings is older, in Unix milliseconds.
INSERT INTO setting VALUES
    ('keep_readings_days', 400), ('keep_means_days', 3650), ('readings_kept_from_ms', 0);

-- `event_mark`, `alarm_mark`: the last row of the hub's history that was forwarded.
CREATE TABLE site (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE,
    seen_at timestamptz, version text NOT NULL DEFAULT '', event_mark jsonb, alarm_mark jsonb
);
CREATE TABLE node (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, site integer NOT NULL REFERENCES site,
    name text NOT NULL, title text NOT NULL DEFAULT '', area text NOT NULL DEFAULT '',
    UNIQUE (site, name)
);
CREATE TABLE stream (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, node integer NOT NULL REFERENCES node,
    name text NOT NULL, UNIQUE (node, name)
);
CREATE TABLE field (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE
);
CREATE TABLE sensor (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, node integer NOT NULL REFERENCES node,
    name text NOT NULL, plugin text NOT NULL DEFAULT '', title text NOT NULL DEFAULT '',
    area text NOT NULL DEFAULT '', description jsonb, UNIQUE (node, name)
);
-- One field of one sensor.
CREATE TABLE series (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, sensor integer NOT NULL REFERENCES sensor,
    field integer NOT NULL REFERENCES field, unit text NOT NULL DEFAULT '',
    label text NOT NULL DEFAULT '', UNIQUE (sensor, field)
);
-- The fields of a reading: those in the columns v1, v2, ... (`booleans` are 0 or 1), and texts.
CREATE TABLE shape (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, numbers text[] NOT NULL,
    booleans text[] NOT NULL, texts text[] NOT NULL, UNIQUE (numbers, booleans, texts)
);
CREATE TABLE shape_field (
    shape integer NOT NULL REFERENCES shape, place smallint NOT NULL, is_text boolean NOT NULL,
    field integer NOT NULL REFERENCES field, PRIMARY KEY (shape, is_text, place)
);

-- (stream, seq) names a reading for ever, wherever its time puts it. A unique index cannot say that
-- across partitions by time, so the numbers that are stored are kept here, as ranges.
CREATE TABLE stored_range (
    stream integer NOT NULL, first bigint NOT NULL, last bigint NOT NULL,
    PRIMARY KEY (stream, first)
) WITH (fillfactor = 50);

-- `flags`: 1 the time was repaired, 2 is still to be repaired, 4 came in a backlog. `more`: the
-- ninth number and those after it. An absent number costs nothing.
CREATE TABLE stored_reading (
    at timestamptz NOT NULL, seq bigint NOT NULL, stream integer NOT NULL, sensor integer NOT NULL,
    shape integer NOT NULL, flags smallint NOT NULL,
    v1 double precision, v2 double precision, v3 double precision, v4 double precision,
    v5 double precision, v6 double precision, v7 double precision, v8 double precision,
    more double precision[], texts text[]
) PARTITION BY RANGE (at);
CREATE INDEX ON stored_reading (sensor, at);
CREATE INDEX ON stored_reading (stream, seq) WHERE flags & 2 <> 0;
-- What is outside all partitions: the times of clocks that were not set.
CREATE TABLE stored_reading_other PARTITION OF stored_reading DEFAULT;

CREATE TABLE mean_5min (
    at timestamptz NOT NULL, mean double precision NOT NULL, low double precision NOT NULL,
    high double precision NOT NULL, series integer NOT NULL, count integer NOT NULL,
    PRIMARY KEY (series, at)
) PARTITION BY RANGE (at);
CREATE TABLE mean_5min_other PARTITION OF mean_5min DEFAULT;
CREATE TABLE mean_hour (LIKE mean_5min INCLUDING ALL) PARTITION BY RANGE (at);
CREATE TABLE mean_hour_other PARTITION OF mean_hour DEFAULT;

-- Intervals of 5 minutes whose means are to be computed.
CREATE TABLE pending_mean (
    site integer NOT NULL, at timestamptz NOT NULL, sensor integer NOT NULL,
    PRIMARY KEY (site, at, sensor)
);

CREATE TABLE event (
    node integer NOT NULL REFERENCES node, at timestamptz NOT NULL, id bigint NOT NULL,
    kind text NOT NULL, subject text NOT NULL, detail text NOT NULL, PRIMARY KEY (node, at, id)
);
CREATE TABLE alarm (
    node integer NOT NULL REFERENCES node, name text NOT NULL, begin_at timestamptz NOT NULL,
    end_at timestamptz, rule text NOT NULL, sensor text NOT NULL, field text NOT NULL,
    severity text NOT NULL, text text NOT NULL, value double precision, worst double precision,
    bound double precision, acknowledged_at timestamptz, acknowledged_by text NOT NULL,
    PRIMARY KEY (node, name, begin_at)
);
CREATE INDEX ON alarm (begin_at);
CREATE INDEX ON alarm (node) WHERE end_at IS NULL;
-- The live state of each site's hub: the newest value of each topic, as its page gets it. `value`
-- is JSON, null where the topic is gone.
CREATE TABLE entry (
    site integer NOT NULL REFERENCES site, topic text NOT NULL, value text,
    changed_at timestamptz NOT NULL, PRIMARY KEY (site, topic)
) WITH (fillfactor = 50);
