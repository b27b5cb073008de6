-- Whether a version has been level with the log: builds of its shape read it from then on, and
-- projectors keep it so. The first version of a projection is read from the beginning.
ALTER TABLE shapes ADD COLUMN ready BOOLEAN NOT NULL DEFAULT TRUE;
