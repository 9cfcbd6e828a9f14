#ifndef SERVER_CLIENT_SUBSCRIBER_H
#define SERVER_CLIENT_SUBSCRIBER_H

#include "pubsub/hub.h"

/* A client as a subscriber of the hub. */
extern const struct subscriber_ops client_subscriber_ops;

#endif
