#include "config.h"

#include "net/tls_stream.h"

#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/testing.h"
#include "net/stream.h"
#include "net/testing_certificates.h"

/* A key update in a record of its own (RFC 8446 4.6.3), which requests an answer or not. */
#define UPDATE_BYTES 27
#define PIECES 64

static struct tls *tls;
static struct tls_stream *ts;
static SSL *client; /* uses memory BIOs; the test transfers the bytes */
static int peer;
static char scratch[STREAM_ROOM_BYTES];

static void
connect_with(int version)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	peer = fds[1];
	ts = tls_stream_new(tls, fds[0]);
	ck_assert_ptr_nonnull(ts);
	client = testing_tls_client(version, NULL);
	SSL_set_bio(client, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
}

static void
disconnect(void)
{
	int fd = ts->fd;

	tls_stream_free(ts);
	close(fd);
	close(peer);
	SSL_free(client);
}

static void
setup(void)
{
	struct tls_settings settings;

	testing_certificates_setup();
	settings = testing_tls_settings();
	tls = testing_tls(&settings);
	connect_with(TLS1_3_VERSION);
}

static void
teardown(void)
{
	disconnect();
	tls_unref(tls);
	testing_certificates_teardown();
}

/* Transfers at most max bytes of the client's output to the server; returns their number. */
static size_t
forward(size_t max)
{
	char *ptr;
	size_t len = (size_t)BIO_get_mem_data(SSL_get_wbio(client), &ptr);
	ssize_t sent;

	if (len > max)
		len = max;
	if (len == 0)
		return 0;
	sent = send(peer, ptr, len, MSG_NOSIGNAL);
	if (sent <= 0)
		return 0;
	ck_assert_int_eq(BIO_read(SSL_get_wbio(client), ptr, (int)sent), sent);
	return (size_t)sent;
}

/* Transfers at most max bytes of the server's output to the client; returns their number. */
static size_t
fetch(size_t max)
{
	static char room[65536];
	ssize_t n = recv(peer, room, max < sizeof(room) ? max : sizeof(room), 0);

	if (n <= 0)
		return 0;
	ck_assert_int_eq(BIO_write(SSL_get_rbio(client), room, (int)n), n);
	return (size_t)n;
}

static void
expect_nothing_to_read(void)
{
	ck_assert_int_eq(tls_stream_read(ts, scratch, sizeof(scratch)), -1);
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert(!ts->more);
}

static void
handshake(void)
{
	for (int i = 0; i < 20 && !(ts->secured && SSL_is_init_finished(client)); i++) {
		(void)SSL_do_handshake(client);
		forward(SIZE_MAX);
		expect_nothing_to_read();
		fetch(SIZE_MAX);
	}
	ck_assert(ts->secured);
	ck_assert(SSL_is_init_finished(client));
	forward(SIZE_MAX);
}

static void
say(const char *text)
{
	ck_assert_int_eq(SSL_write(client, text, (int)strlen(text)), (int)strlen(text));
}

static void
expect_read(size_t room, const char *text)
{
	ck_assert_int_eq(tls_stream_read(ts, scratch, room), (ssize_t)strlen(text));
	ck_assert_mem_eq(scratch, text, strlen(text));
}

/* Appends the data that the client has received to *in. */
static void
hear(struct buffer *in)
{
	int n;

	do {
		n = SSL_read(client, buffer_reserve(in, 16384), 16384);
		if (n > 0)
			in->len += (size_t)n;
	} while (n > 0);
}

static ssize_t
write_text(const char *text)
{
	struct iovec piece = {(void *)(uintptr_t)text, strlen(text)};

	return tls_stream_write(ts, &piece, 1, scratch);
}

START_TEST(a_handshake_may_come_byte_by_byte)
{
	for (int i = 0; i < 20000 && !ts->secured; i++) {
		(void)SSL_do_handshake(client);
		if (forward(1) == 0 && fetch(1) == 0)
			continue;
		expect_nothing_to_read();
		ck_assert(ts->seen && !ts->plain);
	}
	ck_assert(ts->secured);
	say("PING");
	while (forward(1) > 0 && tls_stream_read(ts, scratch, sizeof(scratch)) == -1)
		ck_assert_int_eq(errno, EAGAIN);
	ck_assert_mem_eq(scratch, "PING", 4);
}
END_TEST

START_TEST(nothing_is_written_before_the_end_of_the_handshake)
{
	ck_assert_int_eq(write_text("early"), -1);
	ck_assert_int_eq(errno, EAGAIN);
	(void)SSL_do_handshake(client);
	forward(SIZE_MAX);
	expect_nothing_to_read();
	ck_assert_int_eq(write_text("early"), -1);
	ck_assert_int_eq(errno, EAGAIN);
	handshake();
	ck_assert_int_eq(write_text("now"), 3);
}
END_TEST

START_TEST(a_read_gives_what_there_is_room_for_and_says_that_there_is_more)
{
	handshake();
	say("one ");
	say("two ");
	say("three");
	forward(SIZE_MAX);
	expect_read(2, "on");
	ck_assert(ts->more);
	expect_read(4, "e tw");
	ck_assert(ts->more);
	expect_read(7, "o three");
	ck_assert(ts->more); /* not known yet */
	expect_nothing_to_read();
}
END_TEST

START_TEST(a_full_socket_keeps_a_record_and_what_follows_waits)
{
	static char text[1000000];
	struct iovec pieces[PIECES] = {{0}};
	struct buffer in = {0};
	size_t written = 0;
	int small = 4096;

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)('a' + i % 23);
	setsockopt(ts->fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	handshake();
	while (in.len < sizeof(text)) {
		size_t count = 0, offered = 0, at = written;
		ssize_t n;

		for (; count < PIECES && at < sizeof(text); count++) {
			size_t len = 1 + at % 3000;

			if (len > sizeof(text) - at)
				len = sizeof(text) - at;
			pieces[count] = (struct iovec){text + at, len};
			at += len;
			offered += len;
		}
		n = count > 0 ? tls_stream_write(ts, pieces, count, scratch) : 0;
		if (n > 0)
			written += (size_t)n;
		else
			ck_assert(count == 0 || errno == EAGAIN);
		ck_assert_uint_le(ts->rest_len, 17000);
		if (n > 0 && (size_t)n < offered)
			ck_assert_ptr_nonnull(ts->rest);
		fetch(SIZE_MAX);
		hear(&in);
		ck_assert_int_ge(tls_stream_flush(ts), 0);
	}
	ck_assert_uint_eq(in.len, sizeof(text));
	ck_assert_mem_eq(in.ptr, text, sizeof(text));
	ck_assert_int_eq(tls_stream_flush(ts), 1);
	buffer_release(&in);
}
END_TEST

/* Lets the client send some more of the text, of which *sent bytes were sent. */
static void
client_sends(uint64_t *seed, const char *text, size_t len, size_t *sent)
{
	size_t n = testing_random(seed) % 20000;

	if (n > len - *sent)
		n = len - *sent;
	if (n > 0 && BIO_ctrl_pending(SSL_get_wbio(client)) < 100000) {
		ck_assert_int_eq(SSL_write(client, text + *sent, (int)n), (int)n);
		*sent += n;
	}
	forward(testing_random(seed) % 30000);
}

static void
server_sends(uint64_t *seed, char *text, size_t len, size_t *sent)
{
	struct iovec pieces[8];
	size_t count = 0, at = *sent;
	ssize_t n;

	for (; count < 8 && at < len; count++) {
		size_t piece = 1 + testing_random(seed) % (count % 2 == 0 ? 100 : 30000);

		if (piece > len - at)
			piece = len - at;
		pieces[count] = (struct iovec){text + at, piece};
		at += piece;
	}
	if (count == 0) {
		(void)tls_stream_flush(ts);
		return;
	}
	n = tls_stream_write(ts, pieces, count, scratch);
	ck_assert(n >= 0 || errno == EAGAIN);
	if (n > 0)
		*sent += (size_t)n;
}

static void
exchange(uint64_t seed, int version)
{
	enum { LEN = 700000 };
	char *up = xmalloc(LEN), *down = xmalloc(LEN);
	struct buffer in = {0}, got = {0};
	size_t sent_up = 0, sent_down = 0;
	int small = 8192;

	for (size_t i = 0; i < LEN; i++) {
		up[i] = (char)testing_random(&seed);
		down[i] = (char)testing_random(&seed);
	}
	disconnect();
	connect_with(version);
	setsockopt(ts->fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	handshake();
	for (int i = 0; i < 100000 && (in.len < LEN || got.len < LEN); i++) {
		size_t room = 1 + testing_random(&seed) % sizeof(scratch);
		ssize_t n;

		client_sends(&seed, up, LEN, &sent_up);
		server_sends(&seed, down, LEN, &sent_down);
		n = tls_stream_read(ts, scratch, room);
		ck_assert(n > 0 || (n == -1 && errno == EAGAIN));
		if (n > 0)
			buffer_append(&got, scratch, (size_t)n);
		fetch(testing_random(&seed) % 30000);
		hear(&in);
	}
	ck_assert_uint_eq(in.len, LEN);
	ck_assert_mem_eq(in.ptr, down, LEN);
	ck_assert_uint_eq(got.len, LEN);
	ck_assert_mem_eq(got.ptr, up, LEN);
	buffer_release(&in);
	buffer_release(&got);
	xfree(up);
	xfree(down);
}

START_TEST(bytes_keep_their_order_both_ways)
{
	for (uint64_t seed = 1; seed <= 3; seed++) {
		exchange(seed, TLS1_2_VERSION);
		exchange(seed, TLS1_3_VERSION);
	}
}
END_TEST

START_TEST(the_end_is_told_to_the_peer)
{
	handshake();
	ck_assert_int_eq(write_text("bye"), 3);
	tls_stream_end(ts);
	fetch(SIZE_MAX);
	ck_assert_int_eq(SSL_read(client, scratch, sizeof(scratch)), 3);
	ck_assert_int_eq(SSL_read(client, scratch, sizeof(scratch)), 0);
	ck_assert_int_eq(SSL_get_error(client, 0), SSL_ERROR_ZERO_RETURN);
}
END_TEST

START_TEST(the_end_of_the_peer_is_read_with_a_close_notify_or_without)
{
	handshake();
	SSL_shutdown(client);
	forward(SIZE_MAX);
	ck_assert_int_eq(tls_stream_read(ts, scratch, sizeof(scratch)), 0);
	ck_assert_int_eq(write_text("still heard"), 11);
	disconnect();
	connect_with(TLS1_3_VERSION);
	handshake();
	shutdown(peer, SHUT_WR);
	ck_assert_int_eq(tls_stream_read(ts, scratch, sizeof(scratch)), 0);
	disconnect();
	connect_with(TLS1_3_VERSION);
	shutdown(peer, SHUT_WR);
	ck_assert_int_eq(tls_stream_read(ts, scratch, sizeof(scratch)), 0);
	ck_assert(!ts->secured);
}
END_TEST

/* The socket has no event any more for an end that was read together with data. */
START_TEST(an_end_that_comes_with_bytes_is_more_to_read)
{
	handshake();
	say("QUIT");
	SSL_shutdown(client);
	forward(SIZE_MAX);
	expect_read(sizeof(scratch), "QUIT");
	ck_assert(ts->more);
	ck_assert_int_eq(tls_stream_read(ts, scratch, sizeof(scratch)), 0);
}
END_TEST

START_TEST(a_failure_that_comes_with_bytes_is_more_to_read_and_says_why)
{
	static const char garbage[] = "\x17\x03\x03\x00\x20"
				      "0123456789abcdef0123456789abcdef";

	handshake();
	say("PING");
	forward(SIZE_MAX);
	ck_assert_int_eq(send(peer, garbage, sizeof(garbage) - 1, 0), (ssize_t)sizeof(garbage) - 1);
	expect_read(sizeof(scratch), "PING");
	ck_assert(ts->more);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(tls_stream_read(ts, scratch, sizeof(scratch)), -1);
		ck_assert_int_eq(errno, EPROTO);
		ck_assert_ptr_nonnull(ts->reason);
	}
	ck_assert_int_eq(write_text("x"), -1);
	ck_assert_int_eq(errno, EPROTO);
}
END_TEST

START_TEST(plain_text_is_told_from_broken_tls)
{
	ck_assert_int_eq(send(peer, "PING\r\n", 6, 0), 6);
	ck_assert_int_eq(tls_stream_read(ts, scratch, sizeof(scratch)), -1);
	ck_assert_int_eq(errno, EPROTO);
	ck_assert_str_eq(ts->reason, "no TLS: something else was sent to the TLS port");
	disconnect();
	connect_with(TLS1_3_VERSION);
	ck_assert_int_eq(send(peer, "\x16\x03\x01\x00\x05hello", 10, 0), 10);
	ck_assert_int_eq(tls_stream_read(ts, scratch, sizeof(scratch)), -1);
	ck_assert_int_eq(errno, EPROTO);
	ck_assert(!ts->plain);
	ck_assert_ptr_nonnull(ts->reason);
}
END_TEST

static void
push_updates(unsigned count, int answer)
{
	while (count-- > 0) {
		SSL_key_update(client, answer);
		ck_assert_int_eq(SSL_do_handshake(client), 1);
	}
}

START_TEST(key_updates_are_answered)
{
	struct buffer in = {0};

	handshake();
	for (int i = 0; i < 100; i++) {
		push_updates(1, SSL_KEY_UPDATE_REQUESTED);
		say("PING");
		forward(SIZE_MAX);
		expect_read(sizeof(scratch), "PING");
		ck_assert_int_eq(write_text("+PONG"), 5);
		fetch(SIZE_MAX);
		hear(&in);
	}
	ck_assert_uint_eq(in.len, 500);
	buffer_release(&in);
}
END_TEST

/* Each key update costs some thousand times as much as a byte of data, and no client needs many. */
static void
flood(int answer)
{
	uint64_t longest_us = 0;
	ssize_t n = -1;
	size_t sent = 0;

	handshake();
	while (n == -1 && sent < 20000 * UPDATE_BYTES) {
		uint64_t from_us;

		push_updates(1000, answer);
		sent += forward(SIZE_MAX);
		from_us = clock_mono_us();
		n = tls_stream_read(ts, scratch, sizeof(scratch));
		if (clock_mono_us() - from_us > longest_us)
			longest_us = clock_mono_us() - from_us;
		ck_assert_int_lt(n, 0);
		ck_assert_uint_le(ts->rest_len, 262144);
		if (errno != EAGAIN)
			break;
	}
	ck_assert_int_eq(errno, EPROTO);
	ck_assert_str_eq(ts->reason, "too many key updates");
	ck_assert_uint_le(sent, 2000 * UPDATE_BYTES);
}

START_TEST(key_updates_without_end_are_refused)
{
	flood(SSL_KEY_UPDATE_NOT_REQUESTED);
	disconnect();
	connect_with(TLS1_3_VERSION);
	flood(SSL_KEY_UPDATE_REQUESTED);
}
END_TEST

/* Otherwise OpenSSL reads as long as the socket has bytes, and blocks the loop. */
START_TEST(a_read_takes_no_more_of_the_socket_than_it_has_room_for)
{
	int large = 4 << 20, unread = 0, before;

	setsockopt(peer, SOL_SOCKET, SO_SNDBUF, &large, sizeof(large));
	handshake();
	for (int i = 0; i < 500; i++) {
		push_updates(8, SSL_KEY_UPDATE_NOT_REQUESTED);
		say("x");
	}
	forward(SIZE_MAX);
	ck_assert_int_eq(ioctl(ts->fd, FIONREAD, &before), 0);
	ck_assert_int_gt(before, 500 * 8 * UPDATE_BYTES);
	ck_assert_int_gt(tls_stream_read(ts, scratch, 16384), 0);
	ck_assert_int_eq(ioctl(ts->fd, FIONREAD, &unread), 0);
	ck_assert_int_ge(unread, before - 2 * 17000);
}
END_TEST

static unsigned writables;

static void
on_readable(struct stream *stream, bool ending)
{
	(void)ending;
	ck_assert_int_eq(stream_read(stream, scratch, sizeof(scratch)), -1);
}

static void
on_writable(struct stream *stream)
{
	(void)stream;
	writables++;
}

/* A write then has to wait for more bytes of the peer, not for the socket, which is writable. */
START_TEST(half_a_key_update_lets_writes_wait_for_reads)
{
	static const struct stream_handler handler = {on_readable, on_writable};
	struct event_base *base = event_base_new();
	struct iovec piece = {scratch, 4};
	unsigned char record[26];
	struct stream stream;

	SSL_set_ciphersuites(client, "TLS_AES_128_GCM_SHA256");
	handshake();
	testing_tls_half_an_update(record);
	ck_assert_int_eq(send(peer, record, sizeof(record), 0), sizeof(record));
	stream_open(&stream, base, ts->fd, ts, &handler);
	ck_assert(stream_watch(&stream, true));
	event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	ck_assert_int_eq(stream_write(&stream, &piece, 1, scratch), -1);
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert(stream_await_writable(&stream));
	writables = 0;
	for (int i = 0; i < 10; i++)
		event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	ck_assert_uint_eq(writables, 0);
	stream_close(&stream);
	event_base_free(base);
	close(peer);
	SSL_free(client);
	connect_with(TLS1_3_VERSION);
}
END_TEST

int
main(void)
{
	return testing_main("net/tls_stream", setup, teardown,
	    (const TTest *[]){a_handshake_may_come_byte_by_byte,
		nothing_is_written_before_the_end_of_the_handshake,
		a_read_gives_what_there_is_room_for_and_says_that_there_is_more,
		a_full_socket_keeps_a_record_and_what_follows_waits,
		bytes_keep_their_order_both_ways, the_end_is_told_to_the_peer,
		the_end_of_the_peer_is_read_with_a_close_notify_or_without,
		an_end_that_comes_with_bytes_is_more_to_read,
		a_failure_that_comes_with_bytes_is_more_to_read_and_says_why,
		plain_text_is_told_from_broken_tls, key_updates_are_answered,
		key_updates_without_end_are_refused,
		a_read_takes_no_more_of_the_socket_than_it_has_room_for,
		half_a_key_update_lets_writes_wait_for_reads, NULL});
}
