"""Judge0's configuration: the variables of judge0.conf, with its defaults."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from judge0_common.connect import flag, integer, number, version


@dataclass(frozen=True)
class Settings:
    """Times are in seconds, memory and file sizes in KB, as in Judge0."""

    version: str
    port: int
    processes: int
    stop_within: float
    maintenance_mode: bool
    maintenance_message: str
    enable_wait_result: bool
    enable_compiler_options: bool
    allowed_languages_for_compile_options: list[str]
    enable_command_line_arguments: bool
    enable_submission_delete: bool
    enable_callbacks: bool
    callbacks_max_tries: int
    callbacks_timeout: float
    enable_additional_files: bool
    max_queue_size: int
    cpu_time_limit: float
    max_cpu_time_limit: float
    cpu_extra_time: float
    max_cpu_extra_time: float
    wall_time_limit: float
    max_wall_time_limit: float
    memory_limit: int
    max_memory_limit: int
    stack_limit: int
    max_stack_limit: int
    max_processes_and_or_threads: int
    max_max_processes_and_or_threads: int
    enable_per_process_and_thread_time_limit: bool
    allow_enable_per_process_and_thread_time_limit: bool
    enable_per_process_and_thread_memory_limit: bool
    allow_enable_per_process_and_thread_memory_limit: bool
    max_file_size: int
    max_max_file_size: int
    number_of_runs: int
    max_number_of_runs: int
    redirect_stderr_to_stdout: bool
    max_extract_size: int
    enable_batched_submissions: bool
    max_submission_batch_size: int
    submission_cache_duration: float
    use_docs_as_homepage: bool
    allow_enable_network: bool
    enable_network: bool
    authn_header: str
    authn_tokens: frozenset[str]
    authz_header: str
    authz_tokens: frozenset[str]
    allow_origin: str


# What /config_info does not tell.
PRIVATE = frozenset(
    [
        "version",
        "port",
        "processes",
        "stop_within",
        "maintenance_message",
        "authn_header",
        "authn_tokens",
        "authz_header",
        "authz_tokens",
        "allow_origin",
    ]
)


def load(env: Mapping[str, str] = os.environ) -> Settings:
    """Raises SettingError for a value that is not what its variable takes."""

    def split(name: str) -> list[str]:
        return env.get(name, "").split()

    return Settings(
        version=version(env),
        port=integer(env, "PORT", 2358),
        processes=max(1, integer(env, "WEB_CONCURRENCY", 1)),
        # Less than stop_grace_period in docker-compose.yml, after which nobody can finish anything.
        stop_within=number(env, "STOP_SECONDS", 25),
        maintenance_mode=flag(env, "MAINTENANCE_MODE", False),
        maintenance_message=env.get("MAINTENANCE_MESSAGE") or "Judge0 is currently in maintenance.",
        enable_wait_result=flag(env, "ENABLE_WAIT_RESULT", True),
        enable_compiler_options=flag(env, "ENABLE_COMPILER_OPTIONS", True),
        allowed_languages_for_compile_options=split("ALLOWED_LANGUAGES_FOR_COMPILER_OPTIONS"),
        enable_command_line_arguments=flag(env, "ENABLE_COMMAND_LINE_ARGUMENTS", True),
        enable_submission_delete=flag(env, "ENABLE_SUBMISSION_DELETE", False),
        enable_callbacks=flag(env, "ENABLE_CALLBACKS", True),
        callbacks_max_tries=integer(env, "CALLBACKS_MAX_TRIES", 3),
        callbacks_timeout=number(env, "CALLBACKS_TIMEOUT", 5),
        enable_additional_files=flag(env, "ENABLE_ADDITIONAL_FILES", True),
        max_queue_size=integer(env, "MAX_QUEUE_SIZE", 100),
        cpu_time_limit=number(env, "CPU_TIME_LIMIT", 5),
        max_cpu_time_limit=number(env, "MAX_CPU_TIME_LIMIT", 15),
        cpu_extra_time=number(env, "CPU_EXTRA_TIME", 1),
        max_cpu_extra_time=number(env, "MAX_CPU_EXTRA_TIME", 5),
        wall_time_limit=number(env, "WALL_TIME_LIMIT", 10),
        max_wall_time_limit=number(env, "MAX_WALL_TIME_LIMIT", 20),
        memory_limit=integer(env, "MEMORY_LIMIT", 128000),
        max_memory_limit=integer(env, "MAX_MEMORY_LIMIT", 512000),
        stack_limit=integer(env, "STACK_LIMIT", 64000),
        max_stack_limit=integer(env, "MAX_STACK_LIMIT", 128000),
        max_processes_and_or_threads=integer(env, "MAX_PROCESSES_AND_OR_THREADS", 60),
        max_max_processes_and_or_threads=integer(env, "MAX_MAX_PROCESSES_AND_OR_THREADS", 120),
        enable_per_process_and_thread_time_limit=flag(env, "ENABLE_PER_PROCESS_AND_THREAD_TIME_LIMIT", False),
        allow_enable_per_process_and_thread_time_limit=flag(
            env, "ALLOW_ENABLE_PER_PROCESS_AND_THREAD_TIME_LIMIT", True
        ),
        enable_per_process_and_thread_memory_limit=flag(
            env, "ENABLE_PER_PROCESS_AND_THREAD_MEMORY_LIMIT", False
        ),
        allow_enable_per_process_and_thread_memory_limit=flag(
            env, "ALLOW_ENABLE_PER_PROCESS_AND_THREAD_MEMORY_LIMIT", True
        ),
        max_file_size=integer(env, "MAX_FILE_SIZE", 1024),
        max_max_file_size=integer(env, "MAX_MAX_FILE_SIZE", 4096),
        number_of_runs=integer(env, "NUMBER_OF_RUNS", 1),
        max_number_of_runs=integer(env, "MAX_NUMBER_OF_RUNS", 20),
        redirect_stderr_to_stdout=flag(env, "REDIRECT_STDERR_TO_STDOUT", False),
        max_extract_size=integer(env, "MAX_EXTRACT_SIZE", 10240),
        enable_batched_submissions=flag(env, "ENABLE_BATCHED_SUBMISSIONS", True),
        max_submission_batch_size=integer(env, "MAX_SUBMISSION_BATCH_SIZE", 20),
        submission_cache_duration=number(env, "SUBMISSION_CACHE_DURATION", 1),
        use_docs_as_homepage=flag(env, "USE_DOCS_AS_HOMEPAGE", False),
        allow_enable_network=flag(env, "ALLOW_ENABLE_NETWORK", True),
        enable_network=flag(env, "ENABLE_NETWORK", False),
        authn_header=env.get("AUTHN_HEADER") or "X-Auth-Token",
        authn_tokens=frozenset(split("AUTHN_TOKEN")),
        authz_header=env.get("AUTHZ_HEADER") or "X-Auth-User",
        authz_tokens=frozenset(split("AUTHZ_TOKEN")),
        allow_origin=env.get("ALLOW_ORIGIN") or "*",
    )
