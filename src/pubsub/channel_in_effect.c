#include "config.h"

#include "pubsub/channel_in_effect.h"

#define CHANNEL_IN_EFFECT(member) | CHANNEL_BIT(member)
static const uint32_t in_effect = 0
#include "pubsub/channel_in_effect.def"
    ;
#undef CHANNEL_IN_EFFECT

bool
channel_option_is_in_effect(size_t index)
{
	return (in_effect >> index & 1) != 0;
}

bool
channel_words_in_effect(
    const struct slice *words, size_t count, size_t step, struct channel_error *error)
{
	for (size_t i = 0; i < count; i += step) {
		size_t index = channel_option_find(words[i]);

		if (index == CHANNEL_OPTIONS || channel_option_is_in_effect(index))
			continue;
		*error = (struct channel_error){.fault = CHANNEL_UNKNOWN_OPTION, .word = words[i]};
		return false;
	}
	return true;
}

void
channel_error_explain(const struct channel_error *error, struct buffer *out)
{
	const char *before = ": allowed are ";

	channel_error_write(error, out);
	if (error->fault != CHANNEL_UNKNOWN_OPTION)
		return;
	for (size_t i = 0; i < CHANNEL_OPTIONS; i++) {
		if (!channel_option_is_in_effect(i))
			continue;
		buffer_appendf(out, "%s%s", before, channel_option_at(i)->name);
		before = ", ";
	}
}
