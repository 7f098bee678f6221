/* SPDX-License-Identifier: Apache-2.0 */
/* The PC's reset flag, by which Linux says how it reboots; see machine.h. */
#include "cmd/vmm/machine.h"

#define RESET_FLAG 0x472
#define RESET_WARM 0x1234

bool reset_flag_is_warm(const struct machine *m)
{
	uint16_t flag;

	return guest_read(&m->mem, GPA(RESET_FLAG), &flag, sizeof(flag)) == 0 && flag == RESET_WARM;
}
