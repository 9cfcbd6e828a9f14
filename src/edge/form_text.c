#include "config.h"

#include "edge/form_text.h"

#include "json/utf8.h"
#include "json/writer.h"

static void
put_string(struct form_text *t, struct slice before, struct slice name)
{
	size_t len = json_string_len(name) - 1;

	FORM_PUT(t, "\"");
	form_put(t, before);
	/* The quote that json_write_string() puts first overwrites the byte before the name. */
	if (t->out != NULL) {
		char *from = t->out + t->len - 1;
		char was = *from;

		json_write_string(from, name);
		*from = was;
	}
	t->len += len;
}

void
form_put_name(struct form_text *t, const char *member, struct slice before, struct slice name)
{
	FORM_PUT(t, "\"");
	form_put(t, slice_of(member));
	if (json_is_utf8(name)) {
		FORM_PUT(t, "\":");
		put_string(t, before, name);
		return;
	}
	FORM_PUT(t, "_base64\":");
	if (t->out != NULL)
		json_write_base64(t->out + t->len, name);
	t->len += json_base64_len(name.len);
}
