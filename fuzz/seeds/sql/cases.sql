CREATE TABLE words (word STRING, n INT) WITH ('connector' = 'files');
CREATE TABLE clicks (ts BIGINT, `key` STRING, v DOUBLE, at AS TO_TIMESTAMP_LTZ(ts, 3), WATERMARK FOR at AS at - INTERVAL '2' SECOND) WITH ('connector' = 'files');
CREATE TABLE o (a STRING, b INT, c BOOLEAN) WITH ('connector' = 'sink');
INSERT INTO o SELECT CASE WHEN n > 1 THEN 'big' WHEN n IS NULL THEN NULL ELSE word END, COALESCE(TRY_CAST(word AS INT), -1), n IS NOT DISTINCT FROM 3 AND NOT (n = 4) FROM words;
