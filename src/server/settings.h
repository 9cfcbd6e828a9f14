#ifndef SERVER_SETTINGS_H
#define SERVER_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/* The configuration as commands (CONFIG, ACL) use it; filled in by app, or by a test. */
struct buffer;

enum config_set_result {
	CONFIG_SET_DONE,
	CONFIG_SET_REFUSED,
	CONFIG_SET_LATER, /* call it again after server_disk_ended() */
};

struct server_settings {
	/* Visits every directive with its value, as CONFIG GET shows it. */
	void (*each)(void *arg, void (*visit)(void *visit_arg, const char *name, const char *value),
	    void *visit_arg);
	/*
	 * Sets pairs of name and value, all or none. REFUSED: error has the reason in Redis's words
	 * ("Unknown option or number of arguments for CONFIG SET - 'x'", "CONFIG SET failed
	 * (possibly related to argument 'x') - argument must be ..."), without "ERR ". *attempt is
	 * 0 at first, and the caller keeps it while the result is LATER; NULL: the caller cannot
	 * wait.
	 */
	enum config_set_result (*set)(void *arg, const struct slice *pairs, size_t pair_count,
	    uint64_t *attempt, char *error, size_t error_len);
	bool (*rewrite)(void *arg, char *error, size_t error_len);
	const char *(*file)(void *arg);     /* path of the configuration file, "" if none */
	const char *(*acl_file)(void *arg); /* path of the file of users, "" if none */
	/*
	 * acl_read appends the text of that file; acl_write replaces it as a whole. False: error
	 * has the reason.
	 */
	bool (*acl_read)(void *arg, struct buffer *text, struct buffer *error);
	bool (*acl_write)(void *arg, struct slice text, struct buffer *error);
	void *arg;
};

#endif
