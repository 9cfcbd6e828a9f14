/*
 * The cost of a fan-out in the kernel alone: one thread writes prepared blocks to N loopback
 * sockets, a second process reads them. No broker can cost less with the same system calls.
 *
 *   floor SUBSCRIBERS BLOCK_BYTES DELIVERIES_IN_A_BLOCK SECONDS
 *
 * As in a closed loop, the next round is written when the last one has been read. Prints the CPU
 * time of the writing thread for each delivery, in us. This includes the kernel's delivery over the
 * loopback, as in a server.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_SUBSCRIBERS 100000
#define MAX_BLOCK (UINT64_C(1) << 30)
#define READ_BYTES ((size_t)256 * 1024)

struct bed {
	uint64_t subscribers;
	uint64_t block_bytes;
	int *writers;
	int *readers;
	int read_all; /* eventfd: a round was read */
};

static void
die(const char *what)
{
	fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t
clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static uint64_t
number(const char *text, uint64_t max)
{
	char *end;
	uint64_t n;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno != 0 || *end != '\0' || text[0] == '-' || n < 1 || n > max) {
		fprintf(stderr, "floor: '%s' is no number from 1 to %" PRIu64 "\n", text, max);
		exit(2);
	}
	return n;
}

static int *
room_for_fds(uint64_t count)
{
	int *fds = calloc(count, sizeof(*fds));

	if (fds == NULL)
		die("memory");
	return fds;
}

static void
open_pairs(struct bed *b)
{
	struct sockaddr_in address = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	if (listener < 0 || bind(listener, (struct sockaddr *)&address, len) != 0 ||
	    listen(listener, 16) != 0 ||
	    getsockname(listener, (struct sockaddr *)&address, &len) != 0)
		die("listen");
	for (uint64_t i = 0; i < b->subscribers; i++) {
		b->readers[i] = socket(AF_INET, SOCK_STREAM, 0);
		if (b->readers[i] < 0 ||
		    connect(b->readers[i], (struct sockaddr *)&address, sizeof(address)) != 0)
			die("connect");
		b->writers[i] = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
		if (b->writers[i] < 0)
			die("accept");
		setsockopt(b->writers[i], IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	}
	close(listener);
}

/* The second process: exits when the first has closed its sockets. */
static void
read_rounds(const struct bed *b)
{
	static char room[READ_BYTES];
	uint64_t round_bytes = b->subscribers * b->block_bytes;
	uint64_t got = 0;
	int epoll = epoll_create1(0);

	for (uint64_t i = 0; i < b->subscribers; i++) {
		struct epoll_event event = {.events = EPOLLIN};

		close(b->writers[i]);
		event.data.fd = b->readers[i];
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, b->readers[i], &event) != 0)
			die("epoll");
	}
	while (true) {
		struct epoll_event events[512];
		int count = epoll_wait(epoll, events, 512, -1);

		for (int i = 0; i < count; i++) {
			ssize_t n = recv(events[i].data.fd, room, sizeof(room), MSG_DONTWAIT);

			if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
				return;
			got += n > 0 ? (uint64_t)n : 0;
		}
		/* The writer waits for each round, so at most one is read here. */
		if (got >= round_bytes) {
			got = 0;
			if (eventfd_write(b->read_all, 1) != 0)
				die("eventfd");
		}
	}
}

static void
write_block(int fd, const char *block, uint64_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, block, len, MSG_NOSIGNAL);

		if (n > 0) {
			block += n;
			len -= (uint64_t)n;
		} else if (errno == EAGAIN) {
			poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
		} else {
			die("send");
		}
	}
}

/* Returns the number of rounds written. */
static uint64_t
write_rounds(const struct bed *b, const char *block, uint64_t seconds)
{
	uint64_t end_ns = clock_ns(CLOCK_MONOTONIC) + seconds * 1000000000;
	uint64_t rounds = 0;

	while (clock_ns(CLOCK_MONOTONIC) < end_ns) {
		eventfd_t done;

		for (uint64_t i = 0; i < b->subscribers; i++)
			write_block(b->writers[i], block, b->block_bytes);
		rounds++;
		if (eventfd_read(b->read_all, &done) != 0)
			die("eventfd");
	}
	return rounds;
}

int
main(int argc, char **argv)
{
	struct bed b = {0};
	struct rlimit files;
	uint64_t deliveries;
	uint64_t seconds;
	uint64_t cpu_ns;
	uint64_t rounds;
	char *block;
	pid_t reader;

	if (argc != 5) {
		fputs(
		    "usage: floor SUBSCRIBERS BLOCK_BYTES DELIVERIES_IN_A_BLOCK SECONDS\n", stderr);
		return 2;
	}
	b.subscribers = number(argv[1], MAX_SUBSCRIBERS);
	b.block_bytes = number(argv[2], MAX_BLOCK);
	deliveries = number(argv[3], MAX_BLOCK);
	seconds = number(argv[4], 3600);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	b.writers = room_for_fds(b.subscribers);
	b.readers = room_for_fds(b.subscribers);
	b.read_all = eventfd(0, 0);
	block = malloc(b.block_bytes);
	if (block == NULL || b.read_all < 0)
		die("memory");
	memset(block, 'x', b.block_bytes);
	open_pairs(&b);
	reader = fork();
	if (reader < 0)
		die("fork");
	if (reader == 0) {
		read_rounds(&b);
		_exit(0);
	}
	for (uint64_t i = 0; i < b.subscribers; i++)
		close(b.readers[i]);
	cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	rounds = write_rounds(&b, block, seconds);
	cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_ns;
	printf("%.6f\n",
	    (double)cpu_ns / 1e3 / ((double)rounds * (double)b.subscribers * (double)deliveries));
	for (uint64_t i = 0; i < b.subscribers; i++)
		close(b.writers[i]);
	waitpid(reader, NULL, 0);
	free(block);
	free(b.writers);
	free(b.readers);
	return 0;
}
