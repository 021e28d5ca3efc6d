CREATE TABLE words (word STRING, n INT) WITH ('connector' = 'files');
CREATE TABLE clicks (ts BIGINT, `key` STRING, v DOUBLE, at AS TO_TIMESTAMP_LTZ(ts, 3), WATERMARK FOR at AS at - INTERVAL '2' SECOND) WITH ('connector' = 'files');
CREATE TABLE top (n BIGINT, k BIGINT) WITH ('connector' = 'print');
CREATE VIEW c AS SELECT word, COUNT(*) AS n FROM words GROUP BY word;
INSERT INTO top SELECT n, COUNT(*) FROM c GROUP BY n;
