#include "config.h"

#include "net/net.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/testing.h"
#include "net/testing_net.h"

static char folder[] = "/tmp/fanfare-listener-XXXXXX";
static char path[64];
static char error[256];

static void
setup(void)
{
	rig_setup();
	strcpy(folder + sizeof(folder) - 7, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/socket", folder);
}

static void
teardown(void)
{
	rig_teardown();
	unlink(path);
	ck_assert_int_eq(rmdir(folder), 0);
}

static struct rig_peer
dial_unix(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct rig_peer peer = {.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0)};

	strcpy(address.sun_path, path);
	ck_assert_int_eq(connect(peer.fd, (struct sockaddr *)&address, sizeof(address)), 0);
	rig_until_clients(rig.client_count + 1);
	return peer;
}

/* Makes a socket file and returns its listener; after the caller closes it, no process listens. */
static int
make_socket_file(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(address.sun_path, path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(fd, 0), 0);
	return fd;
}

static bool
has_suffix(const char *text, const char *suffix)
{
	size_t len = strlen(text), suffix_len = strlen(suffix);

	return len >= suffix_len && strcmp(text + len - suffix_len, suffix) == 0;
}

START_TEST(a_port_in_use_is_refused_with_its_name)
{
	char expected[64];

	snprintf(expected, sizeof(expected), "bind 127.0.0.1:%d: Address already in use",
	    net_port(rig.net));
	ck_assert(!net_listen_tcp(
	    rig.net, RIG_RESP, "127.0.0.1", net_port(rig.net), false, error, sizeof(error)));
	ck_assert_str_eq(error, expected);
}
END_TEST

START_TEST(a_name_that_is_no_address_is_refused_with_its_name)
{
	ck_assert(!net_listen_tcp(rig.net, RIG_RESP, "256.0.0.1", 1, false, error, sizeof(error)));
	ck_assert_int_eq(strncmp(error, "bind 256.0.0.1:1: ", 18), 0);
}
END_TEST

START_TEST(a_peer_has_its_address_and_ours)
{
	struct rig_peer peer = rig_dial();
	const struct net_peer *seen = &rig.clients[0]->peer;
	struct sockaddr_in own;
	socklen_t len = sizeof(own);
	char expected[64];

	ck_assert_int_eq(getsockname(peer.fd, (struct sockaddr *)&own, &len), 0);
	snprintf(expected, sizeof(expected), "127.0.0.1:%d", ntohs(own.sin_port));
	ck_assert_str_eq(seen->address, expected);
	snprintf(expected, sizeof(expected), "127.0.0.1:%d", net_port(rig.net));
	ck_assert_str_eq(seen->local_address, expected);
	ck_assert(seen->is_loopback && !seen->is_unix);
	rig_close(&peer);
}
END_TEST

START_TEST(ipv6_and_ipv4_share_a_port)
{
	struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct rig_peer four, six = {.fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0)};

	if (!net_listen_tcp(
		rig.net, RIG_RESP, "::1", net_port(rig.net), false, error, sizeof(error))) {
		/* On a machine without IPv6 it fails with this text, and nothing is changed. */
		ck_assert_ptr_nonnull(strstr(error, "::1:"));
	} else {
		to.sin6_port = htons((uint16_t)net_port(rig.net));
		ck_assert(connect(six.fd, (struct sockaddr *)&to, sizeof(to)) == 0 ||
			  errno == EINPROGRESS);
		rig_until_clients(1);
		ck_assert_int_eq(strncmp(rig.clients[0]->peer.address, "[::1]:", 6), 0);
		ck_assert(rig.clients[0]->peer.is_loopback);
		rig_ask(&six, "ECHO a\n", "a\n");
	}
	four = rig_dial();
	rig_ask(&four, "ECHO a\n", "a\n");
	rig_close(&four);
	rig_close(&six);
}
END_TEST

START_TEST(a_unix_socket_is_served_and_its_file_goes_with_the_listener)
{
	struct rig_peer peer;
	struct stat st;
	char expected[80];

	ck_assert_msg(
	    net_listen_unix(rig.net, RIG_RESP, path, 0640, error, sizeof(error)), "%s", error);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0640);
	peer = dial_unix();
	ck_assert(rig.clients[0]->peer.is_unix && rig.clients[0]->peer.is_loopback);
	snprintf(expected, sizeof(expected), "%s:0", path);
	ck_assert_str_eq(rig.clients[0]->peer.address, expected);
	rig_ask(&peer, "ECHO a\n", "a\n");
	rig_ask(&peer, "SUBSCRIBE\n", "ok\n");
	net_close_listeners(rig.net);
	ck_assert_int_eq(access(path, F_OK), -1);
	rig_ask(&peer, "ECHO a\n", "a\n");
	ck_assert_int_eq(net_port(rig.net), 0);
	rig_close(&peer);
}
END_TEST

START_TEST(a_socket_file_left_behind_is_replaced)
{
	struct rig_peer peer;

	close(make_socket_file());
	ck_assert_msg(
	    net_listen_unix(rig.net, RIG_RESP, path, 0, error, sizeof(error)), "%s", error);
	peer = dial_unix();
	rig_close(&peer);
}
END_TEST

static void
assert_in_use(void)
{
	ck_assert(!net_listen_unix(rig.net, RIG_RESP, path, 0, error, sizeof(error)));
	ck_assert(has_suffix(error, "/socket: Address already in use"));
	ck_assert_int_eq(access(path, F_OK), 0);
}

START_TEST(a_socket_file_in_use_is_left_alone)
{
	int fd = make_socket_file();

	assert_in_use();
	close(fd);
}
END_TEST

START_TEST(a_socket_file_whose_owner_hangs_is_left_alone)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = make_socket_file(), queued[4];

	strcpy(address.sun_path, path);
	for (int i = 0; i < 4; i++) {
		queued[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)!connect(queued[i], (struct sockaddr *)&address, sizeof(address));
	}
	ck_assert_int_eq(errno, EAGAIN);
	assert_in_use();
	for (int i = 0; i < 4; i++)
		close(queued[i]);
	close(fd);
}
END_TEST

START_TEST(a_file_that_is_no_socket_is_left_alone)
{
	close(open(path, O_CREAT | O_WRONLY, 0600));
	assert_in_use();
}
END_TEST

START_TEST(a_path_too_long_for_a_socket_is_refused)
{
	char longer[200];

	memset(longer, 'a', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	ck_assert(!net_listen_unix(rig.net, RIG_RESP, longer, 0, error, sizeof(error)));
	ck_assert(has_suffix(error, ": the path is longer than 107 bytes"));
}
END_TEST

START_TEST(a_descriptor_that_listens_is_taken_over_and_no_other)
{
	struct rig_peer peer;
	int fd = make_socket_file(), pair[2];

	ck_assert(net_listen_named(rig.net, fd, SLICE("resp-passed"), error, sizeof(error)));
	peer = dial_unix();
	rig_ask(&peer, "ECHO a\n", "a\n");
	rig_close(&peer);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	ck_assert(!net_listen_named(rig.net, pair[0], SLICE("resp-passed"), error, sizeof(error)));
	ck_assert(has_suffix(error, ": not a listening socket"));
	close(pair[1]);
	net_close_listeners(rig.net);
	ck_assert_int_eq(access(path, F_OK), 0); /* this process had not made it */
}
END_TEST

START_TEST(listeners_have_names_under_which_they_are_handed_on)
{
	struct net_listener listeners[4];
	int fd = make_socket_file();

	ck_assert(!net_listen_named(rig.net, dup(fd), SLICE("gopher"), error, sizeof(error)));
	ck_assert(has_suffix(error, ": no listener is called 'gopher' here"));
	ck_assert(!net_listen_named(rig.net, dup(fd), SLICE(""), error, sizeof(error)));
	ck_assert(net_listen_named(rig.net, fd, SLICE("resp-passed"), error, sizeof(error)));
	ck_assert_uint_eq(net_listeners(rig.net, listeners, 1), 2);
	ck_assert_uint_eq(net_listeners(rig.net, listeners, 4), 2);
	ck_assert_str_eq(listeners[0].name, "resp");
	ck_assert(!listeners[0].is_passed);
	ck_assert_str_eq(listeners[1].name, "resp-passed");
	ck_assert(listeners[1].is_passed);
	ck_assert_int_eq(listeners[1].fd, fd);
	net_close_listeners(rig.net);
	ck_assert_uint_eq(net_listeners(rig.net, listeners, 4), 0);
	ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

START_TEST(a_socket_file_goes_with_the_last_who_has_the_listener)
{
	struct net_listener listeners[4];
	struct rig_peer peer;
	int fd;

	ck_assert(net_listen_unix(rig.net, RIG_RESP, path, 0, error, sizeof(error)));
	ck_assert_uint_eq(net_listeners(rig.net, listeners, 4), 2);
	fd = dup(listeners[1].fd);
	net_leave_listeners(rig.net);
	ck_assert_int_eq(access(path, F_OK), 0);
	ck_assert(net_listen_named(rig.net, fd, SLICE("resp"), error, sizeof(error)));
	peer = dial_unix();
	rig_ask(&peer, "ECHO a\n", "a\n");
	rig_close(&peer);
	net_close_listeners(rig.net);
	ck_assert_int_eq(access(path, F_OK), -1);
}
END_TEST

static size_t
first_of_unix(void)
{
	size_t at = 0;

	while (at < rig.client_count && !rig.clients[at]->peer.is_unix)
		at++;
	return at;
}

/* The Unix socket may then be the administrator's only access. */
START_TEST(a_storm_on_one_listener_does_not_shut_out_those_who_come_to_another)
{
	struct rig_peer storm[48], other;

	ck_assert_msg(
	    net_listen_unix(rig.net, RIG_RESP, path, 0, error, sizeof(error)), "%s", error);
	for (int i = 0; i < 48; i++) {
		storm[i] = rig_socket(0);
		rig_connect(&storm[i]);
	}
	rig.open_us = 600;
	other = dial_unix();
	rig_until_clients(49);
	ck_assert_uint_le(first_of_unix(), 16);
	for (int i = 0; i < 48; i++)
		rig_close(&storm[i]);
	rig_close(&other);
}
END_TEST

struct watched {
	int fd, calls;
};

static void
on_readable(void *arg)
{
	struct watched *w = arg;
	char bytes[16];

	w->calls++;
	(void)!read(w->fd, bytes, sizeof(bytes));
}

static void
on_writable(void *arg)
{
	struct watched *w = arg;

	if (++w->calls < 3)
		(void)!write(w->fd, "x", 1);
}

static bool
was_called_twice(void *arg)
{
	return ((struct watched *)arg)->calls >= 2;
}

START_TEST(a_watched_descriptor_is_reported_in_each_turn_in_which_it_is_ready)
{
	struct watched reader = {0}, writer = {0};
	struct net_watch *reads, *writes;
	int pair[2];

	ck_assert_int_eq(pipe(pair), 0);
	reader.fd = pair[0];
	writer.fd = pair[1];
	reads = net_watch(rig.net, pair[0], on_readable, &reader);
	ck_assert_ptr_nonnull(reads);
	rig_for_ms(20);
	ck_assert_int_eq(reader.calls, 0);
	writes = net_watch_writable(rig.net, pair[1], on_writable, &writer);
	ck_assert_ptr_nonnull(writes);
	rig_until(was_called_twice, &writer);
	net_unwatch(writes);
	writer.calls = 0;
	rig_for_ms(20);
	ck_assert_int_eq(writer.calls, 0);
	ck_assert_int_gt(reader.calls, 0);
	/* The end of the pipe counts as readable, each time. */
	reader.calls = 0;
	close(pair[1]);
	rig_until(was_called_twice, &reader);
	net_unwatch(reads);
	close(pair[0]);
}
END_TEST

int
main(void)
{
	return testing_main("net/listener", setup, teardown,
	    (const TTest *[]){a_port_in_use_is_refused_with_its_name,
		a_name_that_is_no_address_is_refused_with_its_name, a_peer_has_its_address_and_ours,
		ipv6_and_ipv4_share_a_port,
		a_unix_socket_is_served_and_its_file_goes_with_the_listener,
		a_socket_file_left_behind_is_replaced, a_socket_file_in_use_is_left_alone,
		a_socket_file_whose_owner_hangs_is_left_alone,
		a_file_that_is_no_socket_is_left_alone, a_path_too_long_for_a_socket_is_refused,
		a_descriptor_that_listens_is_taken_over_and_no_other,
		listeners_have_names_under_which_they_are_handed_on,
		a_socket_file_goes_with_the_last_who_has_the_listener,
		a_storm_on_one_listener_does_not_shut_out_those_who_come_to_another,
		a_watched_descriptor_is_reported_in_each_turn_in_which_it_is_ready, NULL});
}
