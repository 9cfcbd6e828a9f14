#ifndef PUBSUB_HUB_OPTIONS_H
#define PUBSUB_HUB_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/bytes.h"
#include "pubsub/channel_classes.h"
#include "pubsub/channel_lines.h"
#include "pubsub/channel_options.h"

/*
 * Options of the hub's channels (HUB_CHANNEL; shard channels and patterns have none).
 *
 * A topic has the class of its options from its creation on. When the lines change, the classes of
 * existing topics are looked up again in slices (hub_reclassify). Until then a topic keeps the
 * options that it had; names without a topic have the new ones at once.
 */
struct hub;
struct topic;

const struct channel_lines *hub_channel_lines(const struct hub *hub);

/* As channel_lines_set() and channel_lines_unset(). The caller then calls hub_reclassify(). */
bool hub_set_channel_line(struct hub *hub, struct slice glob, const struct slice *words,
    size_t count, struct channel_error *error) __attribute__((warn_unused_result));
bool hub_unset_channel_line(struct hub *hub, struct slice glob, const struct slice *names,
    size_t count, struct channel_error *error) __attribute__((warn_unused_result));
/* Replaces all lines; takes lines. */
void hub_replace_channel_lines(struct hub *hub, struct channel_lines *lines);

/*
 * The options that any line sets: bits, see CHANNEL_BIT(). 0: no line, so every channel has the
 * defaults. It costs a load: callers on a message's path test it before they ask for the options.
 */
uint32_t hub_options_in_use(const struct hub *hub);

/* The options of a channel that has a topic: constant time, whatever the number of lines, unless
 * all classes are in use. Valid until the next call that changes the hub's lines or topics. */
const struct channel_options *hub_channel_options(struct hub *hub, const struct topic *topic);

/* The options of the channel of that name, with or without a topic: see channel_classes_of_name().
 * Valid until the next call of this function, or one that changes the hub's lines or topics. */
const struct channel_options *hub_options_of(struct hub *hub, struct slice name);

/* For introspection: see channel_classes_explain(). */
void hub_explain_channel(struct hub *hub, struct slice name, struct channel_explanation *out);

/*
 * Looks up the classes of at most `budget` existing topics again; true if none is left. The lines
 * may change in between: then the topics are visited once more.
 */
bool hub_reclassify(struct hub *hub, size_t budget) __attribute__((warn_unused_result));
bool hub_is_reclassified(const struct hub *hub);

/*
 * For modules that keep data for channels because of their options. lines_changed() is called after
 * each change of the lines, before any topic has its new class; hub_is_reclassified() still tells
 * whether an earlier change was applied to all topics. channel_changed() is called when
 * the options of a topic may have changed: the module compares them with its data. It may hold and
 * release channels, this one included. NULL functions are not called.
 */
struct hub_options_watch {
	void (*lines_changed)(struct hub_options_watch *watch);
	void (*channel_changed)(struct hub_options_watch *watch, struct topic *topic,
	    const struct channel_options *options);
	LIST_ENTRY(hub_options_watch) link;
};
void hub_watch_options(struct hub *hub, struct hub_options_watch *watch); /* borrows */
void hub_unwatch_options(struct hub_options_watch *watch);

struct hub_options_figures {
	size_t lines;
	size_t classes; /* that topics have */
	size_t bytes;   /* memory of lines, globs and classes, estimated */
};
struct hub_options_figures hub_options_figures(const struct hub *hub);

#endif
