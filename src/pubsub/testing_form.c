#include "config.h"

#include "pubsub/testing_form.h"

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
notice(uint64_t missed, char *out)
{
	(void)missed;
	(void)out;
	return 0;
}

const struct wire_form testing_form = {
    .name = "a", .ends = ends, .write_ends = write_ends, .notice = notice};
