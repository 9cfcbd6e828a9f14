#ifndef PUBSUB_CHANNEL_IN_EFFECT_H
#define PUBSUB_CHANNEL_IN_EFFECT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "pubsub/channel_lines.h"
#include "pubsub/channel_options.h"

/*
 * The options that have an effect (channel_in_effect.def). Whatever takes lines of options from a
 * file or a command refuses the others as unknown.
 */
bool channel_option_is_in_effect(size_t index); /* below CHANNEL_OPTIONS */

/* Checks every step-th word, the name of an option. False: error names one without effect. Unknown
 * words are left to channel_lines.h. */
bool channel_words_in_effect(const struct slice *words, size_t count, size_t step,
    struct channel_error *error) __attribute__((warn_unused_result));

/* channel_error_write(), with the names of the options in effect if one is unknown. */
void channel_error_explain(const struct channel_error *error, struct buffer *out);

#endif
