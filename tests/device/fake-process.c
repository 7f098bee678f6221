/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plays any process for tests of the supervisor, well or badly, by a script: words with a comma
 * between. It stands in for the vmm (script: --cmdline=…), dev-blk (script: the image's bytes), storage-nbd (script: the
 * export's name, with a plus between), and the other devices (script: DEVICE_SCRIPT). What comes before the word enter is in the jail and the
 * VM's control group, but no filter holds it back.
 */
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/control/control.h"
#include "lib/sandbox/forms.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define DEVICE_SCRIPT "enter,ready,wait"
#define FD_IMAGE 5
#define N_FRAGILE 16

static const struct sandbox_rule rules[] = {
	SB_SENDMSG,	SB_CALL(sendto),     SB_CALL(recvmsg), SB_CALL(write),
	SB_CALL(ppoll), SB_CALL(exit_group), SB_CALL(close),   SB_CALL(dup),
};

static const struct sandbox_policy policy = {
	.name = "fake",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	.limits = { .nofile = 64, .nproc = 0, .as = SB_UNSET, .fsize = 0, .memlock = 0 },
};

static int stream = -1; /* a console's */

/* -1: for ever. */
static void wait_ms(int ms)
{
	const struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	(void)ppoll(NULL, 0, ms < 0 ? NULL : &t, NULL);
}

static void say(enum control_type type, uint32_t number, const char *text)
{
	struct control_msg m = { .type = type, .number = number, .text_len = strlen(text) };

	snprintf(m.text, sizeof(m.text), "%s", text);
	(void)!control_send(FD_CONTROL, &m, -1);
}

static void do_enter(const char *arg)
{
	const char *what = "?";

	(void)arg;
	if (sandbox_enter(&policy, FD_CONTROL, &what) < 0)
		_exit(control_fail(FD_CONTROL, "%s", what));
}

static void do_ready(const char *arg)
{
	(void)arg;
	say(CTL_READY, 0, "");
}

/* Holds its root directory, which no process may. */
static void do_dir(const char *arg)
{
	(void)arg;
	if (open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC) < 0)
		_exit(control_fail(FD_CONTROL, "no root directory"));
}

/* Memory that is writable and executable. */
static void do_wx(const char *arg)
{
	(void)arg;
	if (mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		 0) == MAP_FAILED)
		_exit(control_fail(FD_CONTROL, "no such mapping"));
}

/* A message of any type, with a number and a text if the type has them. */
/* TYPE or TYPE.NUMBER */
static void do_type(const char *arg)
{
	char *end;
	unsigned long type = strtoul(arg, &end, 10);

	say((enum control_type)type, *end == '.' ? (uint32_t)strtoul(end + 1, NULL, 10) : 1, "");
}

static void do_event(const char *arg)
{
	say(CTL_EVENT, (uint32_t)strtoul(arg, NULL, 10), "");
}

static void do_events(const char *arg)
{
	for (int i = 0; i < 10000; i++)
		do_event(arg);
}

static void do_log(const char *arg)
{
	say(CTL_LOG, LOG_LEVEL_WARNING, arg);
}

static void do_logs(const char *arg)
{
	for (unsigned long i = strtoul(arg, NULL, 10); i > 0; i--)
		say(CTL_LOG, LOG_LEVEL_ERROR, "again");
}

static void do_level(const char *arg)
{
	say(CTL_LOG, (uint32_t)strtoul(arg, NULL, 10), "what level is this");
}

static void do_failed(const char *arg)
{
	say(CTL_FAILED, 0, arg);
}

static void do_denied(const char *arg)
{
	say(CTL_DENIED, (uint32_t)strtoul(arg, NULL, 10), "");
}

static void do_busy(const char *arg)
{
	say(CTL_BUSY, (uint32_t)strtoul(arg, NULL, 10), "");
}

/* The same number for ever. */
static void do_lie(const char *arg)
{
	for (;;) {
		do_busy(arg);
		wait_ms(50);
	}
}

/* A server that goes and comes so often. */
static void do_aways(const char *arg)
{
	for (unsigned long i = strtoul(arg, NULL, 10); i > 0; i--) {
		say(CTL_AWAY, 0, "away");
		say(CTL_BACK, 0, "");
	}
}

static void do_exit(const char *arg)
{
	_exit((int)strtol(arg, NULL, 10));
}

static void do_crash(const char *arg)
{
	(void)arg;
	__builtin_trap();
}

static void do_call(const char *arg)
{
	syscall(strtol(arg, NULL, 10), 0, 0, 0, 0, 0, 0);
}

/* So many bytes that are no message. */
static void do_garbage(const char *arg)
{
	uint8_t bytes[4096];
	size_t n = strtoul(arg, NULL, 10);

	memset(bytes, 0xa5, sizeof(bytes));
	(void)send(FD_CONTROL, bytes, n < sizeof(bytes) ? n : sizeof(bytes), MSG_NOSIGNAL);
}

/* READY, which carries no descriptor, with some. */
static void do_fds(const char *arg)
{
	static const uint8_t ready[8] = { CTL_READY };
	uint8_t wire[sizeof(ready)];
	struct iovec iov = { wire, sizeof(wire) };
	int fds[MSG_MAX_FDS] = { 0 };
	size_t n = strtoul(arg, NULL, 10);

	memcpy(wire, ready, sizeof(ready));
	(void)!msg_send(FD_CONTROL, &iov, 1, fds, n < MSG_MAX_FDS ? n : MSG_MAX_FDS);
}

static void serve_stream(int fd)
{
	closep(&stream);
	stream = fd;
	if (fd >= 0)
		(void)!write(fd, "the console\n", 12);
}

/* Shows the size and answers; a terminal of 7 columns is answered twice, one of 9 never. */
static void serve_size(uint32_t size)
{
	char line[32];
	int n = snprintf(line, sizeof(line), "size %ux%u\n", control_columns(size),
			 control_rows(size));

	(void)!write(stream, line, (size_t)n);
	for (int i = control_columns(size) == 7; control_columns(size) != 9 && i >= 0; i--)
		say(CTL_CONFIG_CHANGED, 0, "");
}

static void serve_config(uint32_t channel)
{
	char line[32];

	snprintf(line, sizeof(line), "looks at channel %u", channel);
	do_log(line);
}

static void serve_link(uint32_t how)
{
	char line[32];

	snprintf(line, sizeof(line), "link %u", how);
	do_log(line);
	say(CTL_CONFIG_CHANGED, 0, "");
	if (how & CTL_LINK_ANNOUNCE)
		say(CTL_ANNOUNCED, 0, "");
}

/* Waits for a message of the type, or of any when it is 0. False at the end of the channel. */
static bool await(unsigned int type)
{
	struct control_msg m;
	int fd = -1;

	while (control_recv(FD_CONTROL, &m, &fd) > 0) {
		if (m.type == CTL_CONSOLE)
			serve_stream(take_fd(&fd));
		if (m.type == CTL_CONSOLE_SIZE)
			serve_size(m.number);
		if (m.type == CTL_LINK)
			serve_link(m.number);
		if (m.type == CTL_CONFIG)
			serve_config(m.number);
		closep(&fd);
		if (m.type == CTL_PAUSE || m.type == CTL_CONTINUE)
			do_log(m.type == CTL_PAUSE ? "stands still" : "goes on");
		if (m.type == type)
			return true;
	}
	return false;
}

static void do_power(const char *arg)
{
	(void)arg;
	if (!await(CTL_POWER_BUTTON))
		_exit(0);
}

static void do_hear(const char *arg)
{
	if (!await((unsigned int)strtoul(arg, NULL, 10)))
		_exit(0);
}

/* Goes on when the channel ends. */
static void do_end(const char *arg)
{
	(void)arg;
	await(0);
}

static void do_wait(const char *arg)
{
	(void)arg;
	await(0);
	_exit(0);
}

/* Deaf: what must be killed. */
static void do_ignore(const char *arg)
{
	(void)arg;
	for (;;)
		wait_ms(-1);
}

/* Asked by the one call that the filter lets through for it. */
static bool is_channel(int fd)
{
	struct msghdr m = { .msg_iov = NULL };

	return recvmsg(fd, &m, MSG_PEEK | MSG_DONTWAIT) >= 0 ||
	       (errno != ENOTSOCK && errno != EBADF);
}

/* Crashes by the first byte on any other channel than the control channel, also one that is there
 * already. */
static void do_fragile(const char *arg)
{
	struct pollfd p[N_FRAGILE];

	(void)arg;
	for (int i = 0; i < N_FRAGILE; i++) {
		int fd = FD_CONTROL + 1 + i;

		p[i] = (struct pollfd){ .fd = is_channel(fd) ? fd : -1, .events = POLLIN };
	}
	(void)ppoll(p, N_FRAGILE, NULL, NULL);
	__builtin_trap();
}

static void do_sleep(const char *arg)
{
	wait_ms((int)strtol(arg, NULL, 10));
}

/* ---- exhaustion, by code that no filter holds back: before the word enter ---- */

static void do_grow(const char *arg)
{
	for (unsigned long left = strtoul(arg, NULL, 10); left; left--) {
		volatile char *p = malloc(1 << 20);

		for (size_t at = 0; p && at < 1 << 20; at += 4096)
			p[at] = 1;
	}
}

/* Says how many there could be. */
static void do_forks(const char *arg)
{
	unsigned long most = strtoul(arg, NULL, 10), n = 0;
	char line[64];
	pid_t pid;

	while (n < most && (pid = fork()) >= 0) {
		if (pid == 0)
			do_ignore("");
		n++;
	}
	snprintf(line, sizeof(line), "made %lu", n);
	do_log(line);
}

static void do_burn(const char *arg)
{
	(void)arg;
	for (;;)
		;
}

/* So many KiB of the image, from its start. */
static void do_read(const char *arg)
{
	static char buf[64 << 10];
	unsigned long left = strtoul(arg, NULL, 10);

	for (off_t at = 0; left >= 64; left -= 64, at += sizeof(buf))
		if (pread(FD_IMAGE, buf, sizeof(buf), at) != sizeof(buf))
			_exit(control_fail(FD_CONTROL, "the image cannot be read"));
	do_log("read");
}

/* So many KiB behind the first 4 of the image, each 4 of them on the disk before the next. */
static void do_write(const char *arg)
{
	static const char buf[4 << 10];
	unsigned long left = strtoul(arg, NULL, 10);

	for (off_t at = sizeof(buf); left >= 4; left -= 4, at += sizeof(buf))
		if (pwrite(FD_IMAGE, buf, sizeof(buf), at) != sizeof(buf) ||
		    fdatasync(FD_IMAGE) < 0)
			_exit(control_fail(FD_CONTROL, "the image cannot be written"));
	do_log("written");
}

static const struct {
	const char *name;
	void (*run)(const char *arg);
} words[] = {
	{ "enter", do_enter },	 { "ready", do_ready },	    { "type", do_type },
	{ "event", do_event },	 { "events", do_events },   { "log", do_log },
	{ "logs", do_logs },	 { "level", do_level },	    { "failed", do_failed },
	{ "denied", do_denied }, { "exit", do_exit },	    { "crash", do_crash },
	{ "call", do_call },	 { "garbage", do_garbage }, { "fds", do_fds },
	{ "power", do_power },	 { "wait", do_wait },	    { "ignore", do_ignore },
	{ "hear", do_hear },	 { "sleep", do_sleep },	    { "dir", do_dir },
	{ "wx", do_wx },	 { "sleep", do_sleep },	    { "grow", do_grow },
	{ "forks", do_forks },	 { "burn", do_burn },	    { "read", do_read },
	{ "write", do_write },	 { "fragile", do_fragile }, { "busy", do_busy },
	{ "lie", do_lie },	 { "end", do_end },	    { "aways", do_aways },
};

static void run_word(char *word)
{
	char *arg = strchr(word, ':');

	if (arg)
		*arg++ = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (strcmp(word, words[i].name) == 0) {
			words[i].run(arg ? arg : "");
			return;
		}
	}
	_exit(control_fail(FD_CONTROL, "no such word: %s", word));
}

/* Mapped, as the filter of what is started again lets no other way through. */
static void read_image(char *script, size_t cap)
{
	char *image = mmap(NULL, 512, PROT_READ | PROT_WRITE, MAP_SHARED, FD_IMAGE, 0);

	if (image == MAP_FAILED)
		return;
	snprintf(script, cap, "%.512s", image);
	munmap(image, 512);
}

static void read_export(const char *address, char *script, size_t cap)
{
	const char *name = strrchr(address, '/');

	if (name && name[1])
		snprintf(script, cap, "%s", name + 1);
	for (char *at = script; (at = strchr(at, '+'));)
		*at = ',';
}

static void find_script(int argc, char **argv, char *script, size_t cap)
{
	snprintf(script, cap, "%s", DEVICE_SCRIPT);
	for (int i = 1; i < argc; i++)
		if (strncmp(argv[i], "--cmdline=", 10) == 0)
			snprintf(script, cap, "%s", argv[i] + 10);
		else if (strncmp(argv[i], "--address=", 10) == 0)
			read_export(argv[i] + 10, script, cap);
	if (strcmp(argv[0], "dev-blk") != 0)
		return;
	read_image(script, cap);
	script[strcspn(script, "\n")] = '\0';
}

int main(int argc, char **argv)
{
	char script[2048];
	char *at = script, *word;

	find_script(argc, argv, script, sizeof(script));
	while ((word = strsep(&at, ",")))
		run_word(word);
	return 0;
}
