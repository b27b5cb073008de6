-- Each turn of an indexer asks for the oldest, and a search with a token whether there is one as old.
ALTER TABLE search_fan_outs ADD KEY by_age (version, partition_no, since);
