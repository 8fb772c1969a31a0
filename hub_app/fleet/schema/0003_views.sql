-- For people and programs such as Grafana: names, and values as they were measured.

CREATE VIEW reading AS
SELECT site.name AS site, coalesce(nullif(sensor.area, ''), node.area) AS area, node.name AS node,
    sensor.name AS sensor, field.name AS field, series.unit, r.at,
    CASE f.place WHEN 1 THEN r.v1 WHEN 2 THEN r.v2 WHEN 3 THEN r.v3 WHEN 4 THEN r.v4
        WHEN 5 THEN r.v5 WHEN 6 THEN r.v6 WHEN 7 THEN r.v7 WHEN 8 THEN r.v8 ELSE r.more[f.place - 8] END AS value
FROM stored_reading AS r
JOIN sensor ON sensor.id = r.sensor JOIN node ON node.id = sensor.node JOIN site ON site.id = node.site
JOIN shape_field AS f ON f.shape = r.shape AND NOT f.is_text JOIN field ON field.id = f.field
JOIN series ON series.sensor = r.sensor AND series.field = f.field;

CREATE VIEW reading_text AS
SELECT site.name AS site, coalesce(nullif(sensor.area, ''), node.area) AS area, node.name AS node,
    sensor.name AS sensor, field.name AS field, r.at, r.texts[f.place] AS value
FROM stored_reading AS r
JOIN sensor ON sensor.id = r.sensor JOIN node ON node.id = sensor.node JOIN site ON site.id = node.site
JOIN shape_field AS f ON f.shape = r.shape AND f.is_text JOIN field ON field.id = f.field;

CREATE VIEW reading_5min AS
SELECT site.name AS site, coalesce(nullif(sensor.area, ''), node.area) AS area, node.name AS node,
    sensor.name AS sensor, field.name AS field, series.unit, m.at, m.mean, m.low, m.high, m.count
FROM mean_5min AS m JOIN series ON series.id = m.series JOIN field ON field.id = series.field
JOIN sensor ON sensor.id = series.sensor JOIN node ON node.id = sensor.node
JOIN site ON site.id = node.site;

CREATE VIEW reading_hour AS
SELECT site.name AS site, coalesce(nullif(sensor.area, ''), node.area) AS area, node.name AS node,
    sensor.name AS sensor, field.name AS field, series.unit, m.at, m.mean, m.low, m.high, m.count
FROM mean_hour AS m JOIN series ON series.id = m.series JOIN field ON field.id = series.field
JOIN sensor ON sensor.id = series.sensor JOIN node ON node.id = sensor.node
JOIN site ON site.id = node.site;

CREATE VIEW site_alarm AS
SELECT site.name AS site, node.area, node.name AS node, alarm.name AS alarm, alarm.severity, alarm.text,
    alarm.sensor, alarm.field, alarm.begin_at, alarm.end_at, alarm.value, alarm.worst, alarm.bound,
    alarm.acknowledged_at, alarm.acknowledged_by
FROM alarm JOIN node ON node.id = alarm.node JOIN site ON site.id = node.site;

CREATE VIEW site_event AS
SELECT site.name AS site, node.area, node.name AS node, event.at, event.kind, event.subject, event.detail
FROM event JOIN node ON node.id = event.node JOIN site ON site.id = node.site;
