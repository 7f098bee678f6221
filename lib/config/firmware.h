/* SPDX-License-Identifier: Apache-2.0 */
/* Firmware that Debian has, by a word in place of its file: bios is SeaBIOS, uefi OVMF without Secure Boot. */
#ifndef BULKHEAD_CONFIG_FIRMWARE_H
#define BULKHEAD_CONFIG_FIRMWARE_H

/* The file of that word, or what was said: a file. */
const char *firmware_file(const char *said);
/* The package that has the file of a word, or NULL: it is another file. */
const char *firmware_package(const char *file);

#endif
