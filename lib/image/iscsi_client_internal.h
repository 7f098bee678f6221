/* SPDX-License-Identifier: Apache-2.0 */
/* Private to lib/image: between the files of the iSCSI client. */
#ifndef BULKHEAD_IMAGE_ISCSI_CLIENT_INTERNAL_H
#define BULKHEAD_IMAGE_ISCSI_CLIENT_INTERNAL_H

#include "lib/image/iscsi_client.h"

#define ISCSI_NO_TASK UINT16_MAX
#define ISCSI_LOOKS ISCSI_CLIENT_DEPTH /* the task that looks */
#define ISCSI_ZEROES 65536U	       /* bytes of them at once, where the target has no command */

/* iscsi_client.c */
int initiator_fail(struct iscsi_client *c, int r, const char *why);
struct iscsi_task *initiator_find(struct iscsi_client *c, uint32_t itt);
uint32_t initiator_tag(const struct iscsi_client *c, const struct iscsi_task *t);
void initiator_enqueue(struct iscsi_client *c, struct iscsi_queue *q, struct iscsi_task *t);
struct iscsi_task *initiator_dequeue(struct iscsi_client *c, struct iscsi_queue *q);
/* The task is over, or its command is: 0, or the end of the connection. */
void initiator_finish(struct iscsi_client *c, struct iscsi_task *t, int result);
void initiator_command(struct iscsi_client *c, struct iscsi_task *t);

/* iscsi_client_task.c: what a request is in commands, and what its answers mean. */
bool initiator_is_write(enum scsi_verb verb);
void initiator_prepare(struct iscsi_client *c, struct iscsi_task *t);
/* Where its data lie: [from, from + *len) of the command's. */
size_t initiator_data(const struct iscsi_client *c, const struct iscsi_task *t, uint32_t from,
		      uint64_t *len, struct iovec *iov, size_t max);
int initiator_answered(struct iscsi_client *c, struct iscsi_task *t, const struct iscsi_in *in,
		       struct scsi_sense sense);
/* The session is there: what is the logical unit? */
void initiator_look(struct iscsi_client *c);

/* iscsi_client_in.c: what the target says. 0; -EPIPE: it is gone, or to be left; -EBADMSG and others. */
int initiator_receive(struct iscsi_client *c);
/* iscsi_client_out.c: 0, -EPIPE */
int initiator_send(struct iscsi_client *c);
/* Whether there is a command that the target takes now. */
bool initiator_can_command(const struct iscsi_client *c);

#endif
