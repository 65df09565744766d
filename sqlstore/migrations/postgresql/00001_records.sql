-- +goose Up
CREATE TABLE IF NOT EXISTS {records} (
	owner   bytea NOT NULL,
	kind    text COLLATE "C" NOT NULL,
	id      text COLLATE "C" NOT NULL,
	version text COLLATE "C" NOT NULL,
	expires bigint NOT NULL, -- Unix seconds, 0: never
	data    bytea NOT NULL,
	PRIMARY KEY (owner, kind, id)
);
CREATE INDEX IF NOT EXISTS {records}_expires ON {records} (expires) WHERE expires <> 0;
-- The record without a key is the version of the schema.
INSERT INTO {records} (owner, kind, id, version, expires, data) VALUES ('', '', '', '1', 0, '{}') ON CONFLICT DO NOTHING;

-- +goose Down
DROP TABLE {records};
