/* SPDX-License-Identifier: Apache-2.0 */
/*
 * swtpm's control channel (swtpm_ioctls(3), its messages over a socket): the few commands that are needed, most significant byte
 * first. Pure: no I/O. What the other end says is HOSTILE.
 */
#ifndef BULKHEAD_TPM_PTM_H
#define BULKHEAD_TPM_PTM_H

#include <stddef.h>
#include <stdint.h>

enum ptm_command {
	PTM_GET_CAPABILITY = 1,	 /* answered by 8 bytes of bits */
	PTM_INIT = 2,		 /* to power-on; flags: none */
	PTM_SET_BUFFERSIZE = 17, /* what it may be at most, before INIT */
};

#define PTM_CAP_INIT 1U
#define PTM_CAP_SHUTDOWN 2U
#define PTM_CAP_SET_BUFFERSIZE 0x1000U

#define PTM_REQUEST_MAX 8U
#define PTM_ANSWER_MAX 16U

/* Bytes written. value: of the commands that have one. */
size_t ptm_encode(enum ptm_command command, uint32_t value, uint8_t out[PTM_REQUEST_MAX]);
/* 0 with what it says (the bits; of SET_BUFFERSIZE the bytes that it now is), or -EBADMSG: another length; -EIO: it could not. */
[[nodiscard]] int ptm_decode(enum ptm_command command, const uint8_t *data, size_t len,
			     uint64_t *ret);

#endif
