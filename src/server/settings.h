#ifndef SERVER_SETTINGS_H
#define SERVER_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/* What commands (CONFIG, ACL) ask of the configuration; filled in by app, or by a test. */
struct buffer;

enum config_set_result {
	CONFIG_SET_DONE,
	CONFIG_SET_REFUSED,
	CONFIG_SET_LATER, /* the same again when server_disk_ended() is called */
};

struct server_settings {
	/* Every directive with its value, as CONFIG GET shows it. */
	void (*each)(void *arg, void (*visit)(void *visit_arg, const char *name, const char *value),
	    void *visit_arg);
	/* pairs of name and value: all are set or none; then REFUSED and why in error, worded as
	 * Redis words it
	 * ("Unknown option or number of arguments for CONFIG SET - 'x'",
	 * "CONFIG SET failed (possibly related to argument 'x') - argument must be ..."), without
	 * "ERR ". *attempt is 0 at first and kept by the caller until it is not LATER; NULL: the
	 * caller cannot wait. */
	enum config_set_result (*set)(void *arg, const struct slice *pairs, size_t pair_count,
	    uint64_t *attempt, char *error, size_t error_len);
	bool (*rewrite)(void *arg, char *error, size_t error_len);
	const char *(*file)(void *arg);     /* path of the configuration file, "" if none */
	const char *(*acl_file)(void *arg); /* path of the file of users, "" if none */
	/* That file's text, appended; and the same replaced as a whole. False: error says why. */
	bool (*acl_read)(void *arg, struct buffer *text, struct buffer *error);
	bool (*acl_write)(void *arg, struct slice text, struct buffer *error);
	void *arg;
};

#endif
