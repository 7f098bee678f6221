/* SPDX-License-Identifier: Apache-2.0 */
/* tray DEVICE open|close: a CD-ROM's. */
#include <fcntl.h>
#include <linux/cdrom.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int fd = argc == 3 ? open(argv[1], O_RDONLY | O_NONBLOCK) : -1;

	if (fd < 0 || ioctl(fd, strcmp(argv[2], "open") ? CDROMCLOSETRAY : CDROMEJECT) < 0) {
		perror("tray");
		return 1;
	}
	close(fd);
	return 0;
}
