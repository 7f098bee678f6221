/* SPDX-License-Identifier: Apache-2.0 */
/* The command's verbs, one file each. Each takes the words after its name and returns an exit
 * status (docs/bulkhead.1). */
#ifndef BULKHEAD_CMD_BULKHEAD_VERBS_H
#define BULKHEAD_CMD_BULKHEAD_VERBS_H

#include "lib/features/feature.h"

#define EXIT_START 1  /* it could not be done, nothing was started */
#define EXIT_WORDS 2  /* wrong words */
#define EXIT_FAILED 5 /* a process of the VM failed */
#define EXIT_OUTPUT 7 /* all went well, but for output that was lost */

int verb_run(int argc, char **argv);
int verb_attach(int argc, char **argv);
int verb_detach(int argc, char **argv);
int verb_link(int argc, char **argv);
int verb_segment(int argc, char **argv);
int verb_ps(int argc, char **argv);
int verb_stop(int argc, char **argv);
int verb_resume(int argc, char **argv);
int verb_resize(int argc, char **argv);
int verb_audit(int argc, char **argv);
int verb_console(int argc, char **argv);
int verb_vsock(int argc, char **argv);
int verb_version(int argc, char **argv);
int verb_image(int argc, char **argv);
int verb_explain(int argc, char **argv);
int verb_features(int argc, char **argv);
int verb_help(int argc, char **argv);

/* stop.c: "--timeout SECONDS|none" at *i of the words: 1 with *ret_s (-1: none) and *i at its last; 0: another
 * word; -1: it will not do, which was said. */
int timeout_word(int argc, char **argv, int *i, int *ret_s);
/* "bulkhead: " and one line on standard error, with no help of stdio. Returns status. */
int complain(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The line for a feature without security claims that the VM of this name uses. */
void complain_no_claim(const char *name, const struct feature *f);

#endif
