/* SPDX-License-Identifier: Apache-2.0 */
/* An iSCSI target that a test plays, PDU by PDU; fails the test when the initiator says nothing where it is to. */
#ifndef BULKHEAD_TESTS_FAKETARGET_H
#define BULKHEAD_TESTS_FAKETARGET_H

#include "lib/iscsi/pdu.h"

#define FAKETARGET_BYTE 0x5c /* what its disk is full of */
#define FAKETARGET_BURST 1024U

struct faketarget {
	int sock;
	/* what it says its disk is */
	bool fua, cached;
	uint8_t silent_page; /* of MODE SENSE: it has none such */
	uint64_t blocks;
	uint8_t names[8], serial[4], port_name;
	char group; /* of its portal: a digit */
	/* what is wrong with the next PDU */
	uint8_t ahs;
	size_t cut; /* bytes of it that are sent; 0: all */
	/* what it has heard last */
	uint8_t in[ISCSI_BHS_LEN];
	uint8_t data[8192];
	uint32_t data_len;
	uint32_t statsn;
};

/* A disk of 512 blocks with a cache, whose sessions begin with faketarget_take. */
void faketarget_open(struct faketarget *t);
void faketarget_take(struct faketarget *t, int sock);
void faketarget_close(struct faketarget *t);
/* The next PDU, to in and data; whether there is one. */
void faketarget_hear(struct faketarget *t);
bool faketarget_hears(const struct faketarget *t);
uint32_t faketarget_tag(const struct faketarget *t);
/* Hears, and answers what comes before the first read: login, or a question of what the disk is. */
void faketarget_answer_look(struct faketarget *t);
/* What sock sends to it has no room. */
void faketarget_stop_hearing(struct faketarget *t, int sock);

void faketarget_say(struct faketarget *t, uint8_t opcode, uint32_t tag, const void *data,
		    uint32_t len);
/* The header alone of so many bytes. */
void faketarget_announce(struct faketarget *t, uint8_t opcode, uint32_t len);
void faketarget_data(struct faketarget *t, uint32_t tag, uint32_t offset, uint32_t len,
		     bool status);
void faketarget_r2t(struct faketarget *t, uint32_t tag, uint32_t offset, uint32_t len);
void faketarget_respond(struct faketarget *t, uint32_t tag, uint8_t status, uint8_t key,
			uint8_t asc, uint8_t ascq);
void faketarget_ping(struct faketarget *t, uint32_t ttt);
void faketarget_event(struct faketarget *t, uint8_t event);

#endif
