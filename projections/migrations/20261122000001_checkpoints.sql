-- What each version of a projection has applied: one row per partition, locked first by whoever
-- moves it. `offsets` is JSON: topic -> next offset and the topic's id.
CREATE TABLE checkpoints (
    projection   VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    version      INT NOT NULL,
    partition_no INT NOT NULL,
    offsets      VARCHAR(4000) NOT NULL,
    appended     BIGINT NOT NULL,
    PRIMARY KEY (projection, version, partition_no)
);

-- Which version is live: one row per set of projections that must agree, so that a swap is one
-- update, and so is its way back.
CREATE TABLE active (
    set_name VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    version  INT NOT NULL,
    PRIMARY KEY (set_name)
);
