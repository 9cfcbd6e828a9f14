#ifndef APP_TOKEN_FILES_H
#define APP_TOKEN_FILES_H

#include "app/settings.h"
#include "base/buffer.h"

struct token_keys;
struct tokens;

/*
 * Token files: the keys of the tokens that browsers present, from the directives token-*. As with
 * TLS, a reload reads all files and takes over all of them or none.
 */

/* Reads the files. Returns owned (token_keys_unref); NULL: error says what is wrong, in one line.
 */
struct token_keys *token_files_read(const struct settings *s, struct buffer *error)
    __attribute__((warn_unused_result));

/* Takes keys, and copies the rules for tokens from s. */
void token_files_use(struct tokens *tokens, struct token_keys *keys, const struct settings *s);

#endif
