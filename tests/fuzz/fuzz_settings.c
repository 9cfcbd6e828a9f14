#include "config.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "app/config_file.h"
#include "app/config_rewrite.h"
#include "app/config_source.h"
#include "app/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
read_into(struct settings *s, struct slice text, bool must_succeed)
{
	struct buffer error = {0};
	bool ok =
	    config_read_bytes(text, "fuzz.conf", CONFIG_NO_INCLUDE, config_source_apply, s, &error);

	assert(ok || error.len > 0);
	assert(ok || !must_succeed);
	settings_derive(s);
	buffer_release(&error);
}

static void
check_equal(const struct settings *a, const struct settings *b)
{
	size_t i;

	for (i = 0; i < settings_count(); i++)
		assert(settings_equal(a, b, settings_row(i)));
}

/* What is written from settings, all of them or by rewriting the text itself, reads back as the
 * same settings. */
static void
check_round_trips(const struct settings *s, struct slice text)
{
	struct settings again;
	struct buffer out = {0}, error = {0};
	size_t i;

	for (i = 0; i < settings_count(); i++) {
		if (settings_row(i)->class == SETTING_REFUSED)
			continue;
		settings_write(s, settings_row(i), &out);
		buffer_append_str(&out, "\n");
	}
	settings_init(&again);
	read_into(&again, buffer_slice(&out), true);
	check_equal(s, &again);
	settings_release(&again);

	buffer_clear(&out);
	settings_init(&again);
	if (config_rewrite_text(
		text, "fuzz.conf", CONFIG_NO_INCLUDE, s, s->channels, &out, &error)) {
		read_into(&again, buffer_slice(&out), true);
		check_equal(s, &again);
	}
	settings_release(&again);
	buffer_release(&error);
	buffer_release(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = {(const char *)data, size};
	struct settings s;

	settings_init(&s);
	read_into(&s, text, false);
	check_round_trips(&s, text);
	settings_release(&s);
	return 0;
}
