/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices that are attached to a VM and detached while it runs: what its user's commands ask, what becomes of
 * the spare part that has the device, and what they are answered.
 *
 *	FREE        a command asks: the launcher is asked for a process   STARTING
 *	STARTING    it is ready: the vmm is given its channel             OFFERED
 *	OFFERED     PLUGGED: the command is answered                      THERE
 *	THERE       a command asks: the guest is asked to let go          ASKED
 *	THERE, ASKED   UNPLUGGED: the process is ended                    ENDING
 *	ENDING      it has ended: the launcher closes its file            FORGETTING
 *	FORGETTING  it has: the command is answered                       FREE
 *
 * What fails before THERE goes to ENDING. A process that dies in THERE or ASKED is started again as any; one
 * that is lost for good does not end the VM, but the guest is asked to let go of the device.
 *
 * A disk with a storage process, or a card with a relay, takes a second part, which has no state of its own: it is asked
 * for first, ends last, and both are forgotten.
 */
#ifndef BULKHEAD_SUPERVISOR_PLUG_H
#define BULKHEAD_SUPERVISOR_PLUG_H

#include "cmd/supervisor/vm.h"

/* An empty spare part, with the number that a channel of it will have. */
void plug_init(struct vm *vm, struct part *p, uint32_t channel);

/*
 * What a client asks: to attach what the text says ("disk,format=raw", "net,tap=t0"), with a descriptor for a kind that
 * serves a file or is joined to what it is, and those beside it in the client; to detach what is called so. NULL: it is answered later; or why not.
 */
const char *plug_attach(struct vm *vm, struct client *asker, const char *text, int fd);
const char *plug_detach(struct vm *vm, struct client *asker, const char *name);
/* Nobody waits for an answer there any more. */
void plug_leave(struct vm *vm, const struct client *asker);
/* The devices that are there, for ps: "disk-2,rng-2". */
void plug_list(const struct vm *vm, char *out, size_t cap);

/* One is offered to the vmm at a time: it answers in turn, and says no names. */
#define PLUG_BUSY (PLUG_STARTING | PLUG_OFFERED)

/* plug.c, for plug_attach.c: a spare part in one of these states, or NULL; why a device does not come, of which the
 * first counts; and that it is to end. */
struct part *plug_find(struct vm *vm, unsigned int states);
void plug_fail(struct part *p, const char *why);
void plug_end(struct part *p);

/* Whether the device, or that of a storage process, is in one of these states. */
bool plug_is(const struct part *p, unsigned int states);
/* Whether the guest has it, or may have it. */
bool plug_is_there(const struct part *p);
/* The part's process is ready for the first time: true when the vmm is given it by this, or nobody. */
bool plug_ready(struct part *p);
/* Its process has ended and is not started again. Nothing, when the VM ends. */
void plug_ended(struct part *p);
/* It is lost: why it does not come, or why it is to go. */
void plug_lose(struct part *p, const char *text);
/* Why not, when the descriptor that came for it is none that it could serve. */
const char *plug_no_file(const struct part *p);
/* The launcher does not start it. */
void plug_refused(struct part *p, const char *why);
/* It has let go of it. -EBADMSG: nobody asked. */
[[nodiscard]] int plug_forgotten(struct part *p);
/* The launcher is gone: nobody waits for it. */
void plug_alone(struct part *p);

/* The vmm's messages. -EBADMSG: that cannot be. */
[[nodiscard]] int plug_on_plugged(struct part *vmm, const struct control_msg *m);
[[nodiscard]] int plug_on_not_plugged(struct part *vmm, const struct control_msg *m);
[[nodiscard]] int plug_on_unplugged(struct part *vmm, const struct control_msg *m);

#endif
