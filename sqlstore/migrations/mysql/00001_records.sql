-- +goose Up
CREATE TABLE IF NOT EXISTS {records} (
	owner   varbinary(256) NOT NULL,
	kind    varbinary(32) NOT NULL,
	id      varbinary(64) NOT NULL,
	version varbinary(128) NOT NULL,
	expires bigint NOT NULL, -- Unix seconds, 0: never
	data    mediumblob NOT NULL,
	PRIMARY KEY (owner, kind, id),
	KEY {records}_expires (expires)
) ENGINE=InnoDB;
-- The record without a key is the version of the schema.
INSERT IGNORE INTO {records} (owner, kind, id, version, expires, data) VALUES ('', '', '', '1', 0, '{}');

-- +goose Down
DROP TABLE {records};
