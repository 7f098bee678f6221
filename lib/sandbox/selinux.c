/* SPDX-License-Identifier: Apache-2.0 */
/* Whether there are labels, and which are a VM's; see selinux.h. */
#include "lib/sandbox/selinux.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SELINUXFS "/sys/fs/selinux"
#define N_CATEGORIES 1024U /* as policies with categories have */
#define PAIR_ATTEMPTS 64

void selinux_label(const struct selinux_vm *s, const char *domain, char out[SELINUX_LABEL_MAX])
{
	snprintf(out, SELINUX_LABEL_MAX, "%s:%s:%s", s->who, domain, s->level);
}

/* User and role of the calling process: what is before the second colon of its label. */
static int read_who(char who[SELINUX_WHO_MAX])
{
	_cleanup_(closep) int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char label[SELINUX_LABEL_MAX], *end;
	int r;

	if (proc < 0)
		return -errno;
	r = selinux_read(proc, getpid(), label);
	if (r < 0)
		return r;
	end = strchr(label, ':');
	end = end ? strchr(end + 1, ':') : NULL;
	if (!end || end - label >= SELINUX_WHO_MAX)
		return -EINVAL;
	*end = '\0';
	memcpy(who, label, (size_t)(end - label) + 1);
	return 0;
}

static bool is_enforcing(void)
{
	_cleanup_(closep) int fd = open(SELINUXFS "/enforce", O_RDONLY | O_CLOEXEC);
	char c = '0';

	return fd >= 0 && read(fd, &c, 1) == 1 && c == '1';
}

/* Whether the loaded policy knows the label, and lets the user and role have it. */
static int ask_valid(const char *label)
{
	_cleanup_(closep) int fd = open(SELINUXFS "/context", O_RDWR | O_CLOEXEC);

	if (fd < 0 || write(fd, label, strlen(label)) < 0)
		return -errno;
	return 0;
}

static const char *find(struct selinux_vm *s)
{
	char label[SELINUX_LABEL_MAX];

	if (access(SELINUXFS "/enforce", F_OK) < 0)
		return "no SELinux";
	if (read_who(s->who) < 0)
		return "its label cannot be read";
	strcpy(s->level, "s0:c0,c1023");
	selinux_label(s, SELINUX_START, label);
	return ask_valid(label) < 0 ? "no module of Bulkhead's for this user in SELinux" : NULL;
}

const char *selinux_lacks(void)
{
	struct selinux_vm s = SELINUX_VM_NONE;
	const char *lack = find(&s);

	return lack || is_enforcing() ? lack : "SELinux is permissive";
}

/* The name is taken as long as the descriptor is open. */
static int reserve(unsigned int low, unsigned int high)
{
	_cleanup_(closep) int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int len = snprintf(sa.sun_path + 1, sizeof(sa.sun_path) - 1, "bulkhead/categories/%u,%u",
			   low, high);
	socklen_t sa_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&sa, sa_len) < 0)
		return -errno;
	return take_fd(&fd);
}

static int draw_once(struct selinux_vm *s)
{
	uint16_t c[2];
	unsigned int low, high;
	int fd;

	do {
		if (getrandom(c, sizeof(c), 0) != sizeof(c))
			return -EIO;
		c[0] %= N_CATEGORIES;
		c[1] %= N_CATEGORIES;
	} while (c[0] == c[1]);
	low = c[0] < c[1] ? c[0] : c[1];
	high = c[0] < c[1] ? c[1] : c[0];
	snprintf(s->level, sizeof(s->level), "s0:c%u,c%u", low, high);
	fd = reserve(low, high);
	s->pair = fd < 0 ? -1 : fd;
	return fd < 0 ? fd : 0;
}

int selinux_draw_pair(struct selinux_vm *s)
{
	int r = -EADDRINUSE;

	for (int i = 0; i < PAIR_ATTEMPTS && r == -EADDRINUSE; i++)
		r = draw_once(s);
	return r;
}

int selinux_vm_open(struct selinux_vm *ret)
{
	struct selinux_vm s = SELINUX_VM_NONE;
	int r;

	*ret = s;
	if (find(&s))
		return 0;
	s.on = true;
	r = selinux_draw_pair(&s);
	if (r == 0)
		*ret = s;
	return r;
}

void selinux_vm_close(struct selinux_vm *s)
{
	closep(&s->pair);
	s->on = false;
}
