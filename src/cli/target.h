#ifndef CLI_TARGET_H
#define CLI_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "cli/tls.h"

/*
 * Where the server is and who we are to it, as said by options, URL and environment. Pure: the
 * environment is an argument, and names are not looked up here.
 */
struct target {
	char *host; /* never NULL where socket_path is */
	uint16_t port;
	char *socket_path; /* or NULL: a Unix socket goes before host and port */
	char *user;        /* or NULL: the default user */
	char *password;    /* or NULL: no authentication */
	uint32_t database;
	struct tls_options tls;
};

/* What the user said; NULL or 0 where he did not. */
struct target_choice {
	const char *host;
	uint64_t port; /* at most 65535 */
	const char *socket_path;
	const char *user;
	const char *password;
	const char *url;
	const char *env_url;
	const char *env_password;
	struct tls_options tls; /* a rediss:// URL enables it too */
};

#define TARGET_DEFAULT_HOST "127.0.0.1"
#define TARGET_DEFAULT_PORT 6379

/*
 * Reads redis://[user[:password]@]host[:port][/database], rediss:// with the same (TLS), or
 * unix://[user[:password]@]/path, with %XX in user, password, host and path, and an IPv6 address in
 * brackets. What the URL does not say has its default. On success *target is owned
 * (target_release). False leaves it alone, with *error a constant text.
 */
bool target_parse_url(struct target *target, const char *url, const char **error)
    __attribute__((warn_unused_result));

/*
 * An option goes before the URL of the option, that before the URL of the environment, and the
 * environment's password comes last. Result and error as above.
 */
bool target_choose(struct target *target, const struct target_choice *choice, const char **error)
    __attribute__((warn_unused_result));

void target_release(struct target *target);

/* "host:port", "[address]:port" or the path; never a password. */
void target_describe(const struct target *target, struct buffer *out);

#endif
