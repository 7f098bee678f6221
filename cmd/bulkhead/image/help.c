/* SPDX-License-Identifier: Apache-2.0 */
/* bulkhead image --help. A screen has 24 lines of 80. */
#include "cmd/bulkhead/image/words.h"

#include <stdio.h>

static const char text[] =
	"bulkhead image: disk images. Words and units are qemu-img's.\n"
	"\n"
	"  create [-f FORMAT] [-o KEY=VALUE,...] [-b BASE -F FORMAT] FILE [SIZE]\n"
	"  info [-f FORMAT] [--json] FILE\n"
	"  check -f FORMAT [--repair leaks] [--json] FILE\n"
	"  convert -f FORMAT [-O FORMAT] [-o KEY=VALUE,...] [-c] SOURCE TARGET\n"
	"  resize -f FORMAT [--shrink] FILE [+|-]SIZE\n"
	"  snapshot list|create|apply|delete FILE [NAME] -f FORMAT [--json]\n"
	"  map -f FORMAT [--json] FILE\n"
	"  compare -f FORMAT -F FORMAT [--strict] FILE FILE\n"
	"  import URL|FILE NAME --sha256 HEX|--checksums FILE [-f FORMAT -O FORMAT]\n"
	"\n"
	"FORMAT is raw or qcow2; vmdk, vhdx and vpc (VHD) are only read. It is never\n"
	"guessed, as a guest may write to its raw disk what looks like another format.\n"
	"A file that backs another is opened only if it is named, in order:\n"
	"  --backing BASE --backing-format FORMAT, --data-file FILE\n"
	"An image that a VM uses is refused; --force-share reads it all the same.\n"
	"\n"
	"Ends with 0; 1 it could not be done, 2 wrong words, 3 leaks (check) or a\n"
	"difference (compare), 4 corruption (check), 6 interrupted, 7 output was lost.\n";

void image_words_help(void)
{
	fputs(text, stdout);
}
