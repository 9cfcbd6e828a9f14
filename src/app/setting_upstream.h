#ifndef APP_SETTING_UPSTREAM_H
#define APP_SETTING_UPSTREAM_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/redis_url.h"

/*
 * The directive `upstream`: the URL of a server, or those of several nodes of a cluster, separated
 * by spaces. An empty value means that there is none.
 */
#define SETTING_UPSTREAM_SYNTAX                                                                    \
	"redis://[user[:password]@]host[:port], or rediss:// with the same (TLS)"

/*
 * As redis_url_parse(), but the URL must have a host, and no database other than 0: then host is
 * not NULL. An empty text is refused.
 */
bool setting_upstream_parse(struct redis_url *url, const char *text, const char **error)
    __attribute__((warn_unused_result));

/* The next URL of a value that is valid, and *value is behind it. Returns owned (xfree), or NULL:
 * there is none. */
char *setting_upstream_next(const char **value);

/* True for an empty value, too. The value has no NUL. */
bool setting_upstream_is_valid(struct slice value);

/* What is wrong with an invalid value: a constant text without any part of it. */
const char *setting_upstream_fault(struct slice value);

#endif
