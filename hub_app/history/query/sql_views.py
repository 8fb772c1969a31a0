"""Views of the history with real values, for people and their SQL.

The values of a reading are one MessagePack array. The views take it apart in SQL alone, so that
any program that opens SQLite files can read them. They need SQLite 3.35 with its mathematical
functions.
Source: https://github.com/msgpack/msgpack/blob/master/spec.md
"""

_DIGITS = "'0123456789ABCDEF'"


def _unsigned(at: str, count: int) -> str:
    """Return the expression of `count` hexadecimal digits of `h` from `at` on as a number."""
    return "+".join(
        f"((instr({_DIGITS},substr(h,{at}+{i},1))-1)<<{4 * (count - 1 - i)})" for i in range(count)
    )


def _signed(at: str, count: int) -> str:
    # 8 bytes wrap around to the right sign by themselves.
    limit = "" if count == 16 else f"-(substr(h,{at},1)>='8')*{1 << 4 * count}"
    return f"({_unsigned(at, count)}){limit}"


# Digits of a whole item, by its first byte; `p` is the place of its first digit in `h`.
_SIZE = f"""CASE
    WHEN substr(h, p, 2) BETWEEN 'A0' AND 'BF' THEN 2 + 2 * (({_unsigned("p", 2)}) & 31)
    ELSE CASE substr(h, p, 2) WHEN 'CC' THEN 4 WHEN 'D0' THEN 4 WHEN 'CD' THEN 6 WHEN 'D1' THEN 6
    WHEN 'CE' THEN 10 WHEN 'D2' THEN 10 WHEN 'CF' THEN 18 WHEN 'D3' THEN 18 WHEN 'CB' THEN 18
    WHEN 'D9' THEN 4 + 2 * ({_unsigned("p + 2", 2)})
    WHEN 'DA' THEN 6 + 2 * ({_unsigned("p + 2", 4)}) ELSE 2 END END"""
# IEEE 754: sign, 11 bits of exponent, 52 bits of fraction. The power is taken in two halves, since
# that of the smallest numbers is none by itself.
_EXPONENT = f"(({_unsigned('p + 2', 3)}) & 2047)"
_FRACTION = f"({_unsigned('p + 5', 13)})"
_DOUBLE = f"""(CASE WHEN substr(h, p + 2, 1) >= '8' THEN -1.0 ELSE 1.0 END)
    * ({_FRACTION} / 4503599627370496.0 + ({_EXPONENT} > 0))
    * pow(2.0, (max({_EXPONENT}, 1) - 1023) / 2)
    * pow(2.0, max({_EXPONENT}, 1) - 1023 - (max({_EXPONENT}, 1) - 1023) / 2)"""
_VALUE = f"""CASE
    WHEN t < '80' THEN {_unsigned("p", 2)} WHEN t >= 'E0' THEN ({_unsigned("p", 2)}) - 256
    WHEN t = 'C2' THEN 0 WHEN t = 'C3' THEN 1 WHEN t = 'CB' THEN {_DOUBLE}
    WHEN t = 'CC' THEN {_unsigned("p + 2", 2)} WHEN t = 'CD' THEN {_unsigned("p + 2", 4)}
    WHEN t = 'CE' THEN {_unsigned("p + 2", 8)} WHEN t = 'CF' THEN {_unsigned("p + 2", 16)}
    WHEN t = 'D0' THEN {_signed("p + 2", 2)} WHEN t = 'D1' THEN {_signed("p + 2", 4)}
    WHEN t = 'D2' THEN {_signed("p + 2", 8)} WHEN t = 'D3' THEN {_signed("p + 2", 16)}
    WHEN t BETWEEN 'A0' AND 'BF'
        THEN CAST(substr(data, (p + 3) / 2, ({_unsigned("p", 2)}) & 31) AS TEXT)
    WHEN t = 'D9' THEN CAST(substr(data, (p + 5) / 2, {_unsigned("p + 2", 2)}) AS TEXT)
    WHEN t = 'DA' THEN CAST(substr(data, (p + 7) / 2, {_unsigned("p + 2", 4)}) AS TEXT) END"""

# The shortest digits that give the number again: those of `json_quote` may be too few. SQLite reads
# the very smallest numbers with an error, so that only the longest form is right for them.
_NUMBER = """CASE WHEN abs(v) > 1e-300 AND CAST(printf('%!.15g', v) AS REAL) = v
        THEN printf('%!.15g', v)
    WHEN abs(v) > 1e-300 AND CAST(printf('%!.16g', v) AS REAL) = v THEN printf('%!.16g', v)
    ELSE printf('%!.17g', v) END"""
# A value as JSON, in which true and false are words.
_JSON = f"""CASE t WHEN 'C2' THEN 'false' WHEN 'C3' THEN 'true'
    WHEN 'CB' THEN (SELECT {_NUMBER} FROM (SELECT {_DOUBLE} AS v))
    ELSE json_quote({_VALUE}) END"""  # noqa: S608 - constants

_NAMES = "node.name AS node, sensor.name AS sensor"
_TIME = "strftime('%Y-%m-%dT%H:%M:%fZ', timestamp_ms / 1000.0, 'unixepoch') AS time, timestamp_ms"
_READINGS = """(SELECT *, hex(data) AS h FROM every_reading) AS kept
    JOIN stream ON stream.id = kept.stream JOIN node ON node.id = stream.node
    JOIN sensor ON sensor.id = kept.sensor JOIN shape ON shape.id = kept.shape"""
_SHOWN = "substr(node.name, 1, 1) != '-' AND substr(sensor.name, 1, 1) != '-'"


def _item(expression: str) -> str:
    """Return the query of the value at the place `field.key`, as an expression of it."""
    return f"""(WITH RECURSIVE item (n, p) AS (
            SELECT 0, CASE substr(h, 1, 2) WHEN 'DC' THEN 7 ELSE 3 END
            UNION ALL SELECT n + 1, p + {_SIZE} FROM item WHERE n < field.key
        ) SELECT {expression} FROM (
            SELECT p, substr(h, p, 2) AS t FROM item WHERE n = field.key
        ))"""  # noqa: S608 - constants


# A column of SQL has numbers for true and false, as SQLite has no others.
VIEWS = f"""
CREATE VIEW IF NOT EXISTS reading_values AS
    SELECT {_NAMES}, field.value AS field, {_TIME}, {_item(_VALUE)} AS value
    FROM {_READINGS} JOIN json_each(shape.fields) AS field WHERE {_SHOWN};
CREATE VIEW IF NOT EXISTS readings_wide AS
    SELECT {_NAMES}, {_TIME}, (
        SELECT json_group_object(field.value, json({_item(_JSON)}))
        FROM json_each(shape.fields) AS field
    ) AS data
    FROM {_READINGS} WHERE {_SHOWN};
"""  # noqa: S608 - constants
DROP_VIEWS = "DROP VIEW IF EXISTS readings_wide; DROP VIEW IF EXISTS reading_values;"
