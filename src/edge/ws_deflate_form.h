#ifndef EDGE_WS_DEFLATE_FORM_H
#define EDGE_WS_DEFLATE_FORM_H

#include "pubsub/wire_form.h"

/* The functions of the form EDGE_FORM_WS_DEFLATE, for its table in forms.c. */
bool ws_deflate_measure(const struct hub_message *message, struct wire_body *body);
void ws_deflate_transform(
    const struct hub_message *message, const struct wire_body *body, char *out);
struct wire_ends ws_deflate_ends(const struct hub_message *message, const struct wire_body *body);
void ws_deflate_write_ends(const struct hub_message *message, const struct wire_body *body,
    struct wire_ends ends, char *out);

void ws_deflate_form_configure(size_t deflate_min);
void ws_deflate_form_release(void);

#endif
