-- What each table of a projection looks like: a build that would read it otherwise is refused, and
-- fills a version of its own.
CREATE TABLE shapes (
    table_name VARCHAR(80) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    shape      CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    PRIMARY KEY (table_name)
);
