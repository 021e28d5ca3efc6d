CREATE TABLE words (word STRING, n INT) WITH ('connector' = 'files');
CREATE TABLE clicks (ts BIGINT, `key` STRING, v DOUBLE, at AS TO_TIMESTAMP_LTZ(ts, 3), WATERMARK FOR at AS at - INTERVAL '2' SECOND) WITH ('connector' = 'files');
SET 'execution.runtime-mode' = 'batch';
CREATE TABLE o (word STRING, a INT, b INT, m DECIMAL(38, 6)) WITH ('connector' = 'sink');
INSERT INTO o SELECT word, MIN(n), MAX(n), AVG(CAST(n AS DECIMAL(10, 2))) FROM words GROUP BY word;
