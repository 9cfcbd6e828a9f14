#ifndef NET_LISTENER_H
#define NET_LISTENER_H

/* Listeners: where connections come from. The functions are in net/net.h; this is their private
 * part. */
struct net;

/* A descriptor was given back: try to accept again, if that was given up. */
void net_accept_resume(struct net *net);

/* Lets TLS connections in again that had to wait for handshakes to end, if there is room. */
void net_accept_tls_resume(struct net *net);

#endif
