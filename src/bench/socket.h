#ifndef BENCH_SOCKET_H
#define BENCH_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct buffer;
struct target;
struct tls_client;

/*
 * Sockets of the load generator, plain or TLS, as bare as can be: no buffer and no event stands
 * between the kernel and who reads, for what they cost would be taken from the load.
 */
/* Where to connect to, looked up once. */
struct bench_dialer;

/* tls may be NULL. Borrows both. NULL with a line appended to error. Else owned. */
struct bench_dialer *bench_dialer_new(const struct target *target, struct tls_client *tls,
    uint64_t connect_timeout_us, struct buffer *error);
void bench_dialer_free(struct bench_dialer *d);

struct bench_socket {
	int fd;
	void *tls; /* SSL *, or NULL */
};

/*
 * Connects, waiting for it; from then on nothing here waits. receive_bytes is how much the kernel
 * may hold for us, 0: as it likes. False with a line appended to error.
 */
bool bench_socket_open(struct bench_socket *s, struct bench_dialer *d, int receive_bytes,
    struct buffer *error) __attribute__((warn_unused_result));
void bench_socket_close(struct bench_socket *s);

/* How many bytes, at least 1; or one of these. */
#define BENCH_SOCKET_LATER (-1)
#define BENCH_SOCKET_ENDED (-2)
ssize_t bench_socket_read(struct bench_socket *s, char *ptr, size_t len);
ssize_t bench_socket_write(struct bench_socket *s, const char *ptr, size_t len);

/* Why the last one ended, for a person; borrows from a static buffer. */
const char *bench_socket_fault(void);

#endif
