/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kind of device process: all that others know of it. Each kind is one folder, whose kind.c has its
 * row; the rows that a build has are in kinds_all (cmd/meson.build and -Dextra_kinds). The supervisor,
 * explain, help, completion, the configuration file, the limits and audit loop over them.
 */
#ifndef BULKHEAD_KINDS_KIND_H
#define BULKHEAD_KINDS_KIND_H

#include "lib/declared/declared.h"
#include "lib/options/option.h"

#define KINDS_MAX 32	       /* of a build */
#define KIND_OPTIONS_BYTES 704 /* of the options' struct */
#define KIND_CHANNELS_MAX 2    /* of a device, to the vmm */
#define KIND_FILES_MAX 15      /* of a device */
#define KIND_BESIDE_MAX 8      /* sorts of files beside the one that it serves */

/* How many of it a VM has. */
enum kind_number {
	KIND_ALWAYS,   /* one; its options are said as `--WORD-OPTION VALUE` */
	KIND_FIRMWARE, /* the same, where the VM boots firmware; else none */
	KIND_SWITCH,   /* one or none, as `--WORD on` says; options likewise */
	KIND_MANY,     /* one for each `--WORD FILE,OPTION=VALUE,...` */
	KIND_BEHIND, /* one for each device that says so: between it and its files, or what it is joined to */
	KIND_INSTEAD, /* one for each device that says so: it serves it in the place of the kind's own process */
};

/* Files of a device beside the one that it serves, said as options of it, in their order: `backing=FILE`. */
struct kind_files {
	const char *word; /* "backing" */
	const char *noun; /* "backing file" */
	unsigned int most;
	bool only_read; /* and so may be of several VMs; else it is used as the device's file is */
	bool secret;	/* what is said is the name of a secret, which says the file */
	bool commands;	/* the command alone uses it, and tells its supervisor nothing of it */
	const char *each; /* the list among the options that has one for each; or NULL */
};

/* What is said of one device: check's. */
struct kind_said {
	const void *options;
	unsigned int n_files[KIND_BESIDE_MAX]; /* of each kind_files */
};

/* The file that a device serves, opened by the supervisor with the user's rights: a whole disk image,
 * to which sizes, locks and labels apply. */
struct kind_file {
	int fd; /* its number in the process, and the next ones are for files beside it; 0: there is none */
	const char *noun;   /* "image" */
	size_t readonly_at; /* the bool of the options that says that it is not written */
	const struct kind_files *more;
	size_t n_more;
	/* What its size is a multiple of: bytes. i: 0, or which of the files beside it from 1 on. NULL: of 512. */
	uint64_t (*unit)(const void *options, unsigned int i);
	/* In the place of the file's name stands the address of somebody's server, which the options then know: 1; 0: it is
	 * a file's name; -EINVAL with what would be right. NULL: never. */
	int (*address)(void *options, const char *text, size_t len, const char **ret_why);
	/* Whether what was said goes together: 0, or -EINVAL with what would be right. */
	int (*check)(const struct kind_said *said, char *why, size_t cap);
};

#define KIND_LINKS_MAX 16    /* of a VM */
#define KIND_LINK_FDS_MAX 64 /* of all of them together */
#define KIND_LINK_FDS_EACH 8

/* What the command opens for a way, with the rights of its user. */
enum kind_opens {
	KIND_OPENS_NOTHING, /* the supervisor has it otherwise */
	KIND_OPENS_TAP,	    /* a tap, by its name */
	KIND_OPENS_BRIDGE,  /* a tap that it makes, a port of that bridge */
	KIND_OPENS_MACVTAP, /* one that it makes on that interface; its mode and MAC address are the arguments */
	KIND_OPENS_PASST, /* a stream to a passt: the supervisor starts it, the command for a card that is attached */
	KIND_OPENS_SWITCH, /* a port of that segment, of whose switch it starts the first one */
	KIND_OPENS_STREAM, /* a UNIX stream socket that the command was started with, by its number */
	KIND_OPENS_SWTPM, /* a stream to an swtpm, which the supervisor starts on the directory of that name */
};

/* One way in which a device is joined to what is outside of its VM, said first: `--net WORD[=VALUE],OPTION=VALUE,...`. */
struct kind_way {
	const char *word;  /* "fd" */
	const char *value; /* stands for its value in help: "N"; NULL: it has none */
	uint64_t min, max; /* of a number, or of the bytes of a name */
	bool number;
	bool shared;   /* several devices may be joined to the same */
	bool optional; /* where it cannot be had the VM runs without the device, and says so */
	enum kind_opens opens;
	int fd; /* the number in the process of what is opened, or of the first one */
	/* Of what is started: its i-th argument from 0 on that the options say; false: there are no more. NULL: none. */
	bool (*argument)(const void *options, unsigned int i, char *out, size_t cap);
};

#define KIND_RULES_MAX 32768U /* bytes */

/* An interface of the host's that is a device's other end. */
struct kind_interface {
	const char *table; /* of nftables, that is to be its own */
	const char *name;
	bool lower; /* what the guest sends leaves by it; else it comes in by it */
};

/* How a device is joined to what is outside, a network's card, say. */
struct kind_link {
	const struct kind_way *ways;
	size_t n_ways; /* 0: it is not */
	size_t way_at; /* the byte of the options that says which: its index */
	const char *
		unsaid; /* what stands for all of the kind when nothing is said of any; NULL: there is none then */
	/* What is not said of the number-th of its kind (from 0 on) becomes what it is in that VM. */
	void (*settle)(void *options, const char *vm, unsigned int number);
	/* How many descriptors what is opened has: a tap's queues. NULL: 1. */
	unsigned int (*count)(const void *options);
	/* Whether the host's kernel is to hold it to rules, and those, as `nft -f` reads them: their length, or 0: too
	 * long. NULL: never. */
	bool (*ruled)(const void *options);
	size_t (*rules)(const void *options, const struct kind_interface *i, char *out, size_t cap);
	/* Whether its interface takes one packet for each frame, and no large ones that are cut later. NULL: never. */
	bool (*bare)(const void *options);
	/* Whether it takes trains of UDP datagrams in one frame. NULL: never. */
	bool (*uso)(const void *options);
};

#define KIND_STATES 3

/* Memory of a device's own that outlives its process, so that the next one goes on with it. */
struct kind_state {
	int fd;		  /* its number in the process; 0: there is none */
	const char *name; /* as maps and audits show it */
	uint64_t size;	  /* bytes */
	bool once;	  /* what the first process writes it seals, for all after it */
	bool of_file; /* goes with the device's files: a storage process has it in the device's place */
	uint64_t size_at; /* of that: where it says how large what it serves is, in bytes, as a u64; 0: nowhere */
	bool (*wanted)(const void *options); /* NULL: always */
};

/* A feature (lib/features) of which there is something to say, and whether a device uses it; BEHIND: by the device's
 * options. */
struct kind_feature {
	const char *name;
	bool (*used)(const void *options);
};

/* What it is on the bus: VIRTIO 1.2, section 5, and its PCI class. */
struct kind_virtio {
	unsigned int id;  /* 0: it is no virtio device */
	const char *name; /* for messages of the vmm */
	unsigned int class_code;
	unsigned int n_queues; /* of a back end that does not say */
	unsigned int queues_min;
	unsigned int config_len; /* bytes of configuration space that the features define */
	uint64_t features;	 /* the device's own bits that may be passed on */
	struct {
		uint64_t features;
		unsigned int n_queues;
	} foreign; /* the same of another's back end; 0: as ours */
	int fd;	   /* its vhost-user channel */
};

struct device_kind {
	const char *word;			 /* in options: "disk" */
	const struct declared_process *declared; /* its executable's name, policy and gains */
	enum kind_number number;
	bool initially;		      /* SWITCH: on by default */
	unsigned int most;	      /* MANY */
	const char *help;	      /* of `--WORD` */
	const struct option *options; /* of the process's arguments and of what the user says */
	size_t n_options;
	const char *unsaid; /* why an option that is OPTION_REQUIRED is */
	struct kind_file file;
	struct kind_link link;
	struct kind_feature feature; /* name NULL: there is none */
	struct kind_state state[KIND_STATES];
	struct kind_virtio virtio;
	/* The name of the process behind a device with these options, which has its files and state in its place and
	 * gets those of its options that it has, too; the device has a channel to it where the file
	 * would be. NULL, or it returns NULL: there is none. */
	const char *(*behind)(const void *options);
	/* The name of the process that serves a device with these options in this one's place: of KIND_INSTEAD, with the
	 * same word. It gets those of the device's options that it has, its files and the channel to what is behind it at the
	 * same numbers, and what the device is joined to at its own link_fd; whether the device may be attached is its own to
	 * say. Its options' struct begins as this one's, as far as its own functions look. NULL, or it returns NULL: this one
	 * does. */
	const char *(*instead)(const void *options);
	/* INSTEAD: what the dialer opens for it, whenever it asks at reach_fd, with its user's rights; or NULL */
	const char *opens;
	int meets_fd; /* a socket that the host's programs connect to, by the VM's name and the kind's word; 0: none */
	/* A channel to the dialer, by which the device connects to sockets of the host that its guest may reach: beside the
	 * VM's name, NAME+WORD_PORT. 0: none. The i-th of them (from 0 on); false: there are no more. */
	int reach_fd;
	bool (*reaches)(const void *options, unsigned int i, uint32_t *ret_port);
	int storage_fd; /* BEHIND: the number of that channel */
	/* BEHIND: the number of what the device is joined to, which it has in its place; the device has one end of a
	 * stream instead, and this process the other, at storage_fd. Both ends outlive the processes. 0: it has files */
	int link_fd; /* INSTEAD: the number of the first one that it is joined to */
	bool dials; /* BEHIND: it has an address, as --address=, and a channel to a dialer in the place of a file */
	int serial_fd;	  /* a vfio-user channel for the UART's registers; 0: none */
	int registers_fd; /* the same for what firmware needs (lib/fwcfg); */
	int items_fd;	  /* and what it is told, which the vmm writes and seals */
	int flash_fd; /* the same for the commands of a flash memory (lib/fwcfg/flash.h), which is its file; */
	int view_fd;	      /* and what the guest reads there, which the vmm shows it */
	int tpm_fd;	      /* the same for a TPM's registers (lib/tpm) */
	bool takes_stream;    /* the console's */
	bool takes_link;      /* its link goes up and down, by CTL_LINK */
	bool foreign;	      /* vhost-user=SOCKET: another's program may serve it */
	bool restartable;     /* a new process can take its place while the guest runs */
	bool attachable;      /* a virtio device that may come and go while the guest runs */
	uint64_t memory;      /* bytes that it takes beside guest RAM and its program */
	unsigned int threads; /* of its own, beside the main one */
	unsigned int tasks_each_node; /* tasks of the kernel in its name, for each NUMA node */
};

extern const struct device_kind *const kinds_all[];
extern const size_t n_kinds_all;

/* Its index in kinds_all. */
size_t kind_index(const struct device_kind *kind);
/* The kind whose process it is, or NULL. */
const struct device_kind *kind_whose(const struct declared_process *declared);
/* The process behind a device of that kind with these options, or NULL. */
const struct device_kind *kind_behind(const struct device_kind *kind, const void *options);
/* The process that serves a device of that kind with these options. */
const struct device_kind *kind_server(const struct device_kind *kind, const void *options);
/* The kind that says what such a process serves: of KIND_INSTEAD another with its word, else itself. */
const struct device_kind *kind_said(const struct device_kind *kind);
/* What a device of that kind is on the bus, by who serves it: the same, unless that says another. */
static inline const struct kind_virtio *kind_on_bus(const struct device_kind *kind,
						    const struct device_kind *server)
{
	return server->virtio.name ? &server->virtio : &kind->virtio;
}
/* Whether its i-th state belongs to a process: which has its files or not, and itself or not. */
static inline bool kind_gives_state(const struct device_kind *kind, size_t i, const void *options,
				    bool has_files, bool is_device)
{
	const struct kind_state *s = &kind->state[i];

	return s->fd && (s->of_file ? has_files : is_device) && (!s->wanted || s->wanted(options));
}
/* Whether its program may be needed for what is attached. */
bool kind_may_come(const struct device_kind *kind);
/* The words of those that may come and go while the guest runs, with that between them. */
void kinds_attachable(const char *between, char *out, size_t cap);
/* Whether it is there without being said. */
static inline bool kind_is_unsaid(const struct device_kind *kind)
{
	return kind->number == KIND_ALWAYS || kind->number == KIND_FIRMWARE;
}
/* Channels to the vmm. */
static inline unsigned int kind_channels(const struct device_kind *kind)
{
	return (kind->virtio.id != 0) + (kind->serial_fd != 0) + (kind->registers_fd != 0) +
	       (kind->flash_fd != 0) + (kind->tpm_fd != 0);
}
/* Which kind_files the i-th file beside the first would be of, and which of those it is; NULL: there are no
 * so many. */
const struct kind_files *kind_files_of(const struct device_kind *kind, unsigned int i,
				       unsigned int *ret_nth);
/* How a device with these options is joined; NULL: its kind is not. */
static inline const struct kind_way *kind_way(const struct device_kind *kind, const void *options)
{
	return kind->link.n_ways ? &kind->link.ways[((const uint8_t *)options)[kind->link.way_at]] :
				   NULL;
}
static inline bool kind_link_is_bare(const struct device_kind *kind, const void *options)
{
	return kind->link.bare && kind->link.bare(options);
}
static inline bool kind_link_has_uso(const struct device_kind *kind, const void *options)
{
	return kind->link.uso && kind->link.uso(options);
}
/* For a feature that each device of a kind uses. */
static inline bool kind_always(const void *options)
{
	(void)options;
	return true;
}
/* Whether the supervisor starts what is at the other end, in the VM's control group; else the command has it. */
static inline bool kind_way_is_started(const struct kind_way *w)
{
	return w->opens == KIND_OPENS_PASST || w->opens == KIND_OPENS_SWTPM;
}
/* How many descriptors it has of that, at the way's number and behind. */
static inline unsigned int kind_link_fds(const struct device_kind *kind, const void *options)
{
	return kind->link.count ? kind->link.count(options) : 1;
}
/* "fd=N", or "fd=N or tap=NAME": what is said first of a device that is joined. */
void kind_ways_form(const struct device_kind *kind, const char *between, const char *last,
		    char *out, size_t cap);
/* The option of that name, or NULL. */
const struct option *kind_option(const struct device_kind *kind, const char *name);
/* "FILE,format=raw[,readonly=on]", with a way in the place of FILE for a kind that is joined, or without for a kind that serves none: what is said of one of many. */
void kind_form(const struct device_kind *kind, bool required_only, char *out, size_t cap);
/* ",backing=FILE,backing-format=FORMAT": what is said of each file beside it. */
void kind_files_form(const struct kind_files *f, char *out, size_t cap);

#endif
