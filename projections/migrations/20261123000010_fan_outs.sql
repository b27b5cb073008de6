-- Brands whose name changed, and how far the documents of their products follow: one row until the
-- last is written. `since` is the first event that some documents may still lack, `upto` the last;
-- `after` the last product written, none where it begins.
CREATE TABLE search_fan_outs (
    version      INT NOT NULL,
    partition_no INT NOT NULL,
    brand_id     BINARY(16) NOT NULL,
    mall         VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    since        BIGINT NOT NULL,
    upto         BIGINT NOT NULL,
    after        VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin,
    PRIMARY KEY (version, partition_no, brand_id)
);
