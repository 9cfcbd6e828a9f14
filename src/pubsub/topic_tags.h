#ifndef PUBSUB_TOPIC_TAGS_H
#define PUBSUB_TOPIC_TAGS_H

#include <stdint.h>

/*
 * Topic tags: 32 bits that name a frame's topic, for counting dropped messages by channel.
 *
 * A frame may be dropped long after its topic was removed, so it holds no pointer: a tag is a slot
 * and the slot's generation; a tag of an earlier generation is ignored. Only topics that were
 * published to have a tag.
 */
struct topic;
struct topic_tags;

struct topic_tags *topic_tags_new(void); /* returns owned */
void topic_tags_free(struct topic_tags *tags);

/* The topic's tag (topic->tag), assigned at first use; 0 if all 2^24 slots are in use. */
uint32_t topic_tags_of(struct topic_tags *tags, struct topic *topic);

/* Frees the tag of a topic that is about to be removed. */
void topic_tags_release(struct topic_tags *tags, struct topic *topic);

/* Counts dropped messages with this tag. */
void topic_tags_dropped(struct topic_tags *tags, uint32_t tag, uint64_t count);
uint64_t topic_tags_drops(const struct topic_tags *tags, const struct topic *topic);

#endif
