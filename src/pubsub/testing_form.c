#include "config.h"

#include "pubsub/testing_form.h"

#include <stdio.h>
#include <string.h>

#include "pubsub/outbox.h"

static struct wire_ends
ends(const struct hub_message *m, const struct wire_body *body)
{
	(void)m;
	(void)body;
	return (struct wire_ends){0, 1};
}

static void
write_ends(
    const struct hub_message *m, const struct wire_body *body, struct wire_ends its, char *out)
{
	(void)m;
	(void)its;
	out[body->len] = '.';
}

static size_t
notice(const struct wire_form *form, uint64_t missed, char *out)
{
	(void)form;
	(void)missed;
	(void)out;
	return 0;
}

const struct wire_form testing_form = {
    .name = "a", .ends = ends, .write_ends = write_ends, .notice = notice};

static int
print_head(const struct hub_message *m, char *out, size_t len)
{
	struct slice name = m->kind == HUB_PATTERN ? m->pattern : m->channel;

	return snprintf(
	    out, len, "%llu %.*s ", (unsigned long long)m->position.seq, (int)name.len, name.ptr);
}

static struct wire_ends
name_ends(const struct hub_message *m, const struct wire_body *body)
{
	char text[64];

	(void)body;
	return (struct wire_ends){(size_t)print_head(m, text, sizeof(text)), 1};
}

static void
write_name_ends(
    const struct hub_message *m, const struct wire_body *body, struct wire_ends its, char *out)
{
	char text[64];

	print_head(m, text, sizeof(text));
	memcpy(out, text, its.head);
	out[its.head + body->len] = ';';
}

static size_t
name_notice(const struct wire_form *form, uint64_t missed, char *out)
{
	(void)form;
	if (missed == WIRE_MISSED_UNKNOWN)
		return (size_t)snprintf(out, OUTBOX_NOTICE_MAX, "<?;");
	return (size_t)snprintf(out, OUTBOX_NOTICE_MAX, "<%llu;", (unsigned long long)missed);
}

const struct wire_form testing_name_form = {
    .name = "names", .ends = name_ends, .write_ends = write_name_ends, .notice = name_notice};
