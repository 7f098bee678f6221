/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine for tests of the vmm's parts: the real buses, RAM and loop, an accelerator that only
 * notes what it is asked for, and a vhost-user back end in a thread that can misbehave.
 */
#ifndef BULKHEAD_TESTS_UNIT_TESTVMM_H
#define BULKHEAD_TESTS_UNIT_TESTVMM_H

#include "cmd/vmm/machine.h"
#include "cmd/vmm/pci/pci.h"
#include "lib/vhost_user/vhost_user.h"

#include <pthread.h>

#define TEST_RAM MIB(64)
#define TEST_NOTIFIERS 64

struct accel {
	struct {
		bool bound;
		int fd;
		struct msi msi;
	} irq[ACCEL_IRQ_SLOTS];
	struct {
		uint64_t gpa;
		int fd;
	} notifier[TEST_NOTIFIERS];
	unsigned int n_irqs;	  /* bound now */
	unsigned int n_notifiers; /* bound now */
	unsigned int n_sent;	  /* msi_send */
	uint64_t rom_gpa, rom_size;
	const uint8_t *rom;
	unsigned int n_faults; /* binding what is bound, unbinding what is not */
};

/* Fails the test's process if the machine cannot be made. */
void test_machine_open(struct machine *m, struct accel *a);
void test_machine_close(struct machine *m);

/* How a back end answers one request, other than by the specification. */
enum back_end_vice {
	BACK_END_GOOD,
	BACK_END_CLOSE,	     /* closes instead of the answer */
	BACK_END_SHORT,	     /* half the header, then closes */
	BACK_END_SHORT_BODY, /* the header and half the payload, then closes */
	BACK_END_WRONG_ID,   /* the answer to another request */
	BACK_END_NOT_REPLY,  /* without the reply flag */
	BACK_END_VERSION,    /* version 2 */
	BACK_END_OVERSIZE,   /* a size field of 4 GiB - 1 */
	BACK_END_UNDERSIZE,  /* a size field of 3 */
	BACK_END_WITH_FD,    /* with a descriptor */
	BACK_END_WITH_FDS,   /* with a dozen */
	BACK_END_VALUE,	     /* a value out of range: all ones */
	BACK_END_NACK,	     /* refuses: acknowledgement 1 */
	BACK_END_N_VICES,
};

#define BACK_END_MAX_LOG 512

struct back_end {
	int sock;
	pthread_t thread;
	uint64_t features;
	uint64_t protocol;
	uint64_t n_queues;
	uint32_t config_len; /* GET_CONFIG beyond is refused */
	uint8_t config[VU_MAX_CONFIG];
	uint8_t status;	  /* or-ed into what GET_STATUS says */
	uint32_t vice_at; /* request that is answered by vice */
	/* GET_VRING_BASE is answered only behind this many GET_STATUS: before the last of them is, or
	 * after it */
	unsigned int drain_for;
	bool in_turn;
	enum back_end_vice vice;
	uint32_t log_answer; /* bytes of payload behind the answer to SET_LOG_BASE */

	/* of the thread; look at it after back_end_join, or after an acknowledged request */
	uint32_t log[BACK_END_MAX_LOG];
	unsigned int n_log;
	uint64_t got_features;
	uint64_t got_protocol;
	struct vu_msg mem;
	struct vu_msg addr[256];
	uint32_t num[256];
	uint32_t base[256];
	int inflight; /* what SET_INFLIGHT_FD brought, or -1 */
	struct vu_msg inflight_as;
	struct vu_msg log_as; /* what SET_LOG_BASE brought */
	int call_fd[256], kick_fd[256], err_fd[256];
	bool running[256];
	struct vu_msg waiting; /* GET_VRING_BASE that is not answered yet */
	unsigned int n_waited;
	unsigned int n_misuse; /* a started ring that is changed, and the like */
};

/* VIRTIO 1, rings' features, protocol features with everything; 1 queue. */
void back_end_init(struct back_end *b);
/* Starts the thread on one end of a new socket pair; the other end. */
int back_end_start(struct back_end *b);
/* Waits until the thread has ended, which it does when the front end closes. */
void back_end_join(struct back_end *b);
/* How many requests of this kind came. */
unsigned int back_end_count(const struct back_end *b, uint32_t request);

#endif
