"""What one process writes on the board of channels counts for all, and for longer than the table's older word."""

import os

from pgsupervise.supervisor.channel_board import READ_SECONDS, UNTOLD_SECONDS, ChannelBoard, Stand


def test_what_a_child_finds_out_its_siblings_know_at_once() -> None:
    board = ChannelBoard(["mail", "chat"])
    pid = os.fork()
    if not pid:
        board.row("mail").pause(100.0, 160.0)
        os._exit(0)
    os.waitpid(pid, 0)
    assert (board.row("mail").stand(159.0), board.row("mail").stand(160.0)) == (Stand.PAUSED, Stand.TRIAL)
    assert board.row("chat").stand(100.0) == Stand.OPEN


def test_the_longer_one_of_two_pauses_counts_and_only_the_first_is_news() -> None:
    row = ChannelBoard(["mail"]).row("mail")
    assert row.pause(0.0, 60.0)
    assert not row.pause(1.0, 5.0)
    assert row.stand(59.0) == Stand.PAUSED
    assert row.pause(61.0, 62.0), "it was on trial"
    assert row.stand(62.0) == Stand.TRIAL


def test_what_the_table_said_before_it_was_told_is_not_believed() -> None:
    row = ChannelBoard(["mail"]).row("mail")
    row.pause(100.0, 160.0)
    row.believe(100.5, paused=False, until=0.0, trial_until=0.0)
    assert row.stand(101.0) == Stand.PAUSED
    row.told(102.0)
    row.believe(101.9, paused=False, until=0.0, trial_until=0.0)
    assert row.stand(103.0) == Stand.PAUSED, "the reading began before that"
    row.believe(102.1, paused=False, until=0.0, trial_until=0.0)
    assert row.stand(103.0) == Stand.OPEN


def test_who_died_before_it_told_the_table_is_believed_for_a_while_only() -> None:
    row = ChannelBoard(["mail"]).row("mail")
    row.pause(100.0, 1000.0)
    row.believe(100.0 + UNTOLD_SECONDS, paused=False, until=0.0, trial_until=0.0)
    assert row.stand(140.0) == Stand.OPEN


def test_a_pause_by_hand_has_no_end() -> None:
    row = ChannelBoard(["mail"]).row("mail")
    row.believe(1.0, paused=True, until=float("inf"), trial_until=0.0)
    assert row.stand(1e12) == Stand.PAUSED


def test_three_different_messages_in_a_row_are_one_too_many() -> None:
    row = ChannelBoard(["mail"]).row("mail")
    assert [row.suspect(message) for message in (7, 7, 8, 7, 8, 9)] == [False] * 5 + [True]
    row.trust()
    assert [row.suspect(message) for message in (1, 2)] == [False, False]


def test_one_process_reads_for_all() -> None:
    board = ChannelBoard(["mail"])
    assert board.take_reading(50.0)
    assert not board.take_reading(50.0 + READ_SECONDS / 2)
    assert board.take_reading(50.0 + READ_SECONDS)
