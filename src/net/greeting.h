#ifndef NET_GREETING_H
#define NET_GREETING_H

/*
 * Greetings: accepted connections of balancers whose PROXY header has not come whole. Bounded in
 * number and in time. The header is read from the bare socket and not a byte more, so that what
 * stands behind it, TLS or RESP, is found by whoever opens the connection. Private to this layer.
 */
struct net;
struct net_peer;

#define GREETINGS_MAX 1024
#define GREETING_S 5

void greeting_open(struct net *net, int fd, const struct net_peer *peer); /* takes fd; copies */
void greetings_close(struct net *net);                                    /* all of them */

#endif
