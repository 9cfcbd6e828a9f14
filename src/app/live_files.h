#ifndef APP_LIVE_FILES_H
#define APP_LIVE_FILES_H

#include <stdbool.h>

#include "app/settings.h"
#include "base/buffer.h"

/*
 * Live files: the contents of the files that settings name, certificates and keys. They are read
 * before a change of the configuration is accepted, so that it takes over all of them or none.
 */
struct live_config;
struct tls;
struct token_keys;

struct live_files {
	struct tls *tls;         /* owned; NULL: not read */
	struct token_keys *keys; /* owned; the same */
};

void live_files_release(struct live_files *files);

/* Read what was not read before: the TLS files if there is a TLS listener, and the keys for tokens.
 * next has the settings to be. False: error says what is wrong. */
bool live_files_read_tls(const struct live_config *live, const struct settings *next,
    struct live_files *files, struct buffer *error) __attribute__((warn_unused_result));
bool live_files_read_keys(const struct live_config *live, const struct settings *next,
    struct live_files *files, struct buffer *error) __attribute__((warn_unused_result));
/* Both; the error says which of them it is about. */
bool live_files_read(const struct live_config *live, const struct settings *next,
    struct live_files *files, struct buffer *error) __attribute__((warn_unused_result));

/* Takes what was read. */
void live_files_use(
    struct live_config *live, struct live_files *files, const struct settings *next);

#endif
