-- Whether a version has been level with the log: builds of its shape read it from then on, and
-- projectors keep it so. Whatever is older than this column was made empty, on an empty log.
ALTER TABLE shapes ADD COLUMN ready BOOLEAN NOT NULL DEFAULT TRUE;
