#ifndef LINK_LINK_INPUT_H
#define LINK_LINK_INPUT_H

#include <stdint.h>

/* What comes from the upstream: replies and pushes. For link.c only. */
struct link;
struct resp_value;

/* A push. *value is set to NULL if it is kept. */
void link_take_push(struct link *link, struct resp_value **value, uint64_t now_us);
void link_take_reply(struct link *link, const struct resp_value *value, uint64_t now_us);

#endif
