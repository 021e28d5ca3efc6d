CREATE TABLE words (word STRING, n INT) WITH ('connector' = 'files');
CREATE TABLE clicks (ts BIGINT, `key` STRING, v DOUBLE, at AS TO_TIMESTAMP_LTZ(ts, 3), WATERMARK FOR at AS at - INTERVAL '2' SECOND) WITH ('connector' = 'files');
CREATE TABLE w (s TIMESTAMP(3), n BIGINT) WITH ('connector' = 'sink');
INSERT INTO w SELECT window_start, COUNT(*) FROM TABLE(TUMBLE(TABLE clicks, DESCRIPTOR(at), INTERVAL '0' SECOND)) GROUP BY window_start, window_end;
