#include "config.h"

#include "net/net.h"

#include <check.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/testing.h"
#include "net/testing_net.h"

/* A second protocol (testing_line.h) beside RESP: net treats both alike. */

static struct rig_peer
dial_line(void)
{
	static int port;
	struct rig_peer peer = rig_socket(0);

	if (rig.client_count == 0)
		port = rig_listen_line();
	rig_connect_port(&peer, port);
	rig_until_clients(rig.client_count + 1);
	return peer;
}

static void
assert_said(struct rig_peer *peer, const char *text)
{
	ck_assert_uint_eq(peer->in.len, strlen(text));
	ck_assert_mem_eq(peer->in.ptr, text, peer->in.len);
	peer->in.len = 0;
}

/* Asserts that the connection ends, after this last text. */
static void
assert_ends_with(struct rig_peer *peer, const char *text)
{
	rig_until_eof(peer);
	assert_said(peer, text);
	rig_close(peer);
}

static bool
has_read_bytes(void *total)
{
	return net_figures(rig.net).read_bytes >= *(uint64_t *)total;
}

/* Sends the text in two pieces, the second after the first was read. */
static void
send_split(struct rig_peer *peer, const char *text, size_t at)
{
	uint64_t total = net_figures(rig.net).read_bytes + at;

	rig_send(peer, (struct slice){text, at});
	rig_until(has_read_bytes, &total);
	rig_send(peer, slice_of(text + at));
}

START_TEST(a_listener_s_protocol_is_spoken_over_any_split_of_the_bytes)
{
	static const char text[] = "one\ntwo and more\n\nthree\n";
	struct rig_peer peer = dial_line();

	for (size_t at = 0; at < sizeof(text) - 1; at++) {
		send_split(&peer, text, at);
		rig_until_read(&peer, sizeof(text) - 1);
		assert_said(&peer, text);
	}
	ck_assert_uint_eq(conn_figures(rig.clients[0]->conn).input_room_bytes, 0);
	rig_close(&peer);
}
END_TEST

START_TEST(broken_input_is_answered_in_the_protocol_behind_the_requests_before_it)
{
	struct rig_peer peer = dial_line();
	struct buffer text = {0};

	buffer_append_str(&text, "one\n");
	memset(buffer_reserve(&text, 5000), 'x', 5000);
	text.len += 5000;
	rig_send(&peer, buffer_slice(&text));
	assert_ends_with(&peer, "one\nline too long\n");
	buffer_release(&text);
}
END_TEST

/* Changes the limit and waits until the loop of this peer has it. The loops get limits behind the
 * orders of a turn, so the first reply may overtake them, the second cannot. */
static void
set_line_bytes(struct rig_peer *peer, size_t count)
{
	rig.config.limits[RIG_LINE].line_bytes = count;
	rig_ask(peer, "one\n", "one\n");
	rig_ask(peer, "two\n", "two\n");
}

START_TEST(a_limit_of_the_service_that_changes_holds_for_the_next_request)
{
	struct rig_peer peer = dial_line(), resp = rig_dial();

	rig_ask(&peer, "twelve bytes\n", "twelve bytes\n");
	set_line_bytes(&peer, 10);
	rig_ask(&resp, "ECHO twelve-bytes\n", "twelve-bytes\n");
	rig_send(&peer, SLICE("twelve bytes\n"));
	assert_ends_with(&peer, "line too long\n");
	rig_close(&resp);
}
END_TEST

START_TEST(a_peer_that_sends_a_request_byte_by_byte_is_closed_with_a_notice)
{
	struct rig_peer peer = dial_line(), resp = rig_dial();

	rig.config.auth_timeout_s = 1;
	for (int i = 0; i < 300 && !peer.eof; i++) {
		(void)!send(peer.fd, "x", 1, MSG_NOSIGNAL);
		rig_for_ms(100);
		rig_read(&peer);
	}
	ck_assert(peer.eof);
	assert_said(&peer, "no line in time\n");
	rig_until_closed(rig.clients[0]);
	ck_assert_str_eq(rig.clients[0]->reason, "sent no request in time");
	rig_until_closed(rig.clients[1]);
	ck_assert_uint_eq(net_figures(rig.net).closed_unauthenticated, 2);
	assert_ends_with(&resp, ""); /* RESP has no notice */
	rig_close(&peer);
}
END_TEST

START_TEST(a_peer_that_does_not_log_in_and_one_that_is_idle_get_a_notice)
{
	struct rig_peer stranger = dial_line(), idle = dial_line();

	rig_ask(&stranger, "LOGIN\n", "LOGIN\n");
	rig_ask(&idle, "one\n", "one\n");
	rig.config.auth_timeout_s = 1;
	assert_ends_with(&stranger, "no login in time\n");
	rig.config.times[RIG_LINE].idle_s = 1;
	assert_ends_with(&idle, "idle\n");
	rig_until_closed(rig.clients[1]);
	ck_assert_str_eq(rig.clients[0]->reason, "did not authenticate in time");
	ck_assert_str_eq(rig.clients[1]->reason, "idle");
}
END_TEST

/* A refused connection gets no client. */
static void
assert_refused(int port, const char *text)
{
	struct rig_peer peer = rig_socket(0);

	rig_connect_port(&peer, port);
	assert_ends_with(&peer, text);
}

START_TEST(refusals_are_in_the_language_of_the_listener)
{
	int port = rig_listen_line();
	struct rig_peer peer = rig_dial();

	rig.config.unauthenticated_max = 1;
	assert_refused(port, "too many strangers\n");
	assert_refused(net_port(rig.net), "-ERR max number of unauthenticated clients reached\r\n");
	rig.config.unauthenticated_max = 0;
	rig.config.addresses.connections = 1;
	assert_refused(port, "too many from there\n");
	assert_refused(
	    net_port(rig.net), "-ERR max number of connections from this address reached\r\n");
	rig_close(&peer);
}
END_TEST

static bool
has_much_queued(void *arg)
{
	return outbox_reply_bytes(&((struct rig_client *)arg)->outbox) >= 65536;
}

START_TEST(requests_wait_while_the_peer_does_not_read_in_any_protocol)
{
	struct rig_peer peer;
	struct buffer text = {0};

	rig.send_buffer = 4096;
	peer = dial_line();
	set_line_bytes(&peer, 4000);
	for (int i = 0; i < 4000; i++) {
		memset(buffer_reserve(&text, 4000), 'x', 3999);
		text.ptr[text.len + 3999] = '\n';
		text.len += 4000;
	}
	(void)!send(peer.fd, text.ptr, text.len, MSG_NOSIGNAL);
	rig_until(has_much_queued, rig.clients[0]);
	rig_for_ms(20);
	ck_assert_uint_le(outbox_reply_bytes(&rig.clients[0]->outbox), 65536 + 4000);
	rig_close(&peer);
	buffer_release(&text);
}
END_TEST

/* The line requests the switch; bytes of both protocols may be in one read. */
static void
assert_switches(const char *line)
{
	static const char rest[] = "*2\r\n$4\r\nECHO\r\n$5\r\nab\r\nc\r\nECHO d\r\n"
				   "*3\r\n$4\r\nECHO\r\n$0\r\n\r\n$1\r\ne\r\n";
	struct buffer text = {0}, expected = {0};
	size_t len;

	buffer_appendf(&text, "one\n%s\n%s", line, rest);
	buffer_appendf(&expected, "one\n%s\nab\r\nc\nd\n e\n", line);
	len = text.len;
	buffer_append(&text, "", 1);
	buffer_append(&expected, "", 1);
	for (size_t at = 0; at <= len; at += 1 + (at > 24)) {
		struct rig_peer peer = dial_line();
		struct rig_client *client = rig.clients[rig.client_count - 1];

		send_split(&peer, text.ptr, at);
		if (strcmp(line, "RESP") != 0) {
			rig_until_handed(client, 2);
			conn_resume(client->conn);
		}
		rig_until_read(&peer, expected.len - 1);
		assert_said(&peer, expected.ptr);
		rig_ask(&peer, "ECHO more\n", "more\n");
		rig_close(&peer);
		rig_until_closed(client);
	}
	buffer_release(&text);
	buffer_release(&expected);
}

START_TEST(a_connection_goes_on_in_another_protocol_with_the_bytes_left_over)
{
	assert_switches("RESP");
}
END_TEST

START_TEST(a_request_that_had_to_wait_may_switch_the_protocol_as_well)
{
	assert_switches("LATER RESP");
}
END_TEST

START_TEST(a_parser_that_keeps_its_state_between_requests_may_be_switched)
{
	struct rig_peer peer = dial_line();

	rig_ask(&peer, "KEEP\n", "KEEP\n");
	rig_ask(&peer, "two\n", "two\n");
	rig_ask(&peer, "RESP\nECHO b\r\n", "RESP\nb\n");
	rig_send(&peer, SLICE("*1\r\nx\r\n"));
	assert_ends_with(&peer, "-ERR Protocol error: expected '$', got 'x'\n");
}
END_TEST

START_TEST(lines_and_resp_are_served_side_by_side)
{
	enum { PAIRS = 8, ROUNDS = 50 };
	struct rig_peer lines[PAIRS], resps[PAIRS];

	for (int i = 0; i < PAIRS; i++) {
		lines[i] = dial_line();
		resps[i] = rig_dial();
	}
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < PAIRS; i++) {
			rig_send(&lines[i], SLICE("half a "));
			rig_send(&resps[i], SLICE("*2\r\n$4\r\nECHO\r\n$3\r\na"));
		}
		for (int i = 0; i < PAIRS; i++) {
			rig_ask(&lines[i], "line\n", "half a line\n");
			rig_ask(&resps[i], "bc\r\n", "abc\n");
		}
	}
	for (int i = 0; i < PAIRS; i++) {
		rig_close(&lines[i]);
		rig_close(&resps[i]);
	}
}
END_TEST

START_TEST(a_listener_is_handed_on_by_the_name_of_its_protocol)
{
	struct net_listener listeners[4];
	int port = rig_listen_line(), fd;
	char error[256];

	ck_assert_int_ne(port, 0);
	ck_assert_uint_eq(net_listeners(rig.net, listeners, 4), 2);
	ck_assert_str_eq(listeners[1].name, "line");
	fd = dup(listeners[1].fd);
	ck_assert(!net_listen_named(rig.net, dup(fd), SLICE("lines"), error, sizeof(error)));
	ck_assert_ptr_nonnull(strstr(error, "it is for TLS, and there is no tls-port"));
	ck_assert(net_listen_named(rig.net, fd, SLICE("line-passed"), error, sizeof(error)));
	ck_assert_uint_eq(net_listeners(rig.net, listeners, 4), 3);
	ck_assert_str_eq(listeners[2].name, "line-passed");
}
END_TEST

int
main(void)
{
	return testing_main("net/net_protocol", rig_setup, rig_teardown,
	    (const TTest *[]){a_listener_s_protocol_is_spoken_over_any_split_of_the_bytes,
		broken_input_is_answered_in_the_protocol_behind_the_requests_before_it,
		a_limit_of_the_service_that_changes_holds_for_the_next_request,
		a_peer_that_sends_a_request_byte_by_byte_is_closed_with_a_notice,
		a_peer_that_does_not_log_in_and_one_that_is_idle_get_a_notice,
		refusals_are_in_the_language_of_the_listener,
		requests_wait_while_the_peer_does_not_read_in_any_protocol,
		a_connection_goes_on_in_another_protocol_with_the_bytes_left_over,
		a_request_that_had_to_wait_may_switch_the_protocol_as_well,
		a_parser_that_keeps_its_state_between_requests_may_be_switched,
		lines_and_resp_are_served_side_by_side,
		a_listener_is_handed_on_by_the_name_of_its_protocol, NULL});
}
