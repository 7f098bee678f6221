/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2 images from the shell, for test_qcow2_interop.py: qcow2-tool COMMAND FILE [KEY=VALUE...]
 *
 *   create    size= version= cluster_size= refcount_bits= lazy extended_l2 zstd backing= backing_format=
 *             data_file= raw metadata
 *   ops       seed= n= snapshots: random requests, each checked against a copy in memory
 *   dump      out=: the disk's bytes
 *   check     leaks | all: prints corruptions, leaks and how many of either were repaired
 *   snapshot  create= | apply= | delete=
 *   list      ids, names and sizes of snapshots
 *   resize    size= shrink
 *   info      what the header says
 *   cuts      every= seed= settles: FILE is a folder, for images as a crash leaves them in the middle of a run;
 *             each is checked here first
 *
 * Wherever the disk is opened: base= (raw: base_raw=) and data= say what lies below.
 */
#include "lib/base/cleanup.h"
#include "lib/image/qcow2/qcow2.h"
#include "tests/unit/qcow2_cuts.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_PIECE (300U << 10)

static char **arguments;
static struct volume_error why;

static _Noreturn void fail(const char *what, int r)
{
	fprintf(stderr, "qcow2-tool: %s: %s: %s\n", what, strerror(-r), why.text);
	exit(1);
}

static const char *text(const char *key)
{
	size_t n = strlen(key);

	for (char **a = arguments; *a; a++)
		if (!strncmp(*a, key, n) && ((*a)[n] == '=' || !(*a)[n]))
			return (*a)[n] ? *a + n + 1 : *a + n;
	return NULL;
}

static uint64_t number(const char *key, uint64_t otherwise)
{
	const char *t = text(key);

	return t ? strtoull(t, NULL, 0) : otherwise;
}

static struct store *open_store(const char *path, bool readonly)
{
	struct store_fd *s = calloc(1, sizeof(*s));
	int fd = open(path, (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	int r = fd < 0 ? -errno :
			 store_fd_open(s, fd, STORE_TOOL | (readonly ? STORE_READONLY : 0));

	if (r < 0)
		fail(path, r);
	return &s->store;
}

static struct volume *open_base(void)
{
	const struct qcow2_options options = { .readonly = true };
	struct volume_raw *raw = calloc(1, sizeof(*raw));
	struct volume *v = NULL;
	int r = 0;

	if (text("base_raw")) {
		r = volume_raw_open(raw, open_store(text("base_raw"), true));
		v = &raw->volume;
	} else if (text("base")) {
		r = qcow2_open(open_store(text("base"), true), &options, &v, &why);
	}
	if (r < 0)
		fail("base", r);
	return v;
}

static struct volume *open_disk(const char *file, bool readonly, bool tool)
{
	struct qcow2_options options = { .readonly = readonly,
					 .tool = tool,
					 .cache_bytes = number("cache", 0),
					 .backing = open_base() };
	struct volume *v;
	int r;

	if (text("data"))
		options.data = open_store(text("data"), readonly);
	r = qcow2_open(open_store(file, readonly), &options, &v, &why);
	if (r < 0)
		fail("open", r);
	return v;
}

static void create(const char *file)
{
	const struct qcow2_create_options o = {
		.size = number("size", 0),
		.version = (uint32_t)number("version", 0),
		.cluster_size = (uint32_t)number("cluster_size", 0),
		.refcount_bits = (uint32_t)number("refcount_bits", 0),
		.lazy_refcounts = text("lazy"),
		.extended_l2 = text("extended_l2"),
		.compression = text("zstd") ? QCOW2_ZSTD : QCOW2_ZLIB,
		.backing_file = text("backing"),
		.backing_format = text("backing_format"),
		.data_file = text("data_file"),
		.data_file_raw = text("raw"),
		.preallocation = text("metadata") ? QCOW2_PREALLOCATE_METADATA :
						    QCOW2_PREALLOCATE_OFF,
	};
	int r, fd = open(file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0)
		fail(file, -errno);
	close(fd);
	r = qcow2_create(open_store(file, false), &o, &why);
	if (r < 0)
		fail("create", r);
}

/* Requests: splitmix64 from a seed that the caller prints. */
static uint64_t state;

static uint64_t any(uint64_t below)
{
	uint64_t z = state += 0x9e3779b97f4a7c15U;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
	return (z ^ (z >> 31)) % below;
}

static void write_some(struct volume *v, uint8_t *copy, uint64_t at, uint64_t len)
{
	struct iovec iov[2] = { { copy + at, len / 3 }, { copy + at + len / 3, len - len / 3 } };
	uint8_t value = (uint8_t)any(256);
	int r;

	for (uint64_t i = 0; i < len; i++)
		copy[at + i] = (uint8_t)(value + i / 512);
	r = volume_writev(v, iov, 2, at);
	if (r < 0)
		fail("write", r);
}

static void expect(struct volume *v, const uint8_t *copy, uint64_t at, uint64_t len)
{
	static uint8_t bytes[MAX_PIECE];
	int r = volume_read(v, bytes, len, at);

	if (r < 0)
		fail("read", r);
	for (uint64_t i = 0; i < len; i++)
		if (bytes[i] != copy[at + i]) {
			fprintf(stderr, "qcow2-tool: byte %" PRIu64 " is %02x, not %02x\n", at + i,
				bytes[i], copy[at + i]);
			exit(2);
		}
}

static void discard_some(struct volume *v, uint8_t *copy, uint64_t at, uint64_t len)
{
	int r = volume_discard(v, at, len);

	if (r == 0)
		r = volume_read(v, copy + at, len, at); /* whatever it is now */
	if (r < 0)
		fail("discard", r);
}

static void one_request(struct volume *v, uint8_t *copy)
{
	uint64_t sectors = v->size / 512, most = MAX_PIECE / 512;
	uint64_t n = 1 + any(any(4) ? 16 : most), at = any(sectors);
	int r = 0;

	if (any(4) == 0) /* whole clusters now and then */
		at &= ~(uint64_t)(v->cluster / 512 - 1);
	if (n > sectors - at)
		n = sectors - at;
	at *= 512;
	n *= 512;
	switch (any(8)) {
	case 0:
		discard_some(v, copy, at, n);
		break;
	case 1:
		memset(copy + at, 0, n);
		r = volume_zero(v, at, n, any(2));
		break;
	case 2:
		r = any(4) ? 0 : volume_flush(v);
		break;
	case 3:
		expect(v, copy, at, n);
		break;
	default:
		write_some(v, copy, at, n);
		break;
	}
	if (r < 0)
		fail("request", r);
}

static void expect_all(struct volume *v, const uint8_t *copy)
{
	for (uint64_t at = 0; at < v->size; at += MAX_PIECE)
		expect(v, copy, at, v->size - at < MAX_PIECE ? v->size - at : MAX_PIECE);
}

static uint8_t *copy_of(struct volume *v)
{
	uint8_t *copy = malloc(v->size);
	int r = volume_read(v, copy, v->size, 0);

	if (r < 0)
		fail("read all", r);
	return copy;
}

static void ops(const char *file)
{
	struct volume *v = open_disk(file, false, false);
	uint8_t *copy = copy_of(v);

	state = number("seed", 1);
	for (uint64_t i = 0; i < number("n", 100); i++)
		one_request(v, copy);
	expect_all(v, copy);
	volume_close(v);
	v = open_disk(file, true, false);
	expect_all(v, copy);
	volume_close(v);
	free(copy);
}

static void dump(const char *file)
{
	struct volume *v = open_disk(file, true, false);
	uint8_t *copy = copy_of(v);
	FILE *out = fopen(text("out"), "we");

	if (!out || fwrite(copy, 1, v->size, out) != v->size || fclose(out))
		fail("out", -errno);
	volume_close(v);
	free(copy);
}

static void say(void *arg, const char *line)
{
	(void)arg;
	puts(line);
}

static void check(const char *file)
{
	enum qcow2_repair repair = text("all")	 ? QCOW2_REPAIR_ALL :
				   text("leaks") ? QCOW2_REPAIR_LEAKS :
						   QCOW2_REPAIR_NOTHING;
	struct volume *v = open_disk(file, !repair, true);
	struct qcow2_check_result c;
	int r = qcow2_check(v, repair, say, NULL, &c, &why);

	if (r < 0)
		fail("check", r);
	printf("corruptions=%" PRIu64 " leaks=%" PRIu64 " corruptions_fixed=%" PRIu64
	       " leaks_fixed=%" PRIu64 " allocated=%" PRIu64 " compressed=%" PRIu64
	       " fragmented=%" PRIu64 " total=%" PRIu64 " end=%" PRIu64 "\n",
	       c.corruptions, c.leaks, c.corruptions_fixed, c.leaks_fixed, c.allocated_clusters,
	       c.compressed_clusters, c.fragmented_clusters, c.total_clusters, c.image_end);
	volume_close(v);
}

static void snapshot(const char *file)
{
	struct volume *v = open_disk(file, false, false);
	int r;

	if (text("create"))
		r = qcow2_snapshot_create(v, text("create"), 1700000000, 5, &why);
	else if (text("apply"))
		r = qcow2_snapshot_apply(v, text("apply"), &why);
	else
		r = qcow2_snapshot_delete(v, text("delete"), &why);
	if (r < 0)
		fail("snapshot", r);
	volume_close(v);
}

static void list(const char *file)
{
	struct volume *v = open_disk(file, true, true);
	struct qcow2_snapshot *s;
	size_t n;
	int r = qcow2_snapshot_list(v, &s, &n, &why);

	if (r < 0)
		fail("list", r);
	for (size_t i = 0; i < n; i++)
		printf("%s %s %" PRIu64 "\n", s[i].id, s[i].name, s[i].disk_size);
	free(s);
	volume_close(v);
}

static void resize(const char *file)
{
	struct volume *v = open_disk(file, false, false);
	int r = qcow2_resize(v, number("size", 0), text("shrink"), NULL, &why);

	if (r < 0)
		fail("resize", r);
	volume_close(v);
}

static void info(const char *file)
{
	struct qcow2_info i;
	int r = qcow2_read_info(open_store(file, true), &i, &why);

	if (r < 0)
		fail("info", r);
	printf("version=%u size=%" PRIu64 " cluster_size=%u refcount_bits=%u compression=%d"
	       " snapshots=%u lazy=%d extended_l2=%d dirty=%d corrupt=%d data_file=%d raw=%d"
	       " bitmaps=%d backing=%s backing_format=%s data=%s\n",
	       i.version, i.size, i.cluster_size, i.refcount_bits, i.compression, i.n_snapshots,
	       i.lazy_refcounts, i.extended_l2, i.dirty, i.corrupt, i.data_file, i.data_file_raw,
	       i.bitmaps, i.backing_file, i.backing_format, i.data_file_name);
}

struct samples {
	const char *folder;
	size_t n, every;
};

static const char *keep_sample(struct cuts *c, struct memory *image, size_t at, void *arg)
{
	struct samples *s = arg;
	char path[4096];
	FILE *out;

	if (s->n++ % s->every)
		return NULL;
	(void)snprintf(path, sizeof(path), "%s/%zu.qcow2", s->folder, s->n);
	out = fopen(path, "we");
	if (!out || fwrite(image->bytes, 1, image->store.size, out) != image->store.size ||
	    fclose(out))
		return "cannot write a sample";
	return cuts_check(c, image, at, true);
}

static void cuts(const char *folder)
{
	const bool settles = text("settles");
	const struct cuts_options o = { .create = { .size = 1 << 20, .cluster_size = 512 },
					.n_requests = 400,
					.cache_bytes = 16 << 10,
					.seed = number("seed", 1),
					.tools = !settles,
					.settles = settles,
					.kill_every = settles ? 37 : 0,
					.reserve = 64 };
	struct samples s = { .folder = folder, .every = number("every", 100) };
	struct cuts c;
	const char *bad = cuts_record(&c, &o);
	size_t n = 0;

	for (int lost = 0; !bad && lost < 2; lost++)
		bad = cuts_for_each(&c, lost, keep_sample, &s, &n);
	if (bad) {
		fprintf(stderr, "qcow2-tool: cut %zu: %s\n", n, bad);
		exit(1);
	}
	cuts_free(&c);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(const char *file);
	} commands[] = { { "create", create }, { "ops", ops },		 { "dump", dump },
			 { "check", check },   { "snapshot", snapshot }, { "list", list },
			 { "resize", resize }, { "info", info },	 { "cuts", cuts } };

	if (argc < 3)
		return 64;
	arguments = argv + 3;
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, argv[1])) {
			commands[i].run(argv[2]);
			return 0;
		}
	return 64;
}
