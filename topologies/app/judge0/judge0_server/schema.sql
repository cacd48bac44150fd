CREATE TABLE IF NOT EXISTS languages (
    id integer PRIMARY KEY,
    name text NOT NULL,
    source_file text NOT NULL,
    compile_cmd text,
    run_cmd text NOT NULL,
    is_archived boolean NOT NULL
);

CREATE TABLE IF NOT EXISTS submissions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    token uuid NOT NULL UNIQUE,
    source_code bytea,
    language_id integer NOT NULL,
    stdin bytea,
    expected_output bytea,
    stdout bytea,
    status_id integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    time double precision,
    memory integer,
    stderr bytea,
    number_of_runs integer NOT NULL,
    cpu_time_limit double precision NOT NULL,
    cpu_extra_time double precision NOT NULL,
    wall_time_limit double precision NOT NULL,
    memory_limit integer NOT NULL,
    stack_limit integer NOT NULL,
    max_processes_and_or_threads integer NOT NULL,
    enable_per_process_and_thread_time_limit boolean NOT NULL,
    enable_per_process_and_thread_memory_limit boolean NOT NULL,
    max_file_size integer NOT NULL,
    compile_output bytea,
    exit_code integer,
    exit_signal integer,
    message bytea,
    wall_time double precision,
    compiler_options text,
    command_line_arguments text,
    redirect_stderr_to_stdout boolean NOT NULL,
    callback_url text,
    additional_files bytea,
    enable_network boolean NOT NULL,
    -- Who runs it and for the how manieth time: only the worker named here may write the result.
    worker text,
    attempt integer NOT NULL DEFAULT 0,
    queued_at timestamptz NOT NULL DEFAULT now(),
    -- When its last attempt began.
    started_at timestamptz
);

-- Tables of before have no such column.
ALTER TABLE submissions ADD COLUMN IF NOT EXISTS started_at timestamptz;

-- What has no final status yet is few: the sweeper looks for it often.
CREATE INDEX IF NOT EXISTS submissions_unfinished ON submissions (queued_at) WHERE status_id IN (1, 2);
