#ifndef EDGE_METHODS_H
#define EDGE_METHODS_H

#include "edge/command.h"

/* The functions of the commands of WebSockets (commands.c has the table). Each appends the content
 * of its reply to command->result, or says how else the command ends. For this layer only. */
enum edge_outcome edge_connect(struct edge_command *command); /* connect.c */
enum edge_outcome edge_refresh(struct edge_command *command);
enum edge_outcome edge_subscribe(struct edge_command *command); /* subscribe.c */
enum edge_outcome edge_unsubscribe(struct edge_command *command);
enum edge_outcome edge_sub_refresh(struct edge_command *command);
enum edge_outcome edge_ws_publish(struct edge_command *command); /* publish.c */
enum edge_outcome edge_history(struct edge_command *command);    /* history.c */
enum edge_outcome edge_presence(struct edge_command *command);   /* presence.c */
enum edge_outcome edge_presence_stats(struct edge_command *command);

#endif
