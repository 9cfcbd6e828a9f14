#include "config.h"

#include "net/stream.h"

#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/testing.h"

static struct event_base *base;
static struct stream stream;
static char scratch[STREAM_ROOM_BYTES];
static int peer, readables, endings, writables;

static void
on_readable(struct stream *s, bool ending)
{
	ck_assert_ptr_eq(s, &stream);
	readables++;
	endings += ending;
}

static void
on_writable(struct stream *s)
{
	ck_assert_ptr_eq(s, &stream);
	writables++;
}

static const struct stream_handler handler = {on_readable, on_writable};

static void
setup(void)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	peer = fds[1];
	readables = endings = writables = 0;
	base = event_base_new();
	stream_open(&stream, base, fds[0], NULL, &handler);
}

static void
teardown(void)
{
	stream_close(&stream);
	close(peer);
	event_base_free(base);
}

static void
turn(void)
{
	event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

static void
send_from_peer(const char *text)
{
	ck_assert_int_eq(send(peer, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static void
expect_input(const char *text)
{
	char room[100];
	ssize_t len = (ssize_t)strlen(text);

	ck_assert_int_eq(stream_read(&stream, room, sizeof(room)), len);
	ck_assert_mem_eq(room, text, (size_t)len);
	ck_assert_int_eq(stream_read(&stream, room, sizeof(room)), -1);
	ck_assert_int_eq(errno, EAGAIN);
}

START_TEST(nothing_is_told_before_it_is_asked_for)
{
	send_from_peer("early");
	turn();
	ck_assert_int_eq(readables, 0);
	ck_assert(stream_has_unread(&stream));
	ck_assert(stream_watch(&stream, true));
	turn();
	ck_assert_int_eq(readables, 1);
	expect_input("early");
	ck_assert(!stream_has_unread(&stream));
}
END_TEST

START_TEST(what_is_not_read_is_told_again_until_nobody_asks)
{
	ck_assert(stream_watch(&stream, true));
	send_from_peer("patient");
	turn();
	turn();
	ck_assert_int_eq(readables, 2);
	ck_assert_int_eq(endings, 0);
	ck_assert(stream_watch(&stream, false));
	turn();
	ck_assert_int_eq(readables, 2);
	expect_input("patient");
}
END_TEST

START_TEST(the_end_of_the_peer_is_told_before_it_is_read)
{
	char room[10];

	ck_assert(stream_watch(&stream, true));
	send_from_peer("last");
	shutdown(peer, SHUT_WR);
	turn();
	ck_assert_int_eq(readables, 1);
	if (event_base_get_features(base) & EV_FEATURE_EARLY_CLOSE)
		ck_assert_int_eq(endings, 1);
	ck_assert_int_eq(stream_read(&stream, room, sizeof(room)), 4);
	ck_assert_int_eq(stream_read(&stream, room, sizeof(room)), 0);
}
END_TEST

START_TEST(room_is_told_once_each_time_it_is_waited_for)
{
	static char block[65536];
	struct iovec piece = {block, sizeof(block)};
	ssize_t n;

	for (int round = 1; round <= 2; round++) {
		do {
			n = stream_write(&stream, &piece, 1, scratch);
		} while (n == (ssize_t)sizeof(block));
		ck_assert(stream_await_writable(&stream));
		turn();
		ck_assert_int_eq(writables, round - 1);
		while (recv(peer, block, sizeof(block), 0) > 0)
			continue;
		turn();
		turn();
		ck_assert_int_eq(writables, round);
	}
}
END_TEST

START_TEST(several_pieces_go_out_in_order)
{
	struct iovec pieces[] = {{(void *)(uintptr_t) "ab", 2}, {(void *)(uintptr_t) "cde", 3}};
	char room[10];

	ck_assert_int_eq(stream_write(&stream, pieces, 2, scratch), 5);
	ck_assert_int_eq(recv(peer, room, sizeof(room), 0), 5);
	ck_assert_mem_eq(room, "abcde", 5);
}
END_TEST

START_TEST(a_stopped_stream_tells_nothing)
{
	ck_assert(stream_watch(&stream, true));
	ck_assert(stream_await_writable(&stream));
	stream_stop(&stream);
	send_from_peer("unheard");
	turn();
	ck_assert_int_eq(readables + writables, 0);
}
END_TEST

int
main(void)
{
	return testing_main("net/stream", setup, teardown,
	    (const TTest *[]){nothing_is_told_before_it_is_asked_for,
		what_is_not_read_is_told_again_until_nobody_asks,
		the_end_of_the_peer_is_told_before_it_is_read,
		room_is_told_once_each_time_it_is_waited_for, several_pieces_go_out_in_order,
		a_stopped_stream_tells_nothing, NULL});
}
