-- NADG's tables in PostgreSQL, version 0003, as `nadg db print` prints them. For an empty database:
-- paste all of it into an SQL editor such as Supabase's and run it once. A master makes the same by itself
-- when it starts, and upgrades what an older version made (`nadg db upgrade`).

BEGIN;

CREATE SCHEMA nadg;

CREATE TABLE nadg.blobs (
    sha256 TEXT NOT NULL,
    size BIGINT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    last_used_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_blobs PRIMARY KEY (sha256)
);

CREATE INDEX ix_blobs_last_used_at ON nadg.blobs (last_used_at);

CREATE TABLE nadg.model_answers (
    key TEXT NOT NULL,
    model TEXT NOT NULL,
    text TEXT NOT NULL,
    usage BYTEA NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    last_used_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_model_answers PRIMARY KEY (key)
);

CREATE TABLE nadg.model_calls (
    id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    position BIGINT NOT NULL,
    subtask_id TEXT DEFAULT '' NOT NULL,
    purpose TEXT NOT NULL,
    model TEXT NOT NULL,
    state TEXT NOT NULL,
    tokens BIGINT NOT NULL,
    cost_usd DOUBLE PRECISION,
    usage BYTEA,
    reason TEXT DEFAULT '' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_model_calls PRIMARY KEY (id),
    CONSTRAINT ck_model_calls_state CHECK (state IN ('charged', 'answered', 'failed', 'refused', 'cached'))
);

CREATE INDEX ix_model_calls_run_id_position ON nadg.model_calls (run_id, position);

CREATE TABLE nadg.runs (
    id TEXT NOT NULL,
    command TEXT NOT NULL,
    planner TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT DEFAULT '' NOT NULL,
    plan BYTEA NOT NULL,
    inputs BYTEA NOT NULL,
    options BYTEA NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    finished_at TIMESTAMP WITH TIME ZONE,
    cancel_reason TEXT,
    lease_owner TEXT,
    lease_term BIGINT NOT NULL,
    lease_expires_at TIMESTAMP WITH TIME ZONE,
    last_event_seq BIGINT DEFAULT '0' NOT NULL,
    answer TEXT DEFAULT '' NOT NULL,
    planning BOOLEAN DEFAULT false NOT NULL,
    parent TEXT DEFAULT '' NOT NULL,
    CONSTRAINT pk_runs PRIMARY KEY (id),
    CONSTRAINT ck_runs_state CHECK (state IN ('planned', 'running', 'succeeded', 'failed', 'cancelled'))
);

CREATE INDEX ix_runs_created_at_id ON nadg.runs (created_at, id);

CREATE INDEX ix_runs_finished_at ON nadg.runs (finished_at);

CREATE INDEX ix_runs_state_created_at_id ON nadg.runs (state, created_at, id);

CREATE TABLE nadg.worker_nodes (
    id TEXT NOT NULL,
    vm_url TEXT NOT NULL,
    status TEXT NOT NULL,
    total_tasks INTEGER DEFAULT '0' NOT NULL,
    last_ping TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    name TEXT DEFAULT '' NOT NULL,
    slots INTEGER DEFAULT '0' NOT NULL,
    tier TEXT DEFAULT '' NOT NULL,
    labels BYTEA NOT NULL,
    local BOOLEAN DEFAULT false NOT NULL,
    reason TEXT DEFAULT '' NOT NULL,
    CONSTRAINT pk_worker_nodes PRIMARY KEY (id),
    CONSTRAINT uq_worker_nodes_vm_url UNIQUE (vm_url),
    CONSTRAINT ck_worker_nodes_status CHECK (status IN ('active', 'busy', 'offline', 'draining', 'quarantined'))
);

CREATE INDEX ix_worker_nodes_name ON nadg.worker_nodes (name);

CREATE TABLE nadg.events (
    run_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    kind TEXT NOT NULL,
    payload BYTEA NOT NULL,
    term BIGINT DEFAULT '0' NOT NULL,
    CONSTRAINT pk_events PRIMARY KEY (run_id, seq),
    CONSTRAINT fk_events_runs FOREIGN KEY(run_id) REFERENCES nadg.runs (id) ON DELETE CASCADE
);

CREATE TABLE nadg.subtasks (
    run_id TEXT NOT NULL,
    id TEXT NOT NULL,
    position INTEGER NOT NULL,
    title TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT DEFAULT '' NOT NULL,
    result BYTEA,
    artifacts BYTEA,
    CONSTRAINT pk_subtasks PRIMARY KEY (run_id, id),
    CONSTRAINT ck_subtasks_state CHECK (state IN ('waiting', 'preparing', 'running', 'closing', 'succeeded', 'failed', 'skipped', 'cancelled')),
    CONSTRAINT fk_subtasks_runs FOREIGN KEY(run_id) REFERENCES nadg.runs (id) ON DELETE CASCADE
);

CREATE TABLE nadg.shards (
    run_id TEXT NOT NULL,
    subtask_id TEXT NOT NULL,
    shard_index INTEGER NOT NULL,
    state TEXT NOT NULL,
    reason TEXT DEFAULT '' NOT NULL,
    piece BYTEA NOT NULL,
    CONSTRAINT pk_shards PRIMARY KEY (run_id, subtask_id, shard_index),
    CONSTRAINT fk_shards_subtasks FOREIGN KEY(run_id, subtask_id) REFERENCES nadg.subtasks (run_id, id) ON DELETE CASCADE,
    CONSTRAINT ck_shards_state CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled'))
);

CREATE TABLE nadg.attempts (
    id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    subtask_id TEXT NOT NULL,
    shard_index INTEGER NOT NULL,
    number INTEGER NOT NULL,
    state TEXT NOT NULL,
    worker TEXT DEFAULT '' NOT NULL,
    reason TEXT DEFAULT '' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE,
    finished_at TIMESTAMP WITH TIME ZONE,
    outcome BYTEA,
    cache_key TEXT DEFAULT '' NOT NULL,
    environment TEXT DEFAULT '' NOT NULL,
    CONSTRAINT pk_attempts PRIMARY KEY (id),
    CONSTRAINT fk_attempts_shards FOREIGN KEY(run_id, subtask_id, shard_index) REFERENCES nadg.shards (run_id, subtask_id, shard_index) ON DELETE CASCADE,
    CONSTRAINT uq_attempts_run_id UNIQUE (run_id, subtask_id, shard_index, number),
    CONSTRAINT ck_attempts_state CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'lost', 'cancelled'))
);

CREATE INDEX ix_attempts_cache_key ON nadg.attempts (cache_key) WHERE cache_key <> '';

CREATE TABLE nadg.schema_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT schema_version_pkc PRIMARY KEY (version_num)
);

CREATE VIEW nadg.task_history WITH (security_invoker = true) AS SELECT a.id AS id, a.run_id AS run_id, a.worker AS worker, s.title AS description, a.state AS status, a.created_at AS created_at, a.finished_at AS completed_at FROM nadg.attempts AS a JOIN nadg.subtasks AS s ON s.run_id = a.run_id AND s.id = a.subtask_id;

INSERT INTO nadg.schema_version (version_num) VALUES ('0003');

ALTER TABLE nadg.attempts ENABLE ROW LEVEL SECURITY;

ALTER TABLE nadg.blobs ENABLE ROW LEVEL SECURITY;

ALTER TABLE nadg.events ENABLE ROW LEVEL SECURITY;

ALTER TABLE nadg.model_answers ENABLE ROW LEVEL SECURITY;

ALTER TABLE nadg.model_calls ENABLE ROW LEVEL SECURITY;

ALTER TABLE nadg.runs ENABLE ROW LEVEL SECURITY;

ALTER TABLE nadg.schema_version ENABLE ROW LEVEL SECURITY;

ALTER TABLE nadg.shards ENABLE ROW LEVEL SECURITY;

ALTER TABLE nadg.subtasks ENABLE ROW LEVEL SECURITY;

ALTER TABLE nadg.worker_nodes ENABLE ROW LEVEL SECURITY;

REVOKE ALL ON SCHEMA nadg FROM PUBLIC;

REVOKE ALL ON ALL TABLES IN SCHEMA nadg FROM PUBLIC;

REVOKE ALL ON ALL SEQUENCES IN SCHEMA nadg FROM PUBLIC;

ALTER DEFAULT PRIVILEGES IN SCHEMA nadg REVOKE ALL ON TABLES FROM PUBLIC;

ALTER DEFAULT PRIVILEGES IN SCHEMA nadg REVOKE ALL ON SEQUENCES FROM PUBLIC;

DO $$ BEGIN IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'anon') THEN REVOKE ALL ON SCHEMA nadg FROM anon; REVOKE ALL ON ALL TABLES IN SCHEMA nadg FROM anon; REVOKE ALL ON ALL SEQUENCES IN SCHEMA nadg FROM anon; ALTER DEFAULT PRIVILEGES IN SCHEMA nadg REVOKE ALL ON TABLES FROM anon; ALTER DEFAULT PRIVILEGES IN SCHEMA nadg REVOKE ALL ON SEQUENCES FROM anon; END IF; END $$;

DO $$ BEGIN IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'authenticated') THEN REVOKE ALL ON SCHEMA nadg FROM authenticated; REVOKE ALL ON ALL TABLES IN SCHEMA nadg FROM authenticated; REVOKE ALL ON ALL SEQUENCES IN SCHEMA nadg FROM authenticated; ALTER DEFAULT PRIVILEGES IN SCHEMA nadg REVOKE ALL ON TABLES FROM authenticated; ALTER DEFAULT PRIVILEGES IN SCHEMA nadg REVOKE ALL ON SEQUENCES FROM authenticated; END IF; END $$;

DO $$ BEGIN IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'service_role') THEN GRANT USAGE ON SCHEMA nadg TO service_role; GRANT ALL ON ALL TABLES IN SCHEMA nadg TO service_role; ALTER DEFAULT PRIVILEGES IN SCHEMA nadg GRANT ALL ON TABLES TO service_role; END IF; END $$;

COMMIT;
