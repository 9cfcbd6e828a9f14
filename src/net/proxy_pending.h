#ifndef NET_PROXY_PENDING_H
#define NET_PROXY_PENDING_H

/*
 * Accepted connections of balancers whose PROXY header has not come whole, bounded in number and in
 * time. The header is read from the bare socket and not a byte more: what stands behind it, TLS or
 * a protocol's bytes, is left to the connection. Private to this layer.
 */
struct net;
struct net_peer;

#define PROXY_PENDING_MAX 1024
#define PROXY_PENDING_S 5

void proxy_pending_open(
    struct net *net, int fd, const struct net_peer *peer); /* takes fd; copies */
void proxy_pending_close(struct net *net);                 /* all of them */

#endif
