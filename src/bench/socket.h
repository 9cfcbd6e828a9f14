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
 * Sockets of the load generator, plain or TLS, without buffers or events of their own, which would
 * cost load.
 */

/* The addresses of a target, looked up once. */
struct bench_dialer;

/* tls may be NULL. Borrows both. Returns owned, or NULL with a line appended to error. */
struct bench_dialer *bench_dialer_new(const struct target *target, struct tls_client *tls,
    uint64_t connect_timeout_us, struct buffer *error);
void bench_dialer_free(struct bench_dialer *d);

struct bench_socket {
	int fd;
	void *tls; /* SSL *, or NULL */
};

/*
 * Connects, and waits until that is done; the other functions do not wait. receive_bytes is the
 * size of the kernel's receive buffer, 0: its default. False with a line appended to error.
 */
bool bench_socket_open(struct bench_socket *s, struct bench_dialer *d, int receive_bytes,
    struct buffer *error) __attribute__((warn_unused_result));
void bench_socket_close(struct bench_socket *s);

/* Return the number of bytes, at least 1, or one of these. */
#define BENCH_SOCKET_LATER (-1)
#define BENCH_SOCKET_ENDED (-2)
ssize_t bench_socket_read(struct bench_socket *s, char *ptr, size_t len);
ssize_t bench_socket_write(struct bench_socket *s, const char *ptr, size_t len);

/* Why the last connection ended, for the user; borrows a static buffer. */
const char *bench_socket_fault(void);

#endif
