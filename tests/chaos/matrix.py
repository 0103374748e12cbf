"""The fault matrix: each fault that Tocsin must get over, and the tests of this folder that inject it.

Each prints what was injected, how often it fired, what was lost or told twice, what was unknown, how long it took.
"""

ROUNDS = "test_rounds.py::test_whatever_dies_wherever_nothing_is_lost_and_nothing_told_twice"
PROVIDERS = "test_faults.py::test_what_providers_do"
PAUSED = "test_kafka.py::test_a_worker_that_was_paused_beyond_its_session_wakes_up_and_does_no_harm"

MATRIX: dict[int, tuple[str, tuple[str, ...]]] = {
    1: ("kill before the effect", (ROUNDS,)),
    2: ("kill after the effect, before the record", (ROUNDS,)),
    3: ("kill after the record, before the commit", (ROUNDS,)),
    4: (
        "SIGTERM, and an exception in a handler",
        (
            "test_kills.py::test_sigterm_during_sending_leaves_nothing_unknown",
            "test_stops.py::test_4_an_error_in_a_handler_ends_the_process_and_loses_nothing",
        ),
    ),
    5: (
        "the broker killed and restarted",
        (
            "test_kafka.py::test_kafka_is_killed_and_restarted_during_sending",
            "test_broker_killed.py::test_the_embedded_broker_is_killed_during_sending",
        ),
    ),
    6: ("a rebalance during sending", ("test_kafka.py::test_a_rebalance_during_sending_loses_nothing",)),
    7: ("a worker paused beyond its session, a zombie when it wakes up", (PAUSED,)),
    8: ("SMTP 421 and 450", (PROVIDERS,)),
    9: ("SMTP 550", (PROVIDERS,)),
    10: ("connection lost mid-DATA, and after the final dot", (PROVIDERS,)),
    11: ("slow-loris server", (PROVIDERS,)),
    12: ("Twilio 429 and 5xx", (PROVIDERS,)),
    13: ("Twilio accepts, then hangs", (PROVIDERS,)),
    14: ("Twilio 21610", ("test_faults.py::test_14_who_was_refused_by_21610_is_not_asked_again",)),
    15: ("X accepts, times out, then 403 duplicate", (PROVIDERS,)),
    16: ("X 429 until reset", (PROVIDERS,)),
    17: ("duplicate upstream event", ("test_faults.py::test_17_a_duplicate_upstream_event_is_decided_on_once",)),
    18: ("out of order, late", ("test_faults.py::test_18_what_comes_out_of_order_and_late_is_told_in_the_end",)),
    19: (
        "poison, oversized, bad UTF-8",
        ("test_faults.py::test_19_poison_is_a_dead_letter_and_the_partition_goes_on",),
    ),
    20: (
        "HTML and CRLF in texts",
        ("test_faults.py::test_20_html_and_line_breaks_in_texts_are_words_and_nothing_else",),
    ),
    21: (
        "clock jump, daylight saving",
        ("test_faults.py::test_21_a_clock_that_jumps_back_over_the_change_to_summer_time_loses_nothing",),
    ),
    22: ("broken policy on reload", ("test_faults.py::test_22_a_broken_policy_changes_nothing_and_is_cried_out",)),
    23: ("disk full under the log", ("test_stops.py::test_23_while_the_disk_under_the_log_is_full_nothing_is_sent",)),
    24: (
        "two workers race",
        (PAUSED, "test_kafka.py::test_of_two_workers_one_is_killed_and_the_other_takes_over"),
    ),
    25: ("replay while live", ("test_faults.py::test_25_a_replay_while_live_sends_nothing_and_decides_the_same",)),
    26: ("tampered, truncated, forked log", ("test_faults.py::test_26_whatever_is_done_to_the_log_is_found",)),
    27: (
        "an opt-out races a send",
        ("test_stops.py::test_27_an_opt_out_that_races_a_send_holds_from_the_next_window_on",),
    ),
}
