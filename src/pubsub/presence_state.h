#ifndef PUBSUB_PRESENCE_STATE_H
#define PUBSUB_PRESENCE_STATE_H

#include <sys/queue.h>

#include "base/buckets.h"
#include "base/buffer.h"
#include "base/rate_limit.h"
#include "base/time_queue.h"
#include "pubsub/presence.h"

/*
 * The records of presence, for the files presence*.c only. Each file uses those before it:
 * presence_record.c (memory and tables), presence_event.c (events that wait), presence_retell.c,
 * presence_life.c (states), presence.c, presence_image.c.
 */
struct channel_tree;
struct topic;

/* A member or a channel whose last event says the opposite of what is true now. */
struct presence_notice {
	TAILQ_ENTRY(presence_notice) link;
	uint64_t number; /* grows along the list */
	bool is_queued;
	bool of_channel; /* else of a member */
};

TAILQ_HEAD(presence_notices, presence_notice);

enum presence_member_state {
	MEMBER_GONE,      /* not present; the record is kept until its event LEFT is given out */
	MEMBER_CONNECTED, /* present, because of a connection */
	MEMBER_TIMED,     /* present until a time, in the time queue */
	MEMBER_STATES,
};

struct presence_record {
	struct bucket_node node; /* first; in channel->records */
	struct presence_notice notice;
	struct presence_channel *channel;
	LIST_HEAD(, presence_join) joins;
	LIST_ENTRY(presence_record) present; /* in channel->present, unless it is gone */
	uint64_t lease_until_us;             /* 0: none */
	uint64_t leave_at_us;                /* end of the delay; 0: none */
	char *info;                          /* owned; NULL if info_len is 0 */
	uint32_t info_len;
	uint32_t connections;
	uint32_t place;     /* in the time queue */
	uint8_t state;      /* enum presence_member_state */
	bool announced;     /* its last event was JOINED */
	bool is_stale;      /* its info has changed since then; only if p->tells_all */
	bool was_connected; /* what its last event JOINED said */
	bool was_public;    /* and whether the options announced it */
	uint8_t name_len;
	char name[];
};

/* One connection of one member. */
struct presence_join {
	struct bucket_node node; /* first; in p->joins */
	struct presence_owner *owner;
	struct presence_record *member;
	TAILQ_ENTRY(presence_join) of_owner;
	LIST_ENTRY(presence_join) of_member;
};

enum presence_channel_state {
	CHANNEL_VACANT,   /* no members; the record is kept for events that are not given out yet */
	CHANNEL_OCCUPIED, /* has members */
	CHANNEL_VACATING, /* no members, vacant at a time: in the time queue */
	CHANNEL_STATES,
};

struct presence_channel {
	struct bucket_node node; /* first; in p->channels */
	struct presence_notice notice;
	struct topic *topic; /* in p->names; its name is that of the channel */
	struct presence_options options;
	uint32_t options_version; /* p->options_version when they were read */
	uint32_t place;           /* in the time queue */
	uint32_t count;           /* members that are present */
	uint8_t state;            /* enum presence_channel_state */
	bool announced;           /* its last event was OCCUPIED */
	bool is_stale;            /* it has become occupied again since then, as above */
	uint32_t told;            /* records whose last event was JOINED */
	struct buckets records;
	LIST_HEAD(, presence_record) present;
};

struct presence {
	struct presence_config config;
	struct buckets channels, joins;
	struct channel_tree *names; /* of the channels, in order */
	struct time_queue members_due, channels_due;
	struct presence_notices notices; /* the first one is given out first */
	uint64_t noticed;                /* number of the last one */
	struct rate_limit rate;
	uint64_t next_event_us; /* when the rate allows the next event, at the latest */
	struct buffer given;    /* bytes of the event given out last */
	size_t members, waiting, occupied;
	size_t bytes; /* of all records */
	uint32_t options_version;
	bool tells_all;
	bool is_retelling;       /* presence_retell.c */
	uint64_t retold_records; /* cursor in the channel behind retold */
	bool retold_has_name;
	struct buffer retold; /* the channel whose records were told last */
	bool is_walking;      /* channels are looked at because options may have changed */
	bool walk_has_name;   /* else it begins with the first channel */
	struct buffer walked; /* the channel looked at last */
};

static inline uint64_t
later_us(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* presence_record.c. The lengths of what is added; p->bytes is the sum. */
size_t presence_channel_bytes(struct slice name);
size_t presence_record_bytes(struct slice name);
size_t presence_join_bytes(void);

struct slice presence_channel_name(const struct presence_channel *ch);
struct slice presence_record_name(const struct presence_record *m);

struct presence_channel *presence_find_channel(const struct presence *p, struct slice name);
struct presence_channel *presence_add_channel(
    struct presence *p, struct slice name, const struct presence_options *options);
void presence_free_channel(struct presence *p, struct presence_channel *ch); /* has no records */

struct presence_record *presence_find_record(const struct presence_channel *ch, struct slice name);
struct presence_record *presence_add_record(
    struct presence *p, struct presence_channel *ch, struct slice name);  /* MEMBER_GONE */
void presence_free_record(struct presence *p, struct presence_record *m); /* has no joins */
void presence_set_info(struct presence *p, struct presence_record *m, struct slice info);

struct presence_join *presence_find_join(
    const struct presence *p, const struct presence_owner *owner, const struct presence_record *m);
void presence_add_join(struct presence *p, struct presence_owner *owner, struct presence_record *m);
void presence_free_join(struct presence *p, struct presence_join *join);

/* Frees all channels with their members. */
void presence_free_records(struct presence *p);

/* The options of a channel, read again if they may have changed. */
const struct presence_options *presence_channel_options(
    const struct presence *p, struct presence_channel *ch);

/* presence_event.c: what is true of the member or channel has changed. */
void presence_note_member(struct presence *p, struct presence_record *m);
void presence_note_channel(struct presence *p, struct presence_channel *ch);

/* The last event of the member does not say its info any more; with p->tells_all. */
void presence_note_stale(struct presence *p, struct presence_record *m);

/* The channel has become occupied or vacant: with p->tells_all its event comes behind those that
 * wait. */
void presence_renote_channel(struct presence *p, struct presence_channel *ch);

/* Whether the last event of the member was JOINED. */
void presence_set_announced(struct presence_record *m, bool is_announced);

/* presence_retell.c */
void presence_walk_to_retell(struct presence *p, size_t *budget);

/* Free the record if nothing needs it any more. The first does not look at its channel. */
void presence_tidy_record(struct presence *p, struct presence_record *m);
void presence_tidy_channel(struct presence *p, struct presence_channel *ch);

/* presence_life.c */
enum presence_member_event {
	MEMBER_EVENT_JOINED,  /* a connection joined */
	MEMBER_EVENT_LEASED,  /* lease_until_us has changed */
	MEMBER_EVENT_PARTED,  /* the last connection left; leave_at_us is set */
	MEMBER_EVENT_TIME_UP, /* the time queue says so */
	MEMBER_EVENT_REMOVED, /* presence was switched off */
	MEMBER_EVENTS,
};

/* The member may be freed, and its channel with it. */
void presence_member_moves(struct presence *p, struct presence_record *m,
    enum presence_member_event event, uint64_t now_us);

/* Does what the time queues have, for at most *budget members and channels. */
void presence_expire(struct presence *p, uint64_t now_us, size_t *budget);

extern const struct time_queue_ops presence_member_queue, presence_channel_queue;

#endif
