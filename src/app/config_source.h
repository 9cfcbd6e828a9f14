#ifndef APP_CONFIG_MODE_H
#define APP_CONFIG_MODE_H

#include <stdbool.h>
#include <stddef.h>

#include "app/config_file.h"
#include "app/settings.h"
#include "base/buffer.h"
#include "base/bytes.h"

/*
 * Config source: the command line of fanfared, and the settings that result from it and from the
 * configuration file.
 *
 * The values of a directive on the command line are the words up to the next option; as in Redis,
 * the directive and values may also be one word, written like a line of the file. It overrides the
 * file, at the start and whenever the file is read again.
 */
enum config_mode {
	CONFIG_MODE_RUN,
	CONFIG_MODE_CHECK,
	CONFIG_MODE_SHOW,
	CONFIG_MODE_VERSION,
	CONFIG_MODE_HELP
};

struct override {
	struct slice name;    /* without the dashes; of argv or line */
	struct slice *values; /* owned; of argv or line */
	size_t count;
	struct config_words line; /* of a word that has values; else empty */
};

struct config_source {
	enum config_mode mode;
	char *file;         /* owned; NULL: none. Absolute after config_source_anchor */
	const char *import; /* files of Redis for the first start; of argv; NULL: none */
	struct override *overrides;
	size_t override_count;
};

/* Borrows argv until the source is released. False: error says why in one line, also for an unknown
 * directive; values are checked by config_source_load. Release in both cases. */
bool config_source_parse(struct config_source *source, int argc, char **argv, struct buffer *error)
    __attribute__((warn_unused_result));
void config_source_release(struct config_source *source);

/* Makes the path of the file absolute, before the working directory changes. False with errno. */
bool config_source_anchor(struct config_source *source) __attribute__((warn_unused_result));

/* Defaults, then the file, then the overrides. False: error has a line for each mistake, with what
 * is wrong and where; s is not initialised. */
bool config_source_load(const struct config_source *source, struct settings *s,
    struct buffer *error) __attribute__((warn_unused_result));

/* One directive from anywhere, for config_read_bytes; arg is the struct settings. */
bool config_source_apply(void *settings, struct slice name, const struct slice *values,
    size_t count, struct buffer *error);

#endif
