-- Times are microseconds since 1970 in UTC; NULL is no time.

CREATE TABLE oauth_clients (
    id       TEXT NOT NULL PRIMARY KEY,
    version  INTEGER NOT NULL,
    purge_at INTEGER,
    record   TEXT NOT NULL -- JSON
) STRICT;

CREATE INDEX oauth_clients_purge ON oauth_clients (purge_at);

CREATE TABLE oauth_codes (
    kind        TEXT NOT NULL,
    code_key    TEXT NOT NULL,
    version     INTEGER NOT NULL,
    expires_at  INTEGER,
    consumed_at INTEGER,
    purge_at    INTEGER,
    data        BLOB,
    PRIMARY KEY (code_key, kind)
) STRICT;

CREATE INDEX oauth_codes_purge ON oauth_codes (purge_at);

-- A refresh changes no indexed column but purge_day, and that once a day.

CREATE TABLE oauth_tokens (
    id            TEXT NOT NULL PRIMARY KEY,
    client_id     TEXT NOT NULL,
    subject       TEXT NOT NULL,
    state         INTEGER NOT NULL,
    version       INTEGER NOT NULL,
    scopes        TEXT NOT NULL, -- JSON
    resources     TEXT NOT NULL, -- JSON
    family_hash   BLOB,
    secret_hash   BLOB,
    previous_hash BLOB,
    successor     BLOB,
    rotated_at    INTEGER,
    created_at    INTEGER,
    last_used_at  INTEGER,
    expires_at    INTEGER,
    revoked_at    INTEGER,
    purge_at      INTEGER,
    purge_day     INTEGER, -- purge_at in days since 1970, rounded up
    device        TEXT NOT NULL,
    ip            TEXT NOT NULL,
    data          BLOB
) STRICT;

CREATE INDEX oauth_tokens_subject ON oauth_tokens (subject, id);

CREATE INDEX oauth_tokens_client ON oauth_tokens (client_id, id);

CREATE INDEX oauth_tokens_purge ON oauth_tokens (purge_day);

CREATE TABLE oauth_consents (
    subject     TEXT NOT NULL,
    client_id   TEXT NOT NULL,
    version     INTEGER NOT NULL,
    scopes      TEXT NOT NULL, -- JSON
    resources   TEXT NOT NULL, -- JSON
    client_hash BLOB,
    granted_at  INTEGER,
    updated_at  INTEGER,
    PRIMARY KEY (subject, client_id)
) STRICT;

CREATE INDEX oauth_consents_client ON oauth_consents (client_id);
