/*
 * A small load generator for RESP brokers: what a delivery costs the server in CPU time, and how
 * long a PING waits while something large goes on. See bench/compare, which runs it against
 * fanfared and redis-server in turn.
 *
 *   load fanout HOST PORT PID SUBSCRIBERS BYTES PIPELINE MESSAGES IDLE_PATTERNS
 *   load leave  HOST PORT PID SUBSCRIPTIONS channel|pattern
 *
 * CPU time is that of the server's main thread, from /proc/PID/schedstat.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const char *host;
static int port, server_pid;
static char scratch[1 << 20];

static void
die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, errno != 0 ? ": %s\n" : "\n", strerror(errno));
	exit(1);
}

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static uint64_t
server_cpu_ns(void)
{
	char path[64];
	unsigned long long ns;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/schedstat", server_pid);
	file = fopen(path, "r");
	if (file == NULL || fscanf(file, "%llu", &ns) != 1)
		die("%s", path);
	fclose(file);
	return ns;
}

static int
dial(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
		die("not an IPv4 address: %s", host);
	if (fd == -1 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		die("connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

static void
send_all(int fd, const char *ptr, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, ptr, len, MSG_NOSIGNAL);

		if (n <= 0)
			die("send");
		ptr += n;
		len -= (size_t)n;
	}
}

/* Reads until `lines` lines have come, and nothing may follow them. */
static void
read_lines(int fd, size_t lines)
{
	while (lines > 0) {
		ssize_t n = recv(fd, scratch, sizeof(scratch), 0);

		if (n <= 0)
			die("recv");
		for (ssize_t i = 0; i < n && lines > 0; i++)
			lines -= scratch[i] == '\n';
	}
}

static size_t
format_command(char *out, size_t room, const char *name, const char *argument)
{
	return (size_t)snprintf(out, room, "*2\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n", strlen(name), name,
	    strlen(argument), argument);
}

/* The format comes from the calls below. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
/* Subscribes fd to `count` names, a few thousand at a time; each confirmation has 6 lines. */
static void
subscribe_many(int fd, const char *command, const char *format, long count)
{
	static char batch[1 << 20];
	char name[64];
	size_t len = 0, pending = 0;

	for (long i = 0; i < count; i++) {
		snprintf(name, sizeof(name), format, i);
		len += format_command(batch + len, sizeof(batch) - len, command, name);
		pending++;
		if (pending == 4000 || i == count - 1) {
			send_all(fd, batch, len);
			read_lines(fd, pending * 6);
			len = pending = 0;
		}
	}
}

#pragma GCC diagnostic pop

/* One publish of `bytes` x's to the channel "bench", `times` over; returns the length. */
static size_t
make_batch(char **batch, long bytes, long times)
{
	size_t room = (size_t)(bytes + 80), len = 0;

	*batch = malloc(room * (size_t)times);
	if (*batch == NULL)
		die("memory");
	for (long i = 0; i < times; i++) {
		len += (size_t)sprintf(
		    *batch + len, "*3\r\n$7\r\nPUBLISH\r\n$5\r\nbench\r\n$%ld\r\n", bytes);
		memset(*batch + len, 'x', (size_t)bytes);
		len += (size_t)bytes;
		memcpy(*batch + len, "\r\n", 2);
		len += 2;
	}
	return len;
}

/* What a subscriber gets for one message, in bytes (RESP2). */
static uint64_t
message_bytes(long bytes)
{
	return (uint64_t)snprintf(
		   NULL, 0, "*3\r\n$7\r\nmessage\r\n$5\r\nbench\r\n$%ld\r\n", bytes) +
	       (uint64_t)bytes + 2;
}

static uint64_t
drain(int fd)
{
	ssize_t n;
	uint64_t total = 0;

	while ((n = recv(fd, scratch, sizeof(scratch), MSG_DONTWAIT)) > 0)
		total += (uint64_t)n;
	if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK))
		die("a subscriber was closed");
	return total;
}

static void
fanout(char **argv)
{
	long subscribers = atol(argv[0]), bytes = atol(argv[1]), pipeline = atol(argv[2]);
	long messages = atol(argv[3]), idle = atol(argv[4]), sent = 0;
	int epoll = epoll_create1(EPOLL_CLOEXEC), publisher = dial(), idler = dial();
	uint64_t expected, got = 0, cpu_ns, wall_ns;
	size_t batch_len;
	char *batch;

	subscribe_many(idler, "PSUBSCRIBE", "user:%ld:*", idle);
	for (long i = 0; i < subscribers; i++) {
		struct epoll_event event = {.events = EPOLLIN};

		event.data.fd = dial();
		subscribe_many(event.data.fd, "SUBSCRIBE", "bench", 1);
		epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event);
	}
	batch_len = make_batch(&batch, bytes, pipeline);
	cpu_ns = server_cpu_ns();
	wall_ns = now_ns();
	/* A window of one pipeline: the next is sent when all of the last was delivered. */
	for (sent = 0; sent < messages; sent += pipeline) {
		send_all(publisher, batch, batch_len);
		expected =
		    (uint64_t)(sent + pipeline) * (uint64_t)subscribers * message_bytes(bytes);
		while (got < expected) {
			struct epoll_event events[256];
			int n = epoll_wait(epoll, events, 256, 10000);

			if (n <= 0)
				die("deliveries stopped");
			for (int i = 0; i < n; i++)
				got += drain(events[i].data.fd);
		}
		read_lines(publisher, (size_t)pipeline);
	}
	cpu_ns = server_cpu_ns() - cpu_ns;
	wall_ns = now_ns() - wall_ns;
	printf("%.4f us of server CPU a delivery, %.0f deliveries/s\n",
	    (double)cpu_ns / 1000 / ((double)sent * (double)subscribers),
	    (double)sent * (double)subscribers / ((double)wall_ns / 1e9));
	free(batch);
}

/* A client with many subscriptions goes; what do the PINGs of another wait at most? */
static void
leave(char **argv)
{
	long count = atol(argv[0]);
	bool pattern = strcmp(argv[1], "pattern") == 0;
	int leaver = dial(), pinger = dial();
	uint64_t longest_ns = 0, started_ns;

	subscribe_many(leaver, pattern ? "PSUBSCRIBE" : "SUBSCRIBE",
	    pattern ? "user:%ld:*" : "channel:%ld", count);
	close(leaver);
	started_ns = now_ns();
	while (now_ns() - started_ns < UINT64_C(3000000000)) {
		uint64_t at_ns = now_ns(), took_ns;
		struct timespec ms = {0, 1000000};

		send_all(pinger, "PING\r\n", 6);
		read_lines(pinger, 1);
		took_ns = now_ns() - at_ns;
		if (took_ns > longest_ns)
			longest_ns = took_ns;
		nanosleep(&ms, NULL);
	}
	printf("%.3f ms was the longest wait of a PING\n", (double)longest_ns / 1e6);
}

int
main(int argc, char **argv)
{
	if (argc < 5)
		die("usage: see the head of bench/load.c");
	host = argv[2];
	port = atoi(argv[3]);
	server_pid = atoi(argv[4]);
	if (strcmp(argv[1], "fanout") == 0 && argc == 10)
		fanout(argv + 5);
	else if (strcmp(argv[1], "leave") == 0 && argc == 7)
		leave(argv + 5);
	else
		die("usage: see the head of bench/load.c");
	return 0;
}
