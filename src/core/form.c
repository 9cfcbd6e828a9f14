#include "config.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "core/options.h"
#include "core/state.h"

/* Forms of the caller's, as wire forms. Lengths that they should not give make a frame too long, so
 * that the hub drops it and counts it. */
#define BODY_MAX ((size_t)1 << 30)
#define END_MAX ((size_t)1 << 20)
#define TOO_LONG ((size_t)1 << 31)

static const struct fanfare_form *
form_of(const struct hub_message *m)
{
	return &((const struct core_form *)(const void *)m->form)->form;
}

static struct fanfare_message
message_of(const struct hub_message *m)
{
	struct fanfare_message message = {
	    .channel = core_bytes(m->channel),
	    .payload = core_bytes(m->payload),
	    .position = {m->position.epoch, m->position.seq},
	};

	if (m->kind == HUB_PATTERN)
		message.pattern = core_bytes(m->pattern);
	return message;
}

static struct fanfare_body
body_of(const struct wire_body *body)
{
	return (struct fanfare_body){body->len, body->note};
}

static bool
measure(const struct hub_message *m, struct wire_body *out)
{
	const struct fanfare_form *form = form_of(m);
	struct fanfare_message message = message_of(m);
	struct fanfare_body body = {0, 0};

	if (!form->measure(form->arg, &message, &body) || body.len > BODY_MAX)
		return false;
	*out = (struct wire_body){body.len, body.note};
	return true;
}

static void
transform(const struct hub_message *m, const struct wire_body *its, char *out)
{
	const struct fanfare_form *form = form_of(m);
	struct fanfare_message message = message_of(m);
	struct fanfare_body body = body_of(its);

	if (body.len > 0)
		form->transform(form->arg, &message, &body, out);
}

static struct wire_ends
ends(const struct hub_message *m, const struct wire_body *its)
{
	const struct fanfare_form *form = form_of(m);
	struct fanfare_message message = message_of(m);
	struct fanfare_body body = body_of(its);
	struct fanfare_ends at = form->ends(form->arg, &message, &body);

	if (at.head > END_MAX || at.tail > END_MAX)
		return (struct wire_ends){.head = TOO_LONG};
	return (struct wire_ends){at.head, at.tail};
}

static void
write_ends(const struct hub_message *m, const struct wire_body *its, struct wire_ends at, char *out)
{
	const struct fanfare_form *form = form_of(m);
	struct fanfare_message message = message_of(m);
	struct fanfare_body body = body_of(its);

	form->write(form->arg, &message, &body, out, out + at.head + body.len);
}

static size_t
notice(const struct wire_form *wire, uint64_t missed, char *out)
{
	const struct fanfare_form *form = &((const struct core_form *)(const void *)wire)->form;
	size_t len = form->notice != NULL ? form->notice(form->arg, missed, out) : 0;

	return len <= FANFARE_NOTICE_MAX ? len : 0;
}

static const struct wire_form verbatim = {
    .name = "caller's", .ends = ends, .write_ends = write_ends, .notice = notice};

static const struct wire_form transforming = {.name = "caller's",
    .measure = measure,
    .transform = transform,
    .ends = ends,
    .write_ends = write_ends,
    .notice = notice};

enum fanfare_result
fanfare_hub_add_form(struct fanfare_hub *hub, const struct fanfare_form *given, unsigned *number)
{
	struct fanfare_form form;
	struct core_form *own;

	if (hub == NULL || number == NULL || !options_copy(&form, sizeof(form), given) ||
	    form.ends == NULL || form.write == NULL ||
	    (form.measure == NULL) != (form.transform == NULL))
		return FANFARE_INVALID;
	if (hub->form_count > FANFARE_FORMS_MAX)
		return FANFARE_TOO_MANY;
	if (!core_enter(hub))
		return FANFARE_BUSY;
	static_assert(FANFARE_FORMS_MAX + 1 == HUB_FORMS_MAX, "records are a form of the hub's");
	static_assert(FANFARE_NOTICE_MAX == OUTBOX_NOTICE_MAX, "notices are the outbox's");
	static_assert(FANFARE_TRANSFORMED_MAX == WIRE_TRANSFORMED_MAX, "the hub transforms");
	own = xmalloc(sizeof(*own));
	own->form = form;
	own->wire = form.measure != NULL ? transforming : verbatim;
	hub->forms[hub->form_count++] = own;
	*number = hub_add_form(hub->hub, &own->wire);
	core_leave(hub);
	return FANFARE_OK;
}
