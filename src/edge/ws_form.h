#ifndef EDGE_WS_FORM_H
#define EDGE_WS_FORM_H

#include "pubsub/wire_form.h"

/* The functions of the form EDGE_FORM_WS, for its table in forms.c and for EDGE_FORM_WS_DEFLATE. */
struct form_text;

bool ws_measure(const struct hub_message *message, struct wire_body *body);
void ws_transform(const struct hub_message *message, const struct wire_body *body, char *out);
struct wire_ends ws_ends(const struct hub_message *message, const struct wire_body *body);
void ws_write_ends(const struct hub_message *message, const struct wire_body *body,
    struct wire_ends ends, char *out);
size_t ws_notice(const struct wire_form *form, uint64_t missed, char *out);

/* The text of a push around its data, whose kind is body->note. */
void ws_put_head_text(struct form_text *t, const struct hub_message *message);
void ws_put_tail_text(
    struct form_text *t, const struct hub_message *message, const struct wire_body *body);

/* The length of the frame's head if the whole frame has frame_len bytes. */
size_t ws_head_len_in(size_t frame_len);

void ws_form_configure(const char *glob_prefix);
void ws_form_release(void);

#endif
