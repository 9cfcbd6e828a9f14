#include "config.h"

#include "net/stream.h"

#include <check.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/testing.h"

static struct event_base *base;
static struct stream stream;
static int peer, readables, writables, ends;
static const char *end_error;

static void
on_readable(void *arg)
{
	ck_assert_ptr_eq(arg, &peer);
	readables++;
}

static void
on_writable(void *arg)
{
	ck_assert_ptr_eq(arg, &peer);
	writables++;
}

static void
on_ended(void *arg, const char *error)
{
	ck_assert_ptr_eq(arg, &peer);
	ends++;
	end_error = error;
}

static const struct stream_handler handler = {on_readable, on_writable, on_ended};

static void
setup(void)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	peer = fds[1];
	readables = writables = ends = 0;
	base = event_base_new();
	ck_assert(stream_open(&stream, base, fds[0], &handler, &peer));
}

static void
teardown(void)
{
	stream_close(&stream);
	close(peer);
	event_base_free(base);
}

/* What is due now, the events of a resting stream and then those of the one awake included. */
static void
turn(void)
{
	for (int i = 0; i < 3; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

static void
send_from_peer(const char *text)
{
	ck_assert_int_eq(send(peer, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static void
expect_input(const char *text)
{
	struct evbuffer *input = stream_input(&stream);
	size_t len = strlen(text);

	ck_assert_ptr_nonnull(input);
	ck_assert_uint_eq(evbuffer_get_length(input), len);
	ck_assert_mem_eq(evbuffer_pullup(input, -1), text, len);
	evbuffer_drain(input, len);
}

START_TEST(nothing_is_read_before_it_is_asked_for)
{
	send_from_peer("early");
	turn();
	ck_assert_int_eq(readables, 0);
	ck_assert(stream_has_unread(&stream));
	stream_read(&stream, true);
	turn();
	expect_input("early");
	ck_assert(!stream_has_unread(&stream));
}
END_TEST

START_TEST(a_resting_stream_wakes_with_the_first_bytes)
{
	stream_read(&stream, true);
	stream_rest(&stream);
	ck_assert_ptr_null(stream_input(&stream));
	ck_assert_uint_eq(stream_input_len(&stream), 0);
	turn();
	ck_assert_int_eq(readables, 0);
	send_from_peer("hello");
	turn();
	ck_assert_int_eq(readables, 1);
	expect_input("hello");
	stream_rest(&stream);
	send_from_peer("again");
	turn();
	expect_input("again");
}
END_TEST

START_TEST(a_stream_with_input_or_not_reading_does_not_rest)
{
	stream_rest(&stream);
	ck_assert_ptr_nonnull(stream_input(&stream));
	stream_read(&stream, true);
	send_from_peer("kept");
	turn();
	stream_rest(&stream);
	expect_input("kept");
}
END_TEST

START_TEST(the_end_of_the_peer_is_seen_at_rest_too)
{
	stream_read(&stream, true);
	stream_rest(&stream);
	shutdown(peer, SHUT_WR);
	turn();
	ck_assert_int_eq(ends, 1);
	ck_assert_ptr_null(end_error);
}
END_TEST

START_TEST(a_resting_stream_writes_and_waits_for_room)
{
	static char block[65536];
	struct iovec piece = {block, sizeof(block)};
	ssize_t n;

	stream_read(&stream, true);
	stream_rest(&stream);
	do {
		n = stream_write(&stream, &piece, 1);
	} while (n == (ssize_t)sizeof(block));
	stream_await_writable(&stream);
	turn();
	ck_assert_int_eq(writables, 0);
	while (recv(peer, block, sizeof(block), 0) > 0)
		continue;
	turn();
	ck_assert_int_eq(writables, 1);
	send_from_peer("still read");
	turn();
	expect_input("still read");
}
END_TEST

START_TEST(a_stopped_stream_tells_nothing)
{
	stream_read(&stream, true);
	stream_rest(&stream);
	stream_stop(&stream);
	send_from_peer("unheard");
	turn();
	ck_assert_int_eq(readables + ends, 0);
}
END_TEST

START_TEST(more_than_libevent_reads_at_once_comes_in_one_turn)
{
	static char block[20000];

	memset(block, 'x', sizeof(block));
	stream_read(&stream, true);
	ck_assert_int_eq(send(peer, block, sizeof(block), MSG_NOSIGNAL), (ssize_t)sizeof(block));
	event_base_loop(base, EVLOOP_ONCE);
	ck_assert_int_eq(readables, 1);
	ck_assert_uint_eq(stream_input_len(&stream), sizeof(block));
}
END_TEST

int
main(void)
{
	return testing_main("net/stream", setup, teardown,
	    (const TTest *[]){nothing_is_read_before_it_is_asked_for,
		a_resting_stream_wakes_with_the_first_bytes,
		a_stream_with_input_or_not_reading_does_not_rest,
		the_end_of_the_peer_is_seen_at_rest_too, a_resting_stream_writes_and_waits_for_room,
		a_stopped_stream_tells_nothing, more_than_libevent_reads_at_once_comes_in_one_turn,
		NULL});
}
