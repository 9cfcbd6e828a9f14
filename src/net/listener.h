#ifndef NET_LISTENER_H
#define NET_LISTENER_H

/* Listeners: the sockets that accept connections. The public functions are in net/net.h; these are
 * for this layer only. */
struct net;

/* Called when a descriptor was closed: accepts again if that had stopped because descriptors ran
 * out. */
void net_accept_resume(struct net *net);

/* Accepts TLS connections again that had to wait for handshakes to end, if there is room. */
void net_accept_tls_resume(struct net *net);

#endif
