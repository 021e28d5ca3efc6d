CREATE TABLE words (word STRING, n INT) WITH ('connector' = 'files');
CREATE TABLE clicks (ts BIGINT, `key` STRING, v DOUBLE, at AS TO_TIMESTAMP_LTZ(ts, 3), WATERMARK FOR at AS at - INTERVAL '2' SECOND) WITH ('connector' = 'files');
CREATE TABLE a (word STRING) WITH ('connector' = 'sink');
CREATE TABLE b (n INT) WITH ('connector' = 'sink');
EXECUTE STATEMENT SET BEGIN
INSERT INTO a SELECT UPPER(word) || '!' FROM words;
INSERT INTO b SELECT n * 2 + 1 FROM words WHERE word LIKE 'a%' OR n IN (1, 2, 3);
END;
