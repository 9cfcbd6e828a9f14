#ifndef TOKEN_DRAFT_H
#define TOKEN_DRAFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "token/grant.h"
#include "json/reader.h"

/*
 * Draft: collects the strings and caps of a grant while claims are read, and then makes one block
 * of memory of them. Its strings do not move before it is finished.
 */
enum {
	TOKEN_CAPS_MAX = 1024, /* names and globs of a token, its channels included */
};

struct token_draft {
	struct buffer text; /* has room for all strings of the token */
	struct token_cap *caps;
	size_t cap_count, cap_room;
	size_t channel_count; /* the first caps, which are the claim channels */
};

/* text_max: the most bytes of all strings. */
void token_draft_init(struct token_draft *draft, size_t text_max);
void token_draft_release(struct token_draft *draft);

/* The content of a string. False: it is not a string, or has a lone surrogate. */
bool token_draft_string(struct token_draft *draft, struct json_value value, struct slice *out)
    __attribute__((warn_unused_result));
struct slice token_draft_copy(struct token_draft *draft, struct slice bytes);

/* Adds a cap; name is a string of the draft. False: there are TOKEN_CAPS_MAX. */
bool token_draft_cap(struct token_draft *draft, struct slice name, uint32_t rights,
    enum token_match match) __attribute__((warn_unused_result));

/* The caps so far are the claim channels. */
void token_draft_channels(struct token_draft *draft);

/* The grant with the values of `from`, whose slices are strings of the draft. Returns owned, with
 * one reference. */
struct token_grant *token_draft_finish(
    const struct token_draft *draft, const struct token_grant *from);

#endif
