CREATE TABLE words (word STRING, n INT) WITH ('connector' = 'files');
CREATE TABLE clicks (ts BIGINT, `key` STRING, v DOUBLE, at AS TO_TIMESTAMP_LTZ(ts, 3), WATERMARK FOR at AS at - INTERVAL '2' SECOND) WITH ('connector' = 'files');
CREATE TABLE w (s TIMESTAMP(3), k STRING, n BIGINT, m DOUBLE) WITH ('connector' = 'sink');
INSERT INTO w SELECT window_start, `key`, COUNT(*), SUM(v) FILTER (WHERE v > 0)
FROM TABLE(TUMBLE(TABLE clicks, DESCRIPTOR(at), INTERVAL '10' SECOND))
WHERE v IS NOT NULL
GROUP BY window_start, window_end, `key`
HAVING COUNT(*) > 1;
