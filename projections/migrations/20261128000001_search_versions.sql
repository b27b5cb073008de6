-- Versions of the search index: `filling` until each product has its document, then `ready`; what is
-- left of a `dropped` one is its number, which is not used again. The next piece of products begins
-- behind the id `after`; none is left where that is NULL.
CREATE TABLE search_versions (
    version  INT NOT NULL,
    format   VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    state    VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    after    VARBINARY(16),
    products BIGINT NOT NULL,
    written  BIGINT NOT NULL,
    PRIMARY KEY (version)
);

-- Pieces of products whose documents are being written: the ids above `after` up to `upto`. Whoever
-- writes one holds the lock of its row.
CREATE TABLE search_pieces (
    version INT NOT NULL,
    after   VARBINARY(16) NOT NULL,
    upto    VARBINARY(16) NOT NULL,
    PRIMARY KEY (version, after)
);
