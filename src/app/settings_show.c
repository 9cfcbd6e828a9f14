#include "config.h"

#include "app/buffer_limits.h"
#include "app/setting_channels.h"
#include "app/setting_member.h"
#include "app/setting_users.h"
#include "app/setting_value.h"
#include "app/settings.h"
#include "base/amount.h"
#include "server/notify.h"

static void
show_list(const struct setting_list *list, bool quoted, struct buffer *out)
{
	size_t i;

	if (quoted && list->count == 0)
		buffer_append_str(out, "\"\"");
	for (i = 0; i < list->count; i++) {
		if (i > 0)
			buffer_append_str(out, " ");
		if (quoted)
			value_write_word(slice_of(list->items[i]), out);
		else
			buffer_append_str(out, list->items[i]);
	}
}

void
settings_show(const struct settings *s, const struct setting *row, struct buffer *out)
{
	if (setting_is_list(row)) {
		show_list(setting_list_of(s, row), false, out);
		return;
	}
	switch (row->type) {
	case SETTING_BOOL:
		buffer_append_str(out, setting_number(s, row) ? "yes" : "no");
		break;
	case SETTING_ENUM:
		buffer_append_slice(
		    out, value_choice(row->choices, (uint32_t)setting_number(s, row)));
		break;
	case SETTING_OCTAL:
		buffer_appendf(out, "%llo", (unsigned long long)setting_number(s, row));
		break;
	case SETTING_STRING:
	case SETTING_SECRET:
	case SETTING_UPSTREAM:
		buffer_append_str(out, setting_string(s, row));
		break;
	case SETTING_USERS:
		setting_users_write(setting_list_of(s, row), false, out);
		break;
	case SETTING_CHANNELS:
		setting_channels_write(s->channels, out);
		break;
	case SETTING_FLAGS:
		value_write_flags(row->choices, (uint32_t)setting_number(s, row), out);
		break;
	case SETTING_BUFFER_LIMITS:
		buffer_limits_show(setting_const_member(s, row), out);
		break;
	case SETTING_EVENTS:
		notify_show((uint32_t)setting_number(s, row), out);
		break;
	default:
		buffer_appendf(out, "%lld", (long long)setting_number(s, row));
	}
}

/* If no event is selected, writes "", because an empty word needs quotes. */
static void
write_events(uint32_t events, struct buffer *out)
{
	struct buffer letters = {0};

	notify_show(events, &letters);
	value_write_word(buffer_slice(&letters), out);
	buffer_release(&letters);
}

void
settings_write(const struct settings *s, const struct setting *row, struct buffer *out)
{
	if (row->type == SETTING_USERS) {
		setting_users_write(setting_list_of(s, row), true, out);
		return;
	}
	if (row->type == SETTING_CHANNELS) {
		setting_channels_write(s->channels, out);
		return;
	}
	buffer_appendf(out, "%s ", row->name);
	if (setting_is_list(row)) {
		show_list(setting_list_of(s, row), true, out);
		return;
	}
	switch (row->type) {
	case SETTING_BYTES:
		amount_write_bytes(setting_number(s, row), out);
		break;
	case SETTING_STRING:
	case SETTING_SECRET:
	case SETTING_UPSTREAM:
		value_write_word(slice_of(setting_string(s, row)), out);
		break;
	case SETTING_FLAGS:
		if (setting_number(s, row) == 0)
			buffer_append_str(out, "\"\"");
		else
			settings_show(s, row, out);
		break;
	case SETTING_BUFFER_LIMITS:
		buffer_limits_write(setting_const_member(s, row), out);
		break;
	case SETTING_EVENTS:
		write_events((uint32_t)setting_number(s, row), out);
		break;
	default:
		settings_show(s, row, out);
	}
}

void
settings_write_all(const struct settings *s, struct buffer *out)
{
	for (size_t i = 0; i < settings_count(); i++) {
		if (settings_row(i)->class != SETTING_OWN)
			continue;
		settings_write(s, settings_row(i), out);
		buffer_append_str(out, "\n");
	}
}
