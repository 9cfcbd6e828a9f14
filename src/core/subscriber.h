#ifndef CORE_SUBSCRIBER_H
#define CORE_SUBSCRIBER_H

/* The end of a subscriber, for the end of its hub. */
struct fanfare_subscriber;

/* Frees it, whatever is queued or in flight. The hub is entered. */
void subscriber_free(struct fanfare_subscriber *s);

#endif
