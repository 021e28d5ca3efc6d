CREATE TABLE words (word STRING, n INT) WITH ('connector' = 'files');
CREATE TABLE clicks (ts BIGINT, `key` STRING, v DOUBLE, at AS TO_TIMESTAMP_LTZ(ts, 3), WATERMARK FOR at AS at - INTERVAL '2' SECOND) WITH ('connector' = 'files');
CREATE TABLE counts (word STRING, n BIGINT) WITH ('connector' = 'print');
EXPLAIN INSERT INTO counts SELECT word, COUNT(n) FROM (SELECT word, n FROM words WHERE n > 1) AS x GROUP BY word;
