/* SPDX-License-Identifier: Apache-2.0 */
/* lib/config: words, files, what wins, and that every error is one line that helps. */
#include "tests/unit/unit.h"

#include "lib/config/keys.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct config_error err;

static int words(struct vm_config *c, int n, const char *const *argv)
{
	config_init(c);
	err.text[0] = '\0';
	return config_parse_words(c, n, (char *const *)(uintptr_t)argv, &err);
}

#define WORDS(c, ...)                                                               \
	words((c), (int)(sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(char *)), \
	      (const char *[]){ __VA_ARGS__ })

/* A file's text, in a buffer of exactly the size that the contract asks for. */
static int file(struct vm_config *c, const char *text)
{
	static char *last;
	size_t len = strlen(text);
	int r;

	free(last);
	last = malloc(len + 1);
	memcpy(last, text, len);
	err.text[0] = '\0';
	r = config_parse_text(c, last, len, "vm.conf", &err);
	return r;
}

/* The nth device of a kind, by what is said of it. */
static const struct config_device *device(const struct vm_config *c, const char *word, size_t nth)
{
	for (size_t i = 0; i < c->n_devices; i++)
		if (strcmp(c->devices[i].kind->word, word) == 0 && nth-- == 0)
			return &c->devices[i];
	fail_msg("no such %s", word);
	return NULL;
}

static size_t count(const struct vm_config *c, const char *word)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_devices; i++)
		n += strcmp(c->devices[i].kind->word, word) == 0 && !c->devices[i].off;
	return n;
}

/* What its process would be told. */
static void assert_option(const struct config_device *d, const char *name, const char *value)
{
	char is[64];

	for (size_t i = 0; i < d->kind->n_options; i++) {
		if (strcmp(d->kind->options[i].name, name) != 0)
			continue;
		assert_true(option_get(&d->kind->options[i], d->options, is, sizeof(is)));
		assert_string_equal(is, value);
		return;
	}
	fail_msg("no option %s", name);
}

static void assert_error(int r, const char *text)
{
	assert_int_equal(r, -22);
	assert_string_equal(err.text, text);
}

/* What is rendered says the same again, and again. */
static void assert_same_again(const struct vm_config *c)
{
	static char buf[2][CONFIG_WORDS_BYTES];
	char *argv[2][CONFIG_WORDS_MAX];
	struct vm_config again;
	int n = config_render(c, argv[0], buf[0], sizeof(buf[0]));

	assert_true(n > 0);
	assert_null(argv[0][n]);
	config_init(&again);
	assert_int_equal(config_parse_words(&again, n, argv[0], &err), 0);
	assert_int_equal(config_render(&again, argv[1], buf[1], sizeof(buf[1])), n);
	for (int i = 0; i < n; i++)
		assert_string_equal(argv[0][i], argv[1][i]);
}

static void test_defaults(void **state)
{
	struct vm_config c;

	(void)state;
	config_init(&c);
	assert_null(c.name);
	assert_null(c.kernel);
	assert_null(c.initrd);
	assert_string_equal(c.cmdline, "console=ttyS0 panic=-1 reboot=panic_warm");
	assert_int_equal(c.memory, 256 << 20);
	assert_int_equal(c.cpus, 1);
	assert_int_equal(count(&c, "disk"), 0);
	assert_int_equal(count(&c, "rng"), 1);
	assert_option(device(&c, "rng", 0), "rate", "1048576");
	assert_int_equal(c.console, CONSOLE_AUTO);
	assert_option(device(&c, "console", 0), "input", "serial");
	assert_false(c.detach);
	assert_int_equal(c.on_reboot, REBOOT_RESTART);
	assert_int_equal(c.on_panic, PANIC_STOP);
	assert_int_equal(c.on_crash, CRASH_RESTART);
	assert_int_equal(c.accel, ACCEL_AUTO);
	assert_false(c.verbose);
}

static void test_both_forms(void **state)
{
	struct vm_config c;

	(void)state;
	assert_int_equal(WORDS(&c, "--kernel=k", "--memory", "1G", "--cpus", "16", "--detach",
			       "--rng", "off", "--verbose", "--on-reboot=stop", "--on-panic",
			       "continue", "--console", "none", "--console-input=virtio",
			       "--accel=kvm", "--rng-rate=4K", "--name", "a.b-c_9", "--initrd=i",
			       "--cmdline=a=b c", "--config", "f", "--on-crash", "stop"),
			 0);
	assert_string_equal(c.kernel, "k");
	assert_int_equal(c.accel, ACCEL_KVM);
	assert_int_equal(c.memory, 1 << 30);
	assert_int_equal(c.cpus, 16);
	assert_true(c.detach);
	assert_int_equal(count(&c, "rng"), 0);
	assert_true(c.verbose);
	assert_int_equal(c.on_reboot, REBOOT_STOP);
	assert_int_equal(c.on_panic, PANIC_CONTINUE);
	assert_int_equal(c.on_crash, CRASH_STOP);
	assert_int_equal(c.console, CONSOLE_NONE);
	assert_option(device(&c, "console", 0), "input", "virtio");
	assert_option(device(&c, "rng", 0), "rate", "4096");
	assert_string_equal(c.name, "a.b-c_9");
	assert_string_equal(c.initrd, "i");
	assert_string_equal(c.cmdline, "a=b c");
	assert_string_equal(c.config, "f");
}

static void test_switches_before_words(void **state)
{
	struct vm_config c;

	(void)state;
	assert_int_equal(WORDS(&c, "--detach", "--kernel", "k"), 0);
	assert_true(c.detach);
	assert_string_equal(c.kernel, "k");
	assert_int_equal(WORDS(&c, "--detach=off", "--verbose=on"), 0);
	assert_false(c.detach);
	assert_true(c.verbose);
	assert_error(WORDS(&c, "--detach", "vm"), "--detach: 'vm' will not do: say on or off");
}

static void test_last_word_wins(void **state)
{
	struct vm_config c;

	(void)state;
	assert_int_equal(WORDS(&c, "--memory=1G", "--memory=128M"), 0);
	assert_int_equal(c.memory, 128 << 20);
}

static void test_memory_bounds(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes; /* 0: refused */
	} rows[] = {
		/* clang-format off */
		{ "64M", 64ULL << 20 },		  { "65536K", 64ULL << 20 },
		{ "67108864", 64ULL << 20 },	  { "64G", 64ULL << 30 },
		{ "65536M", 64ULL << 30 },	  { "67112960", (64ULL << 20) + 4096 },
		{ "1g", 1ULL << 30 },		  { "63M", 0 },
		{ "67108863", 0 },		  { "67108865", 0 },
		{ "65G", 0 },			  { "68719480832", 0 },
		{ "", 0 },			  { "M", 0 },
		{ "-1", 0 },			  { "+64M", 0 },
		{ " 64M", 0 },			  { "64 M", 0 },
		{ "64MB", 0 },			  { "0x4000000", 0 },
		{ "18446744073709551615", 0 },	  { "18446744073709551616", 0 },
		{ "17179869185G", 0 }, /* wraps to 1G */
		{ "99999999999999999999999G", 0 }, { "1T", 0 },
		/* clang-format on */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct vm_config c;
		int r = WORDS(&c, "--memory", rows[i].text);

		assert_int_equal(r, rows[i].bytes ? 0 : -22);
		assert_int_equal(c.memory, rows[i].bytes ? rows[i].bytes : 256U << 20);
	}
}

static void test_cpus_bounds(void **state)
{
	static const char *const bad[] = { "0", "17", "", "one", "1.5", "-1", "4294967297" };
	struct vm_config c;

	(void)state;
	assert_int_equal(WORDS(&c, "--cpus=1"), 0);
	assert_int_equal(WORDS(&c, "--cpus=16"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(WORDS(&c, "--cpus", bad[i]), -22);
}

static void assert_path(const struct config_device *d, const char *path)
{
	assert_int_equal(d->path_len, strlen(path));
	assert_memory_equal(d->path, path, d->path_len);
}

static void test_disks(void **state)
{
	struct vm_config c;

	(void)state;
	assert_int_equal(WORDS(&c, "--disk", "a,format=raw", "--disk=b/c,readonly=on,format=raw",
			       "--disk=d=e,queues=16,format=raw,readonly=off"),
			 0);
	assert_int_equal(count(&c, "disk"), 3);
	assert_path(device(&c, "disk", 0), "a");
	assert_false(config_readonly(device(&c, "disk", 0)));
	assert_option(device(&c, "disk", 0), "queues", "1");
	assert_path(device(&c, "disk", 1), "b/c");
	assert_true(config_readonly(device(&c, "disk", 1)));
	assert_path(device(&c, "disk", 2), "d=e");
	assert_option(device(&c, "disk", 2), "queues", "16");
}

/* What another's program serves has no options here, and no process. */
static void test_foreign_disks(void **state)
{
	struct vm_config c;
	const struct config_facts facts = { 0 };
	static char buf[CONFIG_WORDS_BYTES];
	char *argv[CONFIG_WORDS_MAX];
	unsigned int before;
	bool found = false;
	int n;

	(void)state;
	config_init(&c);
	before = config_processes(&c);
	assert_false(config_uses(&c, &facts, FEATURE_FOREIGN_DISK));
	assert_int_equal(WORDS(&c, "--disk", "vhost-user=/run/a.sock"), 0);
	assert_true(device(&c, "disk", 0)->foreign);
	assert_path(device(&c, "disk", 0), "/run/a.sock");
	assert_int_equal(config_processes(&c), before);
	assert_int_equal(config_count(&c, device(&c, "disk", 0)->kind), 0);
	assert_int_equal(config_count_all(&c, device(&c, "disk", 0)->kind), 1);
	assert_true(config_uses(&c, &facts, FEATURE_FOREIGN_DISK));
	assert_false(config_uses(&c, &facts, FEATURE_FOREIGN_NET));
	n = config_render(&c, argv, buf, sizeof(buf));
	for (int i = 0; i < n; i++)
		found |= strcmp(argv[i], "--disk=vhost-user=/run/a.sock") == 0;
	assert_true(found);
	assert_int_equal(WORDS(&c, "--net", "vhost-user=/run/n.sock"), 0);
	assert_true(device(&c, "net", 0)->foreign);
	assert_path(device(&c, "net", 0), "/run/n.sock");
	assert_false(config_is_linked(device(&c, "net", 0)));
	assert_null(config_behind(device(&c, "net", 0)));
	assert_int_equal(config_processes(&c), before);
	assert_true(config_uses(&c, &facts, FEATURE_FOREIGN_NET));
	n = config_render(&c, argv, buf, sizeof(buf));
	found = false;
	for (int i = 0; i < n; i++)
		found |= strcmp(argv[i], "--net=vhost-user=/run/n.sock") == 0;
	assert_true(found);
	config_init(&c);
	assert_error(WORDS(&c, "--disk", "vhost-user="),
		     "--disk: 'vhost-user=' will not do: say vhost-user=SOCKET alone: what serves "
		     "it has the options");
	assert_int_equal(WORDS(&c, "--disk", "vhost-user=a,readonly=on"), -22);
	assert_int_equal(WORDS(&c, "--disk", "./vhost-user=a,format=raw"), 0);
	assert_false(device(&c, "disk", 0)->foreign);
}

static void test_a_disks_format_is_never_guessed(void **state)
{
	struct vm_config c;

	(void)state;
	assert_error(WORDS(&c, "--disk", "a.raw"),
		     "--disk: 'a.raw' will not do: the format is never guessed: say "
		     "FILE,format=raw");
	assert_error(WORDS(&c, "--disk", "a,format=vmdk"),
		     "--disk: 'a,format=vmdk' will not do: format must be raw or qcow2");
	assert_error(WORDS(&c, "--disk", "a,format=auto"),
		     "--disk: 'a,format=auto' will not do: format must be raw or qcow2");
	assert_int_equal(WORDS(&c, "--disk", "a,format="), -22);
	assert_int_equal(WORDS(&c, "--disk", "a,format"), -22);
	assert_int_equal(count(&c, "disk"), 0);
}

/* What holds a guest to its frames is a process behind the card. */
static void test_frames_that_pass(void **state)
{
	static const char *const each[] = {
		"guard=on",	   "ip=10.0.2.15",	   "ip=2001:db8::5",
		"restrict=on",	   "allow=10.0.0.0/8:443", "link-local=on",
		"packets-in=1000", "bytes-out=1M"
	};
	char value[100];
	struct vm_config c;

	(void)state;
	assert_int_equal(WORDS(&c, "--net", "fd=5,guard=off"), 0);
	assert_null(config_behind(device(&c, "net", 0)));
	for (size_t i = 0; i < ARRAY_SIZE(each); i++) {
		snprintf(value, sizeof(value), "fd=5,%s", each[i]);
		assert_int_equal(WORDS(&c, "--net", value), 0);
		assert_string_equal(config_behind(device(&c, "net", 0))->declared->name,
				    "net-relay");
		assert_same_again(&c);
	}
	assert_int_equal(WORDS(&c, "--net",
			       "fd=5,ip=10.0.2.15,ip=2001:db8::5,allow=10.0.0.0/8:443,"
			       "allow=[2001:db8::/32]:80-90,allow=::/0,burst=2"),
			 0);
	assert_same_again(&c);
	assert_error(
		WORDS(&c, "--net", "fd=5,ip=10.0.2.15,ip=10.0.2.16"),
		"--net: 'fd=5,ip=10.0.2.15,ip=10.0.2.16' will not do: ip must be the address of "
		"the guest, once of IPv4 and once of IPv6");
	assert_error(WORDS(&c, "--net", "fd=5,ip=224.0.0.1"),
		     "--net: 'fd=5,ip=224.0.0.1' will not do: ip must be the address of the guest, "
		     "once of IPv4 and once of IPv6");
	assert_error(WORDS(&c, "--net", "fd=5,allow=10.0.0.1/8"),
		     "--net: 'fd=5,allow=10.0.0.1/8' will not do: allow must be a network without "
		     "bits behind its own, as 10.0.0.0/8, not 10.1.2.3/8");
	assert_error(WORDS(&c, "--net", "fd=5,allow=example.com"),
		     "--net: 'fd=5,allow=example.com' will not do: allow must be "
		     "ADDRESS[/BITS][:PORT[-PORT]], as 10.0.0.0/8:443 or [2001:db8::/32]:443");
	assert_error(WORDS(&c, "--net", "fd=5,bytes-in=0"),
		     "--net: 'fd=5,bytes-in=0' will not do: bytes-in must be 1 to 1T");
}

/* A card on a segment: its switch holds it to its addresses, so that a relay is there for the rest alone. */
static void test_segments(void **state)
{
	struct vm_config c;

	(void)state;
	assert_int_equal(WORDS(&c, "--net", "switch=lab", "--net", "switch=lab,isolated=on"), 0);
	assert_same_again(&c);
	assert_int_equal(WORDS(&c, "--net", "switch=lab,ip=10.0.0.1,ip=fd00::1"), 0);
	assert_null(config_behind(device(&c, "net", 0)));
	assert_same_again(&c);
	assert_int_equal(WORDS(&c, "--net", "switch=lab,ip=10.0.0.1,packets-out=100"), 0);
	assert_string_equal(config_behind(device(&c, "net", 0))->declared->name, "net-relay");
	assert_error(
		WORDS(&c, "--net", "switch=lab,packets-out=100"),
		"--net: 'switch=lab,packets-out=100' will not do: on a switch, guard=, "
		"restrict=, allow=, link-local= and rates are for addresses that are said: say "
		"ip= too, as nobody gives any there");
	assert_error(
		WORDS(&c, "--net", "switch=lab,queues=2"),
		"--net: 'switch=lab,queues=2' will not do: queues= is for a tap, bridge or macvtap: a stream of "
		"frames has one pair: --net tap=tap0,queues=4");
	assert_error(
		WORDS(&c, "--net", "tap=t,uso=on,packets-out=5"),
		"--net: 'tap=t,uso=on,packets-out=5' will not do: uso=on is for a tap, bridge or macvtap "
		"without packets-out= and bytes-out=, which would count a train of datagrams as one: --net "
		"tap=tap0,uso=on");
	assert_error(
		WORDS(&c, "--net", "user,vhost=on"),
		"--net: 'user,vhost=on' will not do: vhost=on is for a tap, bridge or macvtap, which the host's kernel "
		"has: --net tap=tap0,vhost=on");
	assert_error(WORDS(&c, "--net", "user,isolated=on"),
		     "--net: 'user,isolated=on' will not do: isolated= is for a switch: --net "
		     "switch=lab,isolated=on");
	assert_error(WORDS(&c, "--net", "switch="),
		     "--net: 'switch=' will not do: switch must be a name of 1 to 64 bytes");
	assert_error(WORDS(&c, "--net", "switch"),
		     "--net: 'switch' will not do: switch must be a name of 1 to 64 bytes");
}

/* Where nothing was said of any; what was said, by a word or in a file, stands. */
static void test_the_network_that_nobody_said(void **state)
{
	static const char *const files[] = { "net = none\n", "net = user\n" };
	struct vm_config c;
	struct config_error e;
	char text[64];

	(void)state;
	assert_int_equal(WORDS(&c, "--memory", "64M"), 0);
	assert_int_equal(config_add_unsaid(&c, &e), 0);
	assert_int_equal(count(&c, "net"), 1);
	assert_int_equal(config_count_opened(&c, KIND_OPENS_PASST), 1);
	assert_true(kind_way(device(&c, "net", 0)->kind, device(&c, "net", 0)->options)->optional);
	assert_same_again(&c);
	assert_int_equal(WORDS(&c, "--net", "none"), 0);
	assert_int_equal(config_add_unsaid(&c, &e), 0);
	assert_int_equal(count(&c, "net"), 0);
	assert_int_equal(WORDS(&c, "--net", "fd=5"), 0);
	assert_int_equal(config_add_unsaid(&c, &e), 0);
	assert_int_equal(count(&c, "net"), 1);
	assert_int_equal(config_count_opened(&c, KIND_OPENS_PASST), 0);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		assert_int_equal(WORDS(&c, "--memory", "64M"), 0);
		strcpy(text, files[i]);
		assert_int_equal(config_parse_text(&c, text, strlen(text), "f", &e), 0);
		assert_int_equal(config_add_unsaid(&c, &e), 0);
		assert_int_equal(count(&c, "net"), i);
	}
	assert_error(
		WORDS(&c, "--net", "tap=tap0,public=on"),
		"--net: 'tap=tap0,public=on' will not do: public= is for the user's network, or "
		"a stream: --net user,public=on");
}

static void test_networks(void **state)
{
	struct vm_config c;

	(void)state;
	assert_int_equal(WORDS(&c, "--net", "fd=5", "--net", "fd=7,mac=52:54:00:AB:cd:ef,mtu=9000"),
			 0);
	assert_int_equal(count(&c, "net"), 2);
	assert_null(device(&c, "net", 0)->path);
	assert_same_again(&c);
	assert_int_equal(WORDS(&c, "--net", "none"), 0);
	assert_int_equal(count(&c, "net"), 0);
	assert_error(WORDS(&c, "--net", "mtu=1500"),
		     "--net: 'mtu=1500' will not do: what it is joined to comes first and is "
		     "never guessed: say default, user, fd=N, tap=NAME, bridge=NAME, macvtap=NAME "
		     "or switch=NAME");
	assert_error(WORDS(&c, "--net", "fd=2"),
		     "--net: 'fd=2' will not do: fd must be 3 to 1048576");
	assert_error(WORDS(&c, "--net", "5"),
		     "--net: '5' will not do: what it is joined to comes first and is never "
		     "guessed: say default, user, fd=N, tap=NAME, bridge=NAME, macvtap=NAME "
		     "or switch=NAME");
	assert_error(
		WORDS(&c, "--net", "mtu=1500,fd=5"),
		"--net: 'mtu=1500,fd=5' will not do: what it is joined to comes first and "
		"is never guessed: say default, user, fd=N, tap=NAME, bridge=NAME, macvtap=NAME "
		"or switch=NAME");
	assert_error(
		WORDS(&c, "--net", "fd=5,fd=6"),
		"--net: 'fd=5,fd=6' will not do: a net has mac=, mtu=, speed=, queues=, uso=, mode=, isolated=, vhost=, guard=, ip=, restrict=, "
		"allow=, public=, link-local=, packets-in=, packets-out=, bytes-in=, bytes-out=, burst= and "
		"publish=");
	assert_error(WORDS(&c, "--net", "fd"), "--net: 'fd' will not do: fd must be 3 to 1048576");
	assert_error(WORDS(&c, "--net", "fd="),
		     "--net: 'fd=' will not do: fd must be 3 to 1048576");
	assert_int_equal(WORDS(&c, "--net", "user"), 0);
	assert_same_again(&c);
	assert_error(WORDS(&c, "--net", "user=x"),
		     "--net: 'user=x' will not do: user has no value");
	assert_int_equal(WORDS(&c, "--net", "tap=tap0,mtu=9000"), 0);
	assert_same_again(&c);
	assert_int_equal(WORDS(&c, "--net", "tap=tap0,guard=on,packets-out=100"), 0);
	assert_int_equal(WORDS(&c, "--net", "bridge=br0,ip=192.0.2.1,allow=10.0.0.0/8:443"), 0);
	assert_null(config_behind(&c.devices[c.n_devices - 1])); /* the host's kernel is */
	assert_error(
		WORDS(&c, "--net", "bridge=br0,publish=8022:22"),
		"--net: 'bridge=br0,publish=8022:22' will not do: publish= is for the user's network: "
		"--net user,publish=8022:22");
	assert_error(
		WORDS(&c, "--net", "bridge=abcdefghijklmnop"),
		"--net: 'bridge=abcdefghijklmnop' will not do: bridge must be a name of 1 to 15 bytes");
	assert_error(WORDS(&c, "--net", "tap="),
		     "--net: 'tap=' will not do: tap must be a name of 1 to 15 bytes");
	assert_error(WORDS(&c, "--net", "tap=abcdefghijklmnop"),
		     "--net: 'tap=abcdefghijklmnop' will not do: tap must be a name of 1 to 15 "
		     "bytes");
	assert_error(WORDS(&c, "--net", "fd=5,mtu=67"),
		     "--net: 'fd=5,mtu=67' will not do: mtu must be 68 to 65535");
}

static void test_ethernet_addresses(void **state)
{
	static const char *const bad[] = { "01:00:00:00:00:01",
					   "00:00:00:00:00:00",
					   "52:54:00:12:34",
					   "52:54:00:12:34:56:",
					   "52:54:00:12:34:56:78",
					   "52-54-00-12-34-56",
					   "5:54:00:12:34:56",
					   "5254:00:12:34:56",
					   "5g:54:00:12:34:56",
					   "ff:ff:ff:ff:ff:ff",
					   ":::::",
					   "" };
	struct vm_config c;
	char word[64];
	uint64_t mac;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(word, sizeof(word), "fd=5,mac=%s", bad[i]);
		assert_int_equal(WORDS(&c, "--net", word), -22);
	}
	assert_int_equal(value_mac(span_of("fe:dc:BA:98:76:54"), &mac), 0);
	assert_true(mac == 0xfedcba987654);
}

#define NO_FILE_WORD                                                                                   \
	"' will not do: the image comes first and without file=: say FILE,format=raw (./file=X if it " \
	"is called so)"

static void test_a_habit_from_qemu_gets_a_hint(void **state)
{
	struct vm_config c;

	(void)state;
	assert_error(WORDS(&c, "--disk", "file=x.img,format=raw"),
		     "--disk: 'file=x.img,format=raw" NO_FILE_WORD);
	assert_error(WORDS(&c, "--disk", "file=x.img"), "--disk: 'file=x.img" NO_FILE_WORD);
	assert_error(WORDS(&c, "--disk", "format=raw,file=x.img"),
		     "--disk: 'format=raw,file=x.img" NO_FILE_WORD);
	assert_int_equal(WORDS(&c, "--disk", "./file=x.img,format=raw"), 0);
}

static void test_bad_disks(void **state)
{
	static const char *const bad[] = {
		/* clang-format off */
		"",			   ",format=raw",	     "a,format=raw,readonly=yes",
		"a,format=raw,queues=0",   "a,format=raw,queues=17", "a,format=raw,x=y",
		"a,format=raw,readonly",   "a,,format=raw",
		"a,format=raw,queues=1,,",
		/* clang-format on */
	};
	struct vm_config c;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(WORDS(&c, "--disk", bad[i]), -22);
}

/* What was said is shown before it, cut. */
static void assert_reason(const char *why)
{
	const char *at = strstr(err.text, "will not do: ");

	assert_non_null(at);
	assert_string_equal(at + strlen("will not do: "), why);
}

static void test_files_beside_a_raw_image(void **state)
{
	static const struct {
		const char *disk, *why;
	} rows[] = {
		{ "a,format=raw,backing=b,backing-format=raw",
		  "a raw image has no backing file: say format=qcow2, or leave out backing=" },
		{ "a,backing=b,backing-format=raw,format=raw",
		  "a raw image has no backing file: say format=qcow2, or leave out backing=" },
		{ "a,format=raw,data-file=b",
		  "a raw image has no data file: say format=qcow2, or leave out data-file=" },
		{ "a,format=raw,data-file=b,data-file=c", "a disk has at most 1 data file" },
		{ "a,format=raw,backing=,backing-format=raw",
		  "backing= must be the name of a file" },
		{ "a,format=raw,backing=b",
		  "each backing= is followed by its backing-format=, which is never guessed" },
		{ "a,format=raw,backing=b,backing=c,backing-format=raw",
		  "each backing= is followed by its backing-format=, which is never guessed" },
		{ "a,format=qcow2,backing=b,backing-format=raw,backing=c,backing-format=qcow2",
		  "backing file 1 is raw, and so has no backing file: leave out what is behind it" },
		{ "a,format=qcow2,backing=b,backing-format=auto",
		  "backing-format must be raw or qcow2" },
		{ "a,format=raw,backing-format=raw,backing=b",
		  "each backing= is followed by its backing-format=, which is never guessed" },
	};
	struct vm_config c;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(WORDS(&c, "--disk", rows[i].disk), -22);
		assert_reason(rows[i].why);
	}
}

#define LAYER ",backing=b,backing-format=qcow2"

static void test_files_beside_a_qcow2_image(void **state)
{
	const struct config_device *d;
	struct vm_config c;

	(void)state;
	assert_int_equal(WORDS(&c, "--disk",
			       "a,backing=b/1,backing-format=qcow2,format=qcow2,data-file=e,"
			       "backing=c,backing-format=raw,readonly=on",
			       "--disk=f,format=qcow2"),
			 0);
	d = device(&c, "disk", 0);
	assert_option(d, "format", "qcow2");
	assert_option(d, "backing-format", "qcow2,raw");
	assert_int_equal(d->more[0].path_len, 3);
	assert_memory_equal(d->more[0].path, "b/1", 3);
	assert_memory_equal(d->more[1].path, "c,", 2);
	assert_null(d->more[2].path);
	assert_memory_equal(d->more[7].path, "e,", 2);
	assert_null(device(&c, "disk", 1)->more[0].path);
	assert_same_again(&c);
	assert_true(config_uses(&c, &(struct config_facts){ 0 }, FEATURE_QCOW2));
	assert_int_equal(
		WORDS(&c, "--disk=a,format=qcow2" LAYER LAYER LAYER LAYER LAYER LAYER LAYER LAYER),
		-22);
	assert_reason("a disk has at most 7 backing files");
}

#define SERVER "nbd://[fe80::1]:10810/a%2Cb"
#define TLS_SERVER "nbds://storage.example/vm"

static void test_a_disk_of_a_server(void **state)
{
	const struct config_device *d;
	struct config_device one;
	char why[300] = "";
	struct vm_config c;

	(void)state;
	assert_int_equal(WORDS(&c, "--disk=" SERVER ",format=raw,iops=50",
			       "--disk=" TLS_SERVER ",format=raw,tls-psk=k,readonly=on",
			       "--disk=nbd,format=raw"),
			 0);
	d = device(&c, "disk", 0);
	assert_true(d->remote && config_dials(&c));
	assert_string_equal(config_behind(d)->declared->name, "storage-nbd");
	d = device(&c, "disk", 1);
	assert_true(d->remote && config_file_readonly(d, 9));
	assert_memory_equal(d->more[8].path, "k,", 2);
	assert_int_equal(
		config_device_options(d->kind, SERVER ",format=raw", &one, why, sizeof(why)), 0);
	assert_true(one.remote && one.path_len == strlen(SERVER));
	assert_int_equal(config_device_options(d->kind, "format=raw", &one, why, sizeof(why)), 0);
	assert_false(one.remote || one.path);
	assert_int_equal(config_device_options(d->kind, SERVER ",format=qcow2", &one, why,
					       sizeof(why)),
			 -22);
	assert_int_equal(
		config_device_options(d->kind, "nbd://:x,format=raw", &one, why, sizeof(why)), -22);
	assert_false(device(&c, "disk", 2)->remote);
	assert_null(config_behind(device(&c, "disk", 2)));
	assert_same_again(&c);
	assert_true(config_uses(&c, &(struct config_facts){ 0 }, FEATURE_STORAGE_NBD));
	assert_int_equal(WORDS(&c, "--disk=a,format=raw,parser=apart"), 0);
	assert_false(config_dials(&c) ||
		     config_uses(&c, &(struct config_facts){ 0 }, FEATURE_STORAGE_NBD));
}

static void test_sockets_that_a_guest_reaches(void **state)
{
	struct vm_config c;
	uint32_t port = 0;

	(void)state;
	assert_int_equal(
		WORDS(&c, "--vsock=on", "--vsock-connect=80,1073741823", "--vsock-connect=80"), 0);
	assert_true(config_dials(&c) && !config_has_server(&c));
	for (size_t i = 0; i < c.n_devices; i++) {
		const struct config_device *d = &c.devices[i];

		assert_int_equal(config_reaches(d), strcmp(d->kind->word, "vsock") == 0);
		if (!config_reaches(d))
			continue;
		assert_true(d->kind->reaches(d->options, 0, &port) && port == 80);
		assert_true(d->kind->reaches(d->options, 1, &port) && port == 1073741823);
		assert_false(d->kind->reaches(d->options, 2, &port));
	}
	assert_same_again(&c);
	assert_int_equal(WORDS(&c, "--vsock=off", "--vsock-connect=80"), 0);
	assert_false(config_dials(&c));
	assert_int_equal(WORDS(&c, "--vsock=on", "--vsock-listen=80"), 0);
	assert_false(config_dials(&c));
	assert_int_equal(WORDS(&c, "--vsock-connect=1073741824"), -22);
	assert_non_null(strstr(err.text, "--vsock-connect"));
	assert_non_null(strstr(err.text, "say ports below 1073741824"));
	assert_int_equal(WORDS(&c, "--vsock-connect=1,2,3,4,5,6,7,8,9"), -22);
	assert_non_null(strstr(err.text, "say at most 8 ports"));
	assert_int_equal(WORDS(&c, "--vsock-connect=80,"), -22);
	assert_int_equal(WORDS(&c, "--vsock-connect=x"), -22);
}

#define TARGET "iscsi://guest@san.example+[fe80::1]:33/iqn.2026-01.com.example:d/1"

static void test_a_disk_of_a_target(void **state)
{
	const struct config_device *d;
	struct vm_config c;

	(void)state;
	assert_int_equal(WORDS(&c,
			       "--disk=" TARGET "?initiator=eui.1,format=raw,chap=g,chap-target=h",
			       "--disk=iscsi://h/iqn.a:b/0,format=raw,logical_block_size=4096",
			       "--disk=iscsi,format=raw"),
			 0);
	d = device(&c, "disk", 0);
	assert_true(d->remote && config_dials(&c));
	assert_string_equal(config_behind(d)->declared->name, "storage-iscsi");
	assert_memory_equal(d->more[12].path, "g,", 2);
	assert_memory_equal(d->more[13].path, "h", 2);
	assert_true(device(&c, "disk", 1)->remote);
	assert_false(device(&c, "disk", 2)->remote);
	assert_same_again(&c);
	assert_true(config_uses(&c, &(struct config_facts){ 0 }, FEATURE_STORAGE_ISCSI));
	assert_false(config_uses(&c, &(struct config_facts){ 0 }, FEATURE_STORAGE_NBD));
	assert_int_equal(WORDS(&c, "--disk=" SERVER ",format=raw"), 0);
	assert_false(config_uses(&c, &(struct config_facts){ 0 }, FEATURE_STORAGE_ISCSI));
}

static void test_secrets(void **state)
{
	struct config_file f;
	struct vm_config c;

	(void)state;
	assert_int_equal(WORDS(&c, "--kernel=k", "--disk=" TLS_SERVER ",format=raw,tls-ca=ca",
			       "--secret=ca=/etc/a=b,c", "--secret", "x.1=k",
			       "--disk=" TLS_SERVER
			       ",format=raw,tls-ca=ca,tls-cert=x.1,tls-key=x.1"),
			 0);
	assert_int_equal(config_check(&c, &err), 0);
	assert_int_equal(c.n_secrets, 2);
	f = config_file_of(&c, device(&c, "disk", 0), 10);
	assert_int_equal(f.path_len, strlen("/etc/a=b,c"));
	assert_memory_equal(f.path, "/etc/a=b,c", f.path_len);
	f = config_file_of(&c, device(&c, "disk", 1), 12);
	assert_memory_equal(f.path, "k", 2);
	assert_null(config_file_of(&c, device(&c, "disk", 1), 9).path);
	assert_same_again(&c);
}

static void test_no_such_secret(void **state)
{
	static const char *const bad[] = { "--secret=",	  "--secret=x",	   "--secret=x=",
					   "--secret==f", "--secret=-x=f", "--secret=a b=f" };
	struct vm_config c;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(WORDS(&c, bad[i]), -22);
		assert_non_null(strstr(err.text, "NAME=FILE"));
	}
	assert_int_equal(WORDS(&c, "--secret=x=f", "--secret=x=g"), -22);
	assert_reason("that name is a secret's already: each has its own");
	assert_int_equal(WORDS(&c, "--kernel=k", "--secret=kk=f",
			       "--disk=" TLS_SERVER ",format=raw,tls-psk=k"),
			 0);
	assert_error(config_check(&c, &err),
		     "--disk: tls-psk=k: there is no secret of that name: say --secret k=FILE");
}

static void test_what_a_server_does_not_go_with(void **state)
{
	static const struct {
		const char *word, *reason;
	} bad[] = {
		{ "--disk=nbd://,format=raw", "its host is a name" },
		{ "--disk=nbd://h:0/x,format=raw", "1 to 65535" },
		{ "--disk=nbd://h:70000/x,format=raw", "1 to 65535" },
		{ "--disk=nbd://h/x?y,format=raw", "nothing comes behind the export" },
		{ "--disk=nbd://u@h/x,format=raw", "its host is a name" },
		{ "--disk=nbd+unix:///x,format=raw", "?socket=PATH" },
		{ "--disk=nbd+unix:///x?socket=rel,format=raw", "from the root" },
		{ "--disk=nbd+vsock://1/x,format=raw", "say nbd://" },
		{ "--disk=nbd://h/%0,format=raw", "%XX" },
		{ "--disk=nbd://h/%00,format=raw", "%XX" },
		{ "--disk=nbd://h/x,format=qcow2", "format=raw" },
		{ "--disk=nbd://h/x,format=raw,cache=none", "leave out cache=" },
		{ "--disk=nbd://h/x,format=raw,tls-ca=f", "nbds:// alone" },
		{ "--disk=f,format=raw,tls-psk=f", "nbds:// alone" },
		{ "--disk=nbds://h/x,format=raw", "tls-psk=NAME" },
		{ "--disk=nbds://h/x,format=raw,tls-psk=f,tls-ca=g", "leave out the others" },
		{ "--disk=nbds://h/x,format=raw,tls-ca=f,tls-cert=g", "come together" },
		{ "--disk=nbds://h/x,format=raw,tls-ca=f,tls-ca=g", "at most 1 trusted" },
		{ "--disk=nbd://h/x,format=raw,chap=f", "iscsi:// alone" },
		{ "--disk=f,format=raw,chap-target=f", "iscsi:// alone" },
		{ "--disk=iscsi://h/iqn.a:b/1,format=raw,chap=f", "come together" },
		{ "--disk=" TARGET ",format=raw", "come together" },
		{ "--disk=" TARGET ",format=raw,chap=f,chap=g", "at most 1 secret of CHAP" },
		{ "--disk=iscsi://h/iqn.a:b/1,format=raw,chap-target=f", "comes with chap=NAME" },
		{ "--disk=iscsi://h/iqn.a:b/1,format=raw,tls-ca=f", "nbds:// alone" },
		{ "--disk=iscsi://h/iqn.a:b/1,format=qcow2", "format=raw" },
		{ "--disk=iscsi://h/iqn.a:b/1,format=raw,cache=none", "leave out cache=" },
		{ "--disk=iscsi://h/iqn.a:b/x,format=raw", "/LUN, a number" },
		{ "--disk=iscsi://h/d/1,format=raw", "a name such as iqn." },
		{ "--disk=iscsi://h/iqn.a:b/1?x,format=raw", "?initiator=, a name" },
		{ "--disk=iscsi://h:0/iqn.a:b/1,format=raw", "1 to 65535" },
		{ "--disk=iscsi+ssl://h/iqn.a:b/1,format=raw", "say iscsi://" },
		{ "--disk=rbd:vms/disk,format=raw", "say its nbds:// address" },
		{ "--disk=rbd://mon/vms/disk?id=vm,format=raw", "say its nbds:// address" },
	};
	struct vm_config c;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(WORDS(&c, bad[i].word), -22);
		assert_non_null(strstr(err.text, bad[i].reason));
	}
}

static void test_too_many_disks(void **state)
{
	const char *argv[64 + 1];
	struct vm_config c;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(argv); i++)
		argv[i] = "--disk=a,format=raw";
	assert_int_equal(words(&c, 64, argv), 0);
	assert_same_again(&c);
	assert_error(words(&c, 65, argv), "--disk: 'a,format=raw' will not do: at most 64 disks");
	assert_int_equal(count(&c, "disk"), 64);
}

static void test_published_ports(void **state)
{
	static const char *const right[] = { "8022:22", "0.0.0.0:80:8080", "[::1]:65535:1/udp",
					     "[::]:1:2", "127.0.0.1:5353:53/udp" };
	static const char *const wrong[] = { "",
					     "22",
					     "0:22",
					     "8022:0",
					     "8022:",
					     ":22",
					     "65536:22",
					     "8022:22/tcp",
					     "8022:22/",
					     "8022:22:1",
					     "1.2.3:8:9",
					     "[::1]8022:22",
					     "[::1:8:9",
					     "::1:8022:22",
					     "[1.2.3.4]:8:9",
					     "224.0.0.1:8:9",
					     "[]:8:9",
					     " 8022:22",
					     "8022:22 ",
					     "+8022:22",
					     "[ff02::1]:8:9" };
	struct vm_config c;
	char word[80];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(right); i++) {
		snprintf(word, sizeof(word), "user,publish=%s", right[i]);
		assert_int_equal(WORDS(&c, "--net", word), 0);
		assert_same_again(&c);
	}
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		snprintf(word, sizeof(word), "user,publish=%s", wrong[i]);
		assert_int_equal(WORDS(&c, "--net", word), -EINVAL);
		assert_non_null(strstr(err.text, "publish must be [ADDRESS:]HOSTPORT:PORT[/udp]"));
	}
	assert_error(
		WORDS(&c, "--net", "fd=3,publish=8022:22"),
		"--net: 'fd=3,publish=8022:22' will not do: publish= is for the user's network: "
		"--net user,publish=8022:22");
	assert_int_equal(WORDS(&c, "--net",
			       "user,publish=1:1,publish=2:2,publish=3:3,publish=4:4,"
			       "publish=5:5,publish=6:6,publish=7:7,publish=8:8"),
			 0);
	assert_same_again(&c);
	assert_int_equal(WORDS(&c, "--net",
			       "user,publish=1:1,publish=2:2,publish=3:3,publish=4:4,"
			       "publish=5:5,publish=6:6,publish=7:7,publish=8:8,publish=9:9"),
			 -EINVAL);
	assert_non_null(strstr(err.text, "publish must be said at most 8 times"));
}

static void test_too_many_networks(void **state)
{
	const char *argv[16 + 1];
	struct vm_config c;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(argv); i++)
		argv[i] = "--net=fd=3";
	assert_int_equal(words(&c, 16, argv), 0);
	assert_same_again(&c);
	assert_error(words(&c, 17, argv), "--net: 'fd=3' will not do: at most 16 nets");
	assert_int_equal(count(&c, "net"), 16);
}

static void test_names(void **state)
{
	static const char *const bad[] = { "", ".a", "-a", "a/b", "a b", "a\n", "\xc3\xa4", "a@b" };
	char longest[CONFIG_NAME_MAX + 2];
	struct vm_config c;

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	longest[CONFIG_NAME_MAX + 1] = '\0';
	assert_int_equal(WORDS(&c, "--name", longest), -22);
	assert_int_equal(WORDS(&c, "--name", longest + 1), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(WORDS(&c, "--name", bad[i]), -22);
}

static void test_cmdline_length(void **state)
{
	static char text[CONFIG_CMDLINE_MAX + 2];
	struct vm_config c;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	assert_int_equal(WORDS(&c, "--cmdline", text), -22);
	assert_int_equal(WORDS(&c, "--cmdline", text + 1), 0);
	assert_int_equal(WORDS(&c, "--cmdline", ""), 0);
	assert_string_equal(c.cmdline, "");
}

static void test_bad_words(void **state)
{
	struct vm_config c;

	(void)state;
	assert_error(WORDS(&c, "vm"), "'vm' is not an option: options are --NAME VALUE");
	assert_error(WORDS(&c, "-k"), "'-k' is not an option: options are --NAME VALUE");
	assert_error(WORDS(&c, "--kernal=x"),
		     "there is no option '--kernal=x': see bulkhead run --help");
	assert_error(WORDS(&c, "--"), "there is no option '--': see bulkhead run --help");
	assert_error(WORDS(&c, "--=x"), "there is no option '--=x': see bulkhead run --help");
	assert_error(WORDS(&c, "--kern"), "there is no option '--kern': see bulkhead run --help");
	assert_error(WORDS(&c, "--memory"),
		     "--memory: a value is missing: say 64M to 64G, a multiple of 4K");
	assert_error(WORDS(&c, "--kernel", "--memory"),
		     "--kernel: a value is missing: say the file's name");
	assert_error(WORDS(&c, "--kernel="), "--kernel: a value is missing: say the file's name");
	assert_error(WORDS(&c, "--cpus=\033[31m"), "--cpus: '?[31m' will not do: say 1 to 16");
}

static void test_file(void **state)
{
	struct vm_config c;

	(void)state;
	config_init(&c);
	assert_int_equal(file(&c, "# a VM\n\n  kernel = /boot/vmlinuz \t\r\nmemory=512M\n"
				  "cmdline = root=/dev/vda rw # no comment\n\t# a comment\n"
				  "disk = a,format=raw\ndisk = b,format=raw,readonly=on\n"
				  "detach = on\nname=last"),
			 0);
	assert_string_equal(c.kernel, "/boot/vmlinuz");
	assert_int_equal(c.memory, 512 << 20);
	assert_string_equal(c.cmdline, "root=/dev/vda rw # no comment");
	assert_int_equal(count(&c, "disk"), 2);
	assert_true(config_readonly(device(&c, "disk", 1)));
	assert_true(c.detach);
	assert_string_equal(c.name, "last");
}

static void test_file_errors(void **state)
{
	struct vm_config c;

	(void)state;
	config_init(&c);
	assert_error(file(&c, "\n\nmemory = 3\n"),
		     "vm.conf:3: memory: '3' will not do: say 64M to 64G, a multiple of 4K");
	config_init(&c);
	assert_error(file(&c, "memory\n"), "vm.conf:1: 'memory' is not a setting: NAME = VALUE");
	config_init(&c);
	assert_error(file(&c, "kernal = x"),
		     "vm.conf:1: there is no setting 'kernal': see bulkhead(1)");
	config_init(&c);
	assert_error(file(&c, "cpus = 2\ncpus = 2\n"),
		     "vm.conf:2: cpus: said twice: once is right");
	config_init(&c);
	assert_error(file(&c, "config = other\n"),
		     "vm.conf:1: config: this can be said on the command line only");
	config_init(&c);
	assert_error(file(&c, "detach\n"), "vm.conf:1: 'detach' is not a setting: NAME = VALUE");
	config_init(&c);
	assert_error(file(&c, "= x\n"), "vm.conf:1: there is no setting '': see bulkhead(1)");
	config_init(&c);
	assert_int_equal(config_parse_text(&c, (char[]){ 'a', 0, 'b', 0 }, 3, "vm.conf", &err),
			 -22);
	assert_string_equal(err.text, "vm.conf:1: a NUL byte: a text file is right");
}

static void test_words_win_over_the_file(void **state)
{
	struct vm_config c;

	(void)state;
	assert_int_equal(WORDS(&c, "--memory=1G", "--disk=w,format=raw"), 0);
	assert_int_equal(file(&c, "memory = 128M\ncpus = 4\ndisk = f,format=raw\n"), 0);
	assert_int_equal(c.memory, 1 << 30);
	assert_int_equal(c.cpus, 4);
	assert_int_equal(count(&c, "disk"), 2);
	/* a line that a word overrides must be right all the same */
	assert_error(file(&c, "memory = 3\n"), "vm.conf:1: memory: said twice: once is right");
	assert_int_equal(WORDS(&c, "--memory=1G"), 0);
	assert_error(file(&c, "memory = 3\n"),
		     "vm.conf:1: memory: '3' will not do: say 64M to 64G, a multiple of 4K");
}

static void test_check(void **state)
{
	struct vm_config c;

	(void)state;
	assert_int_equal(WORDS(&c, "--memory=1G"), 0);
	assert_error(
		config_check(&c, &err),
		"--kernel: what to boot is missing: say --kernel FILE, or --disk FILE,format=FORMAT of a disk that boots by UEFI");
	assert_int_equal(WORDS(&c, "--kernel=k", "--detach"), 0);
	assert_int_equal(config_check(&c, &err), 0);
	assert_int_equal(WORDS(&c, "--kernel=k", "--detach", "--console=raw"), 0);
	assert_int_equal(config_check(&c, &err), -22);
}

static void test_limits(void **state)
{
	struct vm_config c;

	(void)state;
	config_init(&c);
	assert_int_equal(c.limits.memory, CONFIG_LIMIT_DEFAULT);
	assert_int_equal(c.limits.tasks, CONFIG_LIMIT_DEFAULT);
	assert_true(c.limits.cpu_percent == CONFIG_LIMIT_NONE);
	assert_false(config_limits_io(&c.limits));
	assert_int_equal(WORDS(&c, "--limit-memory=16M", "--limit-tasks=7", "--limit-cpu=6400%",
			       "--limit-io=rbps=1K,wbps=2M", "--limit-io=riops=3,rbps=none"),
			 0);
	assert_int_equal(c.limits.memory, 16 << 20);
	assert_int_equal(c.limits.tasks, 7);
	assert_int_equal(c.limits.cpu_percent, 6400);
	assert_true(c.limits.rbps == CONFIG_LIMIT_NONE && c.limits.wiops == CONFIG_LIMIT_NONE);
	assert_int_equal(c.limits.wbps, 2 << 20);
	assert_int_equal(c.limits.riops, 3);
	assert_true(config_limits_io(&c.limits));
	assert_int_equal(WORDS(&c, "--limit-memory=none", "--limit-tasks=none", "--limit-cpu=none"),
			 0);
	assert_true(c.limits.memory == CONFIG_LIMIT_NONE && c.limits.tasks == CONFIG_LIMIT_NONE);
}

static void test_bad_limits(void **state)
{
	static const char *const bad[] = {
		/* clang-format off */
		"--limit-memory=15M", "--limit-memory=1025G", "--limit-memory=0",
		"--limit-memory=NONE", "--limit-tasks=0",     "--limit-tasks=-1",
		"--limit-tasks=100001", "--limit-cpu=0%",     "--limit-cpu=6401%",
		"--limit-cpu=50",     "--limit-cpu=%",	      "--limit-cpu=1.5%",
		"--limit-io=",	      "--limit-io=1M",	      "--limit-io=rbps",
		"--limit-io=rbps=0",  "--limit-io=bps=1",     "--limit-io=rbps=1,,wbps=1",
		"--limit-io=rbps=1\nwbps=2", "--cgroup=relative", "--cgroup=", "--strict=maybe",
		/* clang-format on */
	};
	struct vm_config c;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(WORDS(&c, bad[i]), -22);
	assert_int_equal(WORDS(&c, "--kernel=k", "--limit-io=rbps=1M"), 0);
	assert_error(config_check(&c, &err), "--limit-io: this VM has no disk");
}

/* Without a kernel, a disk is booted by UEFI; and whoever says its variables means that, too. */
static void test_firmware_unsaid(void **state)
{
	struct vm_config c;

	(void)state;
	assert_int_equal(WORDS(&c, "--disk=d,format=raw"), 0);
	assert_int_equal(config_add_unsaid(&c, &err), 0);
	assert_string_equal(c.firmware, CONFIG_FIRMWARE_DEFAULT);
	assert_int_equal(config_check(&c, &err), 0);
	assert_null(config_flash(&c));
	assert_int_equal(WORDS(&c, "--firmware-vars=v,template=t"), 0);
	assert_int_equal(config_add_unsaid(&c, &err), 0);
	assert_string_equal(c.firmware, CONFIG_FIRMWARE_DEFAULT);
	assert_non_null(config_flash(&c));
	assert_false(config_has_disk(&c));
	assert_int_equal(WORDS(&c, "--disk=d,format=raw", "--firmware=f"), 0);
	assert_int_equal(config_add_unsaid(&c, &err), 0);
	assert_string_equal(c.firmware, "f");
	assert_int_equal(WORDS(&c, "--disk=d,format=raw", "--firmware=bios"), 0);
	assert_int_equal(config_add_unsaid(&c, &err), 0);
	assert_string_equal(c.firmware, CONFIG_FIRMWARE_BIOS);
	assert_int_equal(WORDS(&c, "--disk=d,format=raw", "--firmware=./bios"), 0);
	assert_int_equal(config_add_unsaid(&c, &err), 0);
	assert_string_equal(c.firmware, "./bios");
	assert_int_equal(WORDS(&c, "--disk=d,format=raw", "--kernel=k"), 0);
	assert_int_equal(config_add_unsaid(&c, &err), 0);
	assert_null(c.firmware);
	assert_int_equal(WORDS(&c, "--memory=64M"), 0);
	assert_int_equal(config_add_unsaid(&c, &err), 0);
	assert_null(c.firmware);
	assert_int_equal(WORDS(&c, "--kernel=k", "--firmware-vars=v"), 0);
	assert_error(config_check(&c, &err),
		     "--firmware-vars: a kernel is booted without firmware: "
		     "leave one of the two out");
	assert_int_equal(WORDS(&c, "--firmware-vars=v", "--firmware-vars=w"), -22);
}

/* Disks by their numbers, each once, that there are. */
static void test_boot_order(void **state)
{
	static const char *const bad[] = { "--boot=",
					   "--boot=disk",
					   "--boot=disk0",
					   "--boot=disk1,disk1",
					   "--boot=disk1,,disk2",
					   "--boot=1",
					   "--boot=disk1 ",
					   "--boot=disk129",
					   "--boot=disk2,cd",
					   "--boot=disk1,disk2,disk1" };
	struct vm_config c;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(WORDS(&c, bad[i]), -22);
	assert_int_equal(
		WORDS(&c, "--boot=disk2,disk1", "--disk=a,format=raw", "--disk=b,format=raw"), 0);
	assert_int_equal(config_add_unsaid(&c, &err), 0);
	assert_int_equal(config_check(&c, &err), 0);
	assert_int_equal(config_boot(&c, 0), 2);
	assert_int_equal(config_boot(&c, 1), 1);
	assert_int_equal(config_boot(&c, 2), 0);
	assert_int_equal(WORDS(&c, "--boot=disk2", "--disk=a,format=raw", "--firmware=f"), 0);
	assert_error(config_check(&c, &err), "--boot: there is no disk2: this VM has 1");
	assert_int_equal(WORDS(&c, "--boot=disk1", "--disk=a,format=raw", "--kernel=k"), 0);
	assert_error(config_check(&c, &err),
		     "--boot: a kernel is booted without firmware: leave one of the two out");
}

static void test_firmware_boots_by_itself(void **state)
{
	const struct config_facts facts = { 0 };
	struct vm_config c;

	(void)state;
	assert_int_equal(WORDS(&c, "--firmware=f"), 0);
	assert_int_equal(config_check(&c, &err), 0);
	assert_string_equal(c.firmware, "f");
	assert_true(config_uses(&c, &facts, FEATURE_FIRMWARE));
	assert_int_equal(config_check_allowed(&c, &facts, &err), 0);
	assert_int_equal(WORDS(&c, "--kernel=k"), 0);
	assert_false(config_uses(&c, &facts, FEATURE_FIRMWARE));
	assert_int_equal(WORDS(&c, "--firmware=f", "--kernel=k"), 0);
	assert_error(config_check(&c, &err),
		     "--firmware: a kernel is said as well: leave --kernel out");
	assert_int_equal(WORDS(&c, "--firmware=f", "--initrd=i"), 0);
	assert_error(config_check(&c, &err),
		     "--initrd: firmware finds its own: leave --initrd out");
	assert_int_equal(WORDS(&c, "--firmware=f", "--cmdline=quiet"), 0);
	assert_error(config_check(&c, &err),
		     "--cmdline: firmware finds its own: leave --cmdline out");
}

static void test_bad_identities(void **state)
{
	static const char *const bad[] = {
		/* clang-format off */
		"--uuid=", "--uuid=1", "--uuid=00000000-0000-0000-0000-000000000000",
		"--uuid=01234567-89ab-cdef-fedc-ba987654321x", "--serial=", "--serial= a", "--serial=a ", "--serial=a\nb",
		"--serial=\xc3\xa9", "--serial=a\x7f",
		"--serial=abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcde",
		"--oem-string=", "--oem-string=a\tb", "--oem-string= ", "--oem-string=io.systemd.credential:a=b",
		"--oem-string=io.systemd.credential.binary:a=b", "--credential=", "--credential=a", "--credential=a=",
		"--credential==f", "--credential=a/b=f", "--credential=a b=f", "--credential=a:b=f", "--credential=-a=f",
		/* clang-format on */
	};
	char longer[32 + CONFIG_OEM_STRING_MAX];
	struct vm_config c;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(WORDS(&c, bad[i]), -22);
	memset(longer, 'x', sizeof(longer));
	memcpy(longer, "--oem-string=", 13);
	longer[13 + CONFIG_OEM_STRING_MAX + 1] = '\0';
	assert_int_equal(WORDS(&c, longer), -22);
	longer[13 + CONFIG_OEM_STRING_MAX] = '\0';
	assert_int_equal(WORDS(&c, longer), 0);
	assert_error(
		WORDS(&c, "--credential=a=f", "--credential=a=g"),
		"--credential: 'a=g' will not do: that name is a credential's already: each has "
		"its own");
	assert_error(WORDS(&c, "--oem-string=io.systemd.credential:a=b"),
		     "--oem-string: 'io.systemd.credential:a=b' will not do: everybody reads it in "
		     "the process list: say --credential NAME=FILE");
}

static void test_too_many_strings(void **state)
{
	char text[64], *word = text;
	struct vm_config c;

	(void)state;
	config_init(&c);
	for (int i = 0; i < CONFIG_OEM_STRINGS_MAX + CONFIG_CREDENTIALS_MAX; i++) {
		snprintf(text, sizeof(text),
			 i < CONFIG_OEM_STRINGS_MAX ? "--oem-string=%d" : "--credential=c%d=f", i);
		assert_int_equal(config_parse_words(&c, 1, &word, &err), 0);
		word = strdup(text); /* the configuration points to it */
		assert_non_null(word);
		if (i < CONFIG_OEM_STRINGS_MAX)
			c.identity.oem[i] = word + 13;
		else
			c.identity.credentials[i - CONFIG_OEM_STRINGS_MAX].name = word + 13;
		word = text;
	}
	snprintf(text, sizeof(text), "--oem-string=more");
	assert_error(config_parse_words(&c, 1, &word, &err),
		     "--oem-string: 'more' will not do: a VM has at most 32 of them");
	snprintf(text, sizeof(text), "--credential=more=f");
	assert_error(config_parse_words(&c, 1, &word, &err),
		     "--credential: 'more=f' will not do: a VM has at most 32 credentials");
	for (int i = 0; i < CONFIG_OEM_STRINGS_MAX; i++) {
		free((char *)(uintptr_t)c.identity.oem[i] - 13);
		free((char *)(uintptr_t)c.identity.credentials[i].name - 13);
	}
}

/* As another process reads them again. */
static void test_an_identity_is_said_again(void **state)
{
	static char buf[CONFIG_WORDS_BYTES];
	char *argv[CONFIG_WORDS_MAX];
	struct vm_config c, again;
	int n;

	(void)state;
	assert_int_equal(WORDS(&c, "--kernel=k", "--uuid=01234567-89AB-cdef-fedc-ba9876543210",
			       "--serial=SN 1", "--oem-string=a=b, c", "--oem-string=d",
			       "--credential=a.b=/f=g", "--credential=c=h"),
			 0);
	n = config_render(&c, argv, buf, sizeof(buf));
	assert_true(n > 0);
	config_init(&again);
	assert_int_equal(config_parse_words(&again, n, argv, &err), 0);
	assert_memory_equal(again.identity.uuid, c.identity.uuid, 16);
	assert_string_equal(again.identity.serial, "SN 1");
	assert_int_equal(again.identity.n_oem, 2);
	assert_string_equal(again.identity.oem[0], "a=b, c");
	assert_int_equal(again.identity.n_credentials, 2);
	assert_int_equal(again.identity.credentials[0].name_len, 3);
	assert_string_equal(again.identity.credentials[0].path, "/f=g");
	assert_int_equal(WORDS(&c, "--kernel=k"), 0);
	assert_true(config_render(&c, argv, buf, sizeof(buf)) > 0);
	for (n = 0; argv[n]; n++)
		assert_null(strstr(argv[n], "uuid"));
}

static void test_bad_seeds(void **state)
{
	static const char *const bad[] = {
		/* clang-format off */
		"--cloud-init=", "--cloud-init=f", "--cloud-init=meta-data=f", "--cloud-init=user-data=",
		"--cloud-init=user-data=f,,meta-data=g", "--cloud-init=user-data=f,user-data=g", "--cloud-init=user-data=f,vendor-data=g",
		"--cloud-init=user-data=f,meta-data", "--ssh-key=", "--user=", "--user=Ada", "--user=1a", "--user=-a",
		"--user=a:b", "--user=a b", "--user=a\nb", "--user=a.b", "--user=abcdefghijabcdefghijabcdefghijabc",
		"--hostname=", "--hostname=-a", "--hostname=a-", "--hostname=a..b", "--hostname=.a", "--hostname=a.",
		"--hostname=a_b", "--hostname=a b", "--hostname=a\"b", "--hostname=\xc3\xa9", "--hostname=a.-b",
		"--hostname=abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdef",
		"--password-hash=", "--password-hash-file=",
		/* clang-format on */
	};
	struct vm_config c;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(WORDS(&c, bad[i]), -22);
	assert_int_equal(WORDS(&c, "--hostname=A-1.b", "--user=_a-1_"), 0);
	assert_error(
		WORDS(&c, "--cloud-init=meta-data=f"),
		"--cloud-init: 'meta-data=f' will not do: user-data=FILE is missing, which cloud-init does "
		"not do without");
}

static void test_what_of_a_seed_goes_together(void **state)
{
	struct vm_config c;

	(void)state;
	assert_int_equal(WORDS(&c, "--kernel=k", "--cloud-init=user-data=f", "--hostname=h"), 0);
	assert_error(
		config_check(&c, &err),
		"--cloud-init: --ssh-key, --user, --hostname and --password-hash make user-data of their "
		"own: say the one or the other");
	assert_int_equal(WORDS(&c, "--kernel=k", "--password-hash=x", "--password-hash-file=f",
			       "--user=u"),
			 0);
	assert_error(config_check(&c, &err),
		     "--password-hash: --password-hash-file is said as well: say one of the two");
	assert_int_equal(WORDS(&c, "--kernel=k", "--password-hash-file=f"), 0);
	assert_error(config_check(&c, &err),
		     "--password-hash: whose password it is is missing: say --user NAME");
	assert_int_equal(WORDS(&c, "--kernel=k"), 0);
	assert_false(config_has_seed(&c));
	config_init(&c);
	assert_int_equal(
		file(&c, "kernel = k\nssh-key = a\nssh-key = b\nuser = u\npassword-hash = $6$x\n"),
		0);
	assert_int_equal(config_check(&c, &err), 0);
	assert_int_equal(c.seed.n_keys, 2);
	assert_string_equal(c.seed.password_hash, "$6$x");
	assert_true(config_has_seed(&c));
}

/* It is behind the user's, said to nobody by words, and no hash is. */
static void test_a_seeds_disk(void **state)
{
	static char buf[CONFIG_WORDS_BYTES];
	const struct config_facts facts = { 0 };
	char *argv[CONFIG_WORDS_MAX], disk[] = "--disk=a,format=raw", *word = disk;
	struct vm_config c;
	int n;

	(void)state;
	assert_int_equal(WORDS(&c, "--kernel=k", "--user=u", "--password-hash=$6$secret",
			       "--disk=a,format=raw"),
			 0);
	assert_false(config_uses(&c, &facts, FEATURE_CLOUD_INIT));
	assert_int_equal(config_add_seed(&c, &err), 0);
	assert_int_equal(count(&c, "disk"), 2);
	assert_false(device(&c, "disk", 0)->made);
	assert_true(device(&c, "disk", 1)->made);
	assert_true(config_readonly(device(&c, "disk", 1)));
	assert_true(config_uses(&c, &facts, FEATURE_CLOUD_INIT));
	assert_int_equal(config_check_allowed(&c, &facts, &err), 0);
	n = config_render(&c, argv, buf, sizeof(buf));
	assert_true(n > 0);
	for (int i = 0; i < n; i++) {
		assert_null(strstr(argv[i], "secret"));
		assert_null(strstr(argv[i], "cloud-init"));
		assert_null(strstr(argv[i], "--user"));
	}
	config_init(&c);
	for (int i = 0; i < 64; i++)
		assert_int_equal(config_parse_words(&c, 1, &word, &err), 0);
	assert_int_equal(config_add_seed(&c, &err), -22);
	assert_string_equal(
		err.text,
		"--cloud-init: its disk is one more than the 64 disks, and 128 devices, that a VM "
		"has at most: leave one out");
}

static void test_allow(void **state)
{
	struct vm_config c;

	(void)state;
	assert_int_equal(WORDS(&c, "--allow=soft-many-cpus,kvm", "--allow", "soft"), 0);
	assert_int_equal(c.allowed,
			 1U << FEATURE_SOFT_MANY_CPUS | 1U << FEATURE_KVM | 1U << FEATURE_SOFT);
	assert_error(WORDS(&c, "--allow=soft,,kvm"),
		     "--allow: 'soft,,kvm' will not do: say names that bulkhead features lists");
	assert_error(WORDS(&c, "--allow=all"),
		     "--allow: 'all' will not do: say names that bulkhead features lists");
	assert_error(WORDS(&c, "--allow="),
		     "--allow: a value is missing: say names that bulkhead features lists");
}

static int check_allowed(const char *cpus, bool soft, const char *allow)
{
	const struct config_facts facts = { .soft = soft };
	struct vm_config c;

	assert_int_equal(WORDS(&c, "--cpus", cpus, "--allow", allow), 0);
	return config_check_allowed(&c, &facts, &err);
}

static void test_what_is_experimental_needs_leave(void **state)
{
	(void)state;
	assert_int_equal(check_allowed("8", true, "kvm"), 0);
	assert_int_equal(check_allowed("16", false, "kvm"), 0);
	assert_int_equal(check_allowed("9", true, "soft-many-cpus"), 0);
	assert_error(
		check_allowed("9", true, "soft"),
		"software CPU with 9 to 16 virtual CPUs: experimental (no whole system has "
		"been tested with so many): say --allow soft-many-cpus to use it all the same");
}

static void test_what_is_used(void **state)
{
	const struct config_facts terminal = { .on_terminal = true }, file = { 0 };
	struct vm_config c;

	(void)state;
	assert_int_equal(WORDS(&c, "--console=raw"), 0);
	assert_true(config_uses(&c, &terminal, FEATURE_RAW_TERMINAL));
	assert_false(config_uses(&c, &file, FEATURE_RAW_TERMINAL));
	assert_int_equal(WORDS(&c, "--console=auto"), 0);
	assert_false(config_uses(&c, &terminal, FEATURE_RAW_TERMINAL));
	assert_false(config_uses(&c, &terminal, FEATURE_SOFT_MANY_CPUS));
}

/* Each name has a bit to know it by. */
static void test_keys_are_few_enough(void **state)
{
	struct config_key key;
	size_t n = 0;

	(void)state;
	while (config_key_at(n, &key))
		n++;
	assert_in_range(n, 20, 8 * sizeof(struct config_said));
}

static void test_render(void **state)
{
	static char buf[1024];
	char *argv[CONFIG_WORDS_MAX];
	struct vm_config c;
	int n;

	(void)state;
	config_init(&c);
	assert_same_again(&c);
	assert_int_equal(
		WORDS(&c, "--kernel=k", "--initrd=i", "--name=n", "--cmdline=a b", "--memory=64G",
		      "--huge-pages=off", "--cpus=16", "--disk=a,format=raw,queues=3",
		      "--disk=b,format=raw,readonly=on", "--rng=off", "--rng-rate=7",
		      "--console=safe", "--console-input=virtio", "--detach", "--on-reboot=stop",
		      "--on-panic=continue", "--on-crash=stop", "--verbose", "--accel=soft",
		      "--allow=soft-many-cpus,kvm", "--limit-memory=1G", "--limit-tasks=none",
		      "--limit-cpu=150%", "--limit-io=rbps=1M,wiops=9", "--cgroup=/sys/fs/cgroup/x",
		      "--vsock=on", "--vsock-listen=22,9", "--vsock-listen=9", "--strict"),
		0);
	assert_same_again(&c);
	assert_int_equal(config_render(&c, argv, buf, 16), -7);
	n = config_render(&c, argv, buf, sizeof(buf));
	assert_true(n > 5);
	assert_string_equal(
		argv[n - 8],
		"--disk=a,format=raw,readonly=off,cache=writeback,"
		"logical_block_size=512,physical_block_size=auto,queues=3,bus=virtio,parser=together,burst=1");
	assert_string_equal(
		argv[n - 7],
		"--disk=b,format=raw,readonly=on,cache=writeback,"
		"logical_block_size=512,physical_block_size=auto,queues=1,bus=virtio,parser=together,burst=1");
	assert_string_equal(argv[n - 6], "--rng=off");
	assert_string_equal(argv[n - 5], "--rng-rate=7");
	assert_string_equal(argv[n - 3], "--vsock=on");
	assert_string_equal(argv[n - 2], "--vsock-cid=3");
	assert_string_equal(argv[n - 1], "--vsock-listen=22,9");
	assert_string_equal(argv[n - 4], "--console-input=virtio");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_both_forms),
		cmocka_unit_test(test_switches_before_words),
		cmocka_unit_test(test_last_word_wins),
		cmocka_unit_test(test_memory_bounds),
		cmocka_unit_test(test_cpus_bounds),
		cmocka_unit_test(test_disks),
		cmocka_unit_test(test_foreign_disks),
		cmocka_unit_test(test_a_disks_format_is_never_guessed),
		cmocka_unit_test(test_the_network_that_nobody_said),
		cmocka_unit_test(test_networks),
		cmocka_unit_test(test_segments),
		cmocka_unit_test(test_frames_that_pass),
		cmocka_unit_test(test_ethernet_addresses),
		cmocka_unit_test(test_a_habit_from_qemu_gets_a_hint),
		cmocka_unit_test(test_bad_disks),
		cmocka_unit_test(test_files_beside_a_raw_image),
		cmocka_unit_test(test_files_beside_a_qcow2_image),
		cmocka_unit_test(test_a_disk_of_a_server),
		cmocka_unit_test(test_a_disk_of_a_target),
		cmocka_unit_test(test_sockets_that_a_guest_reaches),
		cmocka_unit_test(test_secrets),
		cmocka_unit_test(test_no_such_secret),
		cmocka_unit_test(test_what_a_server_does_not_go_with),
		cmocka_unit_test(test_too_many_disks),
		cmocka_unit_test(test_published_ports),
		cmocka_unit_test(test_too_many_networks),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_cmdline_length),
		cmocka_unit_test(test_bad_words),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_file_errors),
		cmocka_unit_test(test_words_win_over_the_file),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_firmware_unsaid),
		cmocka_unit_test(test_boot_order),
		cmocka_unit_test(test_firmware_boots_by_itself),
		cmocka_unit_test(test_bad_identities),
		cmocka_unit_test(test_too_many_strings),
		cmocka_unit_test(test_an_identity_is_said_again),
		cmocka_unit_test(test_bad_seeds),
		cmocka_unit_test(test_what_of_a_seed_goes_together),
		cmocka_unit_test(test_a_seeds_disk),
		cmocka_unit_test(test_allow),
		cmocka_unit_test(test_what_is_experimental_needs_leave),
		cmocka_unit_test(test_what_is_used),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_bad_limits),
		cmocka_unit_test(test_keys_are_few_enough),
		cmocka_unit_test(test_render),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
