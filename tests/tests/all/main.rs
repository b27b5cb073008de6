//! Everything that needs the whole: real servers, real processes. The tests share one stack and one
//! fleet, so they run one after the other, and each leaves both as it found them.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::needless_pass_by_value,
    reason = "a test may fail, and tells what it saw"
)]

mod alerts;
mod bad_requests;
mod breaking;
mod broken;
mod bulk;
mod buyers;
mod catalog;
mod contract;
mod dead_letters;
mod described;
mod engine;
mod evolution;
mod expired;
mod fan_out;
mod faults;
mod filling;
mod foreign;
mod gone_back;
mod index;
mod judged;
mod kills;
mod once;
mod outages;
mod overload;
mod own;
mod past;
mod reading;
mod refused;
mod replay;
mod restore;
mod search;
mod storefront;
mod thread;
mod tidy;
mod trial;
mod upgrade;
mod verify;
mod waiting;
mod world;
mod zombie;

use libtest_mimic::{Arguments, Trial};
use std::process::ExitCode;

use world::{on_paper, on_servers};

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let conclusion = libtest_mimic::run(&arguments, tests());
    world::end(&conclusion);
    conclusion.exit_code()
}

/// A test's name is its path.
macro_rules! trial {
    ($kind:ident $($path:ident)::+) => {
        $kind(&stringify!($($path)::+).replace(' ', ""), $($path)::+)
    };
}

/// In the order in which they are worth knowing; what breaks the log on purpose comes last.
fn tests() -> Vec<Trial> {
    let mut tests = of_the_sources();
    tests.extend(of_one_piece());
    tests.extend(of_a_shop());
    tests.extend(of_its_servers_and_versions());
    tests.extend(of_what_is_broken());
    tests
}

fn of_the_sources() -> Vec<Trial> {
    vec![
        trial!(on_paper tidy::crates_use_only_what_stands_left_of_them),
        trial!(on_paper tidy::each_technology_has_one_crate),
        trial!(on_paper tidy::files_are_short),
        trial!(on_paper tidy::functions_are_short),
        trial!(on_paper tidy::a_projection_of_ones_own_is_short),
        trial!(on_paper tidy::nothing_is_left_to_do),
        trial!(on_paper tidy::unsafe_code_has_three_rooms),
        trial!(on_paper tidy::comments_are_few_and_there),
        trial!(on_paper tidy::the_domain_is_pure),
        trial!(on_paper alerts::alerts_name_what_there_is),
        trial!(on_paper contract::the_api_is_described_as_committed),
        trial!(on_paper contract::the_error_codes_are_listed_as_committed),
        trial!(on_paper described::the_description_is_openapi),
        trial!(on_paper breaking::a_released_client_still_understands_the_api),
        trial!(on_paper breaking::what_would_break_a_client_is_seen),
    ]
}

fn of_one_piece() -> Vec<Trial> {
    vec![
        trial!(on_servers contract::applying_topics_again_changes_nothing),
        trial!(on_servers contract::the_api_describes_itself),
        trial!(on_servers contract::the_registry_refuses_what_would_break_a_reader),
        trial!(on_servers evolution::a_hundred_changes_are_judged_rightly),
        trial!(on_servers engine::of_two_first_owners_one_goes_on),
        trial!(on_servers engine::a_zombie_writes_nothing),
        trial!(on_servers engine::whoever_waits_for_the_lock_finds_the_checkpoint_moved),
        trial!(on_servers engine::batches_do_not_matter),
        trial!(on_servers engine::a_gap_stops_before_it),
        trial!(on_servers engine::whoever_fills_beside_another_is_superseded),
        trial!(on_servers engine::of_a_long_history_only_the_end_is_read),
        trial!(on_servers engine::partitions_move_together_or_not_at_all),
        trial!(on_servers engine::projections_move_together_or_not_at_all),
        trial!(on_servers engine::a_table_of_another_shape_is_refused),
        trial!(on_servers engine::another_log_is_refused),
        trial!(on_servers search::words_are_found_in_either_language),
        trial!(on_servers search::an_older_document_never_replaces_a_newer_one),
        trial!(on_servers search::a_refused_document_leaves_the_others_alone),
        trial!(on_servers search::an_index_keeps_its_source_and_its_alias),
        trial!(on_servers search::a_look_given_up_leaves_no_old_moment),
    ]
}

fn of_a_shop() -> Vec<Trial> {
    vec![
        trial!(on_servers thread::a_product_goes_all_the_way),
        trial!(on_servers thread::a_change_may_name_the_version_it_means),
        trial!(on_servers thread::a_refusal_says_what_to_mend),
        trial!(on_servers thread::a_revision_reaches_the_search),
        trial!(on_servers thread::who_does_not_wait_is_told_where_to_ask),
        trial!(on_servers thread::a_mall_never_sees_another),
        trial!(on_servers thread::pages_show_each_product_once),
        trial!(on_servers catalog::a_brand_is_renamed_retired_and_its_products_stay),
        trial!(on_servers catalog::a_partner_is_suspended_and_reinstated),
        trial!(on_servers catalog::the_category_tree_stays_a_tree),
        trial!(on_servers catalog::a_feed_sent_again_adds_nothing),
        trial!(on_servers past::a_product_is_shown_as_it_was),
        trial!(on_servers catalog::what_was_registered_a_moment_ago_can_be_named),
        trial!(on_servers catalog::a_command_without_fields_needs_no_body),
        trial!(on_servers catalog::a_partners_product_is_sold_once_approved),
        trial!(on_servers storefront::a_buyer_sees_what_is_on_sale),
        trial!(on_servers storefront::a_suspended_partner_is_gone_at_once_and_back),
        trial!(on_servers storefront::pages_and_counts_are_whole),
        trial!(on_servers storefront::a_question_that_cannot_be_answered_says_why),
        trial!(on_servers storefront::synonyms_are_known_at_once),
        trial!(on_servers buyers::what_is_retired_is_not_listed),
        trial!(on_servers buyers::a_product_tells_a_buyer_no_more_than_is_sold),
        trial!(on_servers buyers::a_categorys_name_finds_what_stands_in_it),
        trial!(on_servers judged::people_find_what_they_expect),
        trial!(on_servers trial::real_files_become_a_shop),
        trial!(on_servers fan_out::a_renamed_brand_reaches_all_its_products),
        trial!(on_servers bad_requests::every_fault_of_a_body_is_told_at_once),
        trial!(on_servers bad_requests::a_thousand_bad_requests_are_told_what_to_mend),
        trial!(on_servers described::the_page_of_examples_is_true),
        trial!(on_servers described::every_answer_is_as_described),
        trial!(on_servers described::a_key_that_asks_too_often_is_told_so),
        trial!(on_servers bulk::each_line_is_answered_as_its_own_endpoint_would),
        trial!(on_servers bulk::a_line_cannot_use_what_is_retired),
        trial!(on_servers bulk::a_stream_is_bounded_and_need_not_be_waited_for),
        trial!(on_servers bulk::a_file_sent_again_adds_nothing),
        trial!(on_servers once::one_number_makes_one_product),
        trial!(on_servers once::one_key_makes_one_product_though_its_handler_dies),
    ]
}

fn of_its_servers_and_versions() -> Vec<Trial> {
    vec![
        trial!(on_servers kills::ten_kills_lose_and_double_nothing),
        trial!(on_servers kills::a_stopping_api_answers_what_it_took),
        trial!(on_servers bulk::kills_in_the_middle_of_an_import_lose_and_double_nothing),
        trial!(on_servers zombie::a_zombie_commits_nothing_and_rejoins),
        trial!(on_servers gone_back::nothing_is_decided_again),
        trial!(on_servers refused::what_mysql_refuses_waits_alone),
        trial!(on_servers outages::without_mysql_writes_are_taken_and_reads_come_back),
        trial!(on_servers outages::without_opensearch_all_but_the_search_goes_on),
        trial!(on_servers outages::without_kafka_reads_go_on_and_writes_may_be_repeated),
        trial!(on_servers overload::a_flood_is_refused_and_nobody_else),
        trial!(on_servers waiting::who_starts_without_the_registry_waits),
        trial!(on_servers waiting::who_starts_without_mysql_waits),
        trial!(on_servers waiting::who_starts_without_kafka_waits),
        trial!(on_servers restore::an_older_backup_catches_up),
        trial!(on_servers restore::a_backup_restored_in_a_quiet_shop_catches_up),
        trial!(on_servers restore::what_is_not_of_this_log_is_refused),
        trial!(on_servers faults::a_short_set_loses_and_doubles_nothing),
        trial!(on_servers dead_letters::a_broken_record_is_shown_and_dropped),
        trial!(on_servers dead_letters::what_can_be_read_now_is_decided_once),
        trial!(on_servers dead_letters::a_command_of_ten_megabytes_stops_nobody),
        trial!(on_servers verify::nothing_is_found_while_others_write),
        trial!(on_servers verify::nothing_is_found_where_a_quiet_shop_wakes),
        trial!(on_servers verify::everything_agrees),
        trial!(on_servers replay::what_has_been_seen_is_seen_in_the_next_version),
        trial!(on_servers replay::a_version_is_filled_swapped_and_dropped),
        trial!(on_servers replay::a_rebuild_killed_ten_times_goes_on),
        trial!(on_servers filling::a_new_read_model_is_filled_before_it_is_read),
        trial!(on_servers filling::hosts_share_partitions_by_hand),
        trial!(on_servers filling::a_version_is_begun_as_a_copy),
        trial!(on_servers filling::who_fills_outlasts_mysql_but_not_the_version),
        trial!(on_servers own::a_teams_projection_is_fed_rebuilt_and_swapped),
        trial!(on_servers own::a_strangers_projection_is_right),
        trial!(on_servers index::an_index_is_filled_swapped_and_dropped),
        trial!(on_servers upgrade::two_builds_work_side_by_side),
        trial!(on_servers foreign::strangers_decode_every_event),
    ]
}

/// What is broken in a store is mended again; in the log it stays, so these come last, behind those
/// that only let the log forget.
fn of_what_is_broken() -> Vec<Trial> {
    vec![
        trial!(on_servers gone_back::outside_the_log_a_partition_stops),
        trial!(on_servers expired::decisions_are_missed_until_their_time_is_over),
        trial!(on_servers expired::commands_of_one_lane_are_not_missed),
        trial!(on_servers broken::a_changed_state_is_found),
        trial!(on_servers broken::a_changed_row_is_found),
        trial!(on_servers broken::a_missing_row_is_found),
        trial!(on_servers broken::a_changed_status_is_found),
        trial!(on_servers broken::a_missing_document_is_found),
        trial!(on_servers broken::a_forged_checkpoint_is_found),
        trial!(on_servers broken::an_open_transaction_is_found),
        trial!(on_servers upgrade::a_critical_event_waits_for_a_build_that_knows_it),
        trial!(on_servers broken::what_a_zombie_would_write_is_found),
        trial!(on_servers broken::another_decision_than_the_rules_give_is_found),
        trial!(on_servers broken::a_refusal_with_an_event_is_found),
        trial!(on_servers broken::a_foreign_id_is_found),
        trial!(on_servers broken::a_doubled_event_stops_its_partition_and_is_found),
        trial!(on_servers broken::a_gap_is_found),
        trial!(on_servers broken::of_two_bad_records_the_first_stops),
    ]
}
