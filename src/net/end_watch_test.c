#include "config.h"

#include "net/end_watch.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/testing.h"

static struct event_base *base;
static struct end_watch *watch;
static int ours, peers; /* the ends of a connection */
static int told;

static void
on_ended(void *arg)
{
	ck_assert_ptr_eq(arg, &told);
	told++;
}

/* Over TCP, because a Unix socket has no reset. */
static void
make_connection(void)
{
	struct sockaddr_in address = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, len), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address, &len), 0);
	peers = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(connect(peers, (struct sockaddr *)&address, len), 0);
	ours = accept(listener, NULL, NULL);
	ck_assert_int_ge(ours, 0);
	close(listener);
}

static void
setup(void)
{
	told = 0;
	base = event_base_new();
	watch = end_watch_new(base, on_ended);
	ck_assert_ptr_nonnull(watch);
	make_connection();
	ck_assert(end_watch_add(watch, ours, &told));
}

static void
teardown(void)
{
	end_watch_remove(watch, ours);
	close(ours);
	if (peers != -1)
		close(peers);
	end_watch_free(watch);
	event_base_free(base);
}

/* True if the end is reported within a second. */
static bool
is_told(void)
{
	struct timeval second = {1, 0};
	int before = told;

	event_base_loopexit(base, &second);
	event_base_loop(base, EVLOOP_ONCE);
	return told > before;
}

static bool
is_told_now(void)
{
	int before = told;

	event_base_loop(base, EVLOOP_NONBLOCK);
	return told > before;
}

static void
leave(bool with_reset)
{
	struct linger linger = {.l_onoff = with_reset};

	setsockopt(peers, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(peers);
	peers = -1;
}

START_TEST(nothing_is_told_while_the_peer_only_sends)
{
	ck_assert_int_eq(write(peers, "more", 4), 4);
	ck_assert(!is_told_now());
}
END_TEST

START_TEST(a_peer_that_closes_is_told_of_once_though_nothing_was_read)
{
	ck_assert_int_eq(write(peers, "more", 4), 4);
	leave(false);
	ck_assert(is_told());
	ck_assert(!is_told_now());
}
END_TEST

START_TEST(a_peer_that_resets_is_told_of_once)
{
	ck_assert_int_eq(write(peers, "more", 4), 4);
	leave(true);
	ck_assert(is_told());
	ck_assert(!is_told_now());
	ck_assert_int_eq(told, 1);
}
END_TEST

START_TEST(a_peer_that_only_stops_sending_is_told_of)
{
	ck_assert_int_eq(shutdown(peers, SHUT_WR), 0);
	ck_assert(is_told());
}
END_TEST

START_TEST(what_was_told_is_told_again_when_it_is_added_again)
{
	leave(false);
	ck_assert(is_told());
	ck_assert(end_watch_add(watch, ours, &told));
	ck_assert(is_told());
	ck_assert_int_eq(told, 2);
}
END_TEST

START_TEST(what_was_removed_is_not_told_of)
{
	end_watch_remove(watch, ours);
	leave(false);
	ck_assert(!is_told_now());
}
END_TEST

int
main(void)
{
	return testing_main("net/end_watch", setup, teardown,
	    (const TTest *[]){nothing_is_told_while_the_peer_only_sends,
		a_peer_that_closes_is_told_of_once_though_nothing_was_read,
		a_peer_that_resets_is_told_of_once, a_peer_that_only_stops_sending_is_told_of,
		what_was_told_is_told_again_when_it_is_added_again, what_was_removed_is_not_told_of,
		NULL});
}
