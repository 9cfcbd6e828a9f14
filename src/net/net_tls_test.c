#include "config.h"

#include "net/net.h"

#include <check.h>
#include <linux/sockios.h>
#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/testing.h"
#include "net/testing_certificates.h"
#include "net/testing_net.h"

/* A client on a non-blocking socket. */
struct tls_peer {
	struct rig_peer raw;
	SSL *ssl;
	bool notified; /* it ended with a close_notify */
	bool failed;
	size_t wanted;
};

static struct tls_settings settings;
static int port;

static void
setup(void)
{
	testing_certificates_setup();
	settings = testing_tls_settings();
	rig_setup();
	port = rig_listen_tls(&settings);
}

static void
teardown(void)
{
	rig_teardown();
	testing_certificates_teardown();
}

static void
authenticate_clients(uint32_t user)
{
	settings = testing_tls_settings();
	settings.auth_clients = TLS_AUTH_YES;
	settings.ca_cert_file = testing_certificates_path("ca.pem");
	settings.user = user;
	rig_set_tls(&settings);
}

static struct rig_peer
dial_raw(int receive_buffer)
{
	struct rig_peer peer = rig_socket(receive_buffer);

	rig_connect_port(&peer, port);
	rig_until_clients(rig.client_count + 1);
	return peer;
}

static bool
is_shaken(void *arg)
{
	struct tls_peer *peer = arg;

	peer->failed =
	    SSL_do_handshake(peer->ssl) != 1 && SSL_get_error(peer->ssl, -1) != SSL_ERROR_WANT_READ;
	return peer->failed || SSL_is_init_finished(peer->ssl);
}

static struct tls_peer
dial_as(int version, const char *certificate, int receive_buffer)
{
	struct tls_peer peer = {.ssl = testing_tls_client(version, certificate)};

	peer.raw = dial_raw(receive_buffer);
	SSL_set_fd(peer.ssl, peer.raw.fd);
	rig_until(is_shaken, &peer);
	return peer;
}

static struct tls_peer
dial(void)
{
	struct tls_peer peer = dial_as(0, NULL, 0);

	ck_assert(!peer.failed);
	return peer;
}

static void
hang_up(struct tls_peer *peer)
{
	SSL_free(peer->ssl);
	rig_close(&peer->raw);
}

static void
say(struct tls_peer *peer, const char *text)
{
	ck_assert_int_eq(SSL_write(peer->ssl, text, (int)strlen(text)), (int)strlen(text));
}

static bool
is_heard(void *arg)
{
	struct tls_peer *peer = arg;
	struct buffer *in = &peer->raw.in;
	int n;

	do {
		n = SSL_read(peer->ssl, buffer_reserve(in, 65536), 65536);
		if (n > 0)
			in->len += (size_t)n;
	} while (n > 0);
	if (SSL_get_error(peer->ssl, n) != SSL_ERROR_WANT_READ) {
		peer->raw.eof = true;
		peer->notified = SSL_get_error(peer->ssl, n) == SSL_ERROR_ZERO_RETURN;
	}
	return in->len >= peer->wanted || peer->raw.eof;
}

static void
hear(struct tls_peer *peer, size_t len)
{
	peer->wanted = len;
	rig_until(is_heard, peer);
}

static void
ask(struct tls_peer *peer, const char *text, const char *answer)
{
	buffer_clear(&peer->raw.in);
	say(peer, text);
	hear(peer, strlen(answer));
	ck_assert_uint_eq(peer->raw.in.len, strlen(answer));
	ck_assert_mem_eq(peer->raw.in.ptr, answer, strlen(answer));
}

START_TEST(requests_are_answered)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

	for (int i = 0; i < 2; i++) {
		struct tls_peer peer = dial_as(versions[i], NULL, 0);

		ck_assert(!peer.failed);
		ck_assert(rig.clients[rig.client_count - 1]->peer.is_tls);
		ask(&peer, "ECHO a\r\nECHO b\r\n", "a\nb\n");
		ask(&peer, "LATER c\r\n", "");
		rig_until_handed(rig.clients[rig.client_count - 1], 3);
		conn_resume(rig.clients[rig.client_count - 1]->conn);
		hear(&peer, 2);
		ask(&peer, "BIG 1\r\n", "x");
		hang_up(&peer);
		rig_until_connections(0);
	}
	ck_assert_uint_eq(net_figures(rig.net).tls_handshakes, 2);
	ck_assert_uint_eq(net_figures(rig.net).tls_handshaking, 0);
	ck_assert_uint_eq(net_figures(rig.net).tls_failed, 0);
}
END_TEST

START_TEST(many_requests_in_one_write_are_answered_in_order)
{
	struct tls_peer peer = dial();
	struct buffer text = {0}, answer = {0};
	char line[32];

	for (int i = 0; i < 3000; i++) {
		snprintf(line, sizeof(line), "%s %d\r\n", i % 100 == 7 ? "WORK" : "ECHO", i);
		buffer_append_str(&text, line);
		snprintf(line, sizeof(line), "%d\n", i);
		buffer_append_str(&answer, line);
	}
	buffer_append(&text, "", 1);
	buffer_append(&answer, "", 1);
	ask(&peer, text.ptr, answer.ptr);
	buffer_release(&text);
	buffer_release(&answer);
	hang_up(&peer);
}
END_TEST

START_TEST(a_slow_reader_gets_all_of_a_large_reply)
{
	struct tls_peer peer;

	rig.send_buffer = 4096;
	peer = dial_as(0, NULL, 4096);
	say(&peer, "BIG 3000000\r\nECHO end\r\n");
	rig_for_ms(50);
	hear(&peer, 3000004);
	ck_assert_msg(peer.raw.in.len == 3000004, "%zu bytes, and then: %s", peer.raw.in.len,
	    rig.clients[0]->conn != NULL ? "still open" : rig.clients[0]->reason);
	ck_assert_mem_eq(peer.raw.in.ptr + 2999999, "xend\n", 5);
	hang_up(&peer);
}
END_TEST

START_TEST(who_is_finished_gets_all_and_a_close_notify)
{
	struct tls_peer peer;

	rig.send_buffer = 4096;
	peer = dial_as(0, NULL, 4096);
	say(&peer, "FINISH 500000\r\nECHO unheard\r\n");
	rig_for_ms(20);
	hear(&peer, SIZE_MAX);
	ck_assert_uint_eq(peer.raw.in.len, 500000);
	ck_assert(peer.notified);
	hang_up(&peer);
	rig_until_connections(0);
}
END_TEST

/* The client waits for the server's close_notify, and keeps its socket open; earlier requests are
 * answered. */
START_TEST(a_close_notify_ends_the_connection)
{
	struct tls_peer peer = dial();

	say(&peer, "ECHO last\r\n");
	ck_assert_int_eq(SSL_shutdown(peer.ssl), 0);
	hear(&peer, SIZE_MAX);
	ck_assert(peer.notified);
	ck_assert_uint_eq(peer.raw.in.len, 5);
	rig_until_connections(0);
	hang_up(&peer);
}
END_TEST

START_TEST(handshakes_have_a_time_limit)
{
	struct rig_peer peer = dial_raw(0);
	struct tls_peer other = dial();

	rig.config.tls_handshake_timeout_s = 1;
	rig_until_closed(rig.clients[0]);
	ck_assert_str_eq(rig.clients[0]->reason, "it took longer than tls-handshake-timeout");
	ck_assert_uint_eq(net_figures(rig.net).tls_failed, 1);
	rig_for_ms(1100);
	ask(&other, "ECHO still\r\n", "still\n");
	rig_close(&peer);
	hang_up(&other);
}
END_TEST

START_TEST(too_many_handshakes_wait_for_the_oldest_to_end)
{
	struct rig_peer peers[3];
	struct tls_peer others[2];

	rig.config.tls_max_handshakes = 3;
	for (int i = 0; i < 3; i++)
		peers[i] = dial_raw(0);
	others[0] = dial();
	ck_assert_ptr_null(rig.clients[0]->conn);
	ck_assert_str_eq(
	    rig.clients[0]->reason, "it was the oldest, and tls-max-handshakes is reached");
	ck_assert_uint_le(net_figures(rig.net).tls_handshaking, 2);
	ask(&others[0], "ECHO in\r\n", "in\n");
	/* The end of a handshake makes room, also if it failed. */
	for (int i = 0; i < 3; i++)
		rig_close(&peers[i]);
	others[1] = dial();
	ask(&others[1], "ECHO too\r\n", "too\n");
	hang_up(&others[0]);
	hang_up(&others[1]);
	rig_until_connections(0);
	ck_assert_uint_eq(net_figures(rig.net).tls_handshaking, 0);
}
END_TEST

START_TEST(who_leaves_in_the_handshake_was_not_refused)
{
	struct rig_peer peer = dial_raw(0);

	rig_close(&peer);
	rig_until_closed(rig.clients[0]);
	ck_assert_str_eq(rig.clients[0]->reason, "closed by peer");
}
END_TEST

/* The request comes in the same bytes as the end of the handshake. */
START_TEST(a_certificate_names_its_user_before_the_first_request)
{
	struct tls_peer peer = {.ssl = testing_tls_client(TLS1_3_VERSION, "client")};

	authenticate_clients(TLS_USER_CN);
	peer.raw = dial_raw(0);
	SSL_set_fd(peer.ssl, peer.raw.fd);
	rig_until(is_shaken, &peer);
	ck_assert(!peer.failed);
	ask(&peer, "ECHO a\r\n", "a\n");
	ck_assert_str_eq(rig.clients[0]->user, "client");
	ck_assert_uint_eq(rig.clients[0]->named_at, 0);
	hang_up(&peer);
}
END_TEST

START_TEST(who_is_killed_when_it_is_named_is_handed_no_request)
{
	struct tls_peer peer = {.ssl = testing_tls_client(TLS1_3_VERSION, "client")};

	authenticate_clients(TLS_USER_CN);
	rig.kill_named = true;
	peer.raw = dial_raw(0);
	SSL_set_fd(peer.ssl, peer.raw.fd);
	rig_until(is_shaken, &peer);
	say(&peer, "ECHO a\r\n");
	rig_until_closed(rig.clients[0]);
	ck_assert_str_eq(rig.clients[0]->reason, "not wanted");
	ck_assert_uint_eq(rig.clients[0]->handed, 0);
	hang_up(&peer);
}
END_TEST

START_TEST(who_has_no_certificate_is_told_why_it_is_refused)
{
	struct tls_peer peer;

	authenticate_clients(TLS_USER_CN);
	peer = dial_as(TLS1_2_VERSION, NULL, 0);
	ck_assert(peer.failed);
	rig_until_closed(rig.clients[0]);
	ck_assert_str_eq(rig.clients[0]->reason, "the client gave no certificate");
	ck_assert_uint_eq(net_figures(rig.net).tls_failed, 1);
	hang_up(&peer);
}
END_TEST

/* Resumes the session of `first` on another connection. */
static bool
is_resumed_at(int at, struct tls_peer *first, const char *line, const char *answer)
{
	int before = port;
	struct tls_peer peer = {.ssl = testing_tls_client(TLS1_3_VERSION, NULL)};
	bool is_resumed;

	SSL_set_session(peer.ssl, SSL_get0_session(first->ssl));
	port = at;
	peer.raw = dial_raw(0);
	port = before;
	SSL_set_fd(peer.ssl, peer.raw.fd);
	rig_until(is_shaken, &peer);
	if (!peer.failed && line != NULL)
		ask(&peer, line, answer);
	is_resumed = !peer.failed && SSL_session_reused(peer.ssl) == 1;
	hang_up(&peer);
	return is_resumed;
}

START_TEST(a_service_may_do_without_certificates_of_clients)
{
	int lines = rig_listen_line_tls(), resp = port;
	struct tls_peer peer;

	authenticate_clients(TLS_USER_CN);
	port = lines;
	peer = dial_as(TLS1_3_VERSION, "client", 0);
	ck_assert(!peer.failed);
	ask(&peer, "one\n", "one\n");
	ck_assert_str_eq(rig.clients[0]->user, "");
	ck_assert(is_resumed_at(lines, &peer, "two\n", "two\n"));
	ck_assert(!is_resumed_at(resp, &peer, NULL, NULL));
	hang_up(&peer);
}
END_TEST

START_TEST(other_protocols_are_refused_by_name)
{
	static const char hello[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
	static const char *const texts[] = {hello, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"};
	struct rig_peer peer;
	struct tls_peer browser;

	for (int i = 0; i < 2; i++) {
		peer = rig_dial();
		rig_send(
		    &peer, (struct slice){texts[i], i == 0 ? sizeof(hello) - 1 : strlen(texts[i])});
		rig_until_closed(rig.clients[i]);
		ck_assert_str_eq(
		    rig.clients[i]->reason, i == 0 ? "TLS handshake on a plain port; use tls-port"
						   : "HTTP request on a RESP port");
		rig_read(&peer);
		ck_assert_uint_eq(peer.in.len, 0);
		rig_close(&peer);
	}
	browser = dial();
	say(&browser, texts[1]);
	rig_until_closed(rig.clients[2]);
	ck_assert_str_eq(rig.clients[2]->reason, "HTTP request on a RESP port");
	hang_up(&browser);
	peer = dial_raw(0);
	rig_send(&peer, SLICE("PING\r\n"));
	rig_until_closed(rig.clients[3]);
	ck_assert_str_eq(rig.clients[3]->reason, "no TLS: something else was sent to the TLS port");
	rig_close(&peer);
}
END_TEST

START_TEST(a_reload_leaves_open_connections_alone)
{
	struct tls_peer before = dial(), after;
	char error[256];

	for (int i = 0; i < 3; i++) {
		testing_certificates_add(&(struct testing_certificate){.name = "server"});
		rig_set_tls(&settings);
		ask(&before, "ECHO before\r\n", "before\n");
		after = dial();
		ask(&after, "ECHO after\r\n", "after\n");
		hang_up(&after);
	}
	settings.cert_file = "/nowhere";
	ck_assert(!net_set_tls(rig.net, &settings, error, sizeof(error)));
	after = dial();
	ask(&after, "ECHO after\r\n", "after\n");
	ask(&before, "ECHO before\r\n", "before\n");
	hang_up(&after);
	hang_up(&before);
}
END_TEST

START_TEST(connections_may_be_killed_or_finished_in_the_middle_of_a_handshake)
{
	struct rig_peer peers[20];

	for (int i = 0; i < 20; i++) {
		SSL *ssl = testing_tls_client(0, NULL);

		peers[i] = dial_raw(0);
		SSL_set_wfd(ssl, peers[i].fd);
		SSL_set0_rbio(ssl, BIO_new(BIO_s_mem())); /* it receives nothing */
		(void)SSL_do_handshake(ssl);
		rig_for_ms((unsigned)i % 3);
		if (i % 2 == 0)
			conn_kill(rig.clients[i]->conn, "killed");
		else
			conn_finish(rig.clients[i]->conn);
		SSL_free(ssl);
	}
	rig_until_connections(0);
	for (int i = 0; i < 20; i++)
		rig_close(&peers[i]);
	ck_assert_uint_eq(net_figures(rig.net).tls_handshaking, 0);
	ck_assert_uint_eq(net_figures(rig.net).tls_failed, 20);
}
END_TEST

static bool
is_secured(void *arg)
{
	(void)arg;
	return net_figures(rig.net).tls_handshakes == 1;
}

/* The server has read everything that the first client has sent. */
static bool
has_taken_all(void *arg)
{
	const struct tls_peer *peer = arg;
	int unsent = 0, unread = 0;

	ck_assert_int_eq(ioctl(peer->raw.fd, SIOCOUTQ, &unsent), 0);
	ck_assert_int_eq(ioctl(rig.clients[0]->peer.fd, FIONREAD, &unread), 0);
	return unsent == 0 && unread == 0;
}

START_TEST(a_subscriber_in_half_a_key_update_does_not_keep_the_loop_busy)
{
	struct tls_peer peer = {.ssl = testing_tls_client(TLS1_3_VERSION, NULL)};
	unsigned char record[26];

	SSL_set_ciphersuites(peer.ssl, "TLS_AES_128_GCM_SHA256");
	peer.raw = dial_raw(0);
	SSL_set_fd(peer.ssl, peer.raw.fd);
	rig_until(is_shaken, &peer);
	rig_until(is_secured, NULL);
	testing_tls_half_an_update(record);
	ck_assert_int_eq(send(peer.raw.fd, record, sizeof(record), 0), sizeof(record));
	rig_until(has_taken_all, &peer);
	outbox_push_reply(&rig.clients[0]->outbox, SLICE("stuck"));
	conn_ready(rig.clients[0]->conn);
	rig.wait_us = 20000;
	rig_until_calm(200, 50);
	ck_assert_uint_eq(outbox_reply_bytes(&rig.clients[0]->outbox), 5);
	hang_up(&peer);
	rig_until_connections(0);
}
END_TEST

START_TEST(a_server_that_ends_leaves_no_connection_of_any_kind)
{
	struct tls_peer idle = dial(), busy = dial();
	struct rig_peer half = dial_raw(0);

	say(&busy, "BIG 3000000\r\n");
	rig_until_handed(rig.clients[1], 1);
	teardown();
	setup();
	hang_up(&idle);
	hang_up(&busy);
	rig_close(&half);
}
END_TEST

int
main(void)
{
	return testing_main("net/net_tls", setup, teardown,
	    (const TTest *[]){requests_are_answered,
		many_requests_in_one_write_are_answered_in_order,
		a_slow_reader_gets_all_of_a_large_reply,
		who_is_finished_gets_all_and_a_close_notify, a_close_notify_ends_the_connection,
		handshakes_have_a_time_limit, too_many_handshakes_wait_for_the_oldest_to_end,
		who_leaves_in_the_handshake_was_not_refused,
		a_certificate_names_its_user_before_the_first_request,
		who_is_killed_when_it_is_named_is_handed_no_request,
		who_has_no_certificate_is_told_why_it_is_refused,
		a_service_may_do_without_certificates_of_clients,
		other_protocols_are_refused_by_name, a_reload_leaves_open_connections_alone,
		connections_may_be_killed_or_finished_in_the_middle_of_a_handshake,
		a_subscriber_in_half_a_key_update_does_not_keep_the_loop_busy,
		a_server_that_ends_leaves_no_connection_of_any_kind, NULL});
}
