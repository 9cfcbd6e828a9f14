#ifndef BASE_REDIS_URL_H
#define BASE_REDIS_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"

/*
 * URLs of servers that speak RESP, with the syntax of redis-cli and the usual libraries.
 *
 * Reads text only: names are not looked up and no file is opened.
 */
struct redis_url {
	char *host; /* without brackets; NULL for a Unix socket, or if the URL has none */
	uint16_t port;
	char *socket_path; /* of a Unix socket, or NULL */
	char *user;        /* or NULL */
	char *password;    /* or NULL */
	uint32_t database;
	bool is_tls;
};

#define REDIS_URL_DEFAULT_HOST "127.0.0.1"
#define REDIS_URL_DEFAULT_PORT 6379

/*
 * Reads redis://[user[:password]@][host][:port][/database], rediss:// with the same (TLS), or
 * unix://[user[:password]@]/path, with %XX in user, password, host and path, and an IPv6 address in
 * brackets. The scheme may be in any case. Without a port, port is REDIS_URL_DEFAULT_PORT. On
 * success *url is owned (redis_url_release); what it had before is not released. False leaves it
 * unchanged and sets *error to a constant text without any part of the URL.
 */
bool redis_url_parse(struct redis_url *url, const char *text, const char **error)
    __attribute__((warn_unused_result));

void redis_url_release(struct redis_url *url);

/* Appends "host:port", "[address]:port" or the path; never a password. Without a host it is
 * REDIS_URL_DEFAULT_HOST. */
void redis_url_describe(const struct redis_url *url, struct buffer *out);

#endif
