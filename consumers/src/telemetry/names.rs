//! The name and meaning of every metric, in one table.

use metrics::{describe_counter, describe_gauge, describe_histogram};

/// Declares each metric once: kind, constant, name and meaning.
macro_rules! metrics {
    ($($kind:ident $constant:ident = $name:literal: $meaning:literal;)+) => {
        $(#[doc = $meaning] pub const $constant: &str = $name;)+

        /// Tells the recorder what each metric means.
        pub(super) fn describe() {
            $(metrics!(@describe $kind $constant $meaning);)+
        }
    };
    (@describe counter $constant:ident $meaning:literal) => {
        describe_counter!($constant, $meaning);
    };
    (@describe gauge $constant:ident $meaning:literal) => { describe_gauge!($constant, $meaning); };
    (@describe histogram $constant:ident $meaning:literal) => {
        describe_histogram!($constant, $meaning);
    };
}

metrics! {
    histogram STAGE_SECONDS = "jangbu_stage_seconds":
        "How long a stage of the path took, by `stage`.";
    histogram BATCH_RECORDS = "jangbu_batch_records":
        "Records taken in one turn, by `stage`.";

    gauge PARTITIONS_OWNED = "jangbu_partitions_owned":
        "Partitions that this process owns, by `topic` and `group`; -1 where it is in that group no more.";
    gauge PARTITION_STOPPED = "jangbu_partition_stopped":
        "1 where a partition was stopped by a broken log, by `topic`, or `projection` and `version`, and `partition`.";
    counter VERSION_BREAKS = "jangbu_version_breaks_total":
        "Versions of an aggregate that were missing or doubled, by `kind` (gap, doubled).";
    counter RETRIES = "jangbu_retries_total":
        "Work done again, by `reason`.";

    counter COMMANDS = "jangbu_commands_total":
        "Commands taken from the log, by `lane` (interactive, bulk).";
    histogram COMMAND_WAITED = "jangbu_command_waited_seconds":
        "How long the first command of a batch had been in the log, by `lane`.";
    gauge BULK_REST = "jangbu_bulk_rest_ratio":
        "For how many times what a bulk batch took the bulk lane rests after it while somebody waits.";
    counter DECISIONS = "jangbu_decisions_total":
        "Commands decided, by `verdict`.";
    counter REJECTIONS = "jangbu_rejections_total":
        "Commands rejected, by `code`.";
    counter DEAD_LETTERS = "jangbu_dead_letters_total":
        "Commands that could not be decoded.";
    counter TRANSACTIONS = "jangbu_transactions_total":
        "Transactions of the handler, by `result` (committed, aborted, unknown).";
    gauge HELD_BACK_SINCE = "jangbu_held_back_since_seconds":
        "Unix time since which an open transaction holds back what follows it, by `topic` and `partition`; 0 where none does.";
    histogram TRANSACTION_SECONDS = "jangbu_transaction_seconds":
        "How long a transaction was open.";
    gauge CACHE_ENTRIES = "jangbu_cache_entries":
        "Aggregates that the handler keeps in memory.";
    gauge CACHE_PINNED = "jangbu_cache_pinned_entries":
        "Of those, the ones that the snapshot does not cover yet.";
    gauge TAIL_EVENTS = "jangbu_tail_events":
        "Events that the handler keeps because the snapshot does not cover them yet.";
    counter TAKEOVERS = "jangbu_takeovers_total":
        "Partitions taken by the handler, first and again.";
    counter DECIDED_BEFORE = "jangbu_decided_before_total":
        "Commands that are sent once and were met again: the group's offsets have gone back.";

    gauge LAG_RECORDS = "jangbu_lag_records":
        "Records not yet applied, by `projection`, `version` and `partition`.";
    gauge LAG_SECONDS = "jangbu_lag_seconds":
        "Age of the oldest record not yet applied, or how long that has not been known, by `projection`, `version` and `partition`.";
    histogram PROJECTION_AGE = "jangbu_projection_age_seconds":
        "Age of a record when it was applied, from its append, by `projection`.";
    counter APPLIED = "jangbu_applied_records_total":
        "Records applied, by `projection`.";
    counter DOCUMENTS = "jangbu_documents_total":
        "Documents sent to the search engine, by `result` (written, newer, retried).";
    counter SEARCH_REFUSED = "jangbu_search_refused_documents_total":
        "Documents that the search engine will never take, and that are left out.";

    counter OUTCOMES = "jangbu_outcomes_total":
        "Outcomes seen, by `result` (awaited, unawaited).";
    gauge WAITERS = "jangbu_waiters":
        "Requests that wait for an outcome.";
    gauge COMMANDS_UNDECIDED = "jangbu_commands_undecided":
        "Commands that this api let in and that are not decided yet.";
    gauge COMMANDS_WINDOW = "jangbu_commands_window":
        "How many of them it lets be while all partitions have owners.";
    counter HTTP_REQUESTS = "jangbu_http_requests_total":
        "Requests answered, by `route`, `method` and `status`.";
    gauge HTTP_IN_FLIGHT = "jangbu_http_in_flight":
        "Requests under way.";
    histogram HTTP_SECONDS = "jangbu_http_request_seconds":
        "How long a request took, by `route`.";
}
