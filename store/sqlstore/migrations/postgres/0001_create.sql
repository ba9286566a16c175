-- Keys compare byte by byte: hence the collation "C". Times are microseconds
-- since 1970 in UTC; NULL is no time.

CREATE TABLE oauth_clients (
    id       TEXT COLLATE "C" PRIMARY KEY,
    version  BIGINT NOT NULL,
    purge_at BIGINT,
    record   TEXT NOT NULL -- JSON
);

CREATE INDEX oauth_clients_purge ON oauth_clients (purge_at);

CREATE TABLE oauth_codes (
    kind        TEXT COLLATE "C" NOT NULL,
    code_key    TEXT COLLATE "C" NOT NULL,
    version     BIGINT NOT NULL,
    expires_at  BIGINT,
    consumed_at BIGINT,
    purge_at    BIGINT,
    data        BYTEA,
    PRIMARY KEY (code_key, kind)
);

CREATE INDEX oauth_codes_purge ON oauth_codes (purge_at);

-- A refresh changes no indexed column but purge_day, and that once a day, and
-- finds room for the new row beside the old one: so it leaves the indexes alone.

CREATE TABLE oauth_tokens (
    id            TEXT COLLATE "C" PRIMARY KEY,
    client_id     TEXT COLLATE "C" NOT NULL,
    subject       TEXT COLLATE "C" NOT NULL,
    state         SMALLINT NOT NULL,
    version       BIGINT NOT NULL,
    scopes        TEXT NOT NULL, -- JSON
    resources     TEXT NOT NULL, -- JSON
    family_hash   BYTEA,
    secret_hash   BYTEA,
    previous_hash BYTEA,
    successor     BYTEA,
    rotated_at    BIGINT,
    created_at    BIGINT,
    last_used_at  BIGINT,
    expires_at    BIGINT,
    revoked_at    BIGINT,
    purge_at      BIGINT,
    purge_day     BIGINT, -- purge_at in days since 1970, rounded up
    device        TEXT NOT NULL,
    ip            TEXT NOT NULL,
    data          BYTEA
) WITH (fillfactor = 70);

CREATE INDEX oauth_tokens_subject ON oauth_tokens (subject, id);

CREATE INDEX oauth_tokens_client ON oauth_tokens (client_id, id);

CREATE INDEX oauth_tokens_purge ON oauth_tokens (purge_day);

CREATE TABLE oauth_consents (
    subject     TEXT COLLATE "C" NOT NULL,
    client_id   TEXT COLLATE "C" NOT NULL,
    version     BIGINT NOT NULL,
    scopes      TEXT NOT NULL, -- JSON
    resources   TEXT NOT NULL, -- JSON
    client_hash BYTEA,
    granted_at  BIGINT,
    updated_at  BIGINT,
    PRIMARY KEY (subject, client_id)
);

CREATE INDEX oauth_consents_client ON oauth_consents (client_id);
