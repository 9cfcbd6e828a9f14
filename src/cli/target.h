#ifndef CLI_TARGET_H
#define CLI_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "cli/tls.h"

/*
 * Address and credentials for the server, from options, URL and environment. No side effects: the
 * environment is an argument, and names are not looked up here.
 */
struct target {
	char *host; /* not NULL if socket_path is NULL */
	uint16_t port;
	char *socket_path; /* or NULL; a Unix socket has precedence over host and port */
	char *user;        /* or NULL: the default user */
	char *password;    /* or NULL: no authentication */
	uint32_t database;
	struct tls_options tls;
};

/* Options given by the user; NULL or 0 if not given. */
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

/*
 * Precedence: options, then the URL option, then the URL of the environment, then the password of
 * the environment. URLs have the syntax of base/redis_url.h; missing parts have their defaults. On
 * success *target is owned (target_release). False leaves it unchanged and sets *error to a
 * constant text.
 */
bool target_choose(struct target *target, const struct target_choice *choice, const char **error)
    __attribute__((warn_unused_result));

void target_release(struct target *target);

/* "host:port", "[address]:port" or the path; never a password. */
void target_describe(const struct target *target, struct buffer *out);

#endif
