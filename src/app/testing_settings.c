#include "config.h"

#include "app/testing_settings.h"

#include <check.h>

#include "app/settings.h"

const struct setting *
testing_setting(const char *name)
{
	const struct setting *row = settings_find(slice_of(name));

	ck_assert_msg(row != NULL, "no directive %s", name);
	return row;
}

const char *
testing_text(struct buffer *buffer)
{
	buffer_append(buffer, "", 1);
	buffer->len--;
	return buffer->ptr;
}

const char *
testing_shown(const struct settings *s, const char *name, struct buffer *out)
{
	buffer_clear(out);
	settings_show(s, testing_setting(name), out);
	return testing_text(out);
}

const char *
testing_written(const struct settings *s, const char *name, struct buffer *out)
{
	buffer_clear(out);
	settings_write(s, testing_setting(name), out);
	return testing_text(out);
}
