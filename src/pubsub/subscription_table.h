#ifndef PUBSUB_SUBSCRIPTION_TABLE_H
#define PUBSUB_SUBSCRIPTION_TABLE_H

#include <stddef.h>

/*
 * Subscription table: finds the subscription of a subscriber to a topic in O(1), whatever the
 * number of subscribers and topics.
 *
 * Linear hashing (W. Litwin, "Linear hashing: a new tool for file and table addressing", 1980): the
 * table grows and shrinks by one bucket at a time, so an insert never copies the whole table. Keys
 * are pointers, which a peer does not choose. The records are linked by their own `next`.
 */
struct subscriber;
struct subscription;
struct subscription_table;
struct topic;

struct subscription_table *subscription_table_new(void); /* returns owned */
void subscription_table_free(struct subscription_table *table);

/* NULL if there is none. */
struct subscription *subscription_table_find(
    const struct subscription_table *table, const struct subscriber *s, const struct topic *topic);

/* Borrows subscription, which must not be in the table yet. */
void subscription_table_add(struct subscription_table *table, struct subscription *subscription);

/* subscription must be in the table. */
void subscription_table_remove(struct subscription_table *table, struct subscription *subscription);

size_t subscription_table_count(const struct subscription_table *table);
size_t subscription_table_bytes(const struct subscription_table *table); /* without the records */

#endif
