# ruff: noqa: E501  # a table: one row, one line
"""Every snag that research found in pydantic-settings, in a prototype or in another client, with the test
that shows that it is not here. What a release must be is in docs/security-rules.md, with a test a rule.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent
LOAD, FIT, PEERS = "settings/test_load.py", "settings/test_fit.py", "settings/test_peers_snags.py"
LIVE, HARM, START = "live/test_live.py", "live/test_withstand.py", "client/test_start.py"
PROCESSES, CHECK = "live/test_processes.py", "releases/test_check.py"

PROTOTYPES = [
    ("PATH, USER and PORT override what is published", LOAD, "test_plain_names_of_the_machine_do_not_override"),
    ("Kubernetes' ORDERS_PORT=tcp://… does", LOAD, "test_plain_names_of_the_machine_do_not_override"),
    ("an alias loses the prefix: bare POOLMAX wins", LOAD, "test_aliases_carry_the_prefix"),
    ("AliasChoices: one name above, another published", LOAD, "test_alias_choices_meet_under_one_key"),
    ("a variable picks another union variant", LOAD, "test_another_variant_from_above_drops_ours"),
    ("unknown keys in a variant go unreported", LOAD, "test_unknown_keys_of_a_variant_are_found"),
    ("the tag stands in the path of an error", LOAD, "test_errors_in_a_variant_show_the_documents_path"),
    ("a bad value makes Union[P, Q] the other one", "cli/test_schema.py", "test_unions_that_nothing_tells_apart"),
    ("LIMITS__EU gives EU and eu", LOAD, "test_map_keys_that_differ_in_case_are_pointed_out"),
    ("strict=True refuses what JSON cannot say", LOAD, "test_strict_classes_are_refused_before_anything_is_read"),
    ("single fields may be strict", LOAD, "test_single_fields_may_be_strict"),
    ("a sealed int goes to SecretStr", FIT, "test_a_secret_type_for_other_content_is_refused_by_type"),
    ("Secret[int] and Secret[dict] work", FIT, "test_every_type_that_can_be_sealed_arrives"),
    ("a refresh reads the environment again", LIVE, "test_variables_are_captured_once"),
    ("a refresh parses argv again and exits", LIVE, "test_the_command_line_is_not_parsed_again"),
    ("a dead watcher's state is still live", HARM, "test_a_dead_watcher_is_never_shown_as_live"),
    ("KeyError in a validator kills the watcher", LIVE, "test_a_validator_that_raises_anything_is_a_refused_release"),
    ("a closed loop in changes() kills it", LIVE, "test_a_closed_loop_is_dropped"),
    ("fork under a lock: the child hangs", PROCESSES, "test_a_fork_in_the_middle_of_everything_hangs_nobody"),
    ("a spawned child never watches", PROCESSES, "test_a_spawned_child_makes_its_own"),
    ("default_factory=uuid4 fires on_change", LIVE, "test_a_default_factory_does_not_fire"),
    ("a key that is no longer published", LIVE, "test_a_default_in_place_of_a_published_value_is_told"),
    ("defaults are computed from model_fields_set", LOAD, "test_defaults_are_computed_from_the_document"),
    ("settings built inside a load get its values", LOAD, "test_settings_built_inside_another_load_get_their_own_values"),
    ("and inside a refresh", PEERS, "test_another_services_settings_built_inside_a_refresh_are_its_own"),
    ("new code promotes, old code cannot start", START, "test_old_code_starts_again_after_new_code_took_a_newer_release"),
    ("two classes of a service at two releases", LIVE, "test_all_objects_of_a_unit_swap_or_none"),
    ("a sealed value reaches a plain field", FIT, "test_a_sealed_value_never_reaches_what_shows_it"),
    ("a validator's text prints the password", LOAD, "test_validators_text_is_never_shown"),
    ("above a secret too", LOAD, "test_a_validator_above_a_secret_gets_our_text"),
    ("__context__ holds the validation error", LOAD, "test_the_constructor_loads_too_and_hides_errors_too"),
    ("an async callback is never awaited", LIVE, "test_an_async_callback_is_refused"),
]  # fmt: skip

PYDANTIC_SETTINGS = [
    ("__init__() again leaves refused values", PEERS, "test_settings_are_not_loaded_again_into_one_object"),
    ("a failing after-validator changes what runs", PEERS, "test_a_release_that_a_validator_refuses_leaves_every_field_as_it_was"),
    ("two fields read from two generations", HARM, "test_readers_see_one_generation_whole"),
    ("model_config keys that no type checker knows", "live/test_typing.py", "test_mypy"),
    ("Settings(_config_url=…) is an extra field", START, "test_from_a_store"),
    ("two sources of one name collide", LOAD, "test_debug_output_of_pydantic_settings_shows_no_secret"),
    ("SecretBytes and Secret[…] reject SecretStr", FIT, "test_every_type_that_can_be_sealed_arrives"),
    ("e.json() and errors() carry plaintext", "settings/test_leaks.py", "test_nothing_leaks_and_nothing_breaks"),
    ("a sibling's error shows the variable's secret", LOAD, "test_errors_name_path_demand_and_origin"),
    ("nested extra keys are ignored silently", LOAD, "test_unknown_keys_are_left_out_and_named"),
    (".env with the bootstrap in it fails", "client/test_source.py", "test_nothing_is_read_from_dotenv_files"),
    (".env with somebody else's names fails", LOAD, "test_init_beats_variables_beat_dotenv_beat_published_beat_secret_files_beat_defaults"),
    ("--help needs the store", PEERS, "test_help_needs_no_store"),
    ("making a source does I/O", LOAD, "test_making_a_source_does_no_io"),
    ("a subclass drops the source", LOAD, "test_a_class_that_drops_the_source_is_refused"),
    ("settings_cached() never refreshes", PEERS, "test_the_cached_settings_of_pydantic_are_those_that_run"),
    ("nested aliases and names do not meet", LOAD, "test_nested_aliases_by_name_and_by_alias"),
    ("a variable cannot index a list, and says little", PEERS, "test_a_variable_that_indexes_a_list_is_named_with_what_to_write"),
    ("db: Db = Db(host=…) loses its host", PEERS, "test_a_default_that_a_part_would_undo_is_refused_before_anything_is_read"),
    ("a forked child's watcher is dead", PROCESSES, "test_a_forked_child_follows_by_itself"),
    ("a rebuild reads sources again", LIVE, "test_variables_are_captured_once"),
    ("PYDANTIC_SETTINGS_DEBUG prints values", LOAD, "test_debug_output_of_pydantic_settings_shows_no_secret"),
    ("SecretStr pickles in clear", LOAD, "test_settings_do_not_pickle_and_do_not_change"),
]  # fmt: skip

PEERS_FAILURES = [
    ("pydantic-consul-settings: store away, defaults", PEERS, "test_a_store_that_is_away_is_neither_defaults_nor_the_end_of_the_process"),
    ("pydantic-consul-settings: logs values", LOAD, "test_reports_go_to_the_log_without_values"),
    ("pydantic-settings-sops: plain strings", FIT, "test_a_sealed_value_never_reaches_what_shows_it"),
    ("pydantic-settings-vault: raw ConnectionError", START, "test_a_store_that_is_away"),
    ("pydantic-settings-vault: no credentials is {}", START, "test_no_release_is_an_error_and_no_empty_configuration"),
    ("openbao adapter: warns and uses defaults", LOAD, "test_a_missing_key_is_refused_and_never_defaulted"),
    ("pydantic-ssm-settings: half a document", "releases/test_fetch.py", "test_tries_are_bounded"),
    ("pydantic-settings-aws: no refresh", LIVE, "test_current_loads_and_watches"),
    ("settings-manager: a lock at every read", LIVE, "test_reading_takes_no_lock"),
    ("dynamic-config: no secrets after a restart", START, "test_a_start_without_the_store_takes_the_last_good_release"),
    ("dynamic-config: or plaintext on the disk", START, "test_the_cache_holds_releases_as_published_for_this_user_only"),
    ("dynaconf: store away, None", PEERS, "test_a_store_that_is_away_is_neither_defaults_nor_the_end_of_the_process"),
    ("dynaconf: a broken reload loses everything", HARM, "test_garbage_in_the_head"),
    ("dynaconf: a reload of the wrong type stands", LIVE, "test_a_release_that_does_not_fit_is_refused_once_and_reported"),
    ("dynaconf: a key is missing while it reloads", HARM, "test_readers_see_one_generation_whole"),
    ("consul-config: generations mixed by key", HARM, "test_readers_see_one_generation_whole"),
    ("consul-config: plain JSON for everybody", START, "test_the_cache_holds_releases_as_published_for_this_user_only"),
    ("nacos: the cache only after one code", PEERS, "test_whatever_the_store_answers_the_cache_serves"),
    ("nacos: the cache with its secrets closed", PEERS, "test_whatever_the_store_answers_the_cache_serves"),
    ("apollo-settings: one field at a time", HARM, "test_readers_see_one_generation_whole"),
    ("apollo-settings: a thread in the constructor", PEERS, "test_importing_and_making_settings_starts_no_thread_and_prints_nothing"),
    ("apollocfg: keys that nobody may change", LOAD, "test_locked_paths_are_not_overridden"),
    ("config-client: SystemExit", PEERS, "test_a_store_that_is_away_is_neither_defaults_nor_the_end_of_the_process"),
    ("azure: a refresh that fails", PEERS, "test_whatever_the_store_answers_what_runs_keeps_running"),
    ("spring, confd: no client cache", START, "test_a_start_without_the_store_takes_the_last_good_release"),
]  # fmt: skip

TRUST = [
    ("length before all else", CHECK, "test_rule_1_size"),
    ("the locator's length before anything is fetched", "releases/test_wire.py", "test_a_locator_out_of_bounds_is_refused_before_anything_is_fetched"),
    ("magic and format", CHECK, "test_rule_2_magic"),
    ("a threshold of distinct keys", CHECK, "test_rule_13_more_than_one_publisher_where_the_role_asks_for_it"),
    ("strict JSON, depth", CHECK, "test_rule_21_strict_json"),
    ("another unit", START, "test_a_release_of_another_service_under_the_same_trust"),
    ("another project", CHECK, "test_rule_16_project_of_the_payload"),
    ("higher: taken", LIVE, "test_current_loads_and_watches"),
    ("equal and the same: nothing", LIVE, "test_refresh_says_what_it_did"),
    ("equal and another: alarm", LIVE, "test_two_releases_of_one_order_are_an_alarm"),
    ("equal and another at the start: the cache", START, "test_one_order_with_two_contents_is_an_alarm"),
    ("lower: kept out", LIVE, "test_an_older_release_is_kept_out_silently"),
    ("lower for a minute: told", LIVE, "test_an_older_release_that_stays_is_told"),
    ("lower at the start: the cache", START, "test_an_older_release_from_the_store_is_not_taken"),
    ("a stolen key's huge number does not stay", HARM, "test_a_release_from_the_future_is_outrun_by_a_newer_trust"),
    ("floor of the trust version", START, "test_nothing_is_taken_below_the_highest_trust_version_seen"),
    ("floor of the pin", START, "test_a_lowest_version_in_the_pin"),
    ("secrets open at their place only", "client/test_snapshot.py", "test_a_secret_is_not_delivered_elsewhere"),
    ("the model takes it", LIVE, "test_a_release_that_does_not_fit_is_refused_once_and_reported"),
    ("an atomic swap", HARM, "test_readers_see_one_generation_whole"),
    ("a root that changes", CHECK, "test_rule_5_links"),
    ("start: bad signature, the cache", START, "test_an_untrusted_release_leaves_the_last_good_one"),
    ("start: bad signature, no cache: 78", START, "test_altered_foreign_and_unknown_releases"),
    ("live: bad signature", LIVE, "test_an_altered_release_is_refused"),
    ("start: store away, the cache", LIVE, "test_the_cache_starts_a_service_and_says_so"),
    ("start: store away, no cache: 75", START, "test_a_store_that_is_away"),
    ("start: the wait is bounded", START, "test_the_wait_is_bounded_and_ends_when_the_store_is_there"),
    ("live: store away", HARM, "test_a_store_that_comes_and_goes"),
    ("stale: told, never stopped", LIVE, "test_nobody_confirms_for_too_long"),
    ("one bad generation: the one before", START, "test_a_damaged_entry_is_verified_and_passed_over"),
    ("every generation bad: as none", HARM, "test_a_cache_that_is_damaged_anywhere_is_never_run"),
    ("a damaged cache is written anew", START, "test_a_damaged_entry_is_mended_by_the_next_start"),
]  # fmt: skip

ALL = [*PROTOTYPES, *PYDANTIC_SETTINGS, *PEERS_FAILURES, *TRUST]


@cache
def named_in(file: str) -> frozenset[str]:
    tree = ast.parse((TESTS / file).read_text("utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def test_each_stands_once() -> None:
    assert len({snag for snag, _, _ in ALL}) == len(ALL)
    assert (len(PROTOTYPES), len(PYDANTIC_SETTINGS)) >= (22, 20)


@pytest.mark.parametrize(("snag", "file", "test"), ALL, ids=[row[0] for row in ALL])
def test_the_test_of_a_snag_exists(snag: str, file: str, test: str) -> None:
    assert test in named_in(file), snag
