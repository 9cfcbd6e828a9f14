#include "config.h"

#include "net/net.h"

#include <check.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/task.h"
#include "base/testing.h"
#include "net/testing_net.h"

/* The time that a request may take, connections that discard what follows their last request, and
 * tasks. The service has lines (testing_line.h). */

static int port;

static void
setup(void)
{
	rig_setup();
	port = rig_listen_line();
}

static struct rig_peer
dial_line(void)
{
	struct rig_peer peer = rig_socket(0);

	rig_connect_port(&peer, port);
	rig_until_clients(rig.client_count + 1);
	return peer;
}

static void
assert_ends_with(struct rig_peer *peer, const char *text)
{
	rig_until_eof(peer);
	ck_assert_uint_eq(peer->in.len, strlen(text));
	ck_assert_mem_eq(peer->in.ptr, text, peer->in.len);
	rig_close(peer);
}

/* Sends bytes, one each tenth of a second, until the peer is closed. */
static void
trickle(struct rig_peer *peer, const char *byte)
{
	for (int i = 0; i < 300 && !peer->eof; i++) {
		(void)!send(peer->fd, byte, 1, MSG_NOSIGNAL);
		rig_for_ms(100);
		rig_read(peer);
	}
	ck_assert(peer->eof);
}

START_TEST(a_later_request_that_trickles_is_closed_with_a_notice)
{
	struct rig_peer peer = dial_line(), resp = rig_dial();

	rig.config.times[RIG_LINE].request_s = 1;
	rig_ask(&peer, "one\n", "one\n");
	trickle(&peer, "x");
	assert_ends_with(&peer, "no line in time\n");
	rig_until_closed(rig.clients[0]);
	ck_assert_str_eq(rig.clients[0]->reason, "did not complete a request in time");
	ck_assert_uint_eq(net_figures(rig.net).closed_slow_requests, 1);
	rig_ask(&resp, "ECHO x\n", "x\n");
	rig_close(&resp);
}
END_TEST

START_TEST(the_first_bytes_behind_a_request_start_the_time_of_the_next)
{
	struct rig_peer peer = dial_line();

	rig.config.times[RIG_LINE].request_s = 1;
	rig_send(&peer, SLICE("one\nLAST and mor"));
	assert_ends_with(&peer, "one\nno line in time\n");
}
END_TEST

START_TEST(bytes_behind_a_request_that_ends_the_batch_start_the_time_as_well)
{
	struct rig_peer peer = dial_line();

	rig.config.times[RIG_LINE].request_s = 1;
	rig_send(&peer, SLICE("not the LAST, but RESP\ntwo\nthr"));
	assert_ends_with(&peer, "not the LAST, but RESP\ntwo\nno line in time\n");
}
END_TEST

START_TEST(a_partial_request_gets_its_notice_though_the_connection_is_idle_as_well)
{
	struct rig_peer peer = dial_line();

	rig.config.times[RIG_LINE] = (struct net_times){.idle_s = 1, .request_s = 1};
	rig_send(&peer, SLICE("one\ntw"));
	assert_ends_with(&peer, "one\nno line in time\n");
}
END_TEST

START_TEST(whole_requests_and_silence_between_them_take_no_time)
{
	struct rig_peer peer = dial_line();

	rig.config.times[RIG_LINE].request_s = 1;
	for (int i = 0; i < 5; i++) {
		rig_for_ms(600);
		rig_ask(&peer, "one\n", "one\n");
		rig_ask(&peer, "two\n", "two\n");
	}
	rig_for_ms(2500);
	rig_ask(&peer, "one\n", "one\n");
	rig_close(&peer);
}
END_TEST

START_TEST(a_request_that_waits_for_the_service_is_not_timed)
{
	struct rig_peer peer = dial_line();

	rig.config.times[RIG_LINE].request_s = 1;
	rig_send(&peer, SLICE("LATER RESP\nECHO a"));
	rig_until_handed(rig.clients[0], 1);
	rig_for_ms(2500);
	conn_resume(rig.clients[0]->conn);
	rig_ask(&peer, "b\n", "LATER RESP\nab\n");
	rig_close(&peer);
}
END_TEST

START_TEST(a_peer_that_never_sent_a_byte_gets_no_notice)
{
	struct rig_peer peer = dial_line();

	rig.config.auth_timeout_s = 1;
	assert_ends_with(&peer, "");
	rig_until_closed(rig.clients[0]);
	ck_assert_str_eq(rig.clients[0]->reason, "sent no request in time");
}
END_TEST

static bool
has_read_bytes(void *total)
{
	return net_figures(rig.net).read_bytes >= *(uint64_t *)total;
}

static void
push(const char *text)
{
	outbox_push_reply(&rig.clients[0]->outbox, slice_of(text));
	conn_ready(rig.clients[0]->conn);
}

/* Much more than a line may have, and than a read takes. */
static void
send_junk(struct rig_peer *peer)
{
	struct buffer junk = {0};

	memset(buffer_reserve(&junk, 1000000), 'x', 1000000);
	junk.len = 1000000;
	rig_send(peer, buffer_slice(&junk));
	buffer_release(&junk);
}

/* The connection sends what the service wants, whatever the peer sends. */
static void
assert_streams(struct rig_peer *peer)
{
	send_junk(peer);
	rig_send(peer, SLICE("\nRESP\n\r\n"));
	for (int i = 0; i < 3; i++) {
		push("message\n");
		rig_until_read(peer, 8);
		ck_assert_uint_eq(peer->in.len, 8);
		buffer_clear(&peer->in);
		rig_send(peer, SLICE("y\n"));
	}
	ck_assert_ptr_nonnull(rig.clients[0]->conn);
	ck_assert_uint_eq(conn_figures(rig.clients[0]->conn).input_bytes, 0);
	ck_assert_uint_eq(conn_figures(rig.clients[0]->conn).input_room_bytes, 0);
}

static void
assert_end_is_noticed(struct rig_peer *peer)
{
	shutdown(peer->fd, SHUT_WR);
	rig_until_closed(rig.clients[0]);
	ck_assert_str_eq(rig.clients[0]->reason, "closed by peer");
	assert_ends_with(peer, "");
}

START_TEST(behind_the_last_request_input_is_discarded_until_its_end)
{
	struct rig_peer peer = dial_line();

	rig_ask(&peer, "one\nLAST\ntwo\nRESP\nthree", "one\nLAST\n");
	assert_streams(&peer);
	assert_end_is_noticed(&peer);
	ck_assert_uint_eq(rig.clients[0]->handed, 2);
}
END_TEST

START_TEST(a_last_request_may_have_to_wait)
{
	struct rig_peer peer = dial_line();

	rig_send(&peer, SLICE("LATER LAST\ntwo\nRESP\nthree"));
	rig_until_handed(rig.clients[0], 1);
	conn_resume(rig.clients[0]->conn);
	rig_until_read(&peer, 11);
	buffer_clear(&peer.in);
	assert_streams(&peer);
	assert_end_is_noticed(&peer);
	ck_assert_uint_eq(rig.clients[0]->handed, 2);
}
END_TEST

START_TEST(a_parser_with_a_state_is_dropped_behind_the_last_request)
{
	struct rig_peer peer = dial_line();

	rig_ask(&peer, "KEEP\n", "KEEP\n");
	rig_ask(&peer, "LAST\n", "LAST\n");
	assert_streams(&peer);
	assert_end_is_noticed(&peer);
}
END_TEST

START_TEST(a_stream_is_never_idle_and_has_no_request_to_complete)
{
	struct rig_peer peer = dial_line(), other = dial_line();

	rig_ask(&peer, "LAST\n", "LAST\n");
	rig_ask(&other, "one\n", "one\n");
	rig.config.times[RIG_LINE] = (struct net_times){.idle_s = 1, .request_s = 1};
	rig_send(&peer, SLICE("half a line"));
	assert_ends_with(&other, "idle\n");
	rig_for_ms(1500);
	assert_streams(&peer);
	assert_end_is_noticed(&peer);
}
END_TEST

START_TEST(a_stream_that_does_not_log_in_ends_without_a_notice)
{
	struct rig_peer peer = dial_line();

	rig_ask(&peer, "LOGIN\nLAST\n", "LOGIN\nLAST\n");
	rig.config.auth_timeout_s = 1;
	assert_ends_with(&peer, "");
	rig_until_closed(rig.clients[0]);
	ck_assert_str_eq(rig.clients[0]->reason, "did not authenticate in time");
}
END_TEST

START_TEST(a_stream_that_is_finished_gets_all_of_its_output)
{
	uint64_t total = 1000000;
	struct rig_peer peer = dial_line();

	rig_ask(&peer, "LAST\n", "LAST\n");
	send_junk(&peer);
	if (rig_loops() == 1)
		rig_until(has_read_bytes, &total);
	push("the end\n");
	conn_finish(rig.clients[0]->conn);
	assert_ends_with(&peer, "the end\n");
}
END_TEST

START_TEST(a_stream_may_be_killed_while_its_peer_sends)
{
	struct rig_peer peer = dial_line();

	rig_ask(&peer, "LAST\n", "LAST\n");
	send_junk(&peer);
	conn_kill(rig.clients[0]->conn, "told to");
	rig_until_connections(0);
	rig_close(&peer);
}
END_TEST

struct counting_task {
	struct task task; /* first */
	pthread_t thread;
	unsigned runs, ends;
};

static void
count_run(struct task *task)
{
	struct counting_task *counting = (struct counting_task *)(void *)task;

	counting->thread = pthread_self();
	counting->runs++;
}

static void
count_end(struct task *task)
{
	((struct counting_task *)(void *)task)->ends++;
}

static bool
has_ended(void *counting)
{
	return ((struct counting_task *)counting)->ends > 0;
}

START_TEST(a_task_is_run_by_the_thread_of_a_connection_and_done_though_that_ends)
{
	struct counting_task first = {.task = {.run = count_run, .done = count_end}};
	struct counting_task second = first;
	struct rig_peer peer = dial_line();
	struct conn *conn = rig.clients[0]->conn;

	rig_ask(&peer, "one\n", "one\n");
	if (rig_loops() <= 1) {
		ck_assert(!conn_run_task(conn, &first.task));
	} else {
		ck_assert(conn_run_task(conn, &first.task));
		rig_until(has_ended, &first);
		ck_assert(conn_run_task(conn, &second.task));
		conn_kill(conn, "told to");
		rig_until(has_ended, &second);
		ck_assert_uint_eq(first.runs + first.ends + second.runs + second.ends, 4);
		ck_assert(!pthread_equal(first.thread, pthread_self()));
		ck_assert(pthread_equal(first.thread, second.thread));
	}
	rig_close(&peer);
	rig_until_connections(0);
}
END_TEST

static bool
turn_saw_a_request(void *arg)
{
	(void)arg;
	return rig.requests_at_turn > 0;
}

/* A request of a new connection that has no reply yet is handled behind the handler's turn, which
 * sends what it left. The next tick would be a second later. */
START_TEST(a_turn_follows_the_first_request_of_a_connection_at_once)
{
	struct rig_peer peer = rig_dial();
	uint64_t start_us;

	rig.wait_us = UINT64_MAX;
	rig_for_ms(10);
	start_us = clock_mono_us();
	rig_send(&peer, SLICE("LATER a\n"));
	rig_until(turn_saw_a_request, NULL);
	ck_assert_uint_lt(clock_mono_us() - start_us, 500000);
	rig_close(&peer);
}
END_TEST

int
main(void)
{
	return testing_main("net/net_request", setup, rig_teardown,
	    (const TTest *[]){a_turn_follows_the_first_request_of_a_connection_at_once,
		a_later_request_that_trickles_is_closed_with_a_notice,
		the_first_bytes_behind_a_request_start_the_time_of_the_next,
		bytes_behind_a_request_that_ends_the_batch_start_the_time_as_well,
		a_partial_request_gets_its_notice_though_the_connection_is_idle_as_well,
		whole_requests_and_silence_between_them_take_no_time,
		a_request_that_waits_for_the_service_is_not_timed,
		a_peer_that_never_sent_a_byte_gets_no_notice,
		behind_the_last_request_input_is_discarded_until_its_end,
		a_last_request_may_have_to_wait,
		a_parser_with_a_state_is_dropped_behind_the_last_request,
		a_stream_is_never_idle_and_has_no_request_to_complete,
		a_stream_that_does_not_log_in_ends_without_a_notice,
		a_stream_that_is_finished_gets_all_of_its_output,
		a_stream_may_be_killed_while_its_peer_sends,
		a_task_is_run_by_the_thread_of_a_connection_and_done_though_that_ends, NULL});
}
