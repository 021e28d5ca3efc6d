CREATE TABLE words (word STRING, n INT) WITH ('connector' = 'files');
CREATE TABLE clicks (ts BIGINT, `key` STRING, v DOUBLE, at AS TO_TIMESTAMP_LTZ(ts, 3), WATERMARK FOR at AS at - INTERVAL '2' SECOND) WITH ('connector' = 'files');
CREATE TABLE up (k STRING, n BIGINT, PRIMARY KEY (k) NOT ENFORCED) WITH ('connector' = 'upsert');
INSERT INTO up SELECT word, SUM(CAST(n AS BIGINT)) FROM words WHERE n BETWEEN 1 AND 100 GROUP BY word;
