/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Raw mode of the user's terminal, and every way back out of it: by request, at exit(), when the
 * process stops by SIGTSTP, and when it dies by a signal whose action is the default one. After
 * SIGCONT the terminal is raw again. One terminal at a time in a process.
 */
#ifndef BULKHEAD_CMD_BULKHEAD_TERMMODE_H
#define BULKHEAD_CMD_BULKHEAD_TERMMODE_H

/*
 * Saves the modes of the terminal fd and makes it raw: no echo, no lines, no signals by keys, eight
 * bits, one byte at a time. Output processing stays as the user has it. 0, or a negative errno with
 * nothing changed (-EBUSY: it is raw already).
 */
[[nodiscard]] int termmode_raw(int fd);
/* Gives the modes back and the signals' default actions; harmless when not raw. */
void termmode_restore(void);

#endif
