#ifndef EDGE_SSE_FORMS_H
#define EDGE_SSE_FORMS_H

#include "pubsub/wire_form.h"

/* The functions of the forms EDGE_FORM_SSE and EDGE_FORM_SSE_JSON, for their table in forms.c. */
bool sse_measure(const struct hub_message *message, struct wire_body *body);
void sse_transform(const struct hub_message *message, const struct wire_body *body, char *out);
struct wire_ends sse_ends(const struct hub_message *message, const struct wire_body *body);
void sse_write_ends(const struct hub_message *message, const struct wire_body *body,
    struct wire_ends ends, char *out);

bool sse_json_measure(const struct hub_message *message, struct wire_body *body);
void sse_json_transform(const struct hub_message *message, const struct wire_body *body, char *out);
struct wire_ends sse_json_ends(const struct hub_message *message, const struct wire_body *body);
void sse_json_write_ends(const struct hub_message *message, const struct wire_body *body,
    struct wire_ends ends, char *out);

size_t sse_notice(const struct wire_form *form, uint64_t missed, char *out);

#endif
