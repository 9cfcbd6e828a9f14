#include "config.h"

#include "net/net.h"

#include <check.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/testing.h"
#include "net/testing_net.h"

/* A peer that reads only when the test tells it to, with small kernel buffers. */
static struct rig_peer
dial_lazy(void)
{
	struct rig_peer peer = rig_socket(4096);

	rig.send_buffer = 4096;
	rig_connect(&peer);
	rig_until_clients(rig.client_count + 1);
	rig.send_buffer = 0;
	return peer;
}

/*
 * Takes a part of what has arrived. A peer that takes something all the time needs buffers of usual
 * size: with smaller ones the kernel drops segments, and sends them again after seconds only.
 */
static void
take_some(struct rig_peer *peer)
{
	static char bytes[262144];

	ck_assert_int_ne(recv(peer->fd, bytes, sizeof(bytes), MSG_DONTWAIT), 0);
}

static void
send_many(struct rig_peer *peer, const char *line, unsigned count)
{
	struct buffer text = {0};

	while (count-- > 0)
		buffer_append_str(&text, line);
	rig_send(peer, buffer_slice(&text));
	buffer_release(&text);
}

/* Much is queued for a peer that takes no more of it, and no further request is read. */
static bool
is_choked(void *arg)
{
	const struct rig_client *client = arg;
	struct conn_figures figures = conn_figures(client->conn);

	return outbox_reply_bytes(&client->outbox) >= 32768 && !figures.readable &&
	       figures.writable;
}

static void
assert_chokes_and_goes_on(const char *line, size_t handed_each)
{
	struct rig_peer peer = dial_lazy();
	struct rig_client *client = rig.clients[0];

	send_many(&peer, line, 100);
	for (int i = 0; i < 10; i++) {
		/* The system may still take a few bytes for the peer. */
		rig_until(is_choked, client);
		ck_assert_uint_le(outbox_reply_bytes(&client->outbox), 65536 + 10000);
		ck_assert_uint_lt(client->handed, 50 * handed_each);
		rig_for_ms(4);
	}
	rig_until_read(&peer, 100 * 10000);
	ck_assert_uint_eq(client->handed, 100 * handed_each);
	rig_ask(&peer, "ECHO a\n", "a\n");
	rig_close(&peer);
}

START_TEST(requests_wait_while_the_peer_does_not_read_its_replies)
{
	assert_chokes_and_goes_on("BIG 10000\n", 1);
}
END_TEST

/* The same for requests that each get REQUEST_LATER first. */
START_TEST(requests_that_were_told_to_wait_also_wait_for_a_peer_that_does_not_read)
{
	assert_chokes_and_goes_on("WORKBIG 10000\n", 2);
}
END_TEST

START_TEST(a_loop_with_stuck_peers_sleeps)
{
	struct rig_peer choked = dial_lazy(), held = dial_lazy(), shut = dial_lazy();

	send_many(&choked, "BIG 100000\n", 20);
	send_many(&held, "LATER\n", 2000);
	send_many(&shut, "BIG 100000\n", 20);
	shutdown(shut.fd, SHUT_WR);
	rig_until(is_choked, rig.clients[0]);
	rig_until_handed(rig.clients[1], 1);
	rig_until(is_choked, rig.clients[2]);
	rig.wait_us = 50000;
	rig_until_calm(300, 12);
	rig_close(&choked);
	rig_close(&held);
	rig_close(&shut);
}
END_TEST

START_TEST(a_peer_that_takes_nothing_of_what_holds_up_its_requests_is_closed)
{
	struct rig_peer choked = dial_lazy(), subscriber = dial_lazy(), slow = rig_dial();

	rig.config.stall_timeout_s = 2;
	send_many(&choked, "BIG 10000\n", 100);
	rig_send(&subscriber, SLICE("SUBSCRIBE\nBIG 60000\n"));
	send_many(&slow, "BIG 100000\n", 400);
	/* `slow` reads more often than it must, because the machine may be slow too. */
	for (int i = 0; i < 30 || (i < 400 && rig.clients[0]->conn != NULL); i++) {
		rig_for_ms(100);
		take_some(&slow);
	}
	ck_assert_str_eq(rig.clients[0]->reason, "does not read its replies");
	ck_assert_ptr_nonnull(rig.clients[1]->conn);
	ck_assert_ptr_nonnull(rig.clients[2]->conn);
	ck_assert_uint_lt(rig.clients[2]->handed, 400);
	ck_assert_uint_eq(net_figures(rig.net).closed_stalled, 1);
	/* `slow` is not read while the test waits for the subscriber's end. */
	rig_close(&slow);
	rig_until_closed(rig.clients[2]);
	conn_finish(rig.clients[1]->conn);
	rig_until_closed(rig.clients[1]);
	ck_assert_uint_eq(net_figures(rig.net).closed_stalled, 2);
	rig_close(&choked);
	rig_close(&subscriber);
}
END_TEST

START_TEST(the_idle_are_closed_but_not_subscribers_nor_those_told_to_wait)
{
	struct rig_peer idle = rig_dial(), subscriber = rig_dial(), waiting = rig_dial(),
			busy = rig_dial(), reader = rig_dial();

	rig.config.times[RIG_RESP].idle_s =
	    8; /* much longer than the machine may be busy elsewhere */
	rig_ask(&subscriber, "SUBSCRIBE\n", "ok\n");
	rig_send(&waiting, SLICE("LATER x\n"));
	rig_send(&reader, SLICE("BIG 100000000\n"));
	/* `busy` and `reader` do more than they must, because the machine may be slow. */
	for (int i = 0; i < 90 || (i < 400 && rig.clients[0]->conn != NULL); i++) {
		rig_for_ms(100);
		rig_ask(&busy, "ECHO a\n", "a\n");
		take_some(&reader);
	}
	ck_assert_ptr_null(rig.clients[0]->conn);
	ck_assert_str_eq(rig.clients[0]->reason, "idle");
	for (int i = 1; i < 5; i++)
		ck_assert_msg(
		    rig.clients[i]->conn != NULL, "client %d: %s", i, rig.clients[i]->reason);
	ck_assert_uint_eq(net_figures(rig.net).closed_idle, 1);
	rig_close(&idle);
	rig_close(&subscriber);
	rig_close(&waiting);
	rig_close(&busy);
	rig_close(&reader);
}
END_TEST

START_TEST(time_limits_hold_though_the_handler_never_wants_to_be_called)
{
	struct rig_peer idle;

	net_watch_signal(rig.net, SIGALRM);
	rig.wait_us = UINT64_MAX;
	rig.config.times[RIG_RESP].idle_s = 1;
	idle = rig_socket(0);
	alarm(1); /* there are turns without connections first */
	rig_until(NULL, NULL);
	ck_assert_uint_eq(rig.interrupted, 1);
	rig_connect(&idle);
	rig_until_clients(1);
	alarm(60); /* the deadline */
	rig_until_closed(rig.clients[0]);
	alarm(0);
	ck_assert_uint_eq(rig.interrupted, 1);
	ck_assert_uint_eq(net_figures(rig.net).closed_idle, 1);
	rig_close(&idle);
}
END_TEST

/* A peer on a Unix socket. If its buffer is empty, it takes more in one write than is written to
 * one connection in a turn. */
static struct rig_peer
dial_roomy(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct rig_peer peer = {.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0)};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	socklen_t len = sizeof(address);
	char error[256];

	/* The system chooses an abstract name, which is in no folder. */
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address.sun_family)), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	ck_assert_msg(
	    net_listen_named(rig.net, fd, SLICE("resp-passed"), error, sizeof(error)), "%s", error);
	rig.send_buffer = 1 << 20;
	ck_assert_int_eq(connect(peer.fd, (struct sockaddr *)&address, len), 0);
	rig_until_clients(rig.client_count + 1);
	rig.send_buffer = 0;
	return peer;
}

#define MUCH_BYTES 1000000

/* A client with requests and a subscriber that reads everything, measured in each turn. */
struct race {
	const struct rig_client *asker;
	const struct rig_client *subscriber;
	struct rig_peer *reader;
	size_t wanted;      /* requests of the asker in all */
	size_t handed;      /* requests of the asker that were handled */
	size_t written;     /* bytes written to the subscriber */
	size_t behind;      /* turns that began with much queued for the subscriber */
	size_t most_behind; /* the most requests in one of these turns */
	size_t least_behind;
	size_t most_else; /* the most requests in one of the other turns */
};

static bool
is_run(void *arg)
{
	struct race *race = arg;
	size_t written = conn_figures(race->subscriber->conn).written_bytes;
	size_t handed = race->asker->handed - race->handed;
	/* The turn before wrote a full share, and there is more: so the subscriber was queued
	 * again. */
	bool behind =
	    written - race->written >= 262144 && race->subscriber->outbox.bytes >= MUCH_BYTES;

	race->handed += handed;
	race->written = written;
	rig_read(race->reader);
	if (!behind && handed > race->most_else)
		race->most_else = handed;
	if (!behind)
		return race->handed >= race->wanted;
	if (race->behind++ == 0 || handed < race->least_behind)
		race->least_behind = handed;
	if (handed > race->most_behind)
		race->most_behind = handed;
	return race->handed >= race->wanted;
}

/* The asker's requests are answered by lines of "50 <number>", and take at least 50 us each. */
static void
run_race(struct race *race, struct rig_peer *asker)
{
	struct buffer text = {0}, expected = {0};

	race->wanted += 100;
	for (unsigned i = 0; i < 100; i++) {
		buffer_appendf(&text, "SPIN 50 %u\n", i);
		buffer_appendf(&expected, "50 %u\n", i);
	}
	rig_send(asker, buffer_slice(&text));
	rig_until(is_run, race);
	rig_until_read(asker, expected.len);
	ck_assert_uint_eq(asker->in.len, expected.len);
	ck_assert(memcmp(asker->in.ptr, expected.ptr, expected.len) == 0);
	asker->in.len = 0;
	buffer_release(&text);
	buffer_release(&expected);
}

START_TEST(while_much_is_queued_for_a_subscriber_others_get_less_of_a_turn_but_never_nothing)
{
	struct rig_peer asker = rig_dial(), reader = dial_roomy();
	struct race race = {
	    .asker = rig.clients[0], .subscriber = rig.clients[1], .reader = &reader};

	if (rig_loops() > 1)
		return; /* this test is about sockets of the main loop */

	rig.config.reply_pause_bytes = 100 << 20;
	rig_ask(&asker, "ECHO a\n", "a\n"); /* then it is not a new connection any more */
	race.handed = race.wanted = 1;
	rig_ask(&reader, "SUBSCRIBE\n", "ok\n");
	rig_send(&reader, SLICE("BIG 60000000\n"));
	rig_until_handed(race.subscriber, 2);
	run_race(&race, &asker);
	/* Each request takes longer than the smallest share, so a turn has time for only one. */
	ck_assert_uint_eq(race.most_behind, 1);
	ck_assert_uint_eq(race.least_behind, 1);
	ck_assert_uint_ge(race.behind, 90);
	rig_until_read(&reader, 60000000);
	ck_assert_uint_eq(reader.in.len, 60000000);

	/* Nothing is queued any more, and the full share has time for several. */
	race.most_else = 0;
	run_race(&race, &asker);
	ck_assert_uint_ge(race.most_else, 2);
	rig_close(&asker);
	rig_close(&reader);
}
END_TEST

static unsigned
user_timeout_ms(const struct rig_client *client)
{
	unsigned ms = 0;
	socklen_t len = sizeof(ms);

	ck_assert_int_eq(getsockopt(client->peer.fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, &len), 0);
	return ms;
}

START_TEST(subscribers_alone_have_a_tcp_user_timeout)
{
	struct rig_peer peer;

	rig.config.tcp_user_timeout_ms = 4321;
	peer = rig_dial();
	ck_assert_uint_eq(user_timeout_ms(rig.clients[0]), 0);
	rig_ask(&peer, "SUBSCRIBE\n", "ok\n");
	ck_assert_uint_eq(user_timeout_ms(rig.clients[0]), 4321);
	conn_set_subscriber(rig.clients[0]->conn, false);
	ck_assert_uint_eq(user_timeout_ms(rig.clients[0]), 0);
	rig_close(&peer);
}
END_TEST

/* Their clients end in the flush, whichever loop has their sockets. */
START_TEST(the_ends_of_many_subscribers_are_spread_over_turns)
{
	struct rig_peer peers[40];

	rig.config.io_threads = rig_loops() > 1 ? 2 : 1;
	for (int i = 0; i < 40; i++) {
		peers[i] = rig_dial();
		rig_ask(&peers[i], "SUBSCRIBE\n", "ok\n");
	}
	rig.close_us = 1000;
	for (int i = 0; i < 40; i++)
		conn_finish(rig.clients[i]->conn);
	rig_until_closed(rig.clients[39]);
	rig_until_connections(0);
	ck_assert_uint_eq(rig.closings, 40);
	ck_assert_uint_lt(rig.most_closings, 20);
	for (int i = 0; i < 40; i++)
		rig_close(&peers[i]);
}
END_TEST

START_TEST(draining_flushes_the_queued_output_and_returns)
{
	struct rig_peer idle = rig_dial(), owed = rig_dial(), waiting = rig_dial();
	uint64_t begun_us;

	rig_send(&owed, SLICE("BIG 20000000\n"));
	rig_send(&waiting, SLICE("LATER x\n"));
	rig_until_handed(rig.clients[1], 1);
	rig_until_handed(rig.clients[2], 1);
	begun_us = clock_mono_us();
	net_drain(rig.net, 60000);
	rig_until_eof(&idle);
	rig_until_eof(&waiting);
	shutdown(waiting.fd, SHUT_WR);
	while (!owed.eof) {
		rig_for_ms(1); /* returns at once when there is no connection any more */
		rig_read(&owed);
		ck_assert_uint_lt(clock_mono_us() - begun_us, 50000000);
	}
	ck_assert_uint_eq(owed.in.len, 20000000);
	rig_until_connections(0);
	rig_close(&idle);
	rig_close(&owed);
	rig_close(&waiting);
}
END_TEST

START_TEST(draining_waits_for_stuck_peers_only_so_long)
{
	struct rig_peer stuck = dial_lazy(), lingering = rig_dial(), held = rig_dial();
	uint64_t begun_us, took_us;

	rig_send(&stuck, SLICE("BIG 20000000\n"));
	rig_send(&lingering, SLICE("FINISH 1\nrest"));
	rig_send(&held, SLICE("LATER x\n"));
	for (size_t i = 0; i < 3; i++)
		rig_until_handed(rig.clients[i], 1);
	begun_us = clock_mono_us();
	net_drain(rig.net, 300);
	rig_until(NULL, NULL);
	took_us = clock_mono_us() - begun_us;
	ck_assert_uint_ge(took_us, 300000);
	ck_assert_uint_lt(took_us, 10000000); /* loose: the machine may be busy */
	ck_assert_ptr_nonnull(rig.clients[0]->conn);
	rig_close(&stuck);
	rig_close(&lingering);
	rig_close(&held);
}
END_TEST

/* Sets the process's soft limit, so that only so many more descriptors can be opened. */
static rlim_t
limit_descriptors(unsigned more)
{
	struct rlimit limit;
	rlim_t before;
	int next = dup(0);

	close(next);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	before = limit.rlim_cur;
	limit.rlim_cur = (rlim_t)next + more;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	return before;
}

static void
restore_descriptors(rlim_t before)
{
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = before;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static bool
is_refused_twice(void *arg)
{
	(void)arg;
	return net_figures(rig.net).refused_fds >= 2;
}

/* The descriptor of client 1 was closed; the next client may have it already. */
static bool
has_room(void *arg)
{
	(void)arg;
	return rig.client_count >= 4 || fcntl(rig.clients[1]->peer.fd, F_GETFD) == -1;
}

START_TEST(out_of_descriptors_the_present_are_served_and_the_loop_sleeps)
{
	struct rig_peer present = rig_dial(), late, peers[6];
	rlim_t before;
	uint64_t begun_us;

	for (int i = 0; i < 6; i++)
		peers[i] = rig_socket(0);
	before = limit_descriptors(2);
	for (int i = 0; i < 5; i++)
		rig_connect(&peers[i]);
	rig_until_clients(3);
	begun_us = clock_mono_us();
	rig.wait_us = 50000;
	rig_until_calm(500, 30);
	rig_until(is_refused_twice, NULL);
	ck_assert_uint_eq(rig.client_count, 3);
	/* It retries every 100 ms. */
	ck_assert_uint_le(
	    net_figures(rig.net).refused_fds, (clock_mono_us() - begun_us) / 100000 + 3);
	rig.wait_us = 500;
	rig_ask(&present, "ECHO a\n", "a\n");

	/* One connection is closed, and the next one is accepted. (Under valgrind earlier ones are
	 * lost.) */
	conn_kill(rig.clients[1]->conn, "makes room");
	rig_until(has_room, NULL);
	rig_connect(&peers[5]);
	rig_until_clients(4);
	rig_for_ms(50);
	ck_assert_uint_eq(rig.client_count, 4);
	restore_descriptors(before);
	late = rig_dial();
	rig_ask(&late, "ECHO a\n", "a\n");
	rig_close(&late);
	for (int i = 0; i < 6; i++)
		rig_close(&peers[i]);
	rig_close(&present);
}
END_TEST

int
main(void)
{
	return testing_main("net/net_limits", rig_setup, rig_teardown,
	    (const TTest *[]){requests_wait_while_the_peer_does_not_read_its_replies,
		requests_that_were_told_to_wait_also_wait_for_a_peer_that_does_not_read,
		a_loop_with_stuck_peers_sleeps,
		a_peer_that_takes_nothing_of_what_holds_up_its_requests_is_closed,
		the_idle_are_closed_but_not_subscribers_nor_those_told_to_wait,
		time_limits_hold_though_the_handler_never_wants_to_be_called,
		while_much_is_queued_for_a_subscriber_others_get_less_of_a_turn_but_never_nothing,
		subscribers_alone_have_a_tcp_user_timeout,
		the_ends_of_many_subscribers_are_spread_over_turns,
		draining_flushes_the_queued_output_and_returns,
		draining_waits_for_stuck_peers_only_so_long,
		out_of_descriptors_the_present_are_served_and_the_loop_sleeps, NULL});
}
