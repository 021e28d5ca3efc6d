CREATE TABLE words (word STRING, n INT) WITH ('connector' = 'files');
CREATE TABLE clicks (ts BIGINT, `key` STRING, v DOUBLE, at AS TO_TIMESTAMP_LTZ(ts, 3), WATERMARK FOR at AS at - INTERVAL '2' SECOND) WITH ('connector' = 'files');
CREATE TABLE o (a STRING, b INT) WITH ('connector' = 'sink');
INSERT INTO o SELECT word, n FROM words JOIN clicks ON word = `key`;
