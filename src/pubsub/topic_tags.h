#ifndef PUBSUB_TOPIC_TAGS_H
#define PUBSUB_TOPIC_TAGS_H

#include <stdint.h>

/*
 * Topic tags: 32 bits by which a frame remembers its topic, for counting drops by channel.
 *
 * A frame may be dropped long after its topic is gone, so it holds no pointer: a tag is a slot and
 * the slot's generation, and a tag whose generation has passed stands for nothing. Only topics that
 * were published to have one.
 */
struct topic;
struct topic_tags;

struct topic_tags *topic_tags_new(void); /* returns owned */
void topic_tags_free(struct topic_tags *tags);

/* The topic's tag (topic->tag), given at first use; 0 when all 2^24 are in use. */
uint32_t topic_tags_of(struct topic_tags *tags, struct topic *topic);

/* The topic is about to go. */
void topic_tags_release(struct topic_tags *tags, struct topic *topic);

/* A message with this tag was dropped. */
void topic_tags_dropped(struct topic_tags *tags, uint32_t tag);
uint64_t topic_tags_drops(const struct topic_tags *tags, const struct topic *topic);

#endif
