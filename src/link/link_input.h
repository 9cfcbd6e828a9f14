#ifndef LINK_LINK_INPUT_H
#define LINK_LINK_INPUT_H

#include <stdint.h>

#include "link/expected.h"

/* What comes from the upstream: replies and pushes. For the files of link.h only. */
struct link;
struct resp_value;

/* A push. *value is set to NULL if it is kept. */
void link_take_push(struct link *link, struct resp_value **value, uint64_t now_us);
void link_take_reply(struct link *link, const struct resp_value *value, uint64_t now_us);

/* link_input_engine.c. The reply to INFO: the server must say which process it is, because what it
 * has lost is noticed by that. NULL, or why it cannot be the upstream. */
const char *link_begin_engine(struct link *link, const struct resp_value *info);

/* The replies of an engine's scripts. Of presence, a text is the error of an event that was
 * refused, though its change was made. */
void link_take_engine(struct link *link, enum link_answer_kind answer,
    const struct resp_value *value, uint64_t now_us);
void link_take_presence(struct link *link, enum link_answer_kind answer,
    const struct resp_value *value, uint64_t now_us);

#endif
