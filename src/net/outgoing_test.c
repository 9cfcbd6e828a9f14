#include "config.h"

#include "net/outgoing.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/testing.h"
#include "net/testing_certificates.h"
#include "net/testing_net.h"

/* A time limit that no test reaches, however slow the machine is. */
#define PATIENT_MS 60000

/* Connects to the rig's listener, or to a bare socket on which the test answers. */

static struct outgoing *out;
static struct buffer received;
static unsigned opened, drained, lost;
static char why[256];
static uint64_t retry_us;
static const char *drop_for; /* reason for which `received` drops it; NULL: keeps the bytes */

static void
on_opened(void *arg)
{
	(void)arg;
	opened++;
	ck_assert_int_eq(outgoing_state(out), OUTGOING_OPEN);
}

static void
on_received(void *arg, struct slice bytes)
{
	(void)arg;
	buffer_append_slice(&received, bytes);
	if (drop_for != NULL)
		outgoing_drop(out, drop_for);
}

static void
on_drained(void *arg)
{
	(void)arg;
	drained++;
	ck_assert_uint_eq(outgoing_queued_bytes(out), 0);
}

static void
on_lost(void *arg, const char *reason, uint64_t again_us)
{
	(void)arg;
	lost++;
	snprintf(why, sizeof(why), "%s", reason);
	retry_us = again_us;
	ck_assert_int_eq(outgoing_state(out), OUTGOING_WAITING);
	ck_assert(!outgoing_send(out, SLICE("x")));
}

static const struct outgoing_handler handler = {
    .opened = on_opened, .received = on_received, .drained = on_drained, .lost = on_lost};

static void
setup(void)
{
	rig_setup();
	opened = drained = lost = 0;
	drop_for = NULL;
}

static void
teardown(void)
{
	outgoing_free(out);
	out = NULL;
	buffer_release(&received);
	rig_teardown();
}

static void
start(const char *host, int port, const struct outgoing_tls_settings *tls, uint32_t timeout_ms)
{
	struct outgoing_config config = {
	    .host = host, .port = port, .tls = tls, .connect_timeout_ms = timeout_ms};
	char error[256] = "";

	outgoing_free(out);
	out = outgoing_new(rig.net, &config, &handler, NULL, error, sizeof(error));
	ck_assert_msg(out != NULL, "%s", error);
}

static bool
is_opened(void *times)
{
	return opened >= *(unsigned *)times;
}

static void
until_opened(unsigned times)
{
	rig_until(is_opened, &times);
}

static bool
is_lost(void *times)
{
	return lost >= *(unsigned *)times;
}

static void
until_lost(unsigned times)
{
	rig_until(is_lost, &times);
}

static bool
is_in_state(void *state)
{
	return outgoing_state(out) == *(enum outgoing_state *)state;
}

static bool
is_received(void *len)
{
	return received.len >= *(size_t *)len;
}

static void
ask(const char *text, const char *answer)
{
	size_t len = strlen(answer);

	received.len = 0;
	ck_assert(outgoing_send(out, slice_of(text)));
	rig_until(is_received, &len);
	ck_assert_uint_eq(received.len, len);
	ck_assert_mem_eq(received.ptr, answer, len);
}

/* Checks the reason of the loss; "@" in expected stands for "127.0.0.1:<port>". */
static void
assert_why(const char *expected, int port)
{
	const char *at = strchr(expected, '@');
	char text[256];

	snprintf(
	    text, sizeof(text), "%.*s127.0.0.1:%d%s", (int)(at - expected), expected, port, at + 1);
	ck_assert_str_eq(why, text);
}

/* A listening socket with this backlog. */
static int
bare_listener(int backlog, int *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, len), 0);
	ck_assert_int_eq(listen(fd, backlog), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	*port = ntohs(address.sin_port);
	return fd;
}

/* Accepts its connection; close() will send a reset. */
static int
accept_bare(int listener)
{
	struct linger reset = {1, 0};
	int fd = accept(listener, NULL, NULL);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
	return fd;
}

START_TEST(a_numeric_address_is_connected_to_and_bytes_go_both_ways)
{
	start("127.0.0.1", net_port(rig.net), NULL, PATIENT_MS);
	ck_assert(!outgoing_send(out, SLICE("too early")));
	until_opened(1);
	ask("ECHO a\n", "a\n");
	ask("ECHO b\nECHO c\n", "b\nc\n");
	ck_assert_uint_eq(lost, 0);
}
END_TEST

/* The name may also have an address without a listener, which is tried as well. */
START_TEST(a_name_is_looked_up)
{
	start("localhost", net_port(rig.net), NULL, PATIENT_MS);
	until_opened(1);
	ask("ECHO a\n", "a\n");
	ck_assert_uint_eq(lost, 0);
}
END_TEST

START_TEST(what_the_socket_does_not_take_is_queued_and_sent_in_order)
{
	struct buffer text = {0}, expected = {0};
	size_t len;

	rig.config.reply_pause_bytes = 100 << 20;
	for (unsigned i = 0; i < 300000; i++) {
		buffer_appendf(&text, "ECHO %u and more\n", i);
		buffer_appendf(&expected, "%u and more\n", i);
	}
	start("127.0.0.1", net_port(rig.net), NULL, PATIENT_MS);
	until_opened(1);
	for (size_t at = 0; at < text.len; at += len) {
		len = text.len - at < 700000 ? text.len - at : 700000;
		ck_assert(outgoing_send(out, (struct slice){text.ptr + at, len}));
	}
	ck_assert_uint_eq(outgoing_queued_bytes(out), text.len);
	len = expected.len;
	rig_until(is_received, &len);
	ck_assert_uint_eq(received.len, expected.len);
	ck_assert(memcmp(received.ptr, expected.ptr, expected.len) == 0);
	ck_assert_uint_eq(outgoing_queued_bytes(out), 0);
	ck_assert_uint_eq(drained, 1);
	buffer_release(&text);
	buffer_release(&expected);
}
END_TEST

START_TEST(a_refused_connection_is_tried_again_after_longer_and_longer)
{
	int port, fd = bare_listener(1, &port);
	uint64_t begun_us = clock_mono_us();

	close(fd);
	start("127.0.0.1", port, NULL, PATIENT_MS);
	until_lost(1);
	assert_why("connect to @: Connection refused", port);
	ck_assert_uint_ge(retry_us, BACKOFF_FIRST_US / 2);
	ck_assert_uint_le(retry_us, BACKOFF_FIRST_US);
	until_lost(3);
	ck_assert_uint_ge(retry_us, BACKOFF_FIRST_US * 2);
	ck_assert_uint_ge(clock_mono_us() - begun_us, BACKOFF_FIRST_US / 2 + BACKOFF_FIRST_US);
	ck_assert_uint_eq(opened, 0);
}
END_TEST

START_TEST(a_server_that_does_not_answer_is_given_up)
{
	struct outgoing_tls_settings tls = {.name = "server"};
	int port, fd = bare_listener(1, &port);

	start("127.0.0.1", port, &tls, 300);
	until_lost(1);
	assert_why("TLS handshake with @: not done within 300 ms", port);
	close(fd);
}
END_TEST

static bool
is_connected(void *fd)
{
	struct pollfd connected = {.fd = *(int *)fd, .events = POLLOUT};

	return poll(&connected, 1, 0) == 1;
}

#define FILL 4

/* The first connection fills the queue of a listener without backlog. */
static void
fill_queue(struct rig_peer fill[FILL], int port)
{
	for (int i = 0; i < FILL; i++) {
		fill[i] = rig_socket(0);
		rig_connect_port(&fill[i], port);
		if (i == 0)
			rig_until(is_connected, &fill[i].fd);
	}
}

/* The queue of the listener is full, so the system does not answer at all. */
START_TEST(a_connect_that_gets_no_answer_is_given_up)
{
	int port, fd = bare_listener(0, &port);
	struct rig_peer fill[FILL];

	fill_queue(fill, port);
	start("127.0.0.1", port, NULL, 300);
	until_lost(1);
	assert_why("connect to @: not done within 300 ms", port);
	ck_assert_uint_eq(opened, 0);
	for (int i = 0; i < FILL; i++)
		rig_close(&fill[i]);
	close(fd);
}
END_TEST

START_TEST(a_connection_that_is_reset_or_closed_is_made_again)
{
	int port, listener = bare_listener(4, &port);

	start("127.0.0.1", port, NULL, PATIENT_MS);
	until_opened(1);
	close(accept_bare(listener));
	until_lost(1);
	assert_why("connection to @: Connection reset by peer", port);
	until_opened(2);
	shutdown(accept_bare(listener), SHUT_WR);
	until_lost(2);
	assert_why("connection to @: closed by the server", port);
	ck_assert_uint_ge(retry_us, BACKOFF_FIRST_US); /* the connection was not open for long */
	until_opened(3);
	close(listener);
}
END_TEST

START_TEST(what_is_queued_when_it_is_freed_is_sent)
{
	int port, listener = bare_listener(1, &port), fd;
	char text[8] = "";

	start("127.0.0.1", port, NULL, PATIENT_MS);
	until_opened(1);
	ck_assert(outgoing_send(out, SLICE("the end")));
	outgoing_free(out);
	out = NULL;
	fd = accept_bare(listener);
	ck_assert_int_eq(recv(fd, text, sizeof(text), MSG_WAITALL), 7);
	ck_assert_str_eq(text, "the end");
	close(fd);
	close(listener);
}
END_TEST

START_TEST(it_comes_back_when_the_server_does)
{
	int port, fd = bare_listener(1, &port);
	struct outgoing_config config = {
	    .host = "127.0.0.1", .port = port, .connect_timeout_ms = PATIENT_MS};
	char error[256];

	close(fd);
	out = outgoing_new(rig.net, &config, &handler, NULL, error, sizeof(error));
	until_lost(1);
	ck_assert_msg(
	    net_listen_tcp(rig.net, RIG_RESP, "127.0.0.1", port, false, error, sizeof(error)), "%s",
	    error);
	until_opened(1);
	ask("ECHO a\n", "a\n");
}
END_TEST

START_TEST(a_connection_may_be_dropped_for_what_it_received)
{
	start("127.0.0.1", net_port(rig.net), NULL, PATIENT_MS);
	until_opened(1);
	drop_for = "sent nonsense";
	ck_assert(outgoing_send(out, SLICE("ECHO a\nECHO b\n")));
	until_lost(1);
	assert_why("connection to @: sent nonsense", net_port(rig.net));
	drop_for = NULL;
	until_opened(2);
	ask("ECHO c\n", "c\n");
}
END_TEST

static bool
is_partly_written(void *len)
{
	return outgoing_queued_bytes(out) < *(size_t *)len;
}

/* Otherwise the system would send them even after the next connection is made. */
START_TEST(bytes_that_the_server_has_not_received_are_discarded_by_a_drop)
{
	int port, listener = bare_listener(4, &port), fd;
	size_t len = (size_t)64 << 20;
	struct buffer text = {0};
	char room[65536];
	ssize_t n;

	start("127.0.0.1", port, NULL, PATIENT_MS);
	until_opened(1);
	fd = accept(listener, NULL, NULL);
	ck_assert_int_ge(fd, 0);
	memset(buffer_reserve(&text, len), 'x', len);
	text.len = len;
	ck_assert(outgoing_send(out, buffer_slice(&text)));
	buffer_release(&text);
	rig_until(is_partly_written, &len);
	outgoing_drop(out, "gives up");
	ck_assert_uint_eq(lost, 1);
	do
		n = read(fd, room, sizeof(room));
	while (n > 0);
	ck_assert_int_eq(n, -1);
	ck_assert_int_eq(errno, ECONNRESET);
	close(fd);
	close(listener);
}
END_TEST

/* The server of the TLS tests; `other` is a certificate of another authority. */
static int
listen_tls(void)
{
	struct tls_settings settings;

	testing_certificates_setup();
	testing_certificates_add(
	    &(struct testing_certificate){.name = "server", .host = "server.test"});
	settings = testing_tls_settings();
	return rig_listen_tls(&settings);
}

START_TEST(with_tls_the_server_proves_its_name_to_the_authority_that_is_trusted)
{
	int port = listen_tls();
	struct outgoing_tls_settings tls = {
	    .ca_cert_file = testing_certificates_path("ca.pem"), .name = "server.test"};

	start("127.0.0.1", port, &tls, PATIENT_MS);
	until_opened(1);
	ask("ECHO a\n", "a\n");
	ck_assert_uint_eq(lost, 0);
	testing_certificates_teardown();
}
END_TEST

START_TEST(a_server_with_another_name_is_not_spoken_to)
{
	int port = listen_tls();
	struct outgoing_tls_settings tls = {
	    .ca_cert_file = testing_certificates_path("ca.pem"), .name = "another.test"};

	start("127.0.0.1", port, &tls, PATIENT_MS);
	until_lost(1);
	assert_why("TLS handshake with @: hostname mismatch", port);
	tls.name = NULL; /* then the certificate must contain the address */
	start("127.0.0.1", port, &tls, PATIENT_MS);
	until_lost(2);
	assert_why("TLS handshake with @: IP address mismatch", port);
	ck_assert_uint_eq(opened, 0);
	testing_certificates_teardown();
}
END_TEST

START_TEST(a_server_of_another_authority_is_not_spoken_to)
{
	int port = listen_tls();
	struct outgoing_tls_settings tls = {
	    .ca_cert_file = testing_certificates_path("client.pem"), .name = "server.test"};

	start("127.0.0.1", port, &tls, PATIENT_MS);
	until_lost(1);
	assert_why("TLS handshake with @: unable to get local issuer certificate", port);
	ck_assert_uint_eq(opened, 0);
	testing_certificates_teardown();
}
END_TEST

START_TEST(a_server_without_tls_and_unusable_files_are_told)
{
	struct outgoing_tls_settings tls = {.name = "server.test"};
	struct outgoing_config config = {
	    .host = "127.0.0.1", .port = 1, .tls = &tls, .connect_timeout_ms = PATIENT_MS};
	int port, listener = bare_listener(4, &port), fd;
	enum outgoing_state securing = OUTGOING_SECURING;
	char error[256];

	start("127.0.0.1", port, &tls, PATIENT_MS);
	rig_until(is_in_state, &securing);
	fd = accept_bare(listener);
	ck_assert_int_eq(send(fd, "-ERR what?\r\n", 12, 0), 12);
	until_lost(1);
	assert_why("TLS handshake with @: the server does not speak TLS", port);
	close(fd);
	close(listener);
	tls.ca_cert_file = "/nonexistent/ca.pem";
	ck_assert_ptr_null(outgoing_new(rig.net, &config, &handler, NULL, error, sizeof(error)));
	ck_assert_str_eq(error, "CA certificates /nonexistent/ca.pem: No such file or directory");
}
END_TEST

START_TEST(it_may_be_freed_in_any_state)
{
	struct outgoing_tls_settings tls = {.name = "server.test"};
	int port, full_port, fd = bare_listener(8, &port), full = bare_listener(0, &full_port);
	struct rig_peer fill[FILL];
	enum outgoing_state state = OUTGOING_RESOLVING;

	fill_queue(fill, full_port);
	start("localhost", port, NULL, PATIENT_MS); /* before its first turn */
	start("localhost", port, NULL, PATIENT_MS);
	rig_until(is_in_state, &state);
	start("127.0.0.1", full_port, NULL, PATIENT_MS);
	state = OUTGOING_CONNECTING;
	rig_until(is_in_state, &state);
	start("127.0.0.1", port, &tls, PATIENT_MS);
	state = OUTGOING_SECURING;
	rig_until(is_in_state, &state);
	start("127.0.0.1", port, NULL, PATIENT_MS);
	until_opened(1);
	ck_assert(outgoing_send(out, SLICE("never sent")));
	start("127.0.0.1", port, NULL, PATIENT_MS);
	until_opened(2);
	outgoing_drop(out, "told to");
	ck_assert_int_eq(outgoing_state(out), OUTGOING_WAITING);
	outgoing_free(out);
	out = NULL;
	rig_for_ms(50); /* no event of them may be left in the loop */
	for (int i = 0; i < FILL; i++)
		rig_close(&fill[i]);
	close(full);
	close(fd);
}
END_TEST

int
main(void)
{
	return testing_main("net/outgoing", setup, teardown,
	    (const TTest *[]){a_numeric_address_is_connected_to_and_bytes_go_both_ways,
		a_name_is_looked_up, what_the_socket_does_not_take_is_queued_and_sent_in_order,
		a_refused_connection_is_tried_again_after_longer_and_longer,
		a_server_that_does_not_answer_is_given_up,
		a_connect_that_gets_no_answer_is_given_up,
		a_connection_that_is_reset_or_closed_is_made_again,
		what_is_queued_when_it_is_freed_is_sent, it_comes_back_when_the_server_does,
		a_connection_may_be_dropped_for_what_it_received,
		bytes_that_the_server_has_not_received_are_discarded_by_a_drop,
		with_tls_the_server_proves_its_name_to_the_authority_that_is_trusted,
		a_server_with_another_name_is_not_spoken_to,
		a_server_of_another_authority_is_not_spoken_to,
		a_server_without_tls_and_unusable_files_are_told, it_may_be_freed_in_any_state,
		NULL});
}
