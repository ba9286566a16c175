-- Everything is binary: keys compare byte by byte, and no character set can
-- change a text (CONVERT(subject USING utf8mb4) shows it). Times are
-- microseconds since 1970 in UTC; NULL is no time. MySQL commits every CREATE by
-- itself: IF NOT EXISTS lets a migration that was cut off run again.

CREATE TABLE IF NOT EXISTS oauth_clients (
    id       VARBINARY(2048) NOT NULL PRIMARY KEY,
    version  BIGINT NOT NULL,
    purge_at BIGINT,
    record   MEDIUMBLOB NOT NULL, -- JSON
    INDEX oauth_clients_purge (purge_at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;

CREATE TABLE IF NOT EXISTS oauth_codes (
    kind        VARBINARY(255) NOT NULL,
    code_key    VARBINARY(255) NOT NULL,
    version     BIGINT NOT NULL,
    expires_at  BIGINT,
    consumed_at BIGINT,
    purge_at    BIGINT,
    data        MEDIUMBLOB,
    PRIMARY KEY (code_key, kind),
    INDEX oauth_codes_purge (purge_at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;

CREATE TABLE IF NOT EXISTS oauth_tokens (
    id            VARBINARY(255) NOT NULL PRIMARY KEY,
    client_id     VARBINARY(2048) NOT NULL,
    subject       VARBINARY(255) NOT NULL,
    state         SMALLINT NOT NULL,
    version       BIGINT NOT NULL,
    scopes        MEDIUMBLOB NOT NULL, -- JSON
    resources     MEDIUMBLOB NOT NULL, -- JSON
    family_hash   VARBINARY(32),
    secret_hash   VARBINARY(32),
    previous_hash VARBINARY(32),
    successor     MEDIUMBLOB,
    rotated_at    BIGINT,
    created_at    BIGINT,
    last_used_at  BIGINT,
    expires_at    BIGINT,
    revoked_at    BIGINT,
    purge_at      BIGINT,
    purge_day     BIGINT, -- purge_at in days since 1970, rounded up: a refresh moves it once a day
    device        MEDIUMBLOB NOT NULL,
    ip            MEDIUMBLOB NOT NULL,
    data          MEDIUMBLOB,
    INDEX oauth_tokens_subject (subject, id),
    INDEX oauth_tokens_client (client_id, id),
    INDEX oauth_tokens_purge (purge_day)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;

CREATE TABLE IF NOT EXISTS oauth_consents (
    subject     VARBINARY(255) NOT NULL,
    client_id   VARBINARY(2048) NOT NULL,
    version     BIGINT NOT NULL,
    scopes      MEDIUMBLOB NOT NULL, -- JSON
    resources   MEDIUMBLOB NOT NULL, -- JSON
    client_hash VARBINARY(32),
    granted_at  BIGINT,
    updated_at  BIGINT,
    PRIMARY KEY (subject, client_id),
    INDEX oauth_consents_client (client_id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;
