#include "config.h"

#include "net/net.h"

#include <check.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/testing.h"
#include "net/io_loop.h"
#include "net/testing_net.h"

/* Appends the numbers from 0 on, each between the two texts. */
static void
append_many(struct buffer *out, unsigned count, const char *before, const char *after)
{
	for (unsigned i = 0; i < count; i++)
		buffer_appendf(out, "%s%u%s", before, i, after);
}

static void
assert_read(const struct rig_peer *peer, const struct buffer *expected)
{
	ck_assert_uint_eq(peer->in.len, expected->len);
	ck_assert(memcmp(peer->in.ptr, expected->ptr, expected->len) == 0);
}

static bool
has_read_bytes(void *total)
{
	return net_figures(rig.net).read_bytes >= *(uint64_t *)total;
}

START_TEST(requests_are_handed_over_whatever_the_split)
{
	static const char text[] = "*2\r\n$4\r\nECHO\r\n$5\r\nab\r\nc\r\nECHO d\r\n"
				   "*3\r\n$4\r\nECHO\r\n$0\r\n\r\n$1\r\ne\r\n";
	static const char answer[] = "ab\r\nc\nd\n e\n";
	struct rig_peer peer = rig_dial();

	for (size_t at = 0; at < sizeof(text) - 1; at++) {
		uint64_t total = net_figures(rig.net).read_bytes + at;

		rig_send(&peer, (struct slice){text, at});
		rig_until(has_read_bytes, &total);
		rig_ask(&peer, text + at, answer);
		ck_assert_uint_eq(peer.in.len, 0);
	}
	rig_close(&peer);
}
END_TEST

START_TEST(a_pipeline_longer_than_a_share_keeps_its_order_and_lets_others_in_between)
{
	struct rig_peer busy = rig_dial(), other = rig_dial();
	struct buffer text = {0}, expected = {0};

	append_many(&text, 100000, "ECHO ", "\n");
	append_many(&expected, 100000, "", "\n");
	/* What fits into the sockets is there at once; the rest follows while the loop runs. */
	ck_assert_int_gt(send(busy.fd, text.ptr, 300000, MSG_NOSIGNAL), 200000);
	rig_ask(&other, "ECHO me\n", "me\n");
	ck_assert_uint_lt(rig.clients[1]->first_at, 20000);
	rig_until_handed(rig.clients[0], 20000);
	ck_assert_uint_lt(rig.clients[1]->last_at, rig.clients[0]->last_at);

	rig_close(&busy);
	busy = rig_dial();
	rig.config.reply_pause_bytes = 10 << 20;
	rig_send(&busy, buffer_slice(&text));
	rig_until_read(&busy, expected.len);
	assert_read(&busy, &expected);
	buffer_release(&text);
	buffer_release(&expected);
	rig_close(&busy);
	rig_close(&other);
}
END_TEST

START_TEST(a_request_that_waits_is_handed_over_again_with_the_same_arguments)
{
	struct rig_peer peer = rig_dial();
	struct rig_client *client = rig.clients[0];
	struct buffer text = {0}, expected = {0};

	buffer_append_str(&text, "ECHO first\nLATER a bc\nECHO next\n");
	rig_send(&peer, buffer_slice(&text));
	rig_until_handed(client, 2);
	rig_send(&peer, SLICE("ECHO last\n"));
	rig_for_ms(20);
	ck_assert_uint_eq(client->handed, 2);
	conn_resume(client->conn);
	buffer_append_str(&expected, "first\na bc\nnext\nlast\n");
	rig_until_read(&peer, expected.len);
	assert_read(&peer, &expected);
	ck_assert_uint_eq(client->handed, 5);
	buffer_release(&text);
	buffer_release(&expected);
	rig_close(&peer);
}
END_TEST

START_TEST(a_request_of_many_reads_that_waits_keeps_its_arguments)
{
	struct rig_peer peer = rig_dial();
	struct rig_client *client = rig.clients[0];
	struct buffer text = {0}, expected = {0};

	rig.config.reply_pause_bytes = 10 << 20;
	buffer_append_str(&text, "*3\r\n$5\r\nLATER\r\n$588890\r\n");
	append_many(&text, 100000, "", ",");
	buffer_append_str(&text, "\r\n$4\r\nlast\r\nECHO next\n");
	append_many(&expected, 100000, "", ",");
	ck_assert_uint_eq(expected.len, 588890);
	buffer_append_str(&expected, " last\nnext\n");
	rig_send(&peer, (struct slice){text.ptr, 77});
	rig_for_ms(10);
	rig_send(&peer, (struct slice){text.ptr + 77, text.len - 77});
	rig_until_handed(client, 1);
	rig_for_ms(20);
	conn_resume(client->conn);
	rig_until_read(&peer, expected.len);
	assert_read(&peer, &expected);
	buffer_release(&text);
	buffer_release(&expected);
	rig_close(&peer);
}
END_TEST

START_TEST(arguments_of_a_request_that_waits_outlast_what_others_send_meanwhile)
{
	struct rig_peer peer = rig_dial(), other = rig_dial();
	struct rig_client *client = rig.clients[0];
	struct buffer noise = {0}, expected = {0};

	/* All bytes are sent at once, and so are read at once. */
	rig_send(&peer, SLICE("*3\r\n$5\r\nLATER\r\n$5\r\nfirst\r\n$2\r\nbc\r\n"
			      "*2\r\n$4\r\nECHO\r\n$6\r\nsecond\r\n"
			      "*2\r\n$5\r\nLATER\r\n$5\r\nthird\r\n"
			      "*2\r\n$4\r\nECHO\r\n$6\r\nfourth\r\n"));
	append_many(&noise, 1000, "ECHO ", "\n");
	append_many(&expected, 1000, "", "\n");
	for (size_t handed = 1; handed <= 4; handed += 3) {
		rig_until_handed(client, handed);
		other.in.len = 0;
		rig_send(&other, buffer_slice(&noise));
		rig_until_read(&other, expected.len);
		assert_read(&other, &expected);
		ck_assert_uint_eq(client->handed, handed);
		conn_resume(client->conn);
	}
	buffer_clear(&expected);
	buffer_append_str(&expected, "first bc\nsecond\nthird\nfourth\n");
	rig_until_read(&peer, expected.len);
	assert_read(&peer, &expected);
	ck_assert_uint_eq(client->handed, 6);
	buffer_release(&noise);
	buffer_release(&expected);
	rig_close(&peer);
	rig_close(&other);
}
END_TEST

/* Waits, without running the loop, until the server's socket has this event. */
static void
await_at_server(const struct rig_client *client, short event)
{
	struct pollfd at = {.fd = client->peer.fd, .events = event};

	ck_assert_int_eq(poll(&at, 1, 20000), 1);
}

START_TEST(new_and_closing_connections_wait_for_established_ones)
{
	struct rig_peer talker = rig_dial(), leaver = rig_dial(), newcomer;
	struct rig_client **clients = rig.clients;

	if (rig_loops() > 1)
		return; /* this test is about sockets of the main loop */

	rig_ask(&talker, "ECHO a\n", "a\n");
	rig_ask(&leaver, "ECHO a\n", "a\n");
	newcomer = rig_dial();
	rig_send(&newcomer, SLICE("ECHO b\n"));
	await_at_server(clients[2], POLLIN);
	rig_send(&leaver, SLICE("ECHO b\n"));
	shutdown(leaver.fd, SHUT_WR);
	await_at_server(clients[1], POLLRDHUP); /* and the bytes before it */
	rig_send(&talker, SLICE("ECHO b\n"));
	await_at_server(clients[0], POLLIN);

	rig_until_eof(&leaver);
	rig_until_read(&newcomer, 2);
	ck_assert_uint_eq(clients[0]->handed, 2);
	ck_assert_uint_eq(clients[1]->handed, 2);
	ck_assert_uint_eq(clients[2]->handed, 1);
	ck_assert_uint_lt(clients[0]->last_at, clients[1]->last_at);
	ck_assert_uint_lt(clients[0]->last_at, clients[2]->last_at);
	rig_close(&talker);
	rig_close(&leaver);
	rig_close(&newcomer);
}
END_TEST

/* A write to a peer that is gone closes the connection, so the connections are closed in the order
 * in which they are flushed. */
START_TEST(answers_are_flushed_before_messages_though_these_came_first)
{
	struct rig_peer subscriber = rig_dial(), asker = rig_dial(), other = rig_dial();
	struct rig_client **clients = rig.clients;

	if (rig_loops() > 1)
		return; /* this test is about sockets of the main loop */

	rig_ask(&subscriber, "SUBSCRIBE\n", "ok\n");
	rig_ask(&other, "SUBSCRIBE\n", "ok\n");
	rig_ask(&asker, "ECHO a\n", "a\n");
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(shutdown(clients[i]->peer.fd, SHUT_WR), 0);
	outbox_push_reply(&clients[0]->outbox, SLICE("message"));
	outbox_push_reply(&clients[1]->outbox, SLICE("answer"));
	outbox_push_reply(&clients[2]->outbox, SLICE("message"));
	for (int i = 0; i < 3; i++)
		rig_until_closed(clients[i]);
	ck_assert_uint_eq(clients[1]->closed_at, 1);
	ck_assert_uint_eq(clients[0]->closed_at, 2);
	ck_assert_uint_eq(clients[2]->closed_at, 3);
	for (int i = 0; i < 3; i++)
		ck_assert_str_eq(clients[i]->reason, "closed by peer");
	rig_close(&subscriber);
	rig_close(&asker);
	rig_close(&other);
}
END_TEST

/* As above. */
START_TEST(messages_are_flushed_before_what_a_new_subscriber_gets_first)
{
	struct rig_peer newcomer = rig_dial(), subscriber = rig_dial();
	struct rig_client **clients = rig.clients;

	if (rig_loops() > 1)
		return; /* this test is about sockets of the main loop */

	rig_ask(&subscriber, "SUBSCRIBE\n", "ok\n");
	conn_set_subscriber(clients[0]->conn, true);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(shutdown(clients[i]->peer.fd, SHUT_WR), 0);
	outbox_push_reply(&clients[0]->outbox, SLICE("first message"));
	outbox_push_reply(&clients[1]->outbox, SLICE("message"));
	for (int i = 0; i < 2; i++)
		rig_until_closed(clients[i]);
	ck_assert_uint_eq(clients[1]->closed_at, 1);
	ck_assert_uint_eq(clients[0]->closed_at, 2);
	rig_close(&newcomer);
	rig_close(&subscriber);
}
END_TEST

/* Output that waits is written together with later output, which costs less. */
START_TEST(another_loop_has_a_few_writes_before_it_at_a_time)
{
	struct rig_peer peers[60];

	if (rig_loops() == 1)
		return;
	for (int i = 0; i < 60; i++) {
		peers[i] = rig_dial();
		rig_ask(&peers[i], "SUBSCRIBE\n", "ok\n");
	}
	rig.most_writes = 0;
	for (int i = 0; i < 60; i++)
		outbox_push_reply(&rig.clients[i]->outbox, SLICE("message"));
	for (int i = 0; i < 60; i++)
		rig_until_read(&peers[i], 7);
	ck_assert_uint_ge(rig.most_writes, 2);
	ck_assert_uint_le(rig.most_writes, (unsigned)IO_WRITES_MAX);
	for (int i = 0; i < 60; i++)
		rig_close(&peers[i]);
}
END_TEST

START_TEST(a_large_request_leaves_no_memory_behind)
{
	struct rig_peer peer = rig_dial();
	struct buffer text = {0};
	uint64_t total;

	buffer_append_str(&text, "*3\r\n$3\r\nBIG\r\n$1\r\n7\r\n$1000000\r\n");
	memset(buffer_reserve(&text, 1000000), 'y', 1000000);
	text.len += 1000000;
	buffer_append_str(&text, "\r\n");
	rig_send(&peer, (struct slice){text.ptr, text.len - 2});
	total = text.len - 2;
	rig_until(has_read_bytes, &total);
	ck_assert_uint_ge(conn_figures(rig.clients[0]->conn).input_bytes, 1000000);
	ck_assert_uint_ge(conn_figures(rig.clients[0]->conn).input_room_bytes, 1000000);
	rig_ask(&peer, "\r\n", "xxxxxxx");
	ck_assert_uint_eq(conn_figures(rig.clients[0]->conn).input_bytes, 0);
	ck_assert_uint_lt(conn_figures(rig.clients[0]->conn).input_room_bytes, 4096);
	buffer_release(&text);
	rig_close(&peer);
}
END_TEST

static bool
has_no_input(void *arg)
{
	struct conn_figures figures = conn_figures(((struct rig_client *)arg)->conn);

	return figures.input_bytes == 0 && figures.input_room_bytes < 4096;
}

/* Its memory is freed without further input. */
START_TEST(a_large_request_that_waited_leaves_no_memory_behind)
{
	struct rig_peer peer = rig_dial();
	struct rig_client *client = rig.clients[0];
	struct buffer text = {0};

	if (rig_loops() > 1)
		return; /* this test is about sockets of the main loop */

	buffer_append_str(&text, "*3\r\n$7\r\nWORKBIG\r\n$1\r\n7\r\n$5000000\r\n");
	memset(buffer_reserve(&text, 5000000), 'y', 5000000);
	text.len += 5000000;
	buffer_append_str(&text, "\r\n");
	rig_send(&peer, buffer_slice(&text));
	rig_until_handed(client, 2);
	rig_until_read(&peer, 7);
	rig_until(has_no_input, client);
	ck_assert_uint_eq(client->handed, 2);
	peer.in.len = 0;
	rig_ask(&peer, "ECHO next\n", "next\n");
	buffer_release(&text);
	rig_close(&peer);
}
END_TEST

START_TEST(conn_finish_flushes_all_that_is_owed_and_then_closes)
{
	struct rig_peer peer = rig_dial();

	rig_send(&peer, SLICE("BIG 5000000\nFINISH 3000000\nECHO never\n"));
	rig_until_read(&peer, 1);
	rig_until_eof(&peer);
	ck_assert_uint_eq(peer.in.len, 8000000);
	ck_assert_uint_eq(rig.clients[0]->handed, 2);
	rig_close(&peer);
	rig_until_closed(rig.clients[0]);
	ck_assert_str_eq(rig.clients[0]->reason, "finished");
	rig_until_connections(0);
}
END_TEST

START_TEST(a_connection_whose_request_waits_may_be_finished)
{
	struct rig_peer peer = rig_dial();
	struct rig_client *client = rig.clients[0];

	rig_send(&peer, SLICE("LATER x\n"));
	rig_until_handed(client, 1);
	conn_finish(client->conn);
	rig_until_eof(&peer);
	rig_close(&peer);
	rig_until_closed(client);
	ck_assert_uint_eq(client->handed, 1);
}
END_TEST

START_TEST(a_finishing_connection_takes_no_more_messages)
{
	struct rig_peer peer = rig_dial();
	struct rig_client *client = rig.clients[0];

	rig_send(&peer, SLICE("FINISH 20000000\n"));
	rig_until_handed(client, 1);
	rig_for_ms(5);
	ck_assert(!outbox_is_empty(&client->outbox));
	outbox_push_reply(&client->outbox, SLICE("too late"));
	rig_until_eof(&peer);
	ck_assert_uint_eq(peer.in.len, 20000000);
	rig_close(&peer);
}
END_TEST

START_TEST(the_client_is_gone_when_its_peer_sees_the_end)
{
	struct rig_peer peer = rig_dial();

	rig_send(&peer, SLICE("FINISH 10\nmore"));
	rig_until_eof(&peer);
	ck_assert_ptr_null(rig.clients[0]->conn);
	ck_assert_str_eq(rig.clients[0]->reason, "finished");
	/* The connection lingers, because the peer may still send bytes. */
	rig_send(&peer, SLICE("and more"));
	rig_for_ms(20);
	ck_assert_uint_eq(net_figures(rig.net).connections, 1);
	shutdown(peer.fd, SHUT_WR);
	rig_until_connections(0);
	rig_close(&peer);
}
END_TEST

START_TEST(a_peer_that_never_closes_is_not_waited_for_long)
{
	struct rig_peer peer = rig_dial();
	uint64_t begun_us = clock_mono_us();

	rig_send(&peer, SLICE("FINISH 10\nmore"));
	rig_until_connections(0);
	ck_assert_uint_ge(clock_mono_us() - begun_us, 1900000);
	rig_close(&peer);
}
END_TEST

START_TEST(what_is_owed_to_a_peer_that_shut_its_side_is_delivered)
{
	struct rig_peer peer = rig_dial();

	rig_send(&peer, SLICE("BIG 4000000\nWORK done\nECHO all"));
	rig_send(&peer, SLICE("\n"));
	shutdown(peer.fd, SHUT_WR);
	rig_until_eof(&peer);
	ck_assert_uint_eq(peer.in.len, 4000009);
	ck_assert(memcmp(peer.in.ptr + 4000000, "done\nall\n", 9) == 0);
	rig_close(&peer);
	rig_until_closed(rig.clients[0]);
	ck_assert_str_eq(rig.clients[0]->reason, "closed by peer");
}
END_TEST

START_TEST(an_error_reply_arrives_though_much_follows_what_caused_it)
{
	static const char answer[] = "-ERR Protocol error: expected '$', got 'x'\n";
	struct rig_peer peer = rig_dial();
	struct buffer text = {0};

	buffer_append_str(&text, "BIG 3000000\n*1\r\nx\r\n");
	memset(buffer_reserve(&text, 2000000), 'y', 2000000);
	text.len += 2000000;
	rig_send(&peer, buffer_slice(&text));
	rig_until_eof(&peer);
	ck_assert_uint_eq(peer.in.len, 3000000 + sizeof(answer) - 1);
	ck_assert(memcmp(peer.in.ptr + 3000000, answer, sizeof(answer) - 1) == 0);
	buffer_release(&text);
	rig_close(&peer);
}
END_TEST

START_TEST(a_refused_client_gets_its_reply_though_it_had_something_to_say)
{
	struct rig_peer peer = rig_socket(4096);

	rig.refuse = true;
	rig_connect(&peer);
	ck_assert_int_eq(send(peer.fd, "ECHO hello\n", 11, 0), 11);
	rig_until_clients(1);
	rig_for_ms(20);
	rig_until_eof(&peer);
	ck_assert_uint_eq(peer.in.len, 13 + 1000000);
	ck_assert(memcmp(peer.in.ptr, "-ERR refused\n", 13) == 0);
	ck_assert_uint_eq(rig.clients[0]->handed, 0);
	rig_close(&peer);
}
END_TEST

START_TEST(conn_kill_in_a_request_ends_the_connection_there)
{
	struct rig_peer peer = rig_dial();

	rig_send(&peer, SLICE("ECHO a\nKILL\nECHO b\n"));
	rig_until_closed(rig.clients[0]);
	ck_assert_str_eq(rig.clients[0]->reason, "told to");
	ck_assert_uint_eq(rig.clients[0]->handed, 2);
	rig_until_clients(1);
	rig_close(&peer);
}
END_TEST

START_TEST(conn_kill_ends_connections_in_any_state)
{
	static const char *const texts[] = {
	    "ECHO a\n", "LATER a\n", "BIG 9000000\nECHO a\n", "FINISH 9000000\n", "ECHO "};
	struct rig_peer peers[sizeof(texts) / sizeof(*texts)];
	size_t count = sizeof(texts) / sizeof(*texts);

	for (size_t i = 0; i < count; i++) {
		peers[i] = rig_dial();
		rig_send(&peers[i], slice_of(texts[i]));
	}
	for (size_t i = 0; i + 1 < count; i++)
		rig_until_handed(rig.clients[i], 1);
	for (size_t i = 0; i < count; i++) {
		ck_assert_ptr_nonnull(rig.clients[i]->conn);
		conn_resume(rig.clients[i]->conn);
		conn_kill(rig.clients[i]->conn, "one by one");
		conn_kill(rig.clients[i]->conn, "not again");
		conn_finish(rig.clients[i]->conn);
		conn_resume(rig.clients[i]->conn);
		conn_ready(rig.clients[i]->conn);
	}
	rig_until_connections(0);
	for (size_t i = 0; i < count; i++) {
		ck_assert_ptr_null(rig.clients[i]->conn);
		ck_assert_str_eq(rig.clients[i]->reason, "one by one");
		rig_close(&peers[i]);
	}
}
END_TEST

START_TEST(a_large_outbox_is_flushed_while_others_are_served)
{
	struct rig_peer large = rig_dial(), small = rig_dial();

	rig_send(&large, SLICE("BIG 60000000\n"));
	rig_until_handed(rig.clients[0], 1);
	rig_ask(&small, "ECHO a\n", "a\n");
	rig_read(&large);
	ck_assert_uint_lt(large.in.len, 30000000);
	rig_until_read(&large, 60000000);
	rig_close(&large);
	rig_close(&small);
}
END_TEST

START_TEST(figures_count_what_went_in_and_out)
{
	struct rig_peer peer = rig_dial(), other = rig_dial();
	struct net_figures figures;
	struct conn_figures of_conn;

	rig_ask(&peer, "ECHO abc\n", "abc\n");
	rig_ask(&peer, "ECHO abcd\n", "abcd\n");
	of_conn = conn_figures(rig.clients[0]->conn);
	ck_assert_uint_eq(of_conn.read_bytes, 19);
	ck_assert_uint_eq(of_conn.written_bytes, 9);
	ck_assert(of_conn.readable && !of_conn.writable);
	rig_send(&other, SLICE("LATER x"));
	rig_send(&other, SLICE("\nECHO "));
	rig_until_handed(rig.clients[1], 1);
	ck_assert(!conn_figures(rig.clients[1]->conn).readable);
	figures = net_figures(rig.net);
	ck_assert_uint_eq(figures.accepted, 2);
	ck_assert_uint_eq(figures.connections, 2);
	ck_assert_uint_eq(figures.written_bytes, 9);
	net_reset_figures(rig.net);
	figures = net_figures(rig.net);
	ck_assert_uint_eq(figures.accepted, 0);
	ck_assert_uint_eq(figures.connections, 2);
	ck_assert_uint_eq(figures.written_bytes, 0);
	rig_close(&peer);
	rig_close(&other);
}
END_TEST

START_TEST(a_signal_is_told_to_the_handler_in_the_loop)
{
	net_watch_signal(rig.net, SIGALRM);
	rig.wait_us = UINT64_MAX;
	alarm(1);
	rig_until(NULL, NULL);
	ck_assert_uint_eq(rig.interrupted, 1);
}
END_TEST

int
main(void)
{
	return testing_main("net/net", rig_setup, rig_teardown,
	    (const TTest *[]){requests_are_handed_over_whatever_the_split,
		a_pipeline_longer_than_a_share_keeps_its_order_and_lets_others_in_between,
		a_request_that_waits_is_handed_over_again_with_the_same_arguments,
		a_request_of_many_reads_that_waits_keeps_its_arguments,
		arguments_of_a_request_that_waits_outlast_what_others_send_meanwhile,
		new_and_closing_connections_wait_for_established_ones,
		answers_are_flushed_before_messages_though_these_came_first,
		messages_are_flushed_before_what_a_new_subscriber_gets_first,
		another_loop_has_a_few_writes_before_it_at_a_time,
		a_large_request_leaves_no_memory_behind,
		a_large_request_that_waited_leaves_no_memory_behind,
		conn_finish_flushes_all_that_is_owed_and_then_closes,
		a_connection_whose_request_waits_may_be_finished,
		a_finishing_connection_takes_no_more_messages,
		the_client_is_gone_when_its_peer_sees_the_end,
		a_peer_that_never_closes_is_not_waited_for_long,
		what_is_owed_to_a_peer_that_shut_its_side_is_delivered,
		an_error_reply_arrives_though_much_follows_what_caused_it,
		a_refused_client_gets_its_reply_though_it_had_something_to_say,
		conn_kill_in_a_request_ends_the_connection_there,
		conn_kill_ends_connections_in_any_state,
		a_large_outbox_is_flushed_while_others_are_served,
		figures_count_what_went_in_and_out, a_signal_is_told_to_the_handler_in_the_loop,
		NULL});
}
