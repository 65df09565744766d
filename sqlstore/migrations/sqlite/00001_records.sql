-- +goose Up
CREATE TABLE IF NOT EXISTS {records} (
	owner   blob NOT NULL,
	kind    text NOT NULL COLLATE BINARY,
	id      text NOT NULL COLLATE BINARY,
	version text NOT NULL COLLATE BINARY,
	expires integer NOT NULL, -- Unix seconds, 0: never
	data    blob NOT NULL,
	PRIMARY KEY (owner, kind, id)
) STRICT;
CREATE INDEX IF NOT EXISTS {records}_expires ON {records} (expires) WHERE expires <> 0;
-- The record without a key is the version of the schema.
INSERT INTO {records} (owner, kind, id, version, expires, data) VALUES (x'', '', '', '1', 0, CAST('{}' AS blob)) ON CONFLICT DO NOTHING;

-- +goose Down
DROP TABLE {records};
